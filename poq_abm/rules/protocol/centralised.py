"""``centralised``: one operator whom everybody trusts."""

from __future__ import annotations

from typing import Any

from poq_abm.rules.protocol.protocol import VerificationProtocol

__all__ = ["Centralised"]


class Centralised(VerificationProtocol):
    """The baseline of throughput and cost."""

    name = "centralised"
    summary = "One trusted operator runs all nodes; nobody cheats and nothing is checked."
    formula = "provisional = economic = waiting + service"
    source = "ours; the baseline that throughput is measured against"
    limits = (
        "Trust is assumed, not produced. Queues stay one per node, as everywhere here; an operator "
        "would pool them and wait less."
    )
    sections = ("centralised", "tee")

    def changes(self) -> dict[str, Any]:
        pays = self.verification.centralised.pays_tee_overhead
        return {"trusted": True, "overhead": float(self.verification.tee.overhead) if pays else 0.0}
