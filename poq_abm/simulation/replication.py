"""A replication as it is played: its key and accounts, what nodes remember, and its trace."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.compilation import compiled
from poq_abm.random import Purpose, normal
from poq_abm.simulation.arrays import EvaluatorColumn, GameArrays
from poq_abm.simulation.batch_counts import BatchCounts, open_counts
from poq_abm.simulation.buffers import Buffers, ReplicationKey, open_buffers
from poq_abm.simulation.histograms import (
    Histograms,
    clear_histograms,
    measure_histograms,
    open_histograms,
)
from poq_abm.simulation.ledger import ROW, Ledger, clear, fold, open_ledger

__all__ = [
    "Counter",
    "Memory",
    "Replication",
    "ReplicationSums",
    "State",
    "Trace",
    "begin_another",
    "open_memory",
    "open_replication",
    "open_trace",
    "sum_up",
]


class State(IntEnum):
    """What an evaluator node's row of :class:`Memory` holds."""

    SEEN = 0  #: sum of the consensus it has seen
    JOBS = 1  #: rounds it has sat in
    IDENTITIES = 2  #: times it came back as somebody new
    BIAS = 3  #: its own offset, in points
    ACTED = 4  #: rounds in which it did as its behaviour has it, instead of playing honestly


class Counter(IntEnum):
    """What the network counts besides its sums."""

    MAJORITY = 0  #: rounds whose committee had a malicious majority
    SATURATED = 1  #: weights that now lie at w_max
    SATURATED_ROUND = 2  #: first round after which all did; -1 so far
    FAULT_ROUND = 3  #: round in which a user's own behaviour reported no score; -1 so far
    FAULT_MEMBER = 4  #: the evaluator that did
    THIN = 5  #: comparisons that rested on too few records, in batches that ended


class Memory(NamedTuple):
    """Columns that rounds read and change."""

    trust: NDArray[np.float64]  #: (M, 1 or tasks) weights
    state: NDArray[np.float64]  #: (M, 5) by :class:`State`
    counters: NDArray[np.int64]  #: (6,) by :class:`Counter`
    trust_log: NDArray[np.float64]  #: (entries, M, 1 or tasks) weights at every interval
    histograms: Histograms  #: histograms of consensus, truth and rewards
    counts: BatchCounts  #: of the batch that is played, where nodes are paid when it has ended


class Replication(NamedTuple):
    """All that rounds of one replication write to, and what they are keyed by."""

    key: ReplicationKey
    buffers: Buffers
    ledger: Ledger
    memory: Memory


def open_replication(
    game: GameArrays, seed: int, replication: int, rounds: int, buffers: Buffers | None = None
) -> Replication:
    """Return a replication before its first round; ``buffers`` are those of one that is over."""
    key = ReplicationKey(seed, replication)
    return Replication(
        key,
        buffers or open_buffers(game.rules, game.nodes),
        open_ledger(game.nodes.model.size + game.nodes.evaluator.size),
        open_memory(game, key, rounds),
    )


def open_memory(game: GameArrays, key: ReplicationKey, rounds: int) -> Memory:
    """Return the memory of a replication before its first round."""
    rules, tables, conduct = game.rules, game.tables, game.conduct
    evaluators = len(conduct.evaluators)
    columns = int(tables.trust_task.max()) + 1
    saturated = evaluators * columns if rules.trust_start >= rules.trust_maximum else 0
    entries = rounds // rules.trust_interval if rules.trust_interval else 0
    state = np.zeros((evaluators, len(State)))
    for node, spread in enumerate(conduct.evaluators[:, EvaluatorColumn.BIAS_SD]):
        if spread > 0.0:
            z = normal(key.seed, key.replication, int(Purpose.NODE_BIAS), 0, node)
            state[node, State.BIAS] = spread * z
    return Memory(
        trust=np.full((evaluators, columns), rules.trust_start),
        state=state,
        counters=np.array([0, saturated, -1, -1, -1, 0]),
        trust_log=np.empty((entries, evaluators, columns)),
        histograms=open_histograms(rules.pay_ranges.copy()),
        counts=open_counts(rules, game.nodes, len(tables.truth)),
    )


class ReplicationSums(NamedTuple):
    """What replications that are played in one call leave; a row for each."""

    nodes: NDArray[
        np.float64
    ]  #: (replications, nodes, 8) by :class:`~poq_abm.simulation.ledger.NodeSum`
    network: NDArray[
        np.float64
    ]  #: (replications, 8) by :class:`poq_abm.simulation.ledger.Agreement`
    measures: NDArray[
        np.float64
    ]  #: (replications, measures) by :data:`poq_abm.simulation.histograms.MEASURES`


@compiled
def begin_another(number: int, replication: Replication) -> Replication:
    """Return another replication before its first round, in the arrays of one that was played."""
    clear(replication.ledger)
    clear_histograms(replication.memory.histograms)
    key = ReplicationKey(replication.key.seed, number)
    return Replication(key, replication.buffers, replication.ledger, replication.memory)


@compiled
def sum_up(row: int, replication: Replication, sums: ReplicationSums) -> None:
    """Put what a replication came to into a row of the sums."""
    ledger = replication.ledger
    fold(ledger)
    measure_histograms(replication.memory.histograms, sums.measures[row])
    for column in range(ROW):
        sums.network[row, column] = ledger.network_total[column]
        for node in range(sums.nodes.shape[1]):
            sums.nodes[row, node, column] = ledger.node_total[node, column]


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
