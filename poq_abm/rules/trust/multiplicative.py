"""The multiplicative update: the published rule."""

from __future__ import annotations

from typing import ClassVar

from poq_abm.rules.rule import ROBUST, Source
from poq_abm.rules.trust.update import LEARNING, TrustUpdate, clip

__all__ = ["Multiplicative"]


class Multiplicative(TrustUpdate):
    """A factor above 1 for a deviation below one half.

    Every such evaluator gains weight, until all are at w_max and the rule has become the mean.
    """

    name = "multiplicative"
    formula = "clip(w (1 + lambda (0.5 - d)), w_min, w_max)"
    source = Source("published", f"{ROBUST}, Eq. 21")
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
        return clip(weight * (1.0 + rate * (0.5 - deviation)), minimum, maximum)
