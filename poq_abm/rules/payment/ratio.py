"""A reward that divides quality by cost."""

from __future__ import annotations

from poq_abm.rules.payment.formulas import quality
from poq_abm.rules.payment.payment import InferencePayment
from poq_abm.rules.rule import Source

__all__ = ["Ratio"]


class Ratio(InferencePayment):
    """Quality per cost; never negative."""

    name = "ratio"
    formula = "alpha Q / (1 + beta C)"
    source = Source("assumed", "ours")
    charges_shortfall = True

    @staticmethod
    def kernel(consensus: float, cost: float, alpha: float, beta: float) -> float:
        """Return the reward."""
        return alpha * quality(consensus) / (1.0 + beta * cost)
