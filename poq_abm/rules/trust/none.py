"""No trust: all weights stay as they are."""

from __future__ import annotations

from poq_abm.rules.rule import COST_AWARE, Source
from poq_abm.rules.trust.update import TrustUpdate

__all__ = ["NoUpdate"]


class NoUpdate(TrustUpdate):
    """No update: every weight stays where it started."""

    name = "none"
    formula = "w"
    source = Source("published", f"{COST_AWARE}, which has no trust")
    learns = False

    @staticmethod
    def kernel(weight: float, deviation: float, typical: float) -> float:
        """Return the weight."""
        return weight
