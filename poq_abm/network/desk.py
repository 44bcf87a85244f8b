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
from poq_abm.network.columns import Nodes, Rules, Tables
from poq_abm.streams import Purpose, fill_words

__all__ = ["BATCH_ROUNDS", "Desk", "draw_ahead", "open_desk"]

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
    updated: NDArray[np.float64]  #: (K,) scratch of trust
    rewards: NDArray[np.float64]  #: (K,) what the members were paid


def open_desk(rules: Rules, nodes: Nodes) -> Desk:
    """Return scratch space for a game."""
    size = rules.committee_size
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
        updated=np.empty(size),
        rewards=np.empty(size),
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
