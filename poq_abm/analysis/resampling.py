"""Intervals by resampling records: the rows of one record share its difficulty.

A statistic is a function of sums over records, so that a resample is a weighted sum: thousands of
records take hardly longer than hundreds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

from poq_abm.random import WORDS_PER_BLOCK, Purpose, below, philox4x32

__all__ = ["CONFIDENCE", "RESAMPLES", "Intervals", "record_intervals"]

Array = NDArray[np.float64]

CONFIDENCE = 0.95
RESAMPLES = 1000

#: A statistic that is undefined in more than a tenth of the resamples gets no interval.
_LEAST_DEFINED = 0.9

_PURPOSE = int(Purpose.BOOTSTRAP)
_LOW, _32 = np.uint64(2**32 - 1), np.uint64(32)
_SLOTS = 16 * WORDS_PER_BLOCK  # at once: their words stay in the processor's cache
_philox: Any = getattr(philox4x32, "py_func", philox4x32)  # as written, of whole arrays


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
        of_task = sums[records]
        for drawn in _draws(records.size, resamples, seed, task):
            totals[:, task] += of_task[drawn]
    return totals


def _draws(records: int, resamples: int, seed: int, task: int) -> Iterator[NDArray[np.int64]]:
    """Yield, slot by slot, the record that each resample draws: :func:`poq_abm.random.below`.

    In NumPy, because a page of figures draws too little to be worth the loading of compiled code.
    """
    bound, doubtful = np.uint64(records), np.uint64((2**32 - records) % records)
    samples = np.arange(resamples, dtype=np.uint64)
    for first in range(0, records, _SLOTS):
        slots = min(_SLOTS, records - first)
        words = _words(first // WORDS_PER_BLOCK, -(-slots // WORDS_PER_BLOCK), samples, seed, task)
        products = words[:slots] * bound
        drawn = (products >> _32).astype(np.int64)
        for slot, sample in np.argwhere((products & _LOW) < doubtful):  # almost never
            drawn[slot, sample] = below(seed, sample, _PURPOSE, task, first + slot, records)
        yield from drawn


def _words(
    first: int, blocks: int, samples: NDArray[np.uint64], seed: int, task: int
) -> NDArray[np.uint64]:
    """Return the words of some blocks of four slots; shape (4 x blocks, samples)."""
    shape = (blocks, samples.size)
    words = _philox(
        np.full(shape, task, dtype=np.uint64),
        np.uint64(_PURPOSE << 16),
        np.arange(first, first + blocks, dtype=np.uint64)[:, None],
        samples,
        np.uint64(seed) & _LOW,
        np.uint64(seed) >> _32,
    )
    return np.stack(words, axis=1).reshape(-1, samples.size)
