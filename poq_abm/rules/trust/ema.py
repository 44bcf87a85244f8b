"""An exponential moving average of closeness."""

from __future__ import annotations

from typing import ClassVar

from poq_abm.rules.rule import Source
from poq_abm.rules.trust.update import LEARNING, TrustUpdate, clip

__all__ = ["Ema"]


class Ema(TrustUpdate):
    """An exponential moving average of closeness, on the scale of weights.

    The weight tends to a level that depends on the evaluator's usual closeness and does not
    saturate.
    """

    name = "ema"
    formula = "clip((1 - lambda) w + lambda (w_min + (w_max - w_min)(1 - d)), w_min, w_max)"
    source = Source("assumed", "ours")
    parameters: ClassVar = LEARNING

    @staticmethod
    def kernel(
        weight: float,
        deviation: float,
        typical: float,
        rate: float,
        minimum: float,
        maximum: float,
    ) -> float:
        """Return the weight after the round."""
        target = minimum + (maximum - minimum) * (1.0 - deviation)
        return clip((1.0 - rate) * weight + rate * target, minimum, maximum)
