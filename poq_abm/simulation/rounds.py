"""The compiled engine: rounds played in bulk, by the same rules the agents call."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from poq_abm.compilation import compiled, compiled_loop
from poq_abm.rules.aggregation import Aggregation, aggregate, weighs_by_trust
from poq_abm.rules.payment.reference import reference_score
from poq_abm.rules.payment.rewards import closeness, evaluator_reward, family_reward
from poq_abm.rules.schedule.committee import seat_committee
from poq_abm.rules.schedule.drawing import Slot
from poq_abm.simulation.arrays import (
    ActiveBehaviours,
    Assignments,
    Conduct,
    InferenceColumn,
    Nodes,
    Rules,
    Tables,
)
from poq_abm.simulation.behaviour_columns import find_active
from poq_abm.simulation.buffers import Buffers, draw_ahead, draw_behaviour_luck
from poq_abm.simulation.game import Game, refuse_report
from poq_abm.simulation.histograms import Histograms, clear_histograms, measure_histograms
from poq_abm.simulation.ledger import (
    BLOCK_ROUNDS,
    ROW,
    Ledger,
    clear,
    credit,
    fold,
    observe,
)
from poq_abm.simulation.replication_state import Counter, Memory
from poq_abm.simulation.reporting import (
    Plugin,
    close_round,
    count_plain_rounds,
    count_rounds,
    report_all,
)
from poq_abm.simulation.trace import Trace

__all__ = ["check_reports", "play_replications", "play_rounds"]

Table = NDArray[np.float64]


@compiled
def _weigh(
    column: int, rules: Rules, nodes: Nodes, buffers: Buffers, memory: Memory | None
) -> None:
    """Put the members' weights in the buffers, where the rule asks for any."""
    if rules.aggregation == Aggregation.STAKE_MEDIAN:
        for k in range(rules.committee_size):
            buffers.weights[k] = nodes.stake[buffers.committee[k]]
    elif memory is not None:
        if not weighs_by_trust(rules.aggregation):
            return
        for k in range(rules.committee_size):
            buffers.weights[k] = memory.trust[buffers.committee[k], column]


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
    buffers: Buffers,
    ledger: Ledger,
) -> float:
    member = buffers.committee[k]
    against = reference_score(
        rules.reference,
        rules.aggregation,
        rules.aggregation_parameter,
        buffers.scores,
        buffers.weights,
        rules.committee_size,
        k,
        consensus,
        buffers.others,
        buffers.their_weights,
        buffers.ordered,
        buffers.carried,
    )
    near = closeness(buffers.scores[k], against)
    alpha, beta, cost = rules.alpha_evaluator, rules.beta_evaluator, nodes.evaluator_cost[member]
    reward = evaluator_reward(alpha, beta, near, cost)
    anchor = nodes.evaluator_anchor[member]
    place = nodes.model.size + member
    credit(ledger.node_block, place, reward, anchor, consensus, truth, near)
    return reward


@compiled
def _seat(row: int, t: int, assigned: Assignments | None, buffers: Buffers) -> None:
    """Put the members of the round's committee in the buffers."""
    if assigned is None:
        seat_committee(buffers.committee, buffers.order, buffers.swapped, buffers.draws, t)
    else:
        for k in range(buffers.committee.size):
            buffers.committee[k] = assigned.committee[row, k]


@compiled_loop
def _take_orders(first_row: int, rounds: int, assigned: Assignments, buffers: Buffers) -> None:
    """Put what was drawn elsewhere where a round looks for its draws."""
    for t in range(rounds):
        row = first_row + t
        buffers.draws[Slot.TASK, t] = assigned.task[row]
        buffers.draws[Slot.RECORD, t] = assigned.record[row]
        buffers.draws[Slot.NODE, t] = assigned.node[row]


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
    buffers: Buffers,
    ledger: Ledger,
    conduct: Conduct | None,
    memory: Memory | None,
    active: ActiveBehaviours | None,
    trace: Trace | None,
    plugin: Plugin | None,
    assigned: Assignments | None,
) -> None:
    """Play the round whose draws stand in column ``t``, into ``row`` of the trace."""
    count = rules.committee_size
    if assigned is not None and trace is not None:  # noqa: SIM102  (pruned where None)
        if assigned.node[row] < 0:
            trace.node[row] = -1
            return
    task = int(buffers.draws[Slot.TASK, t])
    record, node = int(buffers.draws[Slot.RECORD, t]), int(buffers.draws[Slot.NODE, t])
    _seat(row, t, assigned, buffers)
    model, column = nodes.model[node], tables.trust_task[task]
    for k in range(count):
        buffers.scores[k] = tables.scores[record, model, nodes.evaluator[buffers.committee[k]]]
    truth = tables.truth[record, model]
    if conduct is not None and memory is not None and active is not None:
        if not math.isnan(conduct.inference[node, InferenceColumn.FIXED]):
            truth = 0.0
        agreed = tables.agreed[record, model]
        key = (t, seed, replication, round_)
        report_all(agreed, node, column, *key, count, active, buffers, conduct, memory, plugin)
    _weigh(column, rules, nodes, buffers, memory)
    consensus = aggregate(
        rules.aggregation,
        rules.aggregation_parameter,
        buffers.scores,
        buffers.weights,
        count,
        buffers.ordered,
        buffers.carried,
    )
    cost = nodes.inference_cost[node]
    if assigned is not None:
        cost = cost * assigned.cost_factor[row]
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
        paid = _pay_member(k, consensus, truth, rules, nodes, buffers, ledger)
        if trace is not None:
            trace.committee[row, k] = nodes.model.size + buffers.committee[k]
            trace.scores[row, k] = buffers.scores[k]
            trace.evaluator_rewards[row, k] = paid
        buffers.rewards[t, k] = paid
        if conduct is not None:
            buffers.seated[t, k] = buffers.committee[k]
    buffers.consensus[t], buffers.truth[t], buffers.paid[t] = consensus, truth, reward
    if conduct is not None and memory is not None:
        gold = tables.gold[record]
        close_round(round_, column, consensus, truth, gold, rules, buffers, conduct, memory)


