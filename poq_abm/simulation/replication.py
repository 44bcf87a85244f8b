"""A replication as it is played: its key and accounts, what nodes remember, and its trace."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.compilation import compiled
from poq_abm.random import Purpose, normal
from poq_abm.simulation.arrays import EvaluatorColumn, GameArrays
from poq_abm.simulation.batch_counts import BatchCounts, open_counts
from poq_abm.simulation.buffers import Buffers, ReplicationKey, open_buffers
from poq_abm.simulation.histograms import (
    MEASURES,
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
    "begin_memory",
    "open_memory",
    "open_replication",
    "open_sums",
    "open_trace",
    "sum_up",
]

_NODE_BIAS = int(Purpose.NODE_BIAS)  # to hand over an enum takes 0.1 ms


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
    rules, tables, evaluators = game.rules, game.tables, len(game.conduct.evaluators)
    columns = int(tables.trust_task.max()) + 1
    entries = rounds // rules.trust_interval if rules.trust_interval else 0
    memory = Memory(
        trust=np.empty((evaluators, columns)),
        state=np.empty((evaluators, len(State))),
        counters=np.empty(len(Counter), np.int64),
        trust_log=np.empty((entries, evaluators, columns)),
        histograms=open_histograms(rules.pay_ranges.copy()),
        counts=open_counts(rules, game.nodes, len(tables.truth)),
    )
    _begin: Any = getattr(begin_memory, "py_func", begin_memory)  # not worth a compilation
    _begin(key, game, memory)
    return memory


@compiled
def begin_memory(key: ReplicationKey, game: GameArrays, memory: Memory) -> None:
    """Let nodes remember what they do before the first round."""
    rules = game.rules
    memory.trust[:] = rules.trust_start
    memory.state[:] = 0.0
    for node, spread in enumerate(game.conduct.evaluators[:, EvaluatorColumn.BIAS_SD]):
        if spread > 0.0:
            z = normal(key.seed, key.replication, _NODE_BIAS, 0, node)
            memory.state[node, State.BIAS] = spread * z
    memory.counters[:] = 0
    if rules.trust_start >= rules.trust_maximum:
        memory.counters[Counter.SATURATED] = memory.trust.size
    memory.counters[Counter.SATURATED_ROUND] = -1
    memory.counters[Counter.FAULT_ROUND] = -1
    memory.counters[Counter.FAULT_MEMBER] = -1


class ReplicationSums(NamedTuple):
    """What replications that are played in one call leave; the first axis is theirs."""

    numbers: NDArray[np.int32]  #: (replications,)
    nodes: NDArray[np.float64]  #: (replications, nodes, 8) as :meth:`Ledger.nodes`
    network: NDArray[np.float64]  #: (replications, 8) as :meth:`Ledger.network`
    measures: NDArray[np.float64]  #: (replications, measures) as :func:`measure_histograms`
    counters: NDArray[np.int64]  #: (replications, 6) as :class:`Memory` has them
    trust_log: NDArray[np.float64]  #: (replications, entries, M, 1 or tasks) likewise

    def between(self, first: int, last: int) -> ReplicationSums:
        """Return those of some replications, which are not copied."""
        some: list[Any] = [array[first:last] for array in self]
        return ReplicationSums(*some)


def open_sums(first: int, last: int, replication: Replication) -> ReplicationSums:
    """Return room for what replications ``first`` to ``last - 1`` of a game leave.

    ``replication`` is any of the same game.
    """
    memory, times = replication.memory, last - first
    return ReplicationSums(
        numbers=np.arange(first, last, dtype=np.int32),
        nodes=np.empty((times, *replication.ledger.node_total.shape)),
        network=np.empty((times, ROW)),
        measures=np.empty((times, len(MEASURES))),
        counters=np.empty((times, memory.counters.size), np.int64),
        trust_log=np.empty((times, *memory.trust_log.shape)),
    )


@compiled
def begin_another(number: int, replication: Replication) -> Replication:
    """Return another replication before its first round, in the arrays of one that was played.

    Where nodes remember anything, :func:`begin_memory` is called besides.
    """
    key = ReplicationKey(replication.key.seed, number)
    clear(replication.ledger)
    clear_histograms(replication.memory.histograms)
    return Replication(key, replication.buffers, replication.ledger, replication.memory)


@compiled
def sum_up(row: int, replication: Replication, sums: ReplicationSums) -> None:
    """Put what a replication came to into a row of the sums."""
    ledger, memory = replication.ledger, replication.memory
    fold(ledger)
    measure_histograms(memory.histograms, sums.measures[row])
    for counter in range(memory.counters.size):
        sums.counters[row, counter] = memory.counters[counter]
    entries, evaluators, columns = memory.trust_log.shape
    for entry in range(entries):
        for node in range(evaluators):
            for column in range(columns):
                sums.trust_log[row, entry, node, column] = memory.trust_log[entry, node, column]
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
