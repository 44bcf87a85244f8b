"""A reward that is paid in full or not at all."""

from __future__ import annotations

from typing import ClassVar

from poq_abm.rules.payment.formulas import SCORE_SCALE, inference_reward, quality
from poq_abm.rules.payment.payment import InferencePayment
from poq_abm.rules.rule import Parameter, Source

__all__ = ["Threshold"]


class Threshold(InferencePayment):
    """Alpha where quality reaches a threshold, else nothing, less beta for cost."""

    name = "threshold"
    formula = "alpha [Q >= p] - beta C"
    source = Source("assumed", "ours")
    parameters: ClassVar = {
        "threshold": Parameter(
            "quality Q from which alpha is paid in full", 0.5, low=0.0, high=1.0, symbol="p"
        )
    }

    @staticmethod
    def kernel(consensus: float, cost: float, alpha: float, beta: float, threshold: float) -> float:
        """Return the reward."""
        full = SCORE_SCALE if quality(consensus) >= threshold else 0.0
        return inference_reward(alpha, beta, full, cost)
