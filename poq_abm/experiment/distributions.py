"""Rank correlation and quantiles, read off a replication's histograms."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from poq_abm.network.game import Game
from poq_abm.network.memory import Memory
from poq_abm.network.tally import Kind

__all__ = ["QUANTILES", "distribution_measures", "histogram_quantile", "spearman_of_grid"]

QUANTILES = {"q05": 0.05, "q95": 0.95}


def spearman_of_grid(grid: NDArray[np.int64]) -> float:
    """Return Spearman's correlation of pairs counted in a grid, ties sharing their mid-rank.

    The Pearson correlation of mid-ranks, all pairs of a cell counting as ties; missing where either
    margin lies in one cell. A grid of 128 cells a side is within about 1e-3 of the exact value.

    >>> spearman_of_grid(np.diag([1, 1, 1]))
    1.0
    """
    total = grid.sum()
    rows, columns = grid.sum(axis=1), grid.sum(axis=0)
    row_rank = np.cumsum(rows) - (rows - 1) / 2.0 - (total + 1) / 2.0
    column_rank = np.cumsum(columns) - (columns - 1) / 2.0 - (total + 1) / 2.0
    variance = float((rows * row_rank**2).sum()) * float((columns * column_rank**2).sum())
    if variance <= 0.0:
        return float("nan")
    product = float((row_rank * (grid * column_rank).sum(axis=1)).sum())  # no BLAS in a result
    return product / float(np.sqrt(variance))


def histogram_quantile(counts: NDArray[np.int64], q: float, low: float, high: float) -> float:
    """Return the q-quantile of values counted in equal cells over [low, high].

    Linear within a cell, so off by less than a cell; missing where nothing was counted.

    >>> histogram_quantile(np.array([1, 1, 1, 1]), 0.5, 0.0, 4.0)
    2.0
    """
    total = int(counts.sum())
    if total == 0:
        return float("nan")
    below = np.concatenate([[0], np.cumsum(counts)]) / total
    cell = min(int(np.searchsorted(below[1:], q, side="left")), counts.size - 1)
    inside = (q - below[cell]) / (below[cell + 1] - below[cell])
    return float(low + (high - low) * (cell + inside) / counts.size)


def distribution_measures(game: Game, memory: Memory) -> dict[str, float]:
    """Return Spearman's correlation of consensus and truth, and reward quantiles by kind.

    They are missing in a plain game, whose rounds are not counted.
    """
    ranges = dict(zip(("inference", "evaluator"), memory.reward_ranges.tolist(), strict=True))
    measures = {"spearman": math.nan if game.plain else spearman_of_grid(memory.grid)}
    for kind in Kind:
        name = kind.name.lower()
        low, high = ranges[name.split("_")[1]]
        counts = memory.reward_counts[kind]
        for label, q in QUANTILES.items():
            measures[f"{name}_reward_{label}"] = (
                math.nan if game.plain else histogram_quantile(counts, q, low, high)
            )
    return measures
