"""The update against a committee's median deviation."""

from __future__ import annotations

from typing import ClassVar

from poq_abm.rules.rule import Source
from poq_abm.rules.trust.update import LEARNING, TrustUpdate, Typical, clip

__all__ = ["Relative"]


class Relative(TrustUpdate):
    """A factor above 1 for a deviation below the committee's median.

    Half of a committee loses weight, whatever the level of its deviations.
    """

    name = "relative"
    formula = "clip(w (1 + lambda (d_med - d)), w_min, w_max)"
    source = Source("assumed", "ours")
    parameters: ClassVar = LEARNING
    typical = Typical.MEDIAN

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
        return clip(weight * (1.0 + rate * (typical - deviation)), minimum, maximum)
