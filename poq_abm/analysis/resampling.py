"""Intervals by resampling records: the rows of one record share its difficulty.

A statistic is a function of sums over records, so that a resample is a weighted sum: thousands of
records take hardly longer than hundreds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

from poq_abm.compilation import compiled_loop
from poq_abm.random import Purpose, below

__all__ = ["CONFIDENCE", "RESAMPLES", "Intervals", "record_intervals"]

Array = NDArray[np.float64]

CONFIDENCE = 0.95
RESAMPLES = 1000

#: A statistic that is undefined in more than a tenth of the resamples gets no interval.
_LEAST_DEFINED = 0.9

_PURPOSE = int(Purpose.BOOTSTRAP)


class Intervals(NamedTuple):
    """Estimates with the ends of their intervals; one entry per output of the statistic."""

    estimate: Array
    low: Array
    high: Array


def record_intervals(
    sums: Array,
    task_of_record: NDArray[np.int64],
    statistic: Callable[[Array], Array],
    *,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 1,
) -> Intervals:
    """Return a statistic with its bootstrap interval, records resampled within their tasks.

    ``sums`` holds what each record adds, shape (records, k), and ``task_of_record`` numbers the
    tasks from 0 without gaps. ``statistic`` takes totals of shape (samples, tasks, k) and returns
    (samples, outputs). The draws are keyed by ``seed``.

    The interval is the expanded percentile interval (Hesterberg, The American Statistician 69,
    2015): the plain one is too narrow for few records, as a normal interval without Student's t is.
    An output that is not defined, or one of a task with a single record, has NaN ends.

    >>> sums = np.array([[1.0], [2.0], [3.0], [4.0]])
    >>> mean = record_intervals(sums, np.zeros(4, dtype=np.int64), lambda totals: totals[:, 0] / 4)
    >>> mean.estimate.tolist(), bool(1 <= mean.low[0] < 2.5 < mean.high[0] <= 4)
    ([2.5], True)
    """
    tasks = int(task_of_record.max()) + 1
    blocks = [np.flatnonzero(task_of_record == task) for task in range(tasks)]
    whole = np.stack([sums[records].sum(axis=0) for records in blocks])
    estimate = statistic(whole[None])[0]
    low, high = np.full((2, estimate.size), np.nan)
    fewest = min(records.size for records in blocks)
    if fewest > 1 and np.isfinite(estimate).any():
        drawn = statistic(_resampled_totals(sums, blocks, resamples, seed))
        tail = _expanded_tail(fewest, confidence)
        for output in np.flatnonzero(np.isfinite(estimate)):
            sample = drawn[np.isfinite(drawn[:, output]), output]
            if sample.size >= _LEAST_DEFINED * resamples:
                low[output], high[output] = np.quantile(sample, [tail, 1 - tail])
    return Intervals(estimate, low, high)


def _expanded_tail(records: int, confidence: float) -> float:
    """Return the share of resamples to leave out at either end."""
    reach = math.sqrt(records / (records - 1)) * stdtrit(records - 1, (1 + confidence) / 2)
    return float(ndtr(-reach))


def _resampled_totals(
    sums: Array, blocks: list[NDArray[np.int64]], resamples: int, seed: int
) -> Array:
    """Return the totals of every bootstrap sample by keyed draws; shape (resamples, tasks, k)."""
    totals = np.zeros((resamples, len(blocks), sums.shape[1]))
    for task, records in enumerate(blocks):
        _add_draws(totals[:, task], np.ascontiguousarray(sums[records]), seed, task)
    return totals


@compiled_loop
def _add_draws(totals: Array, sums: Array, seed: int, task: int) -> None:
    """Add to ``totals[s]`` the sums of the records drawn in sample s."""
    records, outputs = sums.shape
    for s in range(totals.shape[0]):
        for slot in range(records):
            record = below(seed, s, _PURPOSE, task, slot, records)
            for output in range(outputs):
                totals[s, output] += sums[record, output]
