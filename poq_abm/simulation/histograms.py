"""Histograms of a replication: what sums cannot tell, in memory that stays flat.

Rewards are counted in equal cells over the range that costs in [0, 1] allow. What is paid outside
of it (a realised cost has no upper end) is counted in tails, whose cells grow with the distance:
128 to every doubling of it, each counted from a width of the range beyond the range's end.

Latencies are counted in cells, 128 to a decade between 1 ms and 10^7 s, each with the sum of its
values. The p-percentile of n values is the smallest of them that p n or more do not exceed, the one
of rank ceil(p n); from cells it is the mean of the cell that holds it. That errs by less than a
cell is wide, :data:`RELATIVE_ERROR`, and not at all where a cell's values are all the same. What
lies outside the range goes to the cell at its end, whose mean may err by more.
"""

from __future__ import annotations

import math
import sys
from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.compilation import compiled, compiled_loop
from poq_abm.rules.payment.formulas import SCORE_SCALE

__all__ = [
    "GRID_CELLS",
    "LATENCY_CELLS",
    "MEASURES",
    "QUANTILES",
    "RELATIVE_ERROR",
    "REWARD_CELLS",
    "TAIL_CELLS",
    "Histograms",
    "LatencyCells",
    "RewardKind",
    "cell_of",
    "cell_percentile",
    "clear_histograms",
    "count_latency",
    "count_pair",
    "count_pairs",
    "count_reward",
    "count_rewards",
    "find_cells",
    "measure_histograms",
    "open_cells",
    "open_histograms",
    "percentiles",
    "reward_quantile",
    "reward_scale",
    "spearman_of_grid",
]

GRID_CELLS = 128  # per axis: a cell is 0.08 points wide
REWARD_CELLS = 1024  # over the range of rewards
CELLS_PER_OCTAVE = 128  # of a tail: the first are 1/128 of the range wide
TAIL_CELLS = 16 * CELLS_PER_OCTAVE  # on either side, up to 2^16 ranges away
LOWEST_S: Final = 1e-3
DECADES: Final = 10
PER_DECADE: Final = 128
LATENCY_CELLS: Final = DECADES * PER_DECADE
RELATIVE_ERROR: Final = 10.0 ** (1.0 / PER_DECADE) - 1.0  #: 1.82%, of a percentile in the range
_ROUNDING = 1e-6  # cells by which a reward may lie outside for its rounding alone

QUANTILES = {"q05": 0.05, "q95": 0.95}

Counts = NDArray[np.int64]


class RewardKind(IntEnum):
    """Whose rewards a row of the reward histogram counts."""

    HONEST_INFERENCE = 0
    DEVIATING_INFERENCE = 1
    HONEST_EVALUATOR = 2
    MALICIOUS_EVALUATOR = 3


#: what :func:`measure_histograms` measures, in this order
MEASURES = (
    "spearman",
    *(f"{kind.name.lower()}_reward_{label}" for kind in RewardKind for label in QUANTILES),
)
_SHARES = tuple(QUANTILES.values())


class Histograms(NamedTuple):
    """The counts of one replication; rows of rewards by :class:`RewardKind`."""

    grid: Counts  #: (cells, cells) rounds by consensus and truth
    rewards: Counts  #: (4, cells) rewards inside their range
    tails: Counts  #: (4, 2, cells) rewards below and above it, outwards
    ranges: NDArray[np.float64]  #: (2, 2) lowest and highest: inference, evaluators
    scales: NDArray[np.float64]  #: (2,) cells a token spans: inference, evaluators
    ranks: Counts  #: (2, cells) scratch of the rank correlation


def open_histograms(ranges: NDArray[np.float64]) -> Histograms:
    """Return empty histograms for rewards in these ranges, shape (2, 2): inference, evaluators."""
    return Histograms(
        grid=np.zeros((GRID_CELLS, GRID_CELLS), np.int64),
        rewards=np.zeros((len(RewardKind), REWARD_CELLS), np.int64),
        tails=np.zeros((len(RewardKind), 2, TAIL_CELLS), np.int64),
        ranges=ranges,
        scales=np.array([reward_scale(REWARD_CELLS, low, high) for low, high in ranges.tolist()]),
        ranks=np.zeros((2, GRID_CELLS), np.int64),
    )


@compiled
def _cell(place: float, cells: int) -> int:
    """Return the cell of a place on the scale of cells; what lies outside counts at the end.

    Clipped before it is an integer: what no integer holds would be some other one.

    >>> _cell(5.5, 10), _cell(10.0, 10), _cell(math.inf, 10), _cell(-math.inf, 10)
    (5, 9, 9, 0)
    """
    return int(min(place, cells - 1.0)) if place > 0.0 else 0


@compiled_loop
def find_cells(
    found: NDArray[np.uint32],
    values: NDArray[np.float64],
    count: int,
    low: float,
    scale: float,
    cells: int,
) -> None:
    """Put the cells of the first values into ``found``, those of :func:`_cell`."""
    top = cells - 1.0
    for i in range(count):
        place = (values[i] - low) * scale
        inside = place if place > 0.0 else 0.0  # also of NaN, as of an unknown truth
        found[i] = np.uint32(np.int32(inside if inside < top else top))


