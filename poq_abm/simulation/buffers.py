"""Scratch space of an engine: what coming rounds draw, and the numbers of one committee."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.compilation import compiled_loop
from poq_abm.random import WORDS_PER_BLOCK, Purpose, fill_normals, fill_uniforms, fill_words
from poq_abm.rules.committee import Committee, open_committee
from poq_abm.rules.schedule.committee import draw_steps
from poq_abm.rules.schedule.drawing import (
    Slot,
    draw_nodes,
    draw_records,
    draw_tasks,
    words_per_round,
)
from poq_abm.simulation.arrays import ActiveBehaviours, GameArrays, Nodes, Rules

__all__ = [
    "BATCH_ROUNDS",
    "Buffers",
    "ReplicationKey",
    "RoundBatch",
    "draw_ahead",
    "draw_behaviour_luck",
    "open_buffers",
]

BATCH_ROUNDS = 256  # the draws of a batch stay in the first-level cache; divides BLOCK_ROUNDS


class ReplicationKey(NamedTuple):
    """What all draws of a replication are keyed by, besides their purpose, round and slot."""

    seed: int
    replication: int


class RoundBatch(NamedTuple):
    """What the rounds of a batch came to, until it is counted."""

    seated: NDArray[np.int64]  #: (BATCH_ROUNDS, K) committees
    rewards: NDArray[np.float64]  #: (BATCH_ROUNDS, K) what their members were paid
    all_rewards: NDArray[np.float64]  #: (BATCH_ROUNDS K,) the same, one after the other
    paid: NDArray[np.float64]  #: (BATCH_ROUNDS,) what their inference nodes were paid
    consensus: NDArray[np.float64]  #: (BATCH_ROUNDS,)
    truth: NDArray[np.float64]  #: (BATCH_ROUNDS,)


class Buffers(NamedTuple):
    """Arrays an engine writes over in every round; one set belongs to one replication."""

    draws: NDArray[np.uint32]  #: (slots, BATCH_ROUNDS) what coming rounds draw
    bounds: NDArray[np.uint32]  #: (BATCH_ROUNDS,) scratch of the draws
    committee: Committee  #: of the round that is played
    order: NDArray[np.int64]  #: (M,) identity permutation
    swapped: NDArray[np.int64]  #: (K,) scratch of the committee draw
    words: NDArray[np.uint32]  #: (slots, BATCH_ROUNDS) scratch of the next three
    uniforms: NDArray[np.float64]  #: (K, BATCH_ROUNDS) scratch of the noise
    chances: NDArray[np.float64]  #: (K, BATCH_ROUNDS) what decides who deviates, by seat
    shocks: NDArray[np.float64]  #: (K, BATCH_ROUNDS) standard normal noise, by seat
    cells: NDArray[np.uint32]  #: (BATCH_ROUNDS K,) scratch of the histograms
    played: RoundBatch  #: of the batch so far


def open_buffers(rules: Rules, nodes: Nodes) -> Buffers:
    """Return scratch space for a game."""
    size = rules.committee_size
    rewards = np.empty((BATCH_ROUNDS, size))
    doubles = -(-2 * size // WORDS_PER_BLOCK) * WORDS_PER_BLOCK  # of two words each
    return Buffers(
        draws=np.empty((words_per_round(size), BATCH_ROUNDS), np.uint32),
        bounds=np.empty(BATCH_ROUNDS, np.uint32),
        committee=open_committee(np.empty(size)),
        order=np.arange(nodes.evaluator.size, dtype=np.int64),
        swapped=np.empty(size, np.int64),
        words=np.empty((doubles, BATCH_ROUNDS), np.uint32),
        uniforms=np.empty((size, BATCH_ROUNDS)),
        chances=np.empty((size, BATCH_ROUNDS)),
        shocks=np.zeros((size, BATCH_ROUNDS)),
        cells=np.empty(BATCH_ROUNDS * size, np.uint32),
        played=RoundBatch(
            seated=np.empty((BATCH_ROUNDS, size), np.int64),
            rewards=rewards,
            all_rewards=rewards.reshape(-1),
            paid=np.empty(BATCH_ROUNDS),
            consensus=np.empty(BATCH_ROUNDS),
            truth=np.empty(BATCH_ROUNDS),
        ),
    )


@compiled_loop
def draw_ahead(first_round: int, key: ReplicationKey, game: GameArrays, buffers: Buffers) -> None:
    """Fill ``buffers.draws[slot, t]`` with what round ``first_round + t`` draws in that slot."""
    rules, tables, nodes = game.rules, game.tables, game.nodes
    start = (key.seed, key.replication, first_round)
    draws, bounds = buffers.draws, buffers.bounds
    fill_words(draws, key.seed, key.replication, Purpose.ROUND, first_round)
    tasks = draws[Slot.TASK]
    draw_tasks(tasks, tables.task_limits, bounds)
    draw_records(draws[Slot.RECORD], tasks, tables.task_first, tables.task_size, bounds, *start)
    draw_nodes(rules.drawn_by, draws[Slot.NODE], nodes.limits, bounds, *start)
    draw_steps(draws, rules.committee_size, nodes.evaluator.size, bounds, *start)


@compiled_loop
def draw_behaviour_luck(
    first_round: int, key: ReplicationKey, active: ActiveBehaviours, buffers: Buffers
) -> None:
    """Fill chances and shocks from ``first_round`` on, where anybody asks."""
    seed, replication = key
    if active.pauses:
        fill_words(buffers.words, seed, replication, Purpose.GATE, first_round)
        fill_uniforms(buffers.chances, buffers.words)
    if active.scatters:
        fill_words(buffers.words, seed, replication, Purpose.ATTACK, first_round)
        fill_uniforms(buffers.uniforms, buffers.words)
        fill_normals(buffers.shocks, buffers.uniforms, buffers.bounds)
