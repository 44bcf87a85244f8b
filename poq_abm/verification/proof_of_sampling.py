"""``proof_of_sampling``: a validator recomputes a random share of the answers."""

from __future__ import annotations

from typing import Any

from poq_abm.verification.protocol import VerificationProtocol

__all__ = ["ProofOfSampling"]


class ProofOfSampling(VerificationProtocol):
    """Random recomputation by another node."""

    name = "proof_of_sampling"
    bonded = True
    summary = (
        "A share p of the queries is also given to a second node, drawn at random, which "
        "recomputes the answer. The first node does not know which."
    )
    formula = (
        "honest is the only pure equilibrium iff p > C / ((1 - r)(R + S)); C what cheating saves, "
        "R the fee, S the slash, r the colluding share"
    )
    source = "formula: published (arXiv 2405.00295); p and all amounts are assumed"
    limits = (
        "The validator is honest unless it colludes, and starts when the query arrives, in its own "
        "queue: answers that are not drawn are final at once."
    )
    sections = ("proof_of_sampling",)

    def changes(self) -> dict[str, Any]:
        return {
            "sample_rate": float(self.verification.proof_of_sampling.challenge_probability),
            "confirmed": float(self.verification.adversaries.collusion.validator_share),
        }
