"""Histograms of a replication: what sums cannot tell, in memory that stays flat."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from poq_abm.jit import compiled
from poq_abm.mechanism.rewards import SCORE_SCALE

__all__ = ["GRID_CELLS", "REWARD_CELLS", "Kind", "count_pair", "count_reward", "reward_scale"]

GRID_CELLS = 128  # per axis: a cell is 0.08 points wide
REWARD_CELLS = 1024  # over the range of rewards


class Kind(IntEnum):
    """Whose rewards a row of the reward histogram counts."""

    HONEST_INFERENCE = 0
    DEVIATING_INFERENCE = 1
    HONEST_EVALUATOR = 2
    MALICIOUS_EVALUATOR = 3


@compiled
def _cell(place: float, cells: int) -> int:
    """Return the cell of a place on the scale of cells; what lies outside counts at the end.

    >>> _cell(5.5, 10), _cell(10.0, 10)
    (5, 9)
    """
    return min(max(int(place), 0), cells - 1)


@compiled
def count_pair(grid: NDArray[np.int64], consensus: float, truth: float) -> None:
    """Count one round's consensus and truth in a square grid over [0, 10]^2."""
    cells = grid.shape[0]
    scale = cells * (1.0 / SCORE_SCALE)
    grid[_cell(consensus * scale, cells), _cell(truth * scale, cells)] += 1


def reward_scale(cells: int, low: float, high: float) -> float:
    """Return how many cells of the histogram one token spans; 0 where nothing can vary.

    >>> reward_scale(100, -0.5, 1.5)
    50.0
    """
    return cells / (high - low) if high > low else 0.0


@compiled
def count_reward(
    counts: NDArray[np.int64], kind: int, reward: float, low: float, scale: float
) -> None:
    """Count one reward in the histogram of its kind, whose range begins at ``low``."""
    cell = _cell((reward - low) * scale, counts.shape[1])
    counts[np.uint64(kind), np.uint64(cell)] += 1