@compiled
def count_pair(grid: Counts, consensus: float, truth: float) -> None:
    """Count one round's consensus and truth in a square grid over [0, 10]^2."""
    cells = grid.shape[0]
    scale = cells / SCORE_SCALE
    grid[_cell(consensus * scale, cells), _cell(truth * scale, cells)] += 1


def reward_scale(cells: int, low: float, high: float) -> float:
    """Return how many cells of the histogram one token spans; 0 where nothing can vary.

    Nothing varies over a range so narrow that a double cannot hold its reciprocal, either.

    >>> reward_scale(100, -0.5, 1.5), reward_scale(100, 0.0, 1e-308)
    (50.0, 0.0)
    """
    width = high - low
    return cells / width if width > cells / sys.float_info.max else 0.0


@compiled_loop
def _count_outside(tails: Counts, kind: int, side: int, distance: float) -> None:
    """Count a reward so many ranges outside of its own; the last cell takes all beyond it."""
    octave, size = 0, 1.0 + distance
    while size >= 2.0 and octave < 16:
        size *= 0.5
        octave += 1
    place = (octave + size - 1.0) * CELLS_PER_OCTAVE
    tails[kind, side, _cell(place, TAIL_CELLS)] += 1


@compiled
def count_reward(
    counts: Counts, tails: Counts, kind: int, reward: float, low: float, scale: float
) -> None:
    """Count one reward in the histogram of its kind, whose range begins at ``low``."""
    cells = counts.shape[1]
    place = (reward - low) * scale
    if place < -_ROUNDING:
        _count_outside(tails, kind, 0, -place / cells)
    elif place > cells + _ROUNDING:
        _count_outside(tails, kind, 1, place / cells - 1.0)
    else:
        counts[np.uint64(kind), np.uint64(_cell(place, cells))] += 1


@compiled_loop
def count_pairs(
    grid: Counts,
    rounds: int,
    consensus: NDArray[np.float64],
    truth: NDArray[np.float64],
    cells: NDArray[np.uint32],
    truth_cells: NDArray[np.uint32],
) -> None:
    """Count the first rounds' consensus and truth; the last two are scratch.

    Cells are found many at a time and counted after that, which takes half as long.
    """
    find_cells(cells, consensus, rounds, 0.0, GRID_CELLS / SCORE_SCALE, GRID_CELLS)
    find_cells(truth_cells, truth, rounds, 0.0, GRID_CELLS / SCORE_SCALE, GRID_CELLS)
    for t in range(rounds):
        grid[np.uint64(cells[t]), np.uint64(truth_cells[t])] += 1


