"""The compiled engine: rounds played in bulk, by the same rules the agents call."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from poq_abm.jit import compiled, compiled_loop
from poq_abm.mechanism.aggregation import Aggregation, aggregate, weighs_by_trust
from poq_abm.mechanism.committee import seat_committee
from poq_abm.mechanism.reference import reference_score
from poq_abm.mechanism.rewards import closeness, evaluator_reward, family_reward
from poq_abm.mechanism.schedule import Slot
from poq_abm.network.columns import Conduct, Habits, Nodes, Orders, Ploy, Rules, Tables
from poq_abm.network.conduct import find_habits
from poq_abm.network.desk import Desk, draw_ahead, draw_whims
from poq_abm.network.game import Game, refuse_report
from poq_abm.network.ledger import (
    BLOCK_ROUNDS,
    ROW,
    Ledger,
    clear,
    credit,
    fold,
    observe,
)
from poq_abm.network.memory import Counter, Memory
from poq_abm.network.moves import (
    Plugin,
    close_round,
    count_plain_rounds,
    count_rounds,
    report_all,
)
from poq_abm.network.tally import Tally, clear_tally, measure_tally
from poq_abm.network.trace import Trace

__all__ = ["check_reports", "play_replications", "play_rounds"]

Table = NDArray[np.float64]


@compiled
def _weigh(column: int, rules: Rules, nodes: Nodes, desk: Desk, memory: Memory | None) -> None:
    """Put the members' weights on the desk, where the rule asks for any."""
    if rules.aggregation == Aggregation.STAKE_MEDIAN:
        for k in range(rules.committee_size):
            desk.weights[k] = nodes.stake[desk.committee[k]]
    elif memory is not None:
        if not weighs_by_trust(rules.aggregation):
            return
        for k in range(rules.committee_size):
            desk.weights[k] = memory.trust[desk.committee[k], column]


@compiled
def _pay_inference(
    node: int,
    task: int,
    cost: float,
    consensus: float,
    truth: float,
    rules: Rules,
    tables: Tables,
    nodes: Nodes,
    ledger: Ledger,
) -> float:
    reward = family_reward(
        rules.reward_family,
        rules.reward_parameter,
        tables.task_weight[task],
        rules.alpha_inference,
        rules.beta_inference,
        consensus,
        cost,
    )
    anchor = nodes.inference_anchor[node]
    credit(ledger.node_block, node, reward, anchor, consensus, truth, 0.0)
    return reward


@compiled
def _pay_member(
    k: int,
    consensus: float,
    truth: float,
    rules: Rules,
    nodes: Nodes,
    desk: Desk,
    ledger: Ledger,
) -> float:
    member = desk.committee[k]
    against = reference_score(
        rules.reference,
        rules.aggregation,
        rules.aggregation_parameter,
        desk.scores,
        desk.weights,
        rules.committee_size,
        k,
        consensus,
        desk.others,
        desk.their_weights,
        desk.ordered,
        desk.carried,
    )
    near = closeness(desk.scores[k], against)
    alpha, beta, cost = rules.alpha_evaluator, rules.beta_evaluator, nodes.evaluator_cost[member]
    reward = evaluator_reward(alpha, beta, near, cost)
    anchor = nodes.evaluator_anchor[member]
    place = nodes.model.size + member
    credit(ledger.node_block, place, reward, anchor, consensus, truth, near)
    return reward


@compiled
def _seat(row: int, t: int, orders: Orders | None, desk: Desk) -> None:
    """Put the members of the round's committee on the desk."""
    if orders is None:
        seat_committee(desk.committee, desk.order, desk.swapped, desk.draws, t)
    else:
        for k in range(desk.committee.size):
            desk.committee[k] = orders.committee[row, k]


@compiled_loop
def _take_orders(first_row: int, rounds: int, orders: Orders, desk: Desk) -> None:
    """Put what was drawn elsewhere where a round looks for its draws."""
    for t in range(rounds):
        row = first_row + t
        desk.draws[Slot.TASK, t] = orders.task[row]
        desk.draws[Slot.RECORD, t] = orders.record[row]
        desk.draws[Slot.NODE, t] = orders.node[row]


