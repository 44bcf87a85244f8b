"""The median: the middle score."""

from __future__ import annotations

from poq_abm.rules.aggregation.aggregation import Aggregation
from poq_abm.rules.aggregation.sorting import median_of
from poq_abm.rules.committee import Committee
from poq_abm.rules.rule import ROBUST, Source

__all__ = ["Median"]


class Median(Aggregation):
    """The middle score, or the mean of the middle two.

    Fewer than half of the scores cannot move it beyond the range of the others.

    >>> Median.consensus([9.0, 2.0, 4.0])
    4.0
    """

    name = "median"
    formula = "c = s_((K + 1) / 2), K odd; (s_(K / 2) + s_(K / 2 + 1)) / 2, K even"
    source = Source("published", f"{ROBUST} names it")

    @classmethod
    def breakdown(cls, count: int, **_given: float) -> float:
        """Return the share of fewer than half of the members."""
        return (count - 1) // 2 / count

    @staticmethod
    def kernel(committee: Committee) -> float:
        """Return the median."""
        return median_of(committee.scores, committee.scores.size, committee.ordered)