@compiled_loop
def count_rewards(
    histograms: Histograms,
    kind: int,
    jobs: int,
    rewards: NDArray[np.float64],
    cells: NDArray[np.uint32],
) -> None:
    """Count the first jobs' rewards, which lie inside the range of their kind."""
    counts, low, scale = (
        histograms.rewards[kind],
        histograms.ranges[kind // 2, 0],
        histograms.scales[kind // 2],
    )
    find_cells(cells, rewards, jobs, low, scale, REWARD_CELLS)
    for i in range(jobs):
        counts[np.uint64(cells[i])] += 1


@compiled
def _sum(counts: Counts) -> int:
    total: int = 0
    for cell in range(counts.size):
        total += counts[cell]
    return total


@compiled_loop
def _place_inside(counts: Counts, q: float, before: int, total: int) -> float:
    """Return where the q-quantile lies on the scale of cells, the first of which begins at 0.

    ``before`` of all ``total`` values lie below them; NaN where the quantile lies beyond them.
    """
    for cell in range(counts.size):
        count = counts[cell]
        if count > 0 and (before + count) / total >= q:
            start, end = before / total, (before + count) / total
            return float(cell + (q - start) / (end - start))
        before += count
    return math.nan


@compiled
def _distance(place: float) -> float:
    """Return how many ranges away a place on the scale of a tail's cells is.

    >>> _distance(0.0), _distance(64.0), _distance(128.0), _distance(192.0)
    (0.0, 0.5, 1.0, 2.0)
    """
    octave = math.floor(place / CELLS_PER_OCTAVE)
    return 2.0**octave * (1.0 + place / CELLS_PER_OCTAVE - octave) - 1.0


@compiled_loop
def reward_quantile(counts: Counts, tails: Counts, q: float, low: float, high: float) -> float:
    """Return the q-quantile of values counted in equal cells over [low, high] and in its tails.

    Linear within a cell, so off by less than a cell: (high - low) / 1024 inside the range, and
    outside of it 1/128 of high - low and the distance from the range together. Missing where
    nothing was counted, or where the quantile lies over 2^16 ranges away.

    >>> none = np.zeros((2, TAIL_CELLS), np.int64)
    >>> reward_quantile(np.array([1, 1, 1, 1]), none, 0.5, 0.0, 4.0)
    2.0
    """
    below, inside, above = _sum(tails[0]), _sum(counts), _sum(tails[1])
    total, width = below + inside + above, high - low
    if total == 0:
        return math.nan
    if below > 0 and below / total >= q:  # outwards, so that what lies above comes first
        place = _place_inside(tails[0], 1.0 - q, inside + above, total)
        return low - width * _distance(place) if place < TAIL_CELLS - 1 else math.nan
    place = _place_inside(counts, q, below, total)
    if not math.isnan(place):
        return low + width * place / counts.size
    place = _place_inside(tails[1], q, below + inside, total)
    return high + width * _distance(place) if place < TAIL_CELLS - 1 else math.nan


@compiled_loop
def _find_ranks(grid: Counts, ranks: Counts) -> int:
    """Put the counts of rows and columns into ``ranks``; return how many pairs there are."""
    rows, columns = grid.shape
    total = 0
    for j in range(columns):
        ranks[1, j] = 0
    for i in range(rows):
        row = 0
        for j in range(columns):
            row += grid[i, j]
            ranks[1, j] += grid[i, j]
        ranks[0, i] = row
        total += row
    return total


@compiled_loop
def _rank_margin(counts: Counts, total: int) -> float:
    """Turn the counts of a margin into twice its mid-ranks about their mean.

    Returns the sum of their squares over all pairs.
    """
    before, squares = 0, 0.0
    for i in range(counts.size):
        count = counts[i]
        rank = 2 * before + count - total
        squares += float(count) * (float(rank) * float(rank))
        before += count
        counts[i] = rank
    return squares


@compiled_loop
def _spearman(grid: Counts, ranks: Counts) -> float:
    rows, columns = grid.shape
    total = _find_ranks(grid, ranks)
    across = _rank_margin(ranks[0, :rows], total)
    down = _rank_margin(ranks[1, :columns], total)
    square = across * down
    if not square > 0.0:
        return math.nan
    product = 0.0
    for i in range(rows):
        row = 0
        for j in range(columns):
            row += grid[i, j] * ranks[1, j]  # exact, below 2^31 rounds
        product += float(ranks[0, i]) * float(row)
    return product / math.sqrt(square)


def spearman_of_grid(grid: Counts) -> float:
    """Return Spearman's correlation of pairs counted in a grid, ties sharing their mid-rank.

    The Pearson correlation of mid-ranks, all pairs of a cell counting as ties; missing where either
    margin lies in one cell. A grid of 128 cells a side is within about 1e-3 of the exact value.
    Sums are of integers, or taken in one order: the same bits on every machine.

    >>> spearman_of_grid(np.diag([1, 1, 1]))
    1.0
    """
    return float(_spearman(grid, np.empty((2, max(grid.shape)), np.int64)))


@compiled_loop
def measure_histograms(histograms: Histograms, measures: NDArray[np.float64]) -> None:
    """Put what histograms tell into ``measures``, in the order of :data:`MEASURES`."""
    measures[0] = _spearman(histograms.grid, histograms.ranks)
    place = 1
    for kind in range(4):
        low, high = histograms.ranges[kind // 2, 0], histograms.ranges[kind // 2, 1]
        for q in _SHARES:
            counts, tails = histograms.rewards[kind], histograms.tails[kind]
            measures[place] = reward_quantile(counts, tails, q, low, high)
            place += 1


@compiled_loop
def clear_histograms(histograms: Histograms) -> None:
    """Forget what was counted: another replication begins."""
    for i in range(histograms.grid.shape[0]):
        for j in range(histograms.grid.shape[1]):
            histograms.grid[i, j] = 0
    for kind in range(4):
        for cell in range(histograms.rewards.shape[1]):
            histograms.rewards[kind, cell] = 0
        for side in range(2):
            for cell in range(histograms.tails.shape[2]):
                histograms.tails[kind, side, cell] = 0


class LatencyCells(NamedTuple):
    """Latencies by row, counted and added up in cells."""

    counts: NDArray[np.int64]  #: (rows, LATENCY_CELLS)
    sums: NDArray[np.float64]  #: (rows, LATENCY_CELLS), in s


def open_cells(rows: int) -> LatencyCells:
    """Return empty cells.

    >>> open_cells(2).counts.shape == (2, LATENCY_CELLS)
    True
    """
    return LatencyCells(np.zeros((rows, LATENCY_CELLS), np.int64), np.zeros((rows, LATENCY_CELLS)))


@compiled
def cell_of(seconds: float) -> int:
    """Return the cell of a latency.

    >>> cell_of(1e-3), cell_of(0.0), cell_of(1e12) == cell_of(math.inf) == LATENCY_CELLS - 1
    (0, 0, True)
    """
    if not seconds > LOWEST_S:
        return 0
    return int(min(math.log10(seconds / LOWEST_S) * PER_DECADE, LATENCY_CELLS - 1.0))


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