@compiled_loop
def play_rounds(
    first: int,
    last: int,
    seed: int,
    replication: int,
    rules: Rules,
    tables: Tables,
    nodes: Nodes,
    buffers: Buffers,
    ledger: Ledger,
    conduct: Conduct | None,
    memory: Memory | None,
    trace: Trace | None,
    plugin: Plugin | None,
    assigned: Assignments | None = None,
    histograms: Histograms | None = None,
    deviates: NDArray[np.bool_] | None = None,
) -> None:
    """Play rounds ``first`` to ``last - 1`` into the ledger and memory, and into the trace if any.

    Algorithm 1 of arXiv 2512.16317, round by round: draw a record, a node and a committee; collect
    the scores; form the consensus; pay the node and every member. Without ``conduct`` and
    ``memory`` everybody is honest and nobody learns; that loop is compiled apart, and is quicker.
    It counts into ``histograms``, if there is one; ``deviates`` says which inference nodes run
    another model than they say, and is empty where none does. With ``assigned``, whose rows belong
    to these rounds, tasks, records, nodes and committees are as ordered instead of drawn.
    """
    batch = buffers.draws.shape[1]
    start = first
    active = None if conduct is None else find_active(conduct)
    while start < last:
        stop = min(last, (start // batch + 1) * batch)
        if assigned is None:
            draw_ahead(start, seed, replication, rules, tables, nodes, buffers)
        else:
            _take_orders(start - first, stop - start, assigned, buffers)
        if active is not None:
            draw_behaviour_luck(start, seed, replication, active, buffers)
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
                buffers,
                ledger,
                conduct,
                memory,
                active,
                trace,
                plugin,
                assigned,
            )
            if plugin is not None and memory is not None:  # noqa: SIM102  (pruned where None)
                if memory.counters[Counter.FAULT_ROUND] >= 0:
                    return
        if conduct is not None and memory is not None:
            count_rounds(0, stop - start, rules, buffers, conduct, memory, start - first, assigned)
        if histograms is not None and deviates is not None:
            count_plain_rounds(stop - start, rules.committee_size, buffers, deviates, histograms)
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
    buffers: Buffers,
    ledger: Ledger,
    histograms: Histograms,
    deviates: NDArray[np.bool_],
    node_sums: Table,
    network_sums: Table,
    measures: Table,
) -> None:
    """Play replications ``first`` to ``last - 1`` of a plain game, one after the other.

    Row ``r - first`` of ``node_sums`` (of shape (replications, nodes, 8)) and of ``network_sums``
    holds what the ledger does after replication r, and that of ``measures`` what the histograms
    tell, in the order of :data:`poq_abm.simulation.histograms.MEASURES`. Short replications take
    less time than a call from Python does, and this is one call for all of them.
    """
    for replication in range(first, last):
        clear(ledger.node_block, ledger.node_total, ledger.network_block, ledger.network_total)
        clear_histograms(histograms)
        play_rounds(
            0,
            rounds,
            seed,
            replication,
            rules,
            tables,
            nodes,
            buffers,
            ledger,
            None,
            None,
            None,
            None,
            None,
            histograms,
            deviates,
        )
        fold(ledger.node_block, ledger.node_total, ledger.network_block, ledger.network_total)
        row = replication - first
        measure_histograms(histograms, measures[row])
        for column in range(ROW):
            network_sums[row, column] = ledger.network_total[column]
            for node in range(node_sums.shape[1]):
                node_sums[row, node, column] = ledger.node_total[node, column]


def check_reports(game: Game, memory: Memory, buffers: Buffers) -> None:
    """Raise the error that made the compiled loop stop: a user's behaviour that gave no score."""
    member = int(memory.counters[Counter.FAULT_MEMBER])
    if member >= 0:
        seat = int(np.flatnonzero(buffers.committee == member)[0])
        round_ = int(memory.counters[Counter.FAULT_ROUND])
        refuse_report(game, round_, member, float(buffers.scores[seat]))
