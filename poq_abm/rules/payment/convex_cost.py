"""A reward whose charge for cost is convex."""

from __future__ import annotations

from typing import ClassVar

from poq_abm.rules.payment.formulas import inference_reward
from poq_abm.rules.payment.payment import InferencePayment
from poq_abm.rules.rule import Parameter, Source

__all__ = ["ConvexCost"]


class ConvexCost(InferencePayment):
    """The linear reward with a power of the cost, which spares cheap nodes."""

    name = "convex_cost"
    formula = "alpha Q - beta C^p"
    source = Source("assumed", "ours")
    parameters: ClassVar = {
        "exponent": Parameter("of the cost", 2.0, low=1.0, high=10.0, symbol="p")
    }
    charges_shortfall = True

    @staticmethod
    def kernel(consensus: float, cost: float, alpha: float, beta: float, exponent: float) -> float:
        """Return the reward."""
        return inference_reward(alpha, beta, consensus, cost**exponent)
