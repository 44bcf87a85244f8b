"""Scratch space of an engine: what coming rounds draw, and one committee's numbers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.jit import compiled_loop
from poq_abm.mechanism.committee import draw_steps
from poq_abm.mechanism.schedule import (
    Slot,
    draw_nodes,
    draw_records,
    draw_tasks,
    words_per_round,
)
from poq_abm.network.columns import Habits, Nodes, Rules, Tables
from poq_abm.streams import WORDS_PER_BLOCK, Purpose, fill_normals, fill_uniforms, fill_words

__all__ = ["BATCH_ROUNDS", "Desk", "draw_ahead", "draw_whims", "open_desk"]

BATCH_ROUNDS = 256  # the draws of a batch stay in the first-level cache; divides BLOCK_ROUNDS


class Desk(NamedTuple):
    """Arrays an engine writes over in every round; one desk belongs to one replication."""

    draws: NDArray[np.uint32]  #: (slots, BATCH_ROUNDS) what coming rounds draw
    bounds: NDArray[np.uint32]  #: (BATCH_ROUNDS,) scratch of the draws
    committee: NDArray[np.int64]  #: (K,) evaluator indices in [0, M)
    scores: NDArray[np.float64]  #: (K,) reported scores
    weights: NDArray[np.float64]  #: (K,) trust or stake of the members
    order: NDArray[np.int64]  #: (M,) identity permutation
    swapped: NDArray[np.int64]  #: (K,) scratch of the committee draw
    ordered: NDArray[np.float64]  #: (K,) scratch of the rules
    carried: NDArray[np.float64]  #: (K,) scratch of the rules
    others: NDArray[np.float64]  #: (K,) scratch of the leave-one-out reference
    their_weights: NDArray[np.float64]  #: (K,) scratch of the leave-one-out reference
    deviations: NDArray[np.float64]  #: (K,) scratch of trust
    words: NDArray[np.uint32]  #: (slots, BATCH_ROUNDS) scratch of the next three
    uniforms: NDArray[np.float64]  #: (K, BATCH_ROUNDS) scratch of the noise
    chances: NDArray[np.float64]  #: (K, BATCH_ROUNDS) what decides who deviates, by seat
    shocks: NDArray[np.float64]  #: (K, BATCH_ROUNDS) standard normal noise, by seat
    seated: NDArray[np.int64]  #: (BATCH_ROUNDS, K) committees of the rounds played
    rewards: NDArray[np.float64]  #: (BATCH_ROUNDS, K) what their members were paid
    all_rewards: NDArray[np.float64]  #: (BATCH_ROUNDS K,) the same, one after the other
    cells: NDArray[np.uint32]  #: (BATCH_ROUNDS K,) scratch of the histograms
    paid: NDArray[np.float64]  #: (BATCH_ROUNDS,) what their inference nodes were paid
    consensus: NDArray[np.float64]  #: (BATCH_ROUNDS,) their consensus
    truth: NDArray[np.float64]  #: (BATCH_ROUNDS,) their truth


def open_desk(rules: Rules, nodes: Nodes) -> Desk:
    """Return scratch space for a game."""
    size = rules.committee_size
    rewards = np.empty((BATCH_ROUNDS, size))
    doubles = -(-2 * size // WORDS_PER_BLOCK) * WORDS_PER_BLOCK  # of two words each
    return Desk(
        draws=np.empty((words_per_round(size), BATCH_ROUNDS), np.uint32),
        bounds=np.empty(BATCH_ROUNDS, np.uint32),
        committee=np.empty(size, np.int64),
        scores=np.empty(size),
        weights=np.ones(size),
        order=np.arange(nodes.evaluator.size, dtype=np.int64),
        swapped=np.empty(size, np.int64),
        ordered=np.empty(size),
        carried=np.empty(size),
        others=np.empty(size),
        their_weights=np.empty(size),
        deviations=np.empty(size),
        words=np.empty((doubles, BATCH_ROUNDS), np.uint32),
        uniforms=np.empty((size, BATCH_ROUNDS)),
        chances=np.empty((size, BATCH_ROUNDS)),
        shocks=np.zeros((size, BATCH_ROUNDS)),
        seated=np.empty((BATCH_ROUNDS, size), np.int64),
        rewards=rewards,
        all_rewards=rewards.reshape(-1),
        cells=np.empty(BATCH_ROUNDS * size, np.uint32),
        paid=np.empty(BATCH_ROUNDS),
        consensus=np.empty(BATCH_ROUNDS),
        truth=np.empty(BATCH_ROUNDS),
    )


@compiled_loop
def draw_ahead(
    first_round: int,
    seed: int,
    replication: int,
    rules: Rules,
    tables: Tables,
    nodes: Nodes,
    desk: Desk,
) -> None:
    """Fill ``desk.draws[slot, t]`` with what round ``first_round + t`` draws in that slot."""
    key = (seed, replication, first_round)
    draws, bounds = desk.draws, desk.bounds
    fill_words(draws, seed, replication, Purpose.ROUND, first_round)
    tasks = draws[Slot.TASK]
    draw_tasks(tasks, tables.task_limits)
    draw_records(draws[Slot.RECORD], tasks, tables.task_first, tables.task_size, bounds, *key)
    draw_nodes(rules.schedule, draws[Slot.NODE], nodes.limits, bounds, *key)
    draw_steps(draws, rules.committee_size, nodes.evaluator.size, bounds, *key)


@compiled_loop
def draw_whims(first_round: int, seed: int, replication: int, habits: Habits, desk: Desk) -> None:
    """Fill ``desk.chances`` and ``desk.shocks`` from ``first_round`` on, where anybody asks."""
    if habits.pauses:
        fill_words(desk.words, seed, replication, Purpose.GATE, first_round)
        fill_uniforms(desk.chances, desk.words)
    if habits.scatters:
        fill_words(desk.words, seed, replication, Purpose.ATTACK, first_round)
        fill_uniforms(desk.uniforms, desk.words)
        fill_normals(desk.shocks, desk.uniforms, desk.bounds)
