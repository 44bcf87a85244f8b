"""The trimmed mean: without the extreme scores."""

from __future__ import annotations

from typing import ClassVar

from poq_abm.rules.aggregation.aggregation import RECONSTRUCTED, Aggregation
from poq_abm.rules.aggregation.sorting import sort_into
from poq_abm.rules.committee import Committee
from poq_abm.rules.rule import Parameter

__all__ = ["TAU", "TrimmedMean", "number_cut"]

TAU = Parameter(
    "share cut or pulled in at each end", 0.2, low=0.0, high=0.5, open_high=True, symbol="tau"
)
_ROUNDING = 1e-9  # 0.29 x 100 is a hair below 29 in binary


def number_cut(tau: float, count: int) -> int:
    """Return how many scores to cut at each end; none where nothing would be left.

    >>> number_cut(0.29, 100), number_cut(0.2, 4)
    (29, 0)
    """
    cut = int(tau * count + _ROUNDING)
    return cut if 2 * cut < count else 0


class TrimmedMean(Aggregation):
    """The mean without the floor(tau K) lowest and the floor(tau K) highest scores.

    Up to floor(tau K) scores cannot move it beyond the range of the others.

    >>> TrimmedMean.consensus([0.0, 4.0, 5.0, 6.0, 10.0], tau=0.2)
    5.0
    """

    name = "trimmed_mean"
    formula = "c = (s_(m + 1) + ... + s_(K - m)) / (K - 2 m), m = floor(tau K), scores sorted"
    source = RECONSTRUCTED
    parameters: ClassVar = {"tau": TAU}

    @classmethod
    def breakdown(cls, count: int, **given: float) -> float:
        """Return the share of the scores that are cut at an end."""
        return number_cut(given["tau"], count) / count

    @staticmethod
    def kernel(committee: Committee, tau: float) -> float:
        """Return the trimmed mean."""
        count, ordered = committee.scores.size, committee.ordered
        sort_into(ordered, committee.scores, count)
        cut = number_cut(tau, count)
        total = 0.0
        for k in range(cut, count - cut):
            total += ordered[k]
        return total / (count - 2 * cut)
