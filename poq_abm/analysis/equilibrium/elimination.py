"""Small systems of linear equations, to the same bits on every machine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["solve_linear"]

Array = NDArray[np.float64]
_SINGULAR = 1e-14  # a pivot, of the largest coefficient


def solve_linear(matrix: Array, right: Array) -> Array | None:
    """Return the x at which matrix x = right, by Gaussian elimination; none where it is singular.

    ``matrix`` has shape (n, n), ``right`` (n,). Rows are swapped for the largest pivot. NumPy's own
    rests on a library whose last bits differ between processors.

    >>> solve_linear(np.array([[0.0, 2.0], [1.0, 1.0]]), np.array([4.0, 3.0])).tolist()
    [1.0, 2.0]
    """
    rows = np.concatenate([matrix, right[:, None]], axis=1)
    least = _SINGULAR * np.abs(matrix).max(initial=0.0)
    for place in range(len(rows)):
        pivot = place + int(np.abs(rows[place:, place]).argmax())
        if not np.abs(rows[pivot, place]) > least:
            return None
        rows[[place, pivot]] = rows[[pivot, place]]
        rows[place] /= rows[place, place]
        below = rows[:, place].copy()
        below[place] = 0.0
        rows -= below[:, None] * rows[place]
    return rows[:, -1].copy()
