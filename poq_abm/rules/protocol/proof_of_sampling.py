"""``proof_of_sampling``: a validator recomputes a random share of the answers."""

from __future__ import annotations

from typing import Any

from poq_abm.rules.protocol.protocol import VerificationProtocol

__all__ = ["ProofOfSampling"]


class ProofOfSampling(VerificationProtocol):
    """Random recomputation by another node."""

    name = "proof_of_sampling"
    bonded = True
    summary = (
        "A share q of the queries is also given to a second node, drawn at random, which "
        "recomputes the answer. The first node does not know which. A validator who convicts has "
        "the bounty."
    )
    formula = (
        "p = q (1 - l) (1 - r), l the lazy and r the colluding share of validators; honest iff "
        "p (S + F) >= G, that is from q = G / ((1 - l) (1 - r) (S + F)) on; published for l = 0 as "
        "p > C / ((1 - r)(R + S)), where C is G, R the fee F and S the slash alone: the fee counts "
        "once"
    )
    source = "formula: published (arXiv 2405.00295); q, the lazy share and all amounts are assumed"
    limits = (
        "A validator is honest unless it colludes or is lazy, and starts when the query arrives, "
        "in its own queue: answers that are not drawn are final at once. Where nobody cheats "
        "nobody pays it for its work (validator_profit_usd), which is the verifier's dilemma; that "
        "it gives in to it is said by lazy_share and not decided by itself."
    )
    sections = ("proof_of_sampling",)

    def changes(self) -> dict[str, Any]:
        figures = self.verification.proof_of_sampling
        colluding = self.verification.adversaries.collusion.validator_share
        return {
            "sample_rate": float(figures.challenge_probability),
            "lazy": float(figures.lazy_share),
            "confirmed": float(figures.lazy_share + (1.0 - figures.lazy_share) * colluding),
        }