@compiled
def _play_round(
    round_: int,
    t: int,
    row: int,
    seed: int,
    replication: int,
    rules: Rules,
    tables: Tables,
    nodes: Nodes,
    desk: Desk,
    ledger: Ledger,
    conduct: Conduct | None,
    memory: Memory | None,
    habits: Habits | None,
    trace: Trace | None,
    plugin: Plugin | None,
    orders: Orders | None,
) -> None:
    """Play the round whose draws stand in column ``t`` of the desk, into ``row`` of the trace."""
    count = rules.committee_size
    if orders is not None and trace is not None:  # noqa: SIM102  (pruned where None)
        if orders.node[row] < 0:
            trace.node[row] = -1
            return
    task = int(desk.draws[Slot.TASK, t])
    record, node = int(desk.draws[Slot.RECORD, t]), int(desk.draws[Slot.NODE, t])
    _seat(row, t, orders, desk)
    model, column = nodes.model[node], tables.trust_task[task]
    for k in range(count):
        desk.scores[k] = tables.scores[record, model, nodes.evaluator[desk.committee[k]]]
    truth = tables.truth[record, model]
    if conduct is not None and memory is not None and habits is not None:
        if not math.isnan(conduct.inference[node, Ploy.FIXED]):
            truth = 0.0
        agreed = tables.agreed[record, model]
        key = (t, seed, replication, round_)
        report_all(agreed, node, column, *key, count, habits, desk, conduct, memory, plugin)
    _weigh(column, rules, nodes, desk, memory)
    consensus = aggregate(
        rules.aggregation,
        rules.aggregation_parameter,
        desk.scores,
        desk.weights,
        count,
        desk.ordered,
        desk.carried,
    )
    cost = nodes.inference_cost[node]
    if orders is not None:
        cost = cost * orders.cost_factor[row]
    reward = _pay_inference(node, task, cost, consensus, truth, rules, tables, nodes, ledger)
    observe(ledger.network_block, consensus, truth)
    if trace is not None:
        trace.task[row] = task
        trace.record[row] = record
        trace.node[row] = node
        trace.consensus[row] = consensus
        trace.truth[row] = truth
        trace.inference_reward[row] = reward
    for k in range(count):
        paid = _pay_member(k, consensus, truth, rules, nodes, desk, ledger)
        if trace is not None:
            trace.committee[row, k] = nodes.model.size + desk.committee[k]
            trace.scores[row, k] = desk.scores[k]
            trace.evaluator_rewards[row, k] = paid
        desk.rewards[t, k] = paid
        if conduct is not None:
            desk.seated[t, k] = desk.committee[k]
    desk.consensus[t], desk.truth[t], desk.paid[t] = consensus, truth, reward
    if conduct is not None and memory is not None:
        gold = tables.gold[record]
        close_round(round_, column, consensus, truth, gold, rules, desk, conduct, memory)


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
    conduct: Conduct | None,
    memory: Memory | None,
    trace: Trace | None,
    plugin: Plugin | None,
    orders: Orders | None = None,
    tally: Tally | None = None,
    deviates: NDArray[np.bool_] | None = None,
) -> None:
    """Play rounds ``first`` to ``last - 1`` into the ledger and memory, and into the trace if any.

    Algorithm 1 of arXiv 2512.16317, round by round: draw a record, a node and a committee; collect
    the scores; form the consensus; pay the node and every member. Without ``conduct`` and
    ``memory`` everybody is honest and nobody learns; that loop is compiled apart, and is quicker.
    It counts into ``tally``, if there is one; ``deviates`` says which inference nodes run another
    model than they say, and is empty where none does. With ``orders``, whose rows belong to these
    rounds, tasks, records, nodes and committees are as ordered instead of drawn.
    """
    batch = desk.draws.shape[1]
    start = first
    habits = None if conduct is None else find_habits(conduct)
    while start < last:
        stop = min(last, (start // batch + 1) * batch)
        if orders is None:
            draw_ahead(start, seed, replication, rules, tables, nodes, desk)
        else:
            _take_orders(start - first, stop - start, orders, desk)
        if habits is not None:
            draw_whims(start, seed, replication, habits, desk)
        for round_ in range(start, stop):
            _play_round(
                round_,
                round_ - start,
                round_ - first,
                seed,
                replication,
                rules,
                tables,
                nodes,
                desk,
                ledger,
                conduct,
                memory,
                habits,
                trace,
                plugin,
                orders,
            )
            if plugin is not None and memory is not None:  # noqa: SIM102  (pruned where None)
                if memory.counters[Counter.FAULT_ROUND] >= 0:
                    return
        if conduct is not None and memory is not None:
            count_rounds(0, stop - start, rules, desk, conduct, memory, start - first, orders)
        if tally is not None and deviates is not None:
            count_plain_rounds(stop - start, rules.committee_size, desk, deviates, tally)
        if stop % BLOCK_ROUNDS == 0:
            fold(ledger.node_block, ledger.node_total, ledger.network_block, ledger.network_total)
        start = stop


@compiled_loop
def play_replications(
    first: int,
    last: int,
    rounds: int,
    seed: int,
    rules: Rules,
    tables: Tables,
    nodes: Nodes,
    desk: Desk,
    ledger: Ledger,
    tally: Tally,
    deviates: NDArray[np.bool_],
    node_sums: Table,
    network_sums: Table,
    measures: Table,
) -> None:
    """Play replications ``first`` to ``last - 1`` of a plain game, one after the other.

    Row ``r - first`` of ``node_sums`` (of shape (replications, nodes, 8)) and of ``network_sums``
    holds what the ledger does after replication r, and that of ``measures`` what the tally tells,
    in the order of :data:`poq_abm.network.tally.MEASURES`. Short replications take less time than a
    call from Python does, and this is one call for all of them.
    """
    for replication in range(first, last):
        clear(ledger.node_block, ledger.node_total, ledger.network_block, ledger.network_total)
        clear_tally(tally)
        play_rounds(
            0,
            rounds,
            seed,
            replication,
            rules,
            tables,
            nodes,
            desk,
            ledger,
            None,
            None,
            None,
            None,
            None,
            tally,
            deviates,
        )
        fold(ledger.node_block, ledger.node_total, ledger.network_block, ledger.network_total)
        row = replication - first
        measure_tally(tally, measures[row])
        for column in range(ROW):
            network_sums[row, column] = ledger.network_total[column]
            for node in range(node_sums.shape[1]):
                node_sums[row, node, column] = ledger.node_total[node, column]


def check_reports(game: Game, memory: Memory, desk: Desk) -> None:
    """Raise the error that made the compiled loop stop: a user's behaviour that gave no score."""
    member = int(memory.counters[Counter.FAULT_MEMBER])
    if member >= 0:
        seat = int(np.flatnonzero(desk.committee == member)[0])
        round_ = int(memory.counters[Counter.FAULT_ROUND])
        refuse_report(game, round_, member, float(desk.scores[seat]))
