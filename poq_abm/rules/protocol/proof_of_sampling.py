"""``proof_of_sampling``: a validator recomputes a random share of the answers."""

from __future__ import annotations

from typing import Any

from poq_abm.rules.protocol.protocol import VerificationProtocol
from poq_abm.rules.rule import Parameter, Source

__all__ = ["ProofOfSampling"]


class ProofOfSampling(VerificationProtocol):
    """A share q of the queries is also given to a second node, which recomputes the answer.

    It is drawn at random, and the first node does not know which queries are. A validator who
    convicts has the bounty.
    """

    name = "proof_of_sampling"
    gloss = "recompute a random share"
    bonded = validated = True
    formula = (
        "p = q (1 - l) (1 - r), l the lazy and r the colluding share of validators; honest iff "
        "p (S + F) >= G, that is from q = G / ((1 - l) (1 - r) (S + F)) on; published for l = 0 as "
        "p > C / ((1 - r)(R + S)), where C is G, R the fee F and S the slash alone: the fee counts "
        "once"
    )
    source = Source(
        "inferred",
        "from the formula of arXiv 2405.00295; q, the lazy share and all amounts are assumed",
    )
    limits = (
        "A validator is honest unless it colludes or is lazy, and starts when the query arrives, "
        "in its own queue: answers that are not drawn are final at once. Where nobody cheats "
        "nobody pays it for its work (validator_profit_usd), which is the verifier's dilemma; that "
        "it gives in to it is said by lazy_share and not decided by itself."
    )
    parameters = {
        "challenge_probability": Parameter(
            "share of queries that a second node recomputes", 0.1, symbol="q", unit="share",
            low=0.0, high=1.0,
        ),
        "lazy_share": Parameter(
            "validators that confirm without recomputing (verifier's dilemma)", 0.0, unit="share",
            low=0.0, high=1.0, only_with="challenge_probability",
        ),
    }  # fmt: skip

    def changes(self) -> dict[str, Any]:
        lazy = self.values["lazy_share"]
        return {
            "sample_rate": float(self.values["challenge_probability"]),
            "lazy": float(lazy),
            "confirmed": float(lazy + (1.0 - lazy) * self.conditions.colluding_validators),
        }
