"""Rules that judge a score by its distance from the median: Huber's estimator, the MAD filter."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from poq_abm.compilation import compiled
from poq_abm.rules.aggregation.order_statistics import middle
from poq_abm.rules.aggregation.sorting import sort_into

__all__ = ["NORMAL_MAD", "huber", "mad_filter", "median_and_mad"]

#: a normal distribution's s.d. over its median absolute deviation, 1 / quantile(3 / 4)
NORMAL_MAD = 1.482602218505602

_MAX_STEPS = 100  # Newton needs a handful; halving alone would need fewer than 50
_CLOSE = 1e-12


@compiled
def median_and_mad(
    scores: NDArray[np.float64],
    count: int,
    ordered: NDArray[np.float64],
    distances: NDArray[np.float64],
) -> tuple[float, float]:
    """Return the median and the median absolute deviation from it; both arrays are scratch.

    >>> import numpy as np
    >>> median_and_mad(np.array([1.0, 2.0, 4.0]), 3, np.empty(3), np.empty(3))
    (2.0, 1.0)
    """
    sort_into(ordered, scores, count)
    centre = middle(ordered, count)
    for k in range(count):
        distances[k] = abs(scores[k] - centre)
    sort_into(ordered, distances, count)
    return centre, middle(ordered, count)


@compiled
def _pull(
    centre: float, reach: float, scores: NDArray[np.float64], count: int
) -> tuple[float, int]:
    """Return the sum of the scores' distances from ``centre``, each cut to +-reach.

    The second number counts the scores within reach: the slope, with its sign turned.
    """
    near, inside, surplus = 0.0, 0, 0
    for k in range(count):
        distance = scores[k] - centre
        if distance > reach:
            surplus += 1
        elif distance < -reach:
            surplus -= 1
        else:
            near += distance
            inside += 1
    return near + reach * surplus, inside  # counted, so that equal numbers cancel without rounding


@compiled
def _balance(centre: float, reach: float, scores: NDArray[np.float64], count: int) -> float:
    """Return the point at which the cut distances cancel, from ``centre`` on.

    Their sum falls in c and is piecewise linear, so that Newton's method ends after a few steps; a
    step that leaves the bracket is replaced by halving it.
    """
    low, high = float(scores[0]), float(scores[0])
    for k in range(1, count):
        low, high = min(low, float(scores[k])), max(high, float(scores[k]))
    for _ in range(_MAX_STEPS):
        pull, inside = _pull(centre, reach, scores, count)
        if pull == 0.0:
            break
        if pull > 0.0:
            low = centre
        else:
            high = centre
        target = centre + pull / inside if inside > 0 else high
        if abs(target - centre) < _CLOSE:
            return min(max(target, low), high)
        centre = target if low < target < high else 0.5 * (low + high)
    return centre


@compiled
def huber(
    bend: float,
    scores: NDArray[np.float64],
    count: int,
    ordered: NDArray[np.float64],
    distances: NDArray[np.float64],
) -> float:
    """Return Huber's M-estimate of location with the normalised MAD as its scale.

    The result c solves sum_k psi((s_k - c) / S) = 0 with psi(x) = min(max(x, -bend), bend) and
    S = 1.4826 MAD (Huber 1964), bend > 0. Where more than half of the scores are equal, S is 0 and
    the result is the median. Ours, for comparison. Fewer than half of the scores cannot carry it
    away, but a share above 1 / (2 + 2 x 1.4826 bend), 0.167 at the default, can move it beyond
    the range of the others.

    >>> import numpy as np
    >>> huber(1.345, np.array([4.0, 5.0, 6.0]), 3, np.empty(3), np.empty(3))
    5.0
    """
    centre, mad = median_and_mad(scores, count, ordered, distances)
    reach = bend * NORMAL_MAD * mad
    return _balance(centre, reach, scores, count) if reach > 0.0 else centre


@compiled
def mad_filter(
    cutoff: float,
    scores: NDArray[np.float64],
    count: int,
    ordered: NDArray[np.float64],
    distances: NDArray[np.float64],
) -> float:
    """Return the mean of the scores within ``cutoff`` normalised MADs of the median.

    Kept are the scores with |s - median| <= cutoff x 1.4826 MAD: at least half of them where
    cutoff >= 0.6745. Ours, for comparison (Hampel's identifier). Fewer than half of the scores
    cannot move it by more than that distance; yet even one that stays inside it can move the
    result beyond the range of the others.

    >>> import numpy as np
    >>> mad_filter(3.0, np.array([4.0, 5.0, 6.0, 10.0]), 4, np.empty(4), np.empty(4))
    5.0
    >>> mad_filter(3.0, np.array([5.0, 5.0, 6.0, 5.0, 0.0]), 5, np.empty(5), np.empty(5))
    5.0
    """
    centre, mad = median_and_mad(scores, count, ordered, distances)
    reach = cutoff * NORMAL_MAD * mad
    total, kept = 0.0, 0
    for k in range(count):
        if abs(scores[k] - centre) <= reach:
            total += scores[k]
            kept += 1
    # Below that cutoff, an even committee can have nothing within reach of its midpoint.
    return total / kept if kept > 0 else centre
