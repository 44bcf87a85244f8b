"""Who answers what: drawing the task, the record and the inference node of a round.

Each of these draws has a slot of its own in the round's stream (:class:`Slot`), so changing one
distribution leaves every other draw of the round as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from poq_abm.compilation import compiled
from poq_abm.random import WORDS_PER_BLOCK, Purpose, below_in_place
from poq_abm.rules.schedule.schedules import DrawnBy

__all__ = [
    "Slot",
    "draw_nodes",
    "draw_records",
    "draw_tasks",
    "pick",
    "thresholds",
    "words_per_round",
]

_WORD_RANGE = 2**32


class Slot(IntEnum):
    """Where each draw of a round lies in its stream."""

    TASK = 0
    RECORD = 1
    NODE = 2
    COMMITTEE = 3  #: the first of K slots


def words_per_round(committee_size: int) -> int:
    """Return how many 32-bit words one round needs, in whole blocks.

    >>> words_per_round(1), words_per_round(3)
    (4, 8)
    """
    return -(-(Slot.COMMITTEE + committee_size) // WORDS_PER_BLOCK) * WORDS_PER_BLOCK


def thresholds(shares: Sequence[float] | NDArray[np.float64]) -> NDArray[np.uint64]:
    """Return the cumulative shares on the scale of a 32-bit word.

    A word below ``thresholds[i]`` and not below ``thresholds[i - 1]`` picks item ``i``; each share
    is honoured to within 2**-32.

    >>> [int(t) for t in thresholds([1.0, 1.0])]
    [2147483648, 4294967296]
    """
    weights = np.asarray(shares, dtype=np.float64)
    cumulative = np.cumsum(weights / weights.max())  # huge weights must not overflow their sum
    scaled = np.floor(cumulative / cumulative[-1] * _WORD_RANGE)
    scaled[-1] = _WORD_RANGE
    limits: NDArray[np.uint64] = scaled.astype(np.uint64)
    return limits


@compiled
def pick(word: int, limits: NDArray[np.uint64]) -> int:
    """Return the index of the first limit above ``word``, by a binary search without branches.

    >>> limits = thresholds([0.25, 0.75])
    >>> pick(0, limits), pick(2**30, limits)
    (0, 1)
    """
    target = np.uint64(word)
    low = 0
    size = limits.size
    while size > 1:
        half = size // 2
        low = low + half if limits[low + half - 1] <= target else low
        size -= half
    return low


@compiled
def draw_tasks(
    tasks: NDArray[np.uint32], limits: NDArray[np.uint64], counts: NDArray[np.uint32]
) -> None:
    """Turn the words of the task slot into tasks, in proportion to their shares.

    What :func:`pick` finds is the number of limits that do not exceed the word; tasks are few, and
    counting is done for many words at once. ``counts`` is scratch.

    >>> words = np.array([0, 2**31], np.uint32)
    >>> draw_tasks(words, thresholds([0.5, 0.5]), np.empty(2, np.uint32))
    >>> words.tolist()
    [0, 1]
    """
    for t in range(tasks.size):
        counts[t] = 0
    for i in range(limits.size - 1):
        limit = limits[i]
        for t in range(tasks.size):
            counts[t] += np.uint32(np.uint64(tasks[t]) >= limit)
    for t in range(tasks.size):
        tasks[t] = counts[t]


@compiled
def draw_records(
    records: NDArray[np.uint32],
    tasks: NDArray[np.uint32],
    first: NDArray[np.int64],
    size: NDArray[np.int64],
    bounds: NDArray[np.uint32],
    seed: int,
    replication: int,
    first_round: int,
) -> None:
    """Turn the words of the record slot into records of the tasks drawn, each equally likely.

    The records of task ``k`` are ``first[k]`` to ``first[k] + size[k] - 1``; ``bounds`` is scratch.
    """
    for t in range(records.size):
        bounds[t] = size[tasks[t]]
    slot = int(np.int64(Slot.RECORD))  # as seats have it: compiled once
    below_in_place(records, bounds, seed, replication, Purpose.ROUND, first_round, slot)
    for t in range(records.size):
        records[t] += first[tasks[t]]


@compiled
def draw_nodes(
    drawn_by: int,
    nodes: NDArray[np.uint32],
    limits: NDArray[np.uint64],
    bounds: NDArray[np.uint32],
    seed: int,
    replication: int,
    first_round: int,
) -> None:
    """Turn the words of the node slot into the inference nodes that answer, by :class:`DrawnBy`.

    >>> words, bounds = np.zeros(2, np.uint32), np.empty(2, np.uint32)
    >>> draw_nodes(DrawnBy.ROUND_ROBIN, words, thresholds([1, 1, 1]), bounds, 1, 0, 7)
    >>> words.tolist()
    [1, 2]
    """
    if drawn_by == DrawnBy.UNIFORM:
        bounds[:] = limits.size
        slot = int(np.int64(Slot.NODE))
        below_in_place(nodes, bounds, seed, replication, Purpose.ROUND, first_round, slot)
    elif drawn_by == DrawnBy.ROUND_ROBIN:
        for t in range(nodes.size):
            nodes[t] = (first_round + t) % limits.size
    else:
        for t in range(nodes.size):
            nodes[t] = pick(nodes[t], limits)
