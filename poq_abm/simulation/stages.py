"""Rounds in stages: each step for a whole batch of rounds before the next step begins.

What :func:`poq_abm.simulation.rounds.play_rounds` does round by round is done here step by step:
all rounds of a batch draw, then all are seated, looked up, settled, counted. A processor then works
on several rounds at once and seldom waits. Where nodes deviate or trust is learnt, what they report
and how they agree stays round by round, between the stages. Nothing is added in another order, so
the bits are those of the other loop. Honest rounds of the published mechanism have a loop of their
own, which calls little else: a first run waits for the compilation of that loop alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.compilation import compiled, compiled_loop
from poq_abm.rules.aggregation.mean import Mean
from poq_abm.rules.compiled import (
    closeness,
    evaluator_reward,
    inference_reward,
    means_of_columns,
    number_of,
)
from poq_abm.rules.payment import Counted, MeasuredFrom, formulas
from poq_abm.rules.payment.closeness import Closeness
from poq_abm.rules.payment.linear import Linear
from poq_abm.rules.schedule.committee import seat_committees
from poq_abm.rules.schedule.drawing import Slot
from poq_abm.simulation.arrays import (
    ActiveBehaviours,
    EvaluatorColumn,
    GameArrays,
    InferenceColumn,
    Nodes,
    Rules,
    on_cache_lines,
)
from poq_abm.simulation.batch_counts import (
    compare_columns_with_peers,
    compare_columns_with_truth,
    count_pairs_of_columns,
)
from poq_abm.simulation.buffers import BATCH_ROUNDS, draw_ahead, draw_behaviour_luck
from poq_abm.simulation.game import Game
from poq_abm.simulation.histograms import (
    REWARD_CELLS,
    Histograms,
    RewardKind,
    count_pairs,
    count_rewards,
    find_cells,
)
from poq_abm.simulation.ledger import BLOCK_ROUNDS, MID_SCALE, Ledger, add_to_row, fold, observe
from poq_abm.simulation.replication import (
    Counter,
    Replication,
    ReplicationSums,
    Trace,
    begin_another,
    begin_memory,
    sum_up,
)
from poq_abm.simulation.round_steps import agree, compare, learn, report_scores
from poq_abm.simulation.rounds import check_reports, draw_of, play_replications, play_rounds

__all__ = [
    "LARGEST_COMMITTEE",
    "Stages",
    "is_published",
    "open_stages",
    "play",
    "play_contested_in_stages",
    "play_contested_replications_in_stages",
    "play_in_stages",
    "play_replications_in_stages",
    "play_replications_of",
]

LARGEST_COMMITTEE = 16  # seating by comparisons takes time in proportion to its square

Floats = NDArray[np.float64]
Words = NDArray[np.uint32]


class Stages(NamedTuple):
    """What the rounds of a batch come to, a column for each, and the profile as one column.

    Rows are those of K members and then of the inference node, where there are K + 1.
    """

    deviating: Words  #: (F,) 1 for an inference node that deviates
    malicious: Words  #: (M,) 1 for an evaluator that deviates
    all_scores: Floats  #: (records models evaluators,) of the profile
    all_truths: Floats  #: (records models,)
    models: Words  #: (F,) which inference model a node runs
    evaluators: Words  #: (M,) which evaluator model a node runs
    members: Words  #: (K, BATCH_ROUNDS) committees
    moved: Words  #: (K, BATCH_ROUNDS) scratch of seating them
    places: Words  #: (K + 1, BATCH_ROUNDS) likewise
    answers: Words  #: (BATCH_ROUNDS,) where the scores of the answer begin
    scores: Floats  #: (K, BATCH_ROUNDS)
    truth: Floats  #: (BATCH_ROUNDS,)
    consensus: Floats  #: (BATCH_ROUNDS,)
    costs: Floats  #: (K + 1, BATCH_ROUNDS)
    nearness: Floats  #: (K + 1, BATCH_ROUNDS); 0 for the inference node
    rewards: Floats  #: (K + 1, BATCH_ROUNDS)
    spreads: Floats  #: (K + 1, BATCH_ROUNDS) squared distances of the rewards from their anchors
    sums: Floats  #: ((K + 1) BATCH_ROUNDS 4,) what is added to a node's row, but for the scores
    cells: Words  #: (BATCH_ROUNDS,) scratch of the histograms
    more_cells: Words  #: (BATCH_ROUNDS,) likewise


@compiled
def alpha_of_a_round(rules: Rules) -> float:
    """Return what a round pays for full closeness: nothing where a batch pays for it later."""
    return rules.alpha_evaluator if rules.counted == Counted.NOTHING else 0.0


def is_published(game: Game) -> bool:
    """Return whether everybody is honest and compared with the mean, if it has stages at all."""
    return (
        game.plain
        and game.rules.reference == MeasuredFrom.CONSENSUS
        and game.rules.aggregation == number_of(Mean)
        and not game.conduct.inference[:, InferenceColumn.DEVIATES].any()
    )


def open_stages(game: Game) -> Stages | None:
    """Return scratch space for the rounds of a game; None where they cannot be played in stages.

    They can where rules ship and pay is linear and for closeness or settled by batch, committees
    are small, and second moments are taken where :func:`_pay` does.
    """
    rules, nodes, tables, conduct = game.rules, game.nodes, game.tables, game.conduct
    size, batch = rules.committee_size, BATCH_ROUNDS
    usual = (
        rules.inference_payment == number_of(Linear)
        and (rules.evaluator_payment == number_of(Closeness) or rules.counted != Counted.NOTHING)
        and game.kernels is None
    )
    if not (usual and size <= LARGEST_COMMITTEE and _usual_anchors(game)):
        return None
    seats, paid = ((size, batch), np.uint32), ((size + 1, batch), np.float64)
    number, score, word = ((batch,), np.float64), ((size, batch), np.float64), ((batch,), np.uint32)
    kinds = {
        "members": seats,
        "moved": seats,
        "places": ((size + 1, batch), np.uint32),
        "answers": word,
        "scores": score,
        "truth": number,
        "consensus": number,
        "costs": paid,
        "nearness": paid,
        "rewards": paid,
        "spreads": paid,
        "sums": (((size + 1) * batch * 4,), np.float64),
        "cells": word,
        "more_cells": word,
    }
    return Stages(
        deviating=conduct.inference[:, InferenceColumn.DEVIATES].astype(np.uint32),
        malicious=conduct.evaluators[:, EvaluatorColumn.MALICIOUS].astype(np.uint32),
        all_scores=np.ascontiguousarray(tables.scores).reshape(-1),
        all_truths=np.ascontiguousarray(tables.truth).reshape(-1),
        models=nodes.model.astype(np.uint32),
        evaluators=nodes.evaluator.astype(np.uint32),
        **dict(zip(kinds, on_cache_lines(*kinds.values()), strict=True)),
    )


def _usual_anchors(game: Game) -> bool:
    """Return whether nodes' anchors are the rewards of mid-scale and of full closeness."""
    rules, nodes = game.rules, game.nodes
    answers = (rules.alpha_inference, rules.beta_inference, MID_SCALE, nodes.inference_cost)
    scores = (alpha_of_a_round(rules), rules.beta_evaluator, 1.0, nodes.evaluator_cost)
    return np.array_equal(
        nodes.inference_anchor,
        formulas.inference_reward(*answers),  # type: ignore[arg-type]
    ) and np.array_equal(
        nodes.evaluator_anchor,
        formulas.evaluator_reward(*scores),  # type: ignore[arg-type]
    )


