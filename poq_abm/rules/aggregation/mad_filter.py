"""The mean of the scores that lie near the median."""

from __future__ import annotations

from typing import ClassVar

from poq_abm.rules.aggregation.aggregation import LITERATURE, Aggregation
from poq_abm.rules.aggregation.sorting import NORMAL_MAD, median_and_mad
from poq_abm.rules.committee import Committee
from poq_abm.rules.rule import Parameter

__all__ = ["MadFilter"]


class MadFilter(Aggregation):
    """The mean of the scores within ``mad_cutoff`` normalised MADs of the median.

    Hampel's identifier. Kept are at least half of the scores where the cutoff is 0.6745 or more.
    Fewer than half of the scores cannot move it by more than that distance; yet even one that stays
    inside it can move the result beyond the range of the others.

    >>> MadFilter.consensus([4.0, 5.0, 6.0, 10.0])
    5.0
    >>> MadFilter.consensus([5.0, 5.0, 6.0, 5.0, 0.0])
    5.0
    """

    name = "mad_filter"
    formula = "c = mean of the s_k with |s_k - median| <= cutoff x 1.4826 MAD"
    source = LITERATURE
    parameters: ClassVar = {
        "mad_cutoff": Parameter(
            "normalised MADs beyond which a score is left out",
            3.0,
            low=0.0,
            open_low=True,
            symbol="cutoff",
            unit="normalised MADs",
        )
    }
    monotone = False
    sharp_breakdown = False

    @staticmethod
    def kernel(committee: Committee, mad_cutoff: float) -> float:
        """Return the mean of what is kept."""
        scores, count = committee.scores, committee.scores.size
        centre, mad = median_and_mad(scores, count, committee.ordered, committee.carried)
        reach = mad_cutoff * NORMAL_MAD * mad
        total, kept = 0.0, 0
        for k in range(count):
            if abs(scores[k] - centre) <= reach:
                total += scores[k]
                kept += 1
        # Below that cutoff, an even committee can have nothing within reach of its midpoint.
        return total / kept if kept > 0 else centre
