"""The mean weighted by trust."""

from __future__ import annotations

from poq_abm.rules.aggregation.aggregation import RECONSTRUCTED, Aggregation, WeighsBy
from poq_abm.rules.aggregation.mean import Mean
from poq_abm.rules.committee import Committee

__all__ = ["TrustWeighted"]

_TOP = 10.0
_mean = Mean.kernel


class TrustWeighted(Aggregation):
    """The adaptive trust-weighted mean; with equal weights, or none, the mean.

    Breakdown point 0: whoever carries weight moves it.

    >>> TrustWeighted.consensus([2.0, 8.0], [3.0, 1.0])
    3.5
    """

    name = "trust_weighted"
    formula = "c = sum_k w_k s_k / sum_k w_k"
    source = RECONSTRUCTED
    weighs_by = WeighsBy.TRUST

    @staticmethod
    def kernel(committee: Committee) -> float:
        """Return the weighted mean."""
        total, weight = 0.0, 0.0
        for k in range(committee.scores.size):
            total += committee.weights[k] * committee.scores[k]
            weight += committee.weights[k]
        if weight == 0.0:
            return _mean(committee)
        return min(total / weight, _TOP)  # a rounded quotient may exceed it by a hair