@compiled_loop
def _look_up(draws: Words, rounds: int, scores: Floats, nodes: Nodes, stages: Stages) -> None:
    """Put scores, truths and costs into the stages; ``scores`` are those of the profile."""
    models, evaluators = np.uint32(scores.shape[1]), np.uint32(scores.shape[2])
    size, costs = stages.members.shape[0], stages.costs[stages.members.shape[0]]
    for t in range(rounds):
        node = np.uint64(draws[Slot.NODE, t])
        answer = draws[Slot.RECORD, t] * models + stages.models[node]
        stages.truth[t] = stages.all_truths[np.uint64(answer)]
        stages.answers[t] = answer * evaluators
        costs[t] = nodes.inference_cost[node]
    for k in range(size):
        members, reported, costs = stages.members[k], stages.scores[k], stages.costs[k]
        for t in range(rounds):
            member = np.uint64(members[t])
            place = stages.answers[t] + stages.evaluators[member]
            reported[t] = stages.all_scores[np.uint64(place)]
            costs[t] = nodes.evaluator_cost[member]


@compiled_loop
def _pay(rounds: int, rules: Rules, stages: Stages) -> None:
    """Put closeness, rewards and their squared distances from the anchors into the stages.

    Closeness to the consensus: to anything else, it is there already.
    """
    consensus, size = stages.consensus, stages.members.shape[0]
    alpha, beta = rules.alpha_inference, rules.beta_inference
    costs, rewards, spreads = stages.costs[size], stages.rewards[size], stages.spreads[size]
    for t in range(rounds):
        reward = inference_reward(alpha, beta, consensus[t], costs[t])
        distance = reward - inference_reward(alpha, beta, MID_SCALE, costs[t])
        rewards[t] = reward
        spreads[t] = distance * distance
    alpha, beta = alpha_of_a_round(rules), rules.beta_evaluator
    for k in range(size):
        scores, nearness = stages.scores[k], stages.nearness[k]
        costs, rewards, spreads = stages.costs[k], stages.rewards[k], stages.spreads[k]
        if rules.reference == MeasuredFrom.CONSENSUS:
            for t in range(rounds):
                nearness[t] = closeness(scores[t], consensus[t])
        for t in range(rounds):
            reward = evaluator_reward(alpha, beta, nearness[t], costs[t])
            distance = reward - evaluator_reward(alpha, beta, 1.0, costs[t])
            rewards[t] = reward
            spreads[t] = distance * distance


