"""The round-by-round record of a replication: preallocated columns, filled in place."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Round", "Trace", "open_trace", "write_round"]


class Round(NamedTuple):
    """One round as it was played; its committee, scores and evaluator rewards share an order."""

    round: int
    task: int
    record: int
    node: int
    committee: tuple[int, ...]
    scores: tuple[float, ...]
    consensus: float
    truth: float
    inference_reward: float
    evaluator_rewards: tuple[float, ...]


class Trace(NamedTuple):
    """Columns of a stretch of rounds; lists of length K are rows of two-dimensional columns."""

    record: NDArray[np.int32]
    task: NDArray[np.int32]
    node: NDArray[np.int32]
    committee: NDArray[np.int32]  #: (rounds, K) node ids
    scores: NDArray[np.float64]  #: (rounds, K) as reported
    consensus: NDArray[np.float64]
    truth: NDArray[np.float64]
    inference_reward: NDArray[np.float64]
    evaluator_rewards: NDArray[np.float64]  #: (rounds, K)


def open_trace(rounds: int, committee_size: int) -> Trace:
    """Return empty columns for ``rounds`` rounds.

    >>> open_trace(10, 3).scores.shape
    (10, 3)
    """
    lists = (rounds, committee_size)
    return Trace(
        record=np.empty(rounds, np.int32),
        task=np.empty(rounds, np.int32),
        node=np.empty(rounds, np.int32),
        committee=np.empty(lists, np.int32),
        scores=np.empty(lists),
        consensus=np.empty(rounds),
        truth=np.empty(rounds),
        inference_reward=np.empty(rounds),
        evaluator_rewards=np.empty(lists),
    )


def write_round(trace: Trace, row: int, played: Round) -> None:
    """Write one round, as the agents played it, into ``row`` of the trace."""
    for column in Trace._fields:
        getattr(trace, column)[row] = getattr(played, column)
