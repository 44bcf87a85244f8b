"""``tee``: attested enclaves, and nothing behind them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from poq_abm.rules.protocol.protocol import VerificationProtocol
from poq_abm.rules.rule import Parameter, Source

__all__ = ["Tee", "attested_terms"]


def attested_terms(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return the terms of attestation, alone or inside another protocol."""
    return {
        "overhead": float(figures["overhead"]),
        "release_s": float(figures["attestation_s"]),
        "attestation_usd": float(figures["attestation_usd"]),
    }


class Tee(VerificationProtocol):
    """Inference in an enclave; a signed attestation binds the answer to the measured model.

    An answer without a valid one is refused.
    """

    name = "tee"
    gloss = "signed by secure hardware"
    attested = True
    formula = (
        "p = 1 while the vendor's enclaves are intact, 0 while they are broken; honest iff p F >= G"
    )
    source = Source(
        "inferred",
        "from 15 to 20 percent overhead (the OTR authors' blog), 0.175 is its middle; "
        "vulnerability rates, patch delays, times and fees are assumed",
    )
    limits = (
        "All enclaves of a vendor break at once and all nodes know it at once. Side channels that "
        "leak prompts, and the vendor's own honesty, are left out."
    )
    parameters = {
        "overhead": Parameter(
            "what an enclave adds; 0.15 to 0.20 are published, this is the middle", 0.175,
            unit="share of service", status="inferred", low=0.0,
        ),
        "attestation_s": Parameter(
            "time to sign and check an attestation", 0.02, unit="s", low=0.0
        ),
        "attestation_usd": Parameter(
            "cost of an attestation", 1e-4, symbol="c_attest", unit="USD", low=0.0
        ),
    }  # fmt: skip

    def changes(self) -> dict[str, Any]:
        return attested_terms(self.values)
