"""Sorting a committee's scores, with their weights, into scratch space."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from poq_abm.compilation import compiled

__all__ = ["sort_into", "sort_pairs_into"]


@compiled
def sort_into(ordered: NDArray[np.float64], scores: NDArray[np.float64], count: int) -> None:
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


@compiled
def sort_pairs_into(
    ordered: NDArray[np.float64],
    carried: NDArray[np.float64],
    scores: NDArray[np.float64],
    weights: NDArray[np.float64],
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
