"""``tee``: attested enclaves, and nothing behind them."""

from __future__ import annotations

from typing import Any

from poq_abm.rules.protocol.protocol import VerificationProtocol

__all__ = ["Tee", "attested_terms"]


def attested_terms(protocol: VerificationProtocol) -> dict[str, Any]:
    """Return the terms of attestation, alone or inside another protocol."""
    figures = protocol.verification.tee
    return {
        "attests": True,
        "overhead": float(figures.overhead),
        "release_s": float(figures.attestation_s),
        "attestation_usd": float(figures.attestation_usd),
    }


class Tee(VerificationProtocol):
    """Confidential computing alone."""

    name = "tee"
    summary = (
        "Inference in an enclave; a signed attestation binds the answer to the measured model. "
        "An answer without a valid one is refused."
    )
    formula = (
        "p = 1 while the vendor's enclaves are intact, 0 while they are broken; honest iff p F >= G"
    )
    source = (
        "published: 15 to 20 percent overhead (the OTR authors' blog), 0.175 is its middle; "
        "vulnerability rates, patch delays, times and fees are assumed"
    )
    limits = (
        "All enclaves of a vendor break at once and all nodes know it at once. Side channels that "
        "leak prompts, and the vendor's own honesty, are left out."
    )
    sections = ("tee",)

    def changes(self) -> dict[str, Any]:
        return attested_terms(self)
