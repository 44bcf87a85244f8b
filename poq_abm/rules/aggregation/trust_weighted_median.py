"""The median weighted by trust."""

from __future__ import annotations

from poq_abm.rules.aggregation.aggregation import LITERATURE, Aggregation, WeighsBy
from poq_abm.rules.aggregation.sorting import SHARE_ROUNDING, sort_by_score
from poq_abm.rules.committee import Committee

__all__ = ["TrustWeightedMedian"]


class TrustWeightedMedian(Aggregation):
    """The score that splits the committee's trust in halves.

    The smallest score at or below which lies more than half of the weight; where exactly half lies
    there, the mean of it and the next that carries weight. With equal weights it is the median.
    Less than half of the weight cannot move it beyond the range of the other scores.

    >>> TrustWeightedMedian.consensus([2.0, 4.0, 9.0], [3.0, 1.0, 1.0])
    2.0
    """

    name = "trust_weighted_median"
    formula = "c = min{s : sum_k w_k [s_k <= s] > (1 / 2) sum_k w_k}"
    source = LITERATURE
    weighs_by = WeighsBy.TRUST

    @classmethod
    def breakdown(cls, count: int, **_given: float) -> float:
        """Return the share of fewer than half of the members."""
        return (count - 1) // 2 / count

    @staticmethod
    def kernel(committee: Committee) -> float:
        """Return the weighted median."""
        ordered, carried = committee.ordered, committee.carried
        whole = sort_by_score(
            ordered, carried, committee.scores, committee.weights, committee.scores.size
        )
        below, last_below = 0.0, -1
        for k in range(committee.scores.size):
            if carried[k] > 0.0 and last_below >= 0:
                return 0.5 * float(ordered[last_below] + ordered[k])
            below += carried[k]
            beyond_half = 2.0 * below - whole
            if beyond_half > SHARE_ROUNDING * whole:
                return float(ordered[k])
            if last_below < 0 and beyond_half >= -SHARE_ROUNDING * whole:
                last_below = k
        return float(ordered[committee.scores.size - 1])
