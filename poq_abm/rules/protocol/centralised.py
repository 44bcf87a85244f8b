"""``centralised``: one operator whom everybody trusts."""

from __future__ import annotations

from typing import Any

from poq_abm.rules.protocol.protocol import Reads, VerificationProtocol
from poq_abm.rules.rule import Parameter, Source

__all__ = ["Centralised"]


class Centralised(VerificationProtocol):
    """One trusted operator runs all nodes; nobody cheats and nothing is checked."""

    name = "centralised"
    gloss = "one trusted operator"
    trusted, catches = True, False
    formula = "provisional = economic = waiting + service"
    source = Source("assumed", "ours; the baseline that throughput is measured against")
    limits = (
        "Trust is assumed, not produced. Queues stay one per node, as everywhere here; an operator "
        "would pool them and wait less."
    )
    parameters = {
        "pays_tee_overhead": Parameter(
            "whether the baseline itself runs inside enclaves", False, "switch", unit="yes or no"
        )
    }
    reads = (Reads("tee", ("overhead",), only_with="pays_tee_overhead"),)

    def changes(self) -> dict[str, Any]:
        pays = self.values["pays_tee_overhead"]
        return {"overhead": float(self.figures["tee"]["overhead"]) if pays else 0.0}
