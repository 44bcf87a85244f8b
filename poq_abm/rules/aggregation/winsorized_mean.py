"""The winsorized mean: with the extreme scores pulled in."""

from __future__ import annotations

from typing import ClassVar

from poq_abm.rules.aggregation.aggregation import LITERATURE, Aggregation
from poq_abm.rules.aggregation.sorting import sort_into
from poq_abm.rules.aggregation.trimmed_mean import TAU, number_cut
from poq_abm.rules.committee import Committee

__all__ = ["WinsorizedMean"]


class WinsorizedMean(Aggregation):
    """The mean after pulling the floor(tau K) extreme scores at each end to the next ones.

    Tukey and McLaughlin 1963; for comparison with the trimmed mean, with the same breakdown point.

    >>> WinsorizedMean.consensus([0.0, 4.0, 5.0, 6.0, 10.0], tau=0.2)
    5.0
    """

    name = "winsorized_mean"
    formula = "c = (m s_(m + 1) + s_(m + 1) + ... + s_(K - m) + m s_(K - m)) / K, m = floor(tau K)"
    source = LITERATURE
    parameters: ClassVar = {"tau": TAU}

    @classmethod
    def breakdown(cls, count: int, **given: float) -> float:
        """Return the share of the scores that are pulled in at an end."""
        return number_cut(given["tau"], count) / count

    @staticmethod
    def kernel(committee: Committee, tau: float) -> float:
        """Return the winsorized mean."""
        count, ordered = committee.scores.size, committee.ordered
        sort_into(ordered, committee.scores, count)
        cut = number_cut(tau, count)
        total = 0.0
        for k in range(count):
            total += ordered[min(max(k, cut), count - 1 - cut)]
        return total / count
