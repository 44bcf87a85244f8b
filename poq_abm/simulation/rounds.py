"""The compiled engine: rounds played in bulk, by the same steps the agents call."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from poq_abm.compilation import compiled, compiled_loop
from poq_abm.rules.compiled import Kernels
from poq_abm.rules.payment import Counted
from poq_abm.rules.payment.formulas import SCORE_SCALE
from poq_abm.rules.schedule.committee import seat_committee
from poq_abm.rules.schedule.drawing import Slot
from poq_abm.simulation.arrays import (
    ActiveBehaviours,
    Assignments,
    Conduct,
    EvaluatorColumn,
    GameArrays,
    InferenceColumn,
    Tables,
)
from poq_abm.simulation.batch_counts import count_answer, count_committee
from poq_abm.simulation.buffers import (
    Buffers,
    RoundBatch,
    draw_ahead,
    draw_behaviour_luck,
)
from poq_abm.simulation.game import Game, refuse_consensus, refuse_report
from poq_abm.simulation.histograms import (
    REWARD_CELLS,
    Histograms,
    RewardKind,
    count_pair,
    count_pairs,
    count_reward,
    count_rewards,
    find_cells,
)
from poq_abm.simulation.ledger import BLOCK_ROUNDS, credit, fold, observe
from poq_abm.simulation.replication import (
    Counter,
    Memory,
    Replication,
    ReplicationSums,
    Trace,
    begin_another,
    begin_memory,
    sum_up,
)
from poq_abm.simulation.round_steps import (
    RoundDraw,
    agree,
    answer_truth,
    compare,
    evaluator_points,
    inference_points,
    learn,
    look_up_scores,
    report_scores,
)

__all__ = [
    "check_reports",
    "count_rounds",
    "draw_of",
    "play_replications",
    "play_rounds",
]

Table = NDArray[np.float64]


@compiled
def draw_of(
    number: int,
    place: int,
    draws: NDArray[np.uint32],
    tables: Tables,
    models: NDArray[np.int64],
    inference: Table | None,
) -> RoundDraw:
    """Return the round whose draws stand in a column.

    ``inference`` says whose answers are worth something else than the profile has, if any are.
    """
    task = int(draws[Slot.TASK, place])
    record, node = int(draws[Slot.RECORD, place]), int(draws[Slot.NODE, place])
    model = models[node]
    truth = tables.truth[record, model]
    if inference is not None:
        truth = answer_truth(truth, inference[node])
    return RoundDraw(number, place, task, record, node, model, tables.trust_task[task], truth)


@compiled
def _seat(row: int, place: int, assigned: Assignments | None, buffers: Buffers) -> None:
    """Put the members of the round's committee in the buffers."""
    members = buffers.committee.members
    if assigned is None:
        seat_committee(members, buffers.order, buffers.swapped, buffers.draws, place)
    else:
        for k in range(members.size):
            members[k] = assigned.committee[row, k]


@compiled
def _draw_batch(
    start: int,
    rows: range,
    game: GameArrays,
    replication: Replication,
    active: ActiveBehaviours | None,
    assigned: Assignments | None,
) -> None:
    """Put what the rounds from ``start`` on draw in the buffers, or what was drawn elsewhere."""
    buffers = replication.buffers
    if assigned is None:
        draw_ahead(start, replication.key, game, buffers)
    else:
        for t in range(rows.stop - rows.start):
            row = rows.start + t
            buffers.draws[Slot.TASK, t] = assigned.task[row]
            buffers.draws[Slot.RECORD, t] = assigned.record[row]
            buffers.draws[Slot.NODE, t] = assigned.node[row]
    if active is not None:
        draw_behaviour_luck(start, replication.key, active, buffers)


@compiled
def _note_round(row: int, drawn: RoundDraw, consensus: float, paid: float, trace: Trace) -> None:
    """Write into a row of the trace what is known of a round before its members are paid."""
    trace.task[row] = drawn.task
    trace.record[row] = drawn.record
    trace.node[row] = drawn.node
    trace.consensus[row] = consensus
    trace.truth[row] = drawn.truth
    trace.inference_reward[row] = paid


@compiled
def _points(
    row: int,
    drawn: RoundDraw,
    consensus: float,
    game: GameArrays,
    own: Kernels | None,
    assigned: Assignments | None,
) -> float:
    """Return what an answer is paid: its price, where a schedule set one, else by the family."""
    cost = game.nodes.inference_cost[drawn.node]
    price = math.nan
    if assigned is not None:
        cost = cost * assigned.cost_factor[row]
        price = assigned.price[row]
    if math.isnan(price):
        return inference_points(game.rules, drawn.task, consensus, cost, own)
    return price


