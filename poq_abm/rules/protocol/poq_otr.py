"""``poq+otr``: the rollup says which model ran, the committee how good the answer is."""

from __future__ import annotations

from typing import Any

from poq_abm.rules.protocol.otr import rollup_terms
from poq_abm.rules.protocol.poq import committee_terms
from poq_abm.rules.protocol.protocol import VerificationProtocol

__all__ = ["PoqOtr"]


class PoqOtr(VerificationProtocol):
    """The hybrid: identity by hardware, quality by evaluators."""

    name = "poq+otr"
    bonded = True
    summary = (
        "OTR for identity, Proof of Quality for pay: an answer must be attested, and what it earns "
        "follows the committee's consensus."
    )
    formula = (
        "OTR's p and finality; honest iff p S + H - (1 - p) D >= G, with H and D the mean pay of "
        "honest and of dishonest answers; paid = F max(0, alpha_F Q - beta_F C)"
    )
    source = "ours: a combination of the two; each part's sources are on its own page"
    limits = "Those of poq and of otr."
    sections = ("otr", "tee", "watchers", "poq")

    def changes(self) -> dict[str, Any]:
        return {**rollup_terms(self), **committee_terms(self)}
