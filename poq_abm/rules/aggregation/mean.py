"""The arithmetic mean: the published rule."""

from __future__ import annotations

from poq_abm.rules.aggregation.aggregation import Aggregation
from poq_abm.rules.committee import Committee
from poq_abm.rules.rule import COST_AWARE, Source

__all__ = ["Mean"]


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
        return total / committee.scores.size
