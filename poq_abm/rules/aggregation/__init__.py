"""From a committee's scores to its consensus: one small function per rule, chosen by number."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from poq_abm.compilation import compiled, compiled_loop
from poq_abm.rules.aggregation.m_estimators import huber, mad_filter
from poq_abm.rules.aggregation.mean import mean
from poq_abm.rules.aggregation.order_statistics import median, trimmed_mean, winsorized_mean
from poq_abm.rules.aggregation.weighted import stake_median, weighted_mean, weighted_median

__all__ = [
    "Aggregation",
    "aggregate",
    "huber",
    "mad_filter",
    "mean",
    "median",
    "stake_median",
    "trimmed_mean",
    "weighs_by_trust",
    "weighted_mean",
    "weighted_median",
    "winsorized_mean",
]


class Aggregation(IntEnum):
    """The aggregation rules a scenario can name; the comment says what ``parameter`` is."""

    MEAN = 0
    MEDIAN = 1
    TRIMMED_MEAN = 2  #: tau
    WINSORIZED_MEAN = 3  #: tau
    HUBER = 4  #: huber_bend
    MAD_FILTER = 5  #: mad_cutoff
    TRUST_WEIGHTED = 6
    TRUST_WEIGHTED_MEDIAN = 7
    STAKE_MEDIAN = 8  #: kappa


@compiled
def weighs_by_trust(rule: int) -> bool:
    """Return whether a rule reads the members' trust.

    >>> weighs_by_trust(Aggregation.TRUST_WEIGHTED), weighs_by_trust(Aggregation.MEAN)
    (True, False)
    """
    return rule == Aggregation.TRUST_WEIGHTED or rule == Aggregation.TRUST_WEIGHTED_MEDIAN  # noqa: PLR1714


@compiled_loop
def _robust(  # noqa: PLR0911  (one line per rule)
    rule: int,
    parameter: float,
    scores: NDArray[np.float64],
    weights: NDArray[np.float64],
    count: int,
    ordered: NDArray[np.float64],
    carried: NDArray[np.float64],
) -> float:
    """Return the consensus under any rule but the mean; apart, so that the mean stays quick."""
    if rule == Aggregation.MEDIAN:
        return median(scores, count, ordered)
    if rule == Aggregation.TRIMMED_MEAN:
        return trimmed_mean(parameter, scores, count, ordered)
    if rule == Aggregation.WINSORIZED_MEAN:
        return winsorized_mean(parameter, scores, count, ordered)
    if rule == Aggregation.HUBER:
        return huber(parameter, scores, count, ordered, carried)
    if rule == Aggregation.MAD_FILTER:
        return mad_filter(parameter, scores, count, ordered, carried)
    if rule == Aggregation.TRUST_WEIGHTED:
        return weighted_mean(scores, weights, count)
    if rule == Aggregation.TRUST_WEIGHTED_MEDIAN:
        return weighted_median(scores, weights, count, ordered, carried)
    if rule == Aggregation.STAKE_MEDIAN:
        return stake_median(parameter, scores, weights, count, ordered, carried)
    return np.nan


@compiled
def aggregate(
    rule: int,
    parameter: float,
    scores: NDArray[np.float64],
    weights: NDArray[np.float64],
    count: int,
    ordered: NDArray[np.float64],
    carried: NDArray[np.float64],
) -> float:
    """Return the consensus of the first ``count`` scores under ``rule``, in [0, 10].

    ``weights`` are the members' trust or stakes and only the weighting rules read them; ``ordered``
    and ``carried`` are scratch of at least ``count`` places. A number that is no rule gives NaN:
    scenarios name rules, and their names are checked before anything is played.

    >>> import numpy as np
    >>> scores, weights, scratch = np.array([2.0, 4.0, 9.0]), np.ones(3), np.empty((2, 3))
    >>> aggregate(Aggregation.MEDIAN, 0.0, scores, weights, 3, scratch[0], scratch[1])
    4.0
    """
    if rule == Aggregation.MEAN:
        return mean(scores, count)
    return _robust(rule, parameter, scores, weights, count, ordered, carried)
