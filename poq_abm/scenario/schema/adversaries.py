"""Who cheats on queries, how, and what helps them: nodes, vendors of enclaves, accomplices."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from poq_abm.errors import nearest
from poq_abm.scenario.schema.fields import (
    SHARE_TOLERANCE,
    Strict,
    When,
    above,
    as_tuple,
    complaint,
    given,
    holds,
    share_of,
    within,
)
from poq_abm.scenario.schema.verification_conditions import (
    AT_LEAST_ZERO,
    POSITIVE,
    PROBABILITY,
    figure,
    with_trait,
)

__all__ = [
    "ACTIONS",
    "Adversaries",
    "CachedAnswer",
    "Collusion",
    "EnclaveVendor",
    "HackedAnswer",
    "SwappedModel",
]

Action = Literal["downgrade", "cached", "judge_hack"]
ACTIONS: Final[tuple[str, ...]] = get_args(Action)
MAX_VENDORS: Final = 16
_CHANGING: Final = given("verification.adversaries.enclaves", "stationary")


def _known_to_nodes(*actions: str) -> When:
    """Return the condition that nodes know one of these ways to cheat."""
    return holds(
        lambda settings: not set(actions).isdisjoint(settings.verification.adversaries.actions),
        f"acts only with {' or '.join(actions)} among verification.adversaries.actions",
        "verification.adversaries.actions",
    )


def _some_nodes(key: str) -> When:
    """Return the condition that a share of the nodes is at least one of them."""

    def fault(settings: Any, section: Any) -> str | None:
        share, nodes = getattr(section, key), settings.population.inference_nodes
        if share == 0.0 or share_of(share, nodes):
            return None
        return (
            f"{share:g} of {nodes} inference nodes is 0 nodes; the smallest share that acts is "
            f"{1 / nodes:.4g}"
        )

    return within(fault, "population.inference")


class Collusion(Strict):
    """Watchers, validators and a sequencer that stand with the cheating nodes.

    >>> Collusion().sequencer
    False
    """

    acts: ClassVar[Mapping[str, When]] = {
        "watcher_share": with_trait("watched") & above("verification.watchers.count"),
        "validator_share": with_trait("validated"),
        "sequencer": with_trait("watched"),
        "censorship": with_trait("watched")
        & given("verification.adversaries.collusion.sequencer", True),
    }

    watcher_share: float = figure(
        0.0, "share", "assumed", "watchers that never dispute the coalition", **PROBABILITY
    )
    validator_share: float = figure(
        0.0, "share", "assumed", "r, validators of a sample that confirm a cheat", **PROBABILITY
    )
    sequencer: bool = figure(
        False, "yes or no", "assumed", "whether the sequencer is one of the coalition"
    )
    censorship: float = figure(
        0.9, "share", "assumed", "disputes that a colluding sequencer suppresses", **PROBABILITY
    )


class EnclaveVendor(Strict):
    """A vendor of enclaves: intact or, from a discovery until its patch, broken for all at once.

    >>> EnclaveVendor(share=1.0).patch_days
    30.0
    """

    acts: ClassVar[Mapping[str, When]] = {
        "vulnerability_per_year": _CHANGING,
        "patch_days": _CHANGING,
    }

    share: float = figure(1.0, "share", "assumed", "nodes with its hardware", **PROBABILITY)
    vulnerability_per_year: float = figure(
        0.5, "per year", "assumed", "rate of discoveries while intact", ge=0.0, le=1e5
    )
    patch_days: float = figure(
        30.0, "days", "assumed", "mean time until a patch, exponential", **AT_LEAST_ZERO
    )


class SwappedModel(Strict):
    """Running a cheaper model than the one named.

    >>> SwappedModel().gain_usd
    0.05
    """

    acts: ClassVar[Mapping[str, When]] = {"gain_usd": _known_to_nodes("downgrade")}

    model: str | None = figure(
        None, "name", "assumed", "the model really run; default: the one of lowest mean truth"
    )
    latency_share: float | None = figure(
        None,
        "share",
        "assumed",
        "its service time over that of the model named; default: as the profile has both",
        **POSITIVE,
    )
    gain_usd: float = figure(0.05, "USD per query", "assumed", "G, what it saves", **AT_LEAST_ZERO)


class CachedAnswer(Strict):
    """Returning a stored answer to another question; its truth is 0.

    >>> CachedAnswer().score
    3.0
    """

    acts: ClassVar[Mapping[str, When]] = {"score": with_trait("scored")}

    gain_usd: float = figure(0.04, "USD per query", "assumed", "G, what it saves", **AT_LEAST_ZERO)
    score: float = figure(
        3.0, "score 0-10", "assumed", "what every evaluator gives it", ge=0.0, le=10.0
    )
    latency_s: float = figure(0.05, "s", "assumed", "time to look it up", **POSITIVE)


class HackedAnswer(Strict):
    """Running the cheaper model, with text that lifts every evaluator's score.

    >>> HackedAnswer().lift
    2.0
    """

    acts: ClassVar[Mapping[str, When]] = {"lift": with_trait("scored")}

    gain_usd: float = figure(0.045, "USD per query", "assumed", "G, what it saves", **AT_LEAST_ZERO)
    lift: float = figure(2.0, "score points", "assumed", "added to each score", ge=0.0, le=10.0)


def _known_action(name: Any) -> Any:
    if isinstance(name, str) and name not in ACTIONS:
        raise complaint(f"unknown way to cheat {name[:80]!r}; {nearest(name[:80], ACTIONS)}")
    return name


def _some(actions: tuple[Action, ...]) -> tuple[Action, ...]:
    if not actions:
        raise complaint(f"name at least one way to cheat; {nearest('', ACTIONS)}")
    return actions


def _shares(vendors: dict[str, EnclaveVendor]) -> dict[str, EnclaveVendor]:
    total = math.fsum(vendor.share for vendor in vendors.values())
    if not 1 <= len(vendors) <= MAX_VENDORS:
        raise complaint(f"1 to {MAX_VENDORS} vendors are needed, got {len(vendors)}")
    if abs(total - 1.0) > SHARE_TOLERANCE:
        raise complaint(f"the vendors' shares sum to {total:.9g}, not to 1")
    return vendors


class Adversaries(Strict):
    """Who cheats, how, and what helps them.

    >>> Adversaries().rational_share
    0.9
    """

    acts: ClassVar[Mapping[str, When]] = {
        "rational_share": _some_nodes("rational_share"),
        "byzantine_share": _some_nodes("byzantine_share"),
        "downgrade": _known_to_nodes("downgrade", "judge_hack"),
        "cached": _known_to_nodes("cached"),
        "judge_hack": _known_to_nodes("judge_hack"),
        "enclaves": with_trait("attested"),
        "vendors": with_trait("attested"),
    }

    rational_share: float = figure(
        0.9, "share", "assumed", "nodes that cheat when it pays by their beliefs", **PROBABILITY
    )
    byzantine_share: float = figure(
        0.05, "share", "assumed", "nodes that cheat whatever it costs", **PROBABILITY
    )
    actions: Annotated[
        tuple[Annotated[Action, BeforeValidator(_known_action)], ...],
        BeforeValidator(as_tuple),
        AfterValidator(_some),
    ] = Field(
        default=("downgrade",),
        description="ways to cheat that are known [names; assumed]",
        json_schema_extra={
            "unit": "names",
            "source": "assumed",
            "meaning": "ways to cheat that are known; Byzantine nodes take the first",
        },
    )
    downgrade: SwappedModel = SwappedModel()
    cached: CachedAnswer = CachedAnswer()
    judge_hack: HackedAnswer = HackedAnswer()
    enclaves: Literal["stationary", "intact", "broken"] = figure(
        "stationary",
        "state",
        "assumed",
        "vendors' state at the start; `intact` and `broken` never change",
    )
    vendors: Annotated[dict[str, EnclaveVendor], AfterValidator(_shares)] = Field(
        default={"vendor_a": EnclaveVendor(share=0.6), "vendor_b": EnclaveVendor(share=0.4)},
        description="vendors of enclaves [mapping; assumed]",
        json_schema_extra={"unit": "mapping", "source": "assumed", "meaning": "vendors by name"},
    )
    collusion: Collusion = Collusion()

    @model_validator(mode="after")
    def _shares_fit(self) -> Adversaries:
        if self.rational_share + self.byzantine_share > 1.0 + SHARE_TOLERANCE:
            raise complaint(
                f"rational_share + byzantine_share = "
                f"{self.rational_share + self.byzantine_share:g} is more than all nodes"
            )
        return self