@compiled_loop
def _compare_members(
    start: int, rounds: int, game: GameArrays, replication: Replication, stages: Stages
) -> None:
    """Count the rounds, for payment by batch; before their pay, whose places are scratch here."""
    members, scores, counts = stages.members, stages.scores, replication.memory.counts
    if game.rules.counted == Counted.PAIRS:
        scratch = (stages.places, stages.moved)
        cuts = game.nodes.score_cuts
        count_pairs_of_columns(start, rounds, members, scores, cuts, counts, *scratch)
    elif game.rules.counted == Counted.PEERS:
        compare_columns_with_peers(rounds, members, scores, counts.moments, stages.spreads[0])
    else:
        planted = (game.tables.gold, replication.buffers.draws[Slot.RECORD], stages.truth)
        compare_columns_with_truth(rounds, members, scores, *planted, counts.moments)


@compiled_loop
def _lay(rounds: int, sums: Floats, rewards: Floats, spreads: Floats, nearness: Floats) -> None:
    """Lay side by side what is added to the rows of one seat's nodes."""
    for t in range(rounds):
        place = np.uint64(4 * t)
        sums[place] = 1.0
        sums[place + np.uint64(1)] = rewards[t]
        sums[place + np.uint64(2)] = spreads[t]
        sums[place + np.uint64(3)] = nearness[t]


@compiled_loop
def _settle(rounds: int, nodes: Words, first: int, stages: Stages, ledger: Ledger) -> None:
    """Add the rounds to the ledger, in their order; evaluators' rows begin with the ``first``."""
    size, width, sums = stages.members.shape[0], 4 * BATCH_ROUNDS, stages.sums
    for k in range(size + 1):
        row = (stages.rewards[k], stages.spreads[k], stages.nearness[k])
        _lay(rounds, sums[k * width : (k + 1) * width], *row)
    block = ledger.node_block
    for t in range(rounds):
        consensus, truth = stages.consensus[t], stages.truth[t]
        observe(ledger.network_block, consensus, truth)
        for k in range(size + 1):
            place = np.uint64(k * width + 4 * t)
            node = np.uint64(nodes[t])
            if k < size:
                node = np.uint64(first) + np.uint64(stages.members[k, t])
            pay, spread = sums[place + np.uint64(1)], sums[place + np.uint64(2)]
            near = sums[place + np.uint64(3)]
            add_to_row(block, node, (sums[place], pay, spread, near, consensus, truth))


@compiled_loop
def _count(rounds: int, stages: Stages, histograms: Histograms) -> None:
    """Count consensus, truth and rewards."""
    cells, size = stages.cells, stages.members.shape[0]
    pairs = (stages.consensus, stages.truth, cells, stages.more_cells)
    count_pairs(histograms.grid, rounds, *pairs)
    for k in range(size):
        count_rewards(histograms, RewardKind.HONEST_EVALUATOR, rounds, stages.rewards[k], cells)
    count_rewards(histograms, RewardKind.HONEST_INFERENCE, rounds, stages.rewards[size], cells)


