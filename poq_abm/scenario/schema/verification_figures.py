"""The figures behind each way to verify an answer, one section of ``verification:`` each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal

from pydantic import Field

from poq_abm.scenario.schema.acting import When, above, given
from poq_abm.scenario.schema.strict import Strict

__all__ = [
    "SOURCES",
    "Centralised",
    "Opml",
    "Otr",
    "PoqCheck",
    "ProofOfSampling",
    "Redundancy",
    "Tee",
    "Zkml",
    "figure",
]

Source = Literal["published", "inferred", "assumed"]
SOURCES: Final[tuple[Source, ...]] = ("published", "inferred", "assumed")
PROBABILITY: Final[dict[str, float]] = {"ge": 0.0, "le": 1.0}
POSITIVE: Final[dict[str, float]] = {"gt": 0.0}
AT_LEAST_ZERO: Final[dict[str, float]] = {"ge": 0.0}


def figure(default: Any, unit: str, source: Source, meaning: str, **bounds: Any) -> Any:
    """Return a field with its unit, where its default comes from, and what it means.

    ``published``: a source prints it; ``inferred``: it follows from what is printed; ``assumed``:
    it is ours.

    >>> figure(0.01, "share", "published", "proof rate").description
    'proof rate [share; published]'
    """
    described = f"{meaning} [{unit}; {source}]"
    extra: dict[str, Any] = {"unit": unit, "source": source, "meaning": meaning}
    return Field(default=default, description=described, json_schema_extra=extra, **bounds)


class Centralised(Strict):
    """One trusted operator on the same nodes, who never cheats.

    >>> Centralised().pays_tee_overhead
    False
    """

    pays_tee_overhead: bool = figure(
        False, "yes or no", "assumed", "whether the baseline itself runs inside enclaves"
    )


class PoqCheck(Strict):
    """What Proof of Quality adds to its mechanism here.

    >>> PoqCheck().accept_score
    0.0
    """

    accept_score: float = figure(
        0.0,
        "score 0-10",
        "assumed",
        "consensus below which an answer is refused and not paid; 0 refuses nothing, as published",
        ge=0.0,
        le=10.0,
    )


class Redundancy(Strict):
    """Several providers answer and are compared.

    >>> Redundancy().providers
    2
    """

    providers: int = figure(
        2, "nodes", "inferred", "n, nodes that answer each query; Verde asks for two", ge=2, le=8
    )
    comparison_s: float = figure(
        0.01, "s", "assumed", "time to compare the answers", **AT_LEAST_ZERO
    )
    trace_steps: int = figure(
        2**20, "steps", "assumed", "steps of a trace, searched for the first divergence", ge=2
    )
    step_s: float = figure(0.05, "s", "assumed", "time of one step of the search", **AT_LEAST_ZERO)
    step_usd: float = figure(
        1e-4, "USD", "assumed", "fee of one step of the search", **AT_LEAST_ZERO
    )


class ProofOfSampling(Strict):
    """A validator recomputes a random share of the answers.

    >>> ProofOfSampling().challenge_probability
    0.1
    """

    acts: ClassVar[Mapping[str, When]] = {
        "lazy_share": above("verification.proof_of_sampling.challenge_probability"),
    }

    challenge_probability: float = figure(
        0.1, "share", "assumed", "q, share of queries that a second node recomputes", **PROBABILITY
    )
    lazy_share: float = figure(
        0.0,
        "share",
        "assumed",
        "validators that confirm without recomputing (verifier's dilemma)",
        **PROBABILITY,
    )


class Opml(Strict):
    """Optimistic machine learning: native execution, and disputes by bisection.

    >>> Opml().window_s / 86_400
    7.0
    """

    window_s: float = figure(
        604_800.0, "s", "published", "W, the challenge window: 7 days", **POSITIVE
    )
    posting_usd: float = figure(
        0.06, "USD per query", "published", "cost of posting an answer", **AT_LEAST_ZERO
    )
    overhead: float = figure(
        0.0, "share of service", "inferred", "what native execution adds", **AT_LEAST_ZERO
    )
    trace_steps: int = figure(2**20, "steps", "assumed", "steps of the disputed trace", ge=2)
    step_s: float = figure(60.0, "s", "assumed", "time of one step of a bisection", **AT_LEAST_ZERO)
    step_usd: float = figure(0.05, "USD", "assumed", "fee of one step", **AT_LEAST_ZERO)


class Zkml(Strict):
    """A proof for every answer, whose cost grows like k N log N in the parameters N.

    >>> Zkml().reference_s
    1200.0
    """

    reference_s: float = figure(
        1200.0,
        "s",
        "published",
        "proving time at the reference size: 'over 20 min', so at least this",
        **POSITIVE,
    )
    reference_billion: float = figure(
        7.0, "10^9 parameters", "published", "size to which reference_s belongs", gt=0.01
    )
    reference_usd: float = figure(
        45.0,
        "USD",
        "inferred",
        "cost of a proof at that size; printed without a size",
        **AT_LEAST_ZERO,
    )
    parameters_billion: float = figure(
        7.0, "10^9 parameters", "assumed", "N, size of the model a request names", gt=0.01
    )
    verify_s: float = figure(0.1, "s", "assumed", "time to check a proof", **AT_LEAST_ZERO)
    on_node: bool = figure(
        False, "yes or no", "assumed", "whether the node that answers also proves, in its queue"
    )


_ATTESTS: Final = given("verification.protocol", "tee", "otr", "poq+otr")


class Tee(Strict):
    """Attested enclaves; read by every protocol that attests.

    >>> Tee().overhead
    0.175
    """

    acts: ClassVar[Mapping[str, When]] = {
        "overhead": _ATTESTS
        | (
            given("verification.protocol", "centralised")
            & given("verification.centralised.pays_tee_overhead", True)
        ),
        "attestation_s": _ATTESTS,
        "attestation_usd": _ATTESTS,
    }

    overhead: float = figure(
        0.175,
        "share of service",
        "inferred",
        "what an enclave adds; 0.15 to 0.20 are published, this is the middle",
        **AT_LEAST_ZERO,
    )
    attestation_s: float = figure(
        0.02, "s", "assumed", "time to sign and check an attestation", **AT_LEAST_ZERO
    )
    attestation_usd: float = figure(
        1e-4, "USD", "assumed", "c_attest, cost of an attestation", **AT_LEAST_ZERO
    )


class Otr(Strict):
    """Optimistic TEE-Rollups: attestation, watchers in a challenge window, random ZK proofs.

    >>> Otr().proof_rate
    0.01
    """

    acts: ClassVar[Mapping[str, When]] = dict.fromkeys(
        ("proof_s", "proof_usd", "proof_before_release", "on_node"),
        above("verification.otr.proof_rate"),
    )

    proof_rate: float = figure(
        0.01, "share", "published", "rho, share of queries that must carry a proof", **PROBABILITY
    )
    proof_s: float = figure(
        30.0,
        "s",
        "inferred",
        "proving time; 0.8 s = 0.99 x 0.5 s + 0.01 x 30.5 s",
        **AT_LEAST_ZERO,
    )
    proof_usd: float = figure(
        7.0, "USD", "inferred", "c_zk, at most this if 1% of it is 0.07", **AT_LEAST_ZERO
    )
    proof_before_release: bool = figure(
        True, "yes or no", "inferred", "whether a drawn answer waits for its proof"
    )
    on_node: bool = figure(
        False, "yes or no", "assumed", "whether the node that answers also proves, in its queue"
    )
    window_s: float = figure(3600.0, "s", "assumed", "W, the challenge window", **POSITIVE)
    trace_steps: int = figure(2**20, "steps", "assumed", "steps of the disputed trace", ge=2)
    step_s: float = figure(2.0, "s", "assumed", "time of one step of a bisection", **AT_LEAST_ZERO)
    step_usd: float = figure(0.01, "USD", "assumed", "fee of one step", **AT_LEAST_ZERO)