@compiled
def _play_round(
    row: int,
    drawn: RoundDraw,
    game: GameArrays,
    replication: Replication,
    active: ActiveBehaviours | None,
    trace: Trace | None,
    own: Kernels | None,
    assigned: Assignments | None,
) -> None:
    """Play a round that was drawn, into ``row`` of the trace."""
    rules, nodes, buffers = game.rules, game.nodes, replication.buffers
    committee, played, block = buffers.committee, buffers.played, replication.ledger.node_block
    place, node, truth = drawn.place, drawn.node, drawn.truth
    _seat(row, place, assigned, buffers)
    look_up_scores(drawn.record, drawn.model, game, committee)
    if active is None:
        consensus = agree(rules, nodes.stake, None, 0, committee, own)
    else:
        report_scores(drawn, game, replication, active, own)
        trust = replication.memory.trust
        consensus = agree(rules, nodes.stake, trust, drawn.column, committee, own)
    if own is not None and active is not None:  # noqa: SIM102  (pruned where None)
        if not 0.0 <= consensus <= SCORE_SCALE:
            replication.memory.counters[Counter.FAULT_ROUND] = drawn.number
    compare(consensus, rules, committee, own)
    if rules.counted != Counted.NOTHING:
        planted, counts = game.tables.gold[drawn.record], replication.memory.counts
        count_committee(drawn.number, truth, planted, game, committee, counts)
    if rules.counts_answers:
        count_answer(drawn.record, node, consensus, replication.memory.counts)
    paid = _points(row, drawn, consensus, game, own, assigned)
    credit(block, node, paid, nodes.inference_anchor[node], consensus, truth, 0.0)
    observe(replication.ledger.network_block, consensus, truth)
    played.consensus[place], played.truth[place], played.paid[place] = consensus, truth, paid
    if trace is not None:
        _note_round(row, drawn, consensus, paid, trace)
    for k in range(rules.committee_size):
        member, near = committee.members[k], committee.nearness[k]
        points = evaluator_points(rules, k, nodes.evaluator_cost[member], committee, own)
        anchor, index = nodes.evaluator_anchor[member], nodes.model.size + member
        credit(block, index, points, anchor, consensus, truth, near)
        played.rewards[place, k] = points
        if active is not None:
            played.seated[place, k] = member
        if trace is not None:
            trace.committee[row, k] = index
            trace.scores[row, k] = committee.scores[k]
            trace.evaluator_rewards[row, k] = points
    if active is not None:
        learn(drawn, consensus, game, committee, replication.memory, own)


