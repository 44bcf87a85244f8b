"""The compiled engine: rounds played in bulk, by the same rules the agents call."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.behaviour import honest_report
from poq_abm.jit import compiled_loop
from poq_abm.mechanism.aggregation import aggregate
from poq_abm.mechanism.committee import draw_steps, seat_committee
from poq_abm.mechanism.reference import reference_score
from poq_abm.mechanism.rewards import closeness, evaluator_reward, inference_reward
from poq_abm.mechanism.schedule import Slot, draw_nodes, draw_records, draw_tasks, words_per_round
from poq_abm.network.game import Nodes, Rules, Tables
from poq_abm.network.ledger import BLOCK_ROUNDS, MID_SCALE, Ledger, credit, fold, observe
from poq_abm.network.trace import Trace
from poq_abm.streams import Purpose, fill_words

__all__ = ["Desk", "draw_batch", "open_desk", "play_rounds"]

BATCH_ROUNDS = 256  # the words of a batch stay in the first-level cache; divides BLOCK_ROUNDS


class Desk(NamedTuple):
    """Scratch space of an engine: the draws of coming rounds and one committee's scores."""

    draws: NDArray[np.uint32]  #: (slots, BATCH_ROUNDS) what coming rounds draw
    bounds: NDArray[np.uint32]  #: (BATCH_ROUNDS,) scratch of the draws
    committee: NDArray[np.int64]  #: (K,) evaluator indices in [0, M)
    scores: NDArray[np.float64]  #: (K,) reported scores
    others: NDArray[np.float64]  #: (K,) scratch of the leave-one-out reference
    order: NDArray[np.int64]  #: (M,) identity permutation
    swapped: NDArray[np.int64]  #: (K,) scratch of the committee draw


def open_desk(rules: Rules, nodes: Nodes) -> Desk:
    """Return scratch space for a game; one desk belongs to one engine of one replication."""
    size = rules.committee_size
    return Desk(
        draws=np.empty((words_per_round(size), BATCH_ROUNDS), np.uint32),
        bounds=np.empty(BATCH_ROUNDS, np.uint32),
        committee=np.empty(size, np.int64),
        scores=np.empty(size),
        others=np.empty(size),
        order=np.arange(nodes.evaluator.size, dtype=np.int64),
        swapped=np.empty(size, np.int64),
    )


@compiled_loop
def draw_batch(
    draws: NDArray[np.uint32],
    bounds: NDArray[np.uint32],
    first_round: int,
    seed: int,
    replication: int,
    schedule: int,
    committee_size: int,
    evaluators: int,
    task_limits: NDArray[np.uint64],
    task_first: NDArray[np.int64],
    task_size: NDArray[np.int64],
    node_limits: NDArray[np.uint64],
) -> None:
    """Fill ``draws[slot, t]`` with what round ``first_round + t`` draws in that slot."""
    fill_words(draws, seed, replication, Purpose.ROUND, first_round)
    tasks = draws[Slot.TASK]
    draw_tasks(tasks, task_limits)
    draw_records(
        draws[Slot.RECORD], tasks, task_first, task_size, bounds, seed, replication, first_round
    )
    draw_nodes(schedule, draws[Slot.NODE], node_limits, bounds, seed, replication, first_round)
    draw_steps(draws, committee_size, evaluators, bounds, seed, replication, first_round)


@compiled_loop
def play_rounds(
    first: int,
    last: int,
    seed: int,
    replication: int,
    rules: Rules,
    tables: Tables,
    nodes: Nodes,
    desk: Desk,
    ledger: Ledger,
    trace: Trace | None,
) -> None:
    """Play rounds ``first`` to ``last - 1`` into the ledger, and into the trace where there is one.

    Algorithm 1 of arXiv 2512.16317, round by round: draw a record, a node and a committee; collect
    the scores; form the consensus; pay the node and every member.
    """
    # Plain local names: reading a column out of a tuple inside the loop would count references.
    schedule, count, aggregation, reference, alpha_f, beta_f, alpha_m, beta_m = rules
    table, truths, task_first, task_size, task_limits = tables
    model_of, evaluator_of, cost_f, cost_m, node_limits = nodes
    draws, bounds, committee, scores, others, order, swapped = desk
    block, total, network, network_total = ledger
    batch = draws.shape[1]
    inference_nodes = model_of.size
    start = first
    while start < last:
        stop = min(last, (start // batch + 1) * batch)
        draw_batch(
            draws,
            bounds,
            start,
            seed,
            replication,
            schedule,
            count,
            evaluator_of.size,
            task_limits,
            task_first,
            task_size,
            node_limits,
        )
        for round_ in range(start, stop):
            t = round_ - start
            record, node = np.int64(draws[Slot.RECORD, t]), np.int64(draws[Slot.NODE, t])
            seat_committee(committee, order, swapped, draws, t)
            model = model_of[node]
            for k in range(count):
                scores[k] = honest_report(table[record, model, evaluator_of[committee[k]]])
            consensus = aggregate(aggregation, scores, count)
            truth = truths[record, model]
            cost = cost_f[node]
            reward = inference_reward(alpha_f, beta_f, consensus, cost)
            anchor = inference_reward(alpha_f, beta_f, MID_SCALE, cost)
            credit(block, node, reward, anchor, consensus, truth, 0.0)
            observe(network, consensus, truth)
            if trace is not None:
                row = round_ - first
                trace.task[row] = draws[Slot.TASK, t]
                trace.record[row] = record
                trace.node[row] = node
                trace.consensus[row] = consensus
                trace.truth[row] = truth
                trace.inference_reward[row] = reward
            for k in range(count):
                member = committee[k]
                against = reference_score(
                    reference, aggregation, scores, count, k, consensus, others
                )
                near = closeness(scores[k], against)
                cost = cost_m[member]
                reward = evaluator_reward(alpha_m, beta_m, near, cost)
                anchor = evaluator_reward(alpha_m, beta_m, 1.0, cost)
                credit(block, inference_nodes + member, reward, anchor, consensus, truth, near)
                if trace is not None:
                    trace.committee[row, k] = inference_nodes + member
                    trace.scores[row, k] = scores[k]
                    trace.evaluator_rewards[row, k] = reward
        if stop % BLOCK_ROUNDS == 0:
            fold(block, total, network, network_total)
        start = stop
