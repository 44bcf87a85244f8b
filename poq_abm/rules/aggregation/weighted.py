"""Rules that weigh evaluators: by earned trust or by stake.

Where nobody in a committee carries weight, all weigh alike.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from poq_abm.compilation import compiled
from poq_abm.rules.aggregation.mean import mean
from poq_abm.rules.aggregation.sorting import sort_pairs_into

__all__ = ["stake_median", "weighted_mean", "weighted_median"]

_TOP = 10.0
# Three weights of 0.1 sum to more than half of what six sum to: a share of the weight that misses
# its threshold by rounding alone counts as on it.
_ROUNDING = 1e-12


@compiled
def weighted_mean(scores: NDArray[np.float64], weights: NDArray[np.float64], count: int) -> float:
    """Return sum_k w_k s_k / sum_k w_k: the adaptive trust-weighted mean.

    Named by arXiv 2601.21189; the formula is our reconstruction. With equal weights it is the mean.
    Breakdown point 0: whoever carries weight moves it.

    >>> import numpy as np
    >>> weighted_mean(np.array([2.0, 8.0]), np.array([3.0, 1.0]), 2)
    3.5
    """
    total, weight = 0.0, 0.0
    for k in range(count):
        total += weights[k] * scores[k]
        weight += weights[k]
    if weight == 0.0:
        return mean(scores, count)
    return min(total / weight, _TOP)  # a rounded quotient may exceed it by a hair


@compiled
def _sort_by_score(
    ordered: NDArray[np.float64],
    carried: NDArray[np.float64],
    scores: NDArray[np.float64],
    weights: NDArray[np.float64],
    count: int,
) -> float:
    """Sort scores with their weights and return the weights' sum; all weigh 1 where it is 0."""
    sort_pairs_into(ordered, carried, scores, weights, count)
    whole = 0.0
    for k in range(count):
        whole += weights[k]
    if whole > 0.0:
        return whole
    for k in range(count):
        carried[k] = 1.0
    return float(count)


@compiled
def weighted_median(
    scores: NDArray[np.float64],
    weights: NDArray[np.float64],
    count: int,
    ordered: NDArray[np.float64],
    carried: NDArray[np.float64],
) -> float:
    """Return the score that splits the committee's weight in halves; the last two are scratch.

    The smallest score at or below which lies more than half of the weight; where exactly half lies
    there, the mean of it and the next that carries weight. With equal weights it is the median.
    Ours, for comparison; less than half of the weight cannot move it beyond the range of the other
    scores.

    >>> import numpy as np
    >>> scores, weights = np.array([2.0, 4.0, 9.0]), np.array([3.0, 1.0, 1.0])
    >>> weighted_median(scores, weights, 3, np.empty(3), np.empty(3))
    2.0
    """
    whole = _sort_by_score(ordered, carried, scores, weights, count)
    below, last_below = 0.0, -1
    for k in range(count):
        if carried[k] > 0.0 and last_below >= 0:
            return 0.5 * float(ordered[last_below] + ordered[k])
        below += carried[k]
        beyond_half = 2.0 * below - whole
        if beyond_half > _ROUNDING * whole:
            return float(ordered[k])
        if last_below < 0 and beyond_half >= -_ROUNDING * whole:
            last_below = k
    return float(ordered[count - 1])


@compiled
def stake_median(
    kappa: float,
    scores: NDArray[np.float64],
    weights: NDArray[np.float64],
    count: int,
    ordered: NDArray[np.float64],
    carried: NDArray[np.float64],
) -> float:
    """Return the highest score that a share ``kappa`` of the stake supports.

    c = max{s : sum_k S_k [s_k >= s] >= kappa sum_k S_k}: the consensus of the Yuma mechanism
    (Bittensor subtensor) with stakes S; ``kappa`` in (0, 1], 0.5 there. Less than a share kappa
    of the stake cannot lift it above the others' scores, up to 1 - kappa cannot push it below.

    >>> import numpy as np
    >>> scores, stakes = np.array([2.0, 4.0, 9.0]), np.array([1.0, 1.0, 1.0])
    >>> stake_median(0.5, scores, stakes, 3, np.empty(3), np.empty(3))
    4.0
    """
    whole = _sort_by_score(ordered, carried, scores, weights, count)
    above, needed = 0.0, (kappa - _ROUNDING) * whole
    for k in range(count - 1, 0, -1):
        above += carried[k]
        if above >= needed:
            return float(ordered[k])
    return float(ordered[0])