@compiled_loop
def play_rounds(
    first: int,
    last: int,
    game: GameArrays,
    replication: Replication,
    active: ActiveBehaviours | None = None,
    trace: Trace | None = None,
    own: Kernels | None = None,
    assigned: Assignments | None = None,
) -> None:
    """Play rounds ``first`` to ``last - 1`` of a replication, and into the trace if any.

    Algorithm 1 of arXiv 2512.16317, round by round: draw a record, a node and a committee; collect
    the scores; form the consensus; pay the node and every member. Without ``active`` everybody is
    honest and nobody learns; that loop is compiled apart, and is quicker. With ``assigned``, whose
    rows belong to these rounds, tasks, records, nodes and committees are as ordered instead of
    drawn; a row without a node is a round that nobody plays.
    """
    buffers, ledger, memory = replication.buffers, replication.ledger, replication.memory
    tables, models, inference = game.tables, game.nodes.model, game.conduct.inference
    draws, batch = buffers.draws, buffers.draws.shape[1]
    deviate = active is None and _any_deviates(inference)
    start = first
    while start < last:
        stop = min(last, (start // batch + 1) * batch)
        _draw_batch(start, range(start - first, stop - first), game, replication, active, assigned)
        for number in range(start, stop):
            row = number - first
            if assigned is not None and trace is not None:  # noqa: SIM102  (pruned where None)
                if assigned.node[row] < 0:
                    trace.node[row] = -1
                    continue
            if active is None:
                drawn = draw_of(number, number - start, draws, tables, models, None)
            else:
                drawn = draw_of(number, number - start, draws, tables, models, inference)
            _play_round(row, drawn, game, replication, active, trace, own, assigned)
            if own is not None and active is not None:  # noqa: SIM102  (pruned where None)
                if memory.counters[Counter.FAULT_ROUND] >= 0:
                    return
        if active is None:
            _count_plain_rounds(stop - start, inference, deviate, buffers, memory.histograms)
        else:
            parts = (game.conduct, draws[Slot.NODE], buffers.played, memory.histograms)
            majorities = count_rounds(0, stop - start, *parts, start - first, assigned)
            memory.counters[Counter.MAJORITY] += majorities
        if stop % BLOCK_ROUNDS == 0:
            fold(ledger)
        start = stop


@compiled_loop
def play_replications(
    rounds: int,
    game: GameArrays,
    replication: Replication,
    sums: ReplicationSums,
    active: ActiveBehaviours | None = None,
) -> None:
    """Play the replications whose numbers the sums have, one after the other, and sum each up.

    ``replication`` lends its seed and its arrays. Short replications take less time than a call
    from Python does, and this is one call for all of them.
    """
    beginning = int(np.int64(0))  # a literal would be compiled for alone
    for row in range(sums.numbers.size):
        begun = begin_another(int(sums.numbers[row]), replication)
        if active is not None:
            begin_memory(begun.key, game, begun.memory)
        play_rounds(beginning, rounds, game, begun, active)
        sum_up(row, begun, sums)


@compiled
def _any_deviates(inference: Table) -> bool:
    for node in range(inference.shape[0]):
        if inference[node, InferenceColumn.DEVIATES] != 0.0:
            return True
    return False


@compiled_loop
def _count_plain_rounds(
    rounds: int, inference: Table, deviate: bool, buffers: Buffers, histograms: Histograms
) -> None:
    """Count consensus, truth and rewards of the buffers' first columns, in a plain game.

    What :func:`count_rounds` counts, for evaluators who are all honest; ``deviate`` says whether
    any inference node is not.
    """
    cells, played, size = buffers.cells, buffers.played, buffers.played.rewards.shape[1]
    pairs = (played.consensus, played.truth, cells, buffers.bounds)
    count_pairs(histograms.grid, rounds, *pairs)
    evaluators = RewardKind.HONEST_EVALUATOR
    count_rewards(histograms, evaluators, rounds * size, played.all_rewards, cells)
    if not deviate:
        count_rewards(histograms, RewardKind.HONEST_INFERENCE, rounds, played.paid, cells)
        return
    low, scale = histograms.ranges[0, 0], histograms.scales[0]
    find_cells(cells, played.paid, rounds, low, scale, REWARD_CELLS)
    for t in range(rounds):
        node = np.uint64(buffers.draws[Slot.NODE, t])
        kind = RewardKind.HONEST_INFERENCE + int(inference[node, InferenceColumn.DEVIATES])
        histograms.rewards[np.uint64(kind), np.uint64(cells[t])] += 1


@compiled_loop
def count_rounds(
    first: int,
    last: int,
    conduct: Conduct,
    nodes: NDArray[np.uint32],
    played: RoundBatch,
    histograms: Histograms,
    first_row: int = 0,
    assigned: Assignments | None = None,
) -> int:
    """Count consensus, truth and rewards of a range of a batch; return its malicious majorities.

    ``nodes`` are the inference nodes of the batch. Many rounds at a time: a loop that does nothing
    else keeps its few addresses in registers.
    """
    majorities, size = 0, played.seated.shape[1]
    counts, tails, scales = histograms.rewards, histograms.tails, histograms.scales
    low_inference, low_evaluator = histograms.ranges[0, 0], histograms.ranges[1, 0]
    for t in range(first, last):
        if assigned is not None:  # noqa: SIM102  (pruned where None)
            if assigned.node[first_row + t] < 0:
                continue
        count_pair(histograms.grid, played.consensus[t], played.truth[t])
        node = np.uint64(nodes[t])
        kind = RewardKind.HONEST_INFERENCE + int(conduct.inference[node, InferenceColumn.DEVIATES])
        count_reward(counts, tails, kind, played.paid[t], low_inference, scales[0])
        malicious = 0
        for k in range(size):
            member = np.uint64(played.seated[t, k])
            lies = int(conduct.evaluators[member, EvaluatorColumn.MALICIOUS])
            kind = RewardKind.HONEST_EVALUATOR + lies
            count_reward(counts, tails, kind, played.rewards[t, k], low_evaluator, scales[1])
            malicious += lies
        majorities += int(2 * malicious > size)
    return majorities


def check_reports(game: Game, memory: Memory, buffers: Buffers) -> None:
    """Raise the error that made the compiled loop stop: a rule of one's own that gave no score."""
    member = int(memory.counters[Counter.FAULT_MEMBER])
    round_ = int(memory.counters[Counter.FAULT_ROUND])
    if member >= 0:
        seat = int(np.flatnonzero(buffers.committee.members == member)[0])
        refuse_report(game, round_, member, float(buffers.committee.scores[seat]))
    elif round_ >= 0:
        place = round_ % buffers.played.consensus.size
        refuse_consensus(game, round_, float(buffers.played.consensus[place]))
