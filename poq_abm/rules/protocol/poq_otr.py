"""``poq+otr``: the rollup says which model ran, the committee how good the answer is."""

from __future__ import annotations

from typing import Any

from poq_abm.rules.protocol.otr import Otr
from poq_abm.rules.protocol.protocol import Reads
from poq_abm.rules.rule import Source

__all__ = ["PoqOtr"]


class PoqOtr(Otr):
    """OTR for identity, Proof of Quality for pay.

    An answer must be attested, and what it earns follows the committee's consensus.
    """

    name = "poq+otr"
    gloss = "otr, and pay by score"
    scored = True
    formula = (
        "OTR's p and finality; honest iff p S + H - (1 - p) D >= G, with H and D the mean pay of "
        "honest and of dishonest answers; paid = F max(0, alpha_F Q - beta_F C)"
    )
    source = Source(
        "assumed", "ours: a combination of the two; each part's sources are on its own page"
    )
    limits = "Those of poq and of otr."
    parameters = {}
    reads = (Reads("otr"), Reads("tee"), Reads("poq"))

    def changes(self) -> dict[str, Any]:
        score = float(self.figures["poq"]["accept_score"])
        return {**super().changes(), "accept_score": score}