@compiled_loop
def _count_kinds(
    rounds: int, nodes: Words, size: int, stages: Stages, histograms: Histograms
) -> int:
    """Count consensus, truth and rewards by who deviates; return the malicious majorities."""
    cells, malicious = stages.cells, stages.more_cells
    count_pairs(histograms.grid, rounds, stages.consensus, stages.truth, cells, malicious)
    low, scale = histograms.ranges[:, 0], histograms.scales
    find_cells(cells, stages.rewards[size], rounds, low[0], scale[0], REWARD_CELLS)
    for t in range(rounds):
        kind = RewardKind.HONEST_INFERENCE + stages.deviating[np.uint64(nodes[t])]
        histograms.rewards[np.uint64(kind), np.uint64(cells[t])] += 1
        malicious[t] = 0
    for k in range(size):
        members = stages.members[k]
        find_cells(cells, stages.rewards[k], rounds, low[1], scale[1], REWARD_CELLS)
        for t in range(rounds):
            lies = stages.malicious[np.uint64(members[t])]
            kind = RewardKind.HONEST_EVALUATOR + lies
            histograms.rewards[np.uint64(kind), np.uint64(cells[t])] += 1
            malicious[t] += lies
    majorities = 0
    for t in range(rounds):
        majorities += int(2 * malicious[t] > size)
    return majorities


@compiled
def _agree_one_by_one(
    start: int,
    rounds: int,
    game: GameArrays,
    replication: Replication,
    active: ActiveBehaviours | None,
    stages: Stages,
) -> None:
    """Let committees report, agree and learn, round by round; leave their scores in the stages.

    And how near they came, where members are not compared with the consensus.
    """
    draws, committee, memory = (
        replication.buffers.draws,
        replication.buffers.committee,
        replication.memory,
    )
    inference = game.conduct.inference
    for t in range(rounds):
        for k in range(stages.members.shape[0]):
            committee.members[k] = stages.members[k, t]
            committee.scores[k] = stages.scores[k, t]
        if active is None:
            consensus = agree(game.rules, game.nodes.stake, None, 0, committee, None)
        else:
            drawn = draw_of(start + t, t, draws, game.tables, game.nodes.model, inference)
            report_scores(drawn, game, replication, active, None)
            trust = memory.trust
            consensus = agree(game.rules, game.nodes.stake, trust, drawn.column, committee, None)
        if game.rules.reference != MeasuredFrom.CONSENSUS:
            compare(consensus, game.rules, committee, None)
            for k in range(stages.members.shape[0]):
                stages.nearness[k, t] = committee.nearness[k]
        if active is not None:
            learn(drawn, consensus, game, committee, memory, None)
            stages.truth[t] = drawn.truth
            for k in range(stages.members.shape[0]):
                stages.scores[k, t] = committee.scores[k]
        stages.consensus[t] = consensus


