"""The arithmetic mean: the published rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poq_abm.rules.aggregation.aggregation import Aggregation
from poq_abm.rules.committee import Committee
from poq_abm.rules.rule import COST_AWARE, Source

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Mean", "means_of_columns"]


class Mean(Aggregation):
    """The arithmetic mean of the scores, summed in the order of the seats.

    Equation (1) of arXiv 2512.16317 is Q = c / 10, with e_m for the scores. Breakdown point 0: one
    score can move it anywhere.

    >>> Mean.consensus([2.0, 4.0, 9.0])
    5.0
    """

    name = "mean"
    formula = "c = (1 / K) sum_k s_k"
    source = Source("published", f"{COST_AWARE}, Eq. 1")
    largest_committee = None

    @staticmethod
    def kernel(committee: Committee) -> float:
        """Return the mean."""
        total = 0.0
        for k in range(committee.scores.size):
            total += committee.scores[k]
        return _mean_of(total, committee.scores.size)


def means_of_columns(
    rounds: int, scores: NDArray[np.float64], consensus: NDArray[np.float64]
) -> None:
    """Put the mean of each of the first ``rounds`` columns of (K, rounds) scores in ``consensus``.

    The same sums in the same order as the kernel's, of many rounds side by side.
    """
    for t in range(rounds):
        consensus[t] = 0.0
    for k in range(scores.shape[0]):
        seat = scores[k]
        for t in range(rounds):
            consensus[t] += seat[t]
    for t in range(rounds):
        consensus[t] = _mean_of(consensus[t], scores.shape[0])


def _mean_of(total: float, count: int) -> float:
    return total / count
