"""The linear reward: the published rule."""

from __future__ import annotations

from poq_abm.rules.payment.formulas import inference_reward
from poq_abm.rules.payment.payment import InferencePayment
from poq_abm.rules.rule import COST_AWARE, Source

__all__ = ["Linear"]


class Linear(InferencePayment):
    """Alpha for quality less beta for cost."""

    name = "linear"
    formula = "alpha Q - beta C"
    source = Source("published", f"{COST_AWARE}, Eq. 2")
    charges_shortfall = True

    @staticmethod
    def kernel(consensus: float, cost: float, alpha: float, beta: float) -> float:
        """Return the reward."""
        return inference_reward(alpha, beta, consensus, cost)
