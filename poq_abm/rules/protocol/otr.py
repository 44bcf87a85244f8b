"""``otr``: attestation, watchers in a challenge window, and random ZK proofs."""

from __future__ import annotations

from typing import Any, ClassVar

from poq_abm.rules.protocol.protocol import Reads
from poq_abm.rules.protocol.tee import attested_terms
from poq_abm.rules.protocol.watching import OptimisticProtocol
from poq_abm.rules.rule import Parameter, Source

__all__ = ["Otr"]


class Otr(OptimisticProtocol):
    """An enclave answers and attests (provisional finality), and the rest is checked later.

    Watchers may dispute inside a window (economic finality); a random share of the queries must
    carry a proof, which makes those final at once.
    """

    name = "otr"
    gloss = "secure hardware + disputes\n+ random proofs"
    attested = True
    formula = (
        "p = 1 while enclaves are intact, else 1 - (1 - rho)(1 - phi); honest iff p (S + F) >= G; "
        "checks cost c_attest + rho c_zk + n c c_check + P(dispute) c_dispute, n c the checks of n "
        "watchers who each check with chance c"
    )
    source = Source(
        "inferred",
        "from arXiv 2512.20176, abstract, and the authors' blog (rho = 0.01); proof time and "
        "proof cost are inferred from its figures; window, watchers and economics are assumed. The "
        "theorems and the simulation of the paper are not known to us: this is our reconstruction",
    )
    limits = (
        "As for tee and opml. The seed that draws the proofs is taken to be unpredictable; the "
        "agents draw it by commit and reveal, where withholding is punished and not impossible."
    )
    parameters = {
        "proof_rate": Parameter(
            "share of queries that must carry a proof", 0.01, symbol="rho", unit="share",
            status="published", low=0.0, high=1.0,
        ),
        "proof_s": Parameter(
            "proving time; 0.8 s = 0.99 x 0.5 s + 0.01 x 30.5 s", 30.0, unit="s",
            status="inferred", low=0.0, only_with="proof_rate",
        ),
        "proof_usd": Parameter(
            "at most this if 1% of it is 0.07", 7.0, symbol="c_zk", unit="USD", status="inferred",
            low=0.0, only_with="proof_rate",
        ),
        "proof_before_release": Parameter(
            "whether a drawn answer waits for its proof", True, "switch", unit="yes or no",
            status="inferred", only_with="proof_rate",
        ),
        "on_node": Parameter(
            "whether the node that answers also proves, in its queue", False, "switch",
            unit="yes or no", only_with="proof_rate",
        ),
        "window_s": Parameter(
            "the challenge window", 3600.0, symbol="W", unit="s", low=0.0, open_low=True
        ),
        "trace_steps": Parameter(
            "steps of the disputed trace", 2**20, "count", unit="steps", low=2
        ),
        "step_s": Parameter("time of one step of a bisection", 2.0, unit="s", low=0.0),
        "step_usd": Parameter("fee of one step", 0.01, unit="USD", low=0.0),
    }  # fmt: skip
    reads: ClassVar[tuple[Reads, ...]] = (Reads("tee"),)

    def changes(self) -> dict[str, Any]:
        rollup = self.figures["otr"]
        return {
            **attested_terms(self.figures["tee"]),
            **self.watched_terms(rollup, rollup["proof_rate"]),
            "proof_rate": float(rollup["proof_rate"]),
            "proof_s": float(rollup["proof_s"]),
            "proof_usd": float(rollup["proof_usd"]),
            "proof_first": rollup["proof_before_release"],
            "proof_on_node": rollup["on_node"],
        }

    def unwatched(self) -> str:
        rest = "only the proof rate" if self.figures["otr"]["proof_rate"] > 0.0 else "nothing"
        return f"{rest} is left once an enclave is broken"
