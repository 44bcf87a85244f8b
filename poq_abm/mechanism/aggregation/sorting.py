"""Sorting a committee's scores, with their weights, into scratch space."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from poq_abm.jit import compiled

__all__ = ["sort_into", "sort_pairs_into"]


@compiled
def sort_into(ordered: NDArray[np.float64], scores: NDArray[np.float64], count: int) -> None:
    """Fill ``ordered`` with the first ``count`` scores, ascending.

    By insertion: a committee is small, and for K below some twenty nothing is quicker.

    >>> import numpy as np
    >>> ordered = np.empty(3)
    >>> sort_into(ordered, np.array([4.0, 9.0, 2.0]), 3)
    >>> ordered.tolist()
    [2.0, 4.0, 9.0]
    """
    for k in range(count):
        score = scores[k]
        place = k
        while place > 0 and ordered[place - 1] > score:
            ordered[place] = ordered[place - 1]
            place -= 1
        ordered[place] = score


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
        score, weight = scores[k], weights[k]
        place = k
        while place > 0 and ordered[place - 1] > score:
            ordered[place] = ordered[place - 1]
            carried[place] = carried[place - 1]
            place -= 1
        ordered[place] = score
        carried[place] = weight