@compiled_loop
def play_contested_in_stages(
    first: int,
    last: int,
    game: GameArrays,
    replication: Replication,
    active: ActiveBehaviours | None,
    stages: Stages,
) -> None:
    """Play rounds ``first`` to ``last - 1`` of a game with whatever rule, trust and behaviours.

    The same bits as :func:`poq_abm.simulation.rounds.play_rounds` leaves.
    """
    ledger, draws, memory = replication.ledger, replication.buffers.draws, replication.memory
    deviate = stages.deviating.any()
    start = first
    while start < last:
        stop = min(last, (start // BATCH_ROUNDS + 1) * BATCH_ROUNDS)
        rounds = stop - start
        draw_ahead(start, replication.key, game, replication.buffers)
        if active is not None:
            draw_behaviour_luck(start, replication.key, active, replication.buffers)
        seat_committees(stages.members, stages.moved, stages.places, draws)
        _look_up(draws, rounds, game.tables.scores, game.nodes, stages)
        _agree_one_by_one(start, rounds, game, replication, active, stages)
        if game.rules.counted != Counted.NOTHING:
            _compare_members(start, rounds, game, replication, stages)
        _pay(rounds, game.rules, stages)
        nodes, size = draws[Slot.NODE], stages.members.shape[0]
        _settle(rounds, nodes, game.nodes.model.size, stages, ledger)
        if active is None and not deviate:
            _count(rounds, stages, memory.histograms)
        else:
            majorities = _count_kinds(rounds, nodes, size, stages, memory.histograms)
            if active is not None:
                memory.counters[Counter.MAJORITY] += majorities
        if stop % BLOCK_ROUNDS == 0:
            fold(ledger)
        start = stop


@compiled_loop
def play_in_stages(
    first: int, last: int, game: GameArrays, replication: Replication, stages: Stages
) -> None:
    """Play rounds ``first`` to ``last - 1`` of a game that :func:`is_published`.

    The same bits as :func:`poq_abm.simulation.rounds.play_rounds` leaves.
    """
    ledger, draws = replication.ledger, replication.buffers.draws
    start = first
    while start < last:
        stop = min(last, (start // BATCH_ROUNDS + 1) * BATCH_ROUNDS)
        rounds = stop - start
        draw_ahead(start, replication.key, game, replication.buffers)
        seat_committees(stages.members, stages.moved, stages.places, draws)
        _look_up(draws, rounds, game.tables.scores, game.nodes, stages)
        means_of_columns(rounds, stages.scores, stages.consensus)
        if game.rules.counted != Counted.NOTHING:
            _compare_members(start, rounds, game, replication, stages)
        _pay(rounds, game.rules, stages)
        _settle(rounds, draws[Slot.NODE], game.nodes.model.size, stages, ledger)
        _count(rounds, stages, replication.memory.histograms)
        if stop % BLOCK_ROUNDS == 0:
            fold(ledger)
        start = stop


@compiled_loop
def play_replications_in_stages(
    rounds: int,
    game: GameArrays,
    replication: Replication,
    sums: ReplicationSums,
    stages: Stages,
) -> None:
    """Play replications of a game that :func:`is_published`, one after the other.

    As :func:`poq_abm.simulation.rounds.play_replications` does.
    """
    beginning = int(np.int64(0))  # a literal would be compiled for alone
    for row in range(sums.numbers.size):
        begun = begin_another(int(sums.numbers[row]), replication)
        play_in_stages(beginning, rounds, game, begun, stages)
        sum_up(row, begun, sums)


@compiled_loop
def play_contested_replications_in_stages(
    rounds: int,
    game: GameArrays,
    replication: Replication,
    sums: ReplicationSums,
    active: ActiveBehaviours | None,
    stages: Stages,
) -> None:
    """Play replications of a game with whatever rule, trust and behaviours, likewise."""
    beginning = int(np.int64(0))  # a literal would be compiled for alone
    for row in range(sums.numbers.size):
        begun = begin_another(int(sums.numbers[row]), replication)
        if active is not None:
            begin_memory(begun.key, game, begun.memory)
        play_contested_in_stages(beginning, rounds, game, begun, active, stages)
        sum_up(row, begun, sums)


def play_replications_of(
    rounds: int,
    game: Game,
    replication: Replication,
    sums: ReplicationSums,
    stages: Stages | None,
) -> None:
    """Play the replications whose numbers the sums have, by the quickest loop that can.

    For games that neither pay by batch nor need a kernel of one's own. ``replication`` is one of
    the game, whose arrays are written over.
    """
    given = (rounds, game.arrays, replication, sums)
    if stages is None:
        play_replications(*given, game.active)
    elif is_published(game):
        play_replications_in_stages(*given, stages)
    else:
        play_contested_replications_in_stages(*given, game.active, stages)


def play(
    first: int,
    last: int,
    game: Game,
    replication: Replication,
    stages: Stages | None,
    trace: Trace | None = None,
) -> None:
    """Play rounds ``first`` to ``last - 1`` of a game, by the quickest loop that can.

    ``stages`` are what :func:`open_stages` opened for the game; a trace is written round by round.
    Raises what :func:`~poq_abm.simulation.rounds.check_reports` does.
    """
    if stages is None or trace is not None:
        play_rounds(first, last, game.arrays, replication, game.active, trace, game.kernels)
        check_reports(game, replication.memory, replication.buffers)
    elif is_published(game):
        play_in_stages(first, last, game.arrays, replication, stages)
    else:
        play_contested_in_stages(first, last, game.arrays, replication, game.active, stages)
