"""Percentiles of latencies: exact where the values are at hand, else from cells that keep sums.

One definition: the p-percentile of n values is the smallest of them that p n or more do not exceed,
the one of rank ceil(p n). What cannot be kept is counted in cells, 128 to a decade between 1 ms and
10^7 s, each with the sum of its values; a percentile is then the mean of the cell that holds it. It
errs by less than a cell is wide, :data:`RELATIVE_ERROR`, and not at all where a cell's values are
all the same. What lies outside the range goes to the cell at its end, whose mean may err by more.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.compilation import compiled

__all__ = [
    "CELLS",
    "RELATIVE_ERROR",
    "LatencyCells",
    "cell_of",
    "cell_percentile",
    "count_latency",
    "open_cells",
    "percentiles",
]

LOWEST_S: Final = 1e-3
DECADES: Final = 10
PER_DECADE: Final = 128
CELLS: Final = DECADES * PER_DECADE
RELATIVE_ERROR: Final = 10.0 ** (1.0 / PER_DECADE) - 1.0  #: 1.82%, of a percentile in the range


class LatencyCells(NamedTuple):
    """Latencies by row, counted and added up in cells."""

    counts: NDArray[np.int64]  #: (rows, CELLS)
    sums: NDArray[np.float64]  #: (rows, CELLS), in s


def open_cells(rows: int) -> LatencyCells:
    """Return empty cells.

    >>> open_cells(2).counts.shape == (2, CELLS)
    True
    """
    return LatencyCells(np.zeros((rows, CELLS), np.int64), np.zeros((rows, CELLS)))


@compiled
def cell_of(seconds: float) -> int:
    """Return the cell of a latency.

    >>> cell_of(1e-3), cell_of(0.0), cell_of(1e12) == cell_of(math.inf) == CELLS - 1
    (0, 0, True)
    """
    if not seconds > LOWEST_S:
        return 0
    return int(min(math.log10(seconds / LOWEST_S) * PER_DECADE, CELLS - 1.0))


@compiled
def count_latency(cells: LatencyCells, row: int, seconds: float) -> None:
    """Count a latency in its cell, and add it to the cell's sum."""
    cell = cell_of(seconds)
    cells.counts[row, cell] += 1
    cells.sums[row, cell] += seconds


def cell_percentile(cells: LatencyCells, row: int, share: float) -> float:
    """Return a percentile in seconds of what was counted in a row; NaN where nothing was.

    >>> cells = open_cells(1)
    >>> for _ in range(5):
    ...     count_latency(cells, 0, 1.0777)
    >>> round(cell_percentile(cells, 0, 0.5), 10)
    1.0777
    """
    below = np.cumsum(cells.counts[row])
    if below[-1] == 0:
        return math.nan
    cell = int(np.searchsorted(below, _rank(share, int(below[-1]))))
    return float(cells.sums[row, cell] / cells.counts[row, cell])


def percentiles(values: NDArray[np.float64], shares: tuple[float, ...]) -> list[float]:
    """Return exact percentiles of finite values; NaN where there are none.

    >>> percentiles(np.array([3.0, 1.0, 2.0, 4.0]), (0.5, 0.95))
    [2.0, 4.0]
    """
    if values.size == 0:
        return [math.nan] * len(shares)
    places = [_rank(share, values.size) - 1 for share in shares]
    ordered = np.partition(values, places)
    return [float(ordered[place]) for place in places]


def _rank(share: float, count: int) -> int:
    """Return ceil(p n), at least 1; a product that rounding lifted over a whole number is it."""
    return max(1, math.ceil(share * count * (1.0 - 1e-15)))
