"""Sorted scores, with their weights: medians, deviations from them, and shares of weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = [
    "NORMAL_MAD",
    "SHARE_ROUNDING",
    "median_and_mad",
    "median_of",
    "middle",
    "sort_by_score",
    "sort_into",
    "sort_pairs_into",
]

#: a normal distribution's s.d. over its median absolute deviation, 1 / quantile(3 / 4)
NORMAL_MAD = 1.482602218505602
#: three weights of 0.1 sum to more than half of what six sum to: a share of the weight that misses
#: its threshold by rounding alone counts as on it
SHARE_ROUNDING = 1e-12


def sort_into(ordered: Array, scores: Array, count: int) -> None:
    """Fill ``ordered`` with the first ``count`` scores, ascending.

    By insertion: a committee is small. The places are exchanged by minimum and maximum, because a
    processor cannot guess the order of scores and each wrong guess would cost as much as a sort.

    >>> import numpy as np
    >>> ordered = np.empty(3)
    >>> sort_into(ordered, np.array([4.0, 9.0, 2.0]), 3)
    >>> ordered.tolist()
    [2.0, 4.0, 9.0]
    """
    for k in range(count):
        high = scores[k]
        for place in range(k):
            low = min(ordered[place], high)
            high = max(ordered[place], high)
            ordered[place] = low
        ordered[k] = high


def sort_pairs_into(
    ordered: Array,
    carried: Array,
    scores: Array,
    weights: Array,
    count: int,
) -> None:
    """Fill ``ordered`` with the scores, ascending, and ``carried`` with their weights.

    >>> import numpy as np
    >>> ordered, carried = np.empty(2), np.empty(2)
    >>> sort_pairs_into(ordered, carried, np.array([4.0, 2.0]), np.array([0.1, 0.9]), 2)
    >>> ordered.tolist(), carried.tolist()
    ([2.0, 4.0], [0.9, 0.1])
    """
    for k in range(count):
        high, weight = scores[k], weights[k]
        for place in range(k):
            score, its = ordered[place], carried[place]
            above = score > high
            ordered[place] = high if above else score
            carried[place] = weight if above else its
            high = score if above else high
            weight = its if above else weight
        ordered[k] = high
        carried[k] = weight


def middle(ordered: Array, count: int) -> float:
    """Return the median of sorted scores: the middle one, or the mean of the middle two.

    >>> import numpy as np
    >>> middle(np.array([2.0, 4.0, 9.0, 10.0]), 4)
    6.5
    """
    half = count // 2
    if count % 2 == 1:
        return float(ordered[half])
    return 0.5 * float(ordered[half - 1] + ordered[half])


def median_of(scores: Array, count: int, ordered: Array) -> float:
    """Return the median of the first ``count`` numbers; ``ordered`` is scratch.

    >>> import numpy as np
    >>> median_of(np.array([9.0, 2.0, 4.0]), 3, np.empty(3))
    4.0
    """
    sort_into(ordered, scores, count)
    return middle(ordered, count)


def median_and_mad(
    scores: Array,
    count: int,
    ordered: Array,
    distances: Array,
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


def sort_by_score(
    ordered: Array,
    carried: Array,
    scores: Array,
    weights: Array,
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
