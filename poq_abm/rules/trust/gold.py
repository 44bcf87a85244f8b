"""The multiplicative update against the truth."""

from __future__ import annotations

from typing import ClassVar

from poq_abm.rules.rule import Source
from poq_abm.rules.trust.update import LEARNING, TrustUpdate, clip

__all__ = ["Gold"]


class Gold(TrustUpdate):
    """The multiplicative update against the truth, on planted records only."""

    name = "gold"
    formula = "clip(w (1 + lambda (0.5 - d)), w_min, w_max), d from the truth of planted records"
    source = Source("assumed", "ours")
    parameters: ClassVar = LEARNING
    against_truth = True

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
