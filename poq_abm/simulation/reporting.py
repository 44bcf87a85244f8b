"""What nodes do in a round besides being paid: measure, report, learn. Both engines call these."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import SupportsIndex

import numpy as np
from numpy.typing import NDArray

from poq_abm.compilation import compiled, compiled_loop
from poq_abm.random import Purpose, normal, uniform
from poq_abm.rules.aggregation.order_statistics import median
from poq_abm.rules.behaviour.attacks import HIGHEST, LOWEST, Attack, attacked, in_scale
from poq_abm.rules.payment.reference import Reference, reference_score
from poq_abm.rules.payment.rewards import SCORE_SCALE
from poq_abm.rules.schedule.drawing import Slot
from poq_abm.rules.trust.updates import (
    TrustReference,
    TrustUpdate,
    deviation,
    typical_deviation,
    update_weight,
)
from poq_abm.simulation.arrays import (
    ActiveBehaviours,
    Assignments,
    Conduct,
    EvaluatorColumn,
    InferenceColumn,
    Rules,
)
from poq_abm.simulation.buffers import Buffers
from poq_abm.simulation.histograms import (
    GRID_CELLS,
    REWARD_CELLS,
    Histograms,
    Kind,
    count_pair,
    count_reward,
    find_cells,
)
from poq_abm.simulation.replication_state import Counter, Memory, State

__all__ = [
    "Plugin",
    "close_round",
    "count_plain_rounds",
    "count_rounds",
    "measure",
    "member_report",
    "report_all",
]

Table = NDArray[np.float64]
Plugin = Callable[[float, float, float, float], float]  #: a user's own compiled report


@compiled
def measure(
    looked_up: float,
    lift: float,
    fixed: float,
    bias: float,
    noise_sd: float,
    seat: int,
    seed: int,
    replication: int,
    round_: int,
) -> float:
    """Return the score a member's model gives: the profile's, with what the two nodes add to it.

    clip(s + lift + bias + noise_sd z, 0, 10); a freeloader's constant answer stands for s. The
    noise is keyed by round and seat, so that a larger committee leaves the first seats as they
    were.
    """
    score = looked_up if math.isnan(fixed) else fixed
    score += lift + bias
    if noise_sd > 0.0:
        score += noise_sd * normal(seed, replication, Purpose.NOISE, round_, seat)
    return in_scale(score)


@compiled
def member_report(
    measured: float,
    agreed: float,
    trust: float,
    node: int,
    member: SupportsIndex,
    seat: int,
    seed: int,
    replication: int,
    round_: int,
    active: ActiveBehaviours,
    inference: Table,
    evaluators: Table,
    state: Table,
    chance: float,
    z: float,
    plugin: Plugin | None,
) -> float:
    """Return what a member reports of what it measured, as its behaviour has it; count if it acts.

    ``chance`` and ``z`` are the seat's uniform and normal draw, where anybody has a use for them.
    Nothing is decided by branches that differ from member to member: a processor would guess wrong
    which members deviate.
    """
    traits = evaluators[member]
    if plugin is not None and int(traits[EvaluatorColumn.ATTACK]) == Attack.PLUGIN:
        chance = uniform(seed, replication, Purpose.GATE, round_, seat)
        z = normal(seed, replication, Purpose.ATTACK, round_, seat)
        state[member, State.ACTED] += 1.0
        return plugin(measured, traits[EvaluatorColumn.AMOUNT], chance, z)
    jobs = state[member, State.JOBS]
    remembered = state[member, State.SEEN] / jobs if jobs > 0.0 else measured
    on, favoured = True, True
    if active.waits:
        target = traits[EvaluatorColumn.TARGET]
        favoured = (target < 0.0) | (target == inference[node, InferenceColumn.GROUP])
        on = (trust >= traits[EvaluatorColumn.WAKE_TRUST]) & (
            jobs >= traits[EvaluatorColumn.WAKE_JOBS]
        )
        on = on & (favoured | (traits[EvaluatorColumn.AGREED] > 0.0))  # a ring attacks everybody
    if active.pauses:
        on = on & (chance < traits[EvaluatorColumn.PROBABILITY])
    reported = attacked(
        traits[EvaluatorColumn.OWN],
        traits[EvaluatorColumn.SEEN],
        traits[EvaluatorColumn.AGREED],
        traits[EvaluatorColumn.SHIFT],
        traits[EvaluatorColumn.SPREAD],
        traits[EvaluatorColumn.FAVOUR],
        measured,
        remembered,
        agreed,
        z,
        favoured,
    )
    state[member, State.ACTED] += traits[EvaluatorColumn.MALICIOUS] * int(on)
    return reported if on else measured


@compiled
def report_all(
    agreed: float,
    node: int,
    column: int,
    t: int,
    seed: int,
    replication: int,
    round_: int,
    count: int,
    active: ActiveBehaviours,
    buffers: Buffers,
    conduct: Conduct,
    memory: Memory,
    plugin: Plugin | None,
) -> None:
    """Turn the profile's scores in the buffers into what the members of the committee report."""
    evaluators, inference = conduct
    key = (seed, replication, round_)
    lift, fixed = inference[node, InferenceColumn.LIFT], inference[node, InferenceColumn.FIXED]
    for seat in range(count):
        member = np.uint64(buffers.committee[seat])
        noise_sd = evaluators[member, EvaluatorColumn.NOISE_SD] if active.strays else 0.0
        bias = memory.state[member, State.BIAS]
        score = measure(buffers.scores[seat], lift, fixed, bias, noise_sd, seat, *key)
        if active.deviates:
            score = member_report(
                score,
                agreed,
                memory.trust[member, column],
                node,
                member,
                seat,
                *key,
                active,
                inference,
                evaluators,
                memory.state,
                buffers.chances[seat, t],
                buffers.shocks[seat, t],
                plugin,
            )
        buffers.scores[seat] = score
        # Only a user's own function can report what is no score; NaN fails the comparison too.
        if plugin is not None and not LOWEST <= score <= HIGHEST:
            memory.counters[Counter.FAULT_ROUND] = round_
            memory.counters[Counter.FAULT_MEMBER] = buffers.committee[seat]


@compiled_loop
def count_plain_rounds(
    rounds: int, count: int, buffers: Buffers, deviates: NDArray[np.bool_], histograms: Histograms
) -> None:
    """Count consensus, truth and rewards of the buffers' first columns, in a plain game.

    What :func:`count_rounds` counts, for evaluators who are all honest; ``deviates`` says
    which inference nodes are not, shape (F,), and is empty where all are. Cells are found many at a
    time and counted after that, which takes half as long.
    """
    cells, rewards, low, scale = (
        buffers.cells,
        histograms.rewards,
        histograms.ranges[:, 0],
        histograms.scales,
    )
    find_cells(cells, buffers.consensus, rounds, 0.0, GRID_CELLS / SCORE_SCALE, GRID_CELLS)
    find_cells(buffers.bounds, buffers.truth, rounds, 0.0, GRID_CELLS / SCORE_SCALE, GRID_CELLS)
    for t in range(rounds):
        histograms.grid[np.uint64(cells[t]), np.uint64(buffers.bounds[t])] += 1
    find_cells(cells, buffers.paid, rounds, low[0], scale[0], REWARD_CELLS)
    kind = 0
    for t in range(rounds):
        if deviates.size > 0:
            kind = int(deviates[np.uint64(buffers.draws[Slot.NODE, t])])
        rewards[np.uint64(Kind.HONEST_INFERENCE + kind), np.uint64(cells[t])] += 1
    find_cells(cells, buffers.all_rewards, rounds * count, low[1], scale[1], REWARD_CELLS)
    for i in range(rounds * count):
        rewards[np.uint64(Kind.HONEST_EVALUATOR), np.uint64(cells[i])] += 1


@compiled_loop
def count_rounds(
    first: int,
    last: int,
    rules: Rules,
    buffers: Buffers,
    conduct: Conduct,
    memory: Memory,
    first_row: int = 0,
    assigned: Assignments | None = None,
) -> None:
    """Count consensus, truth, rewards and malicious majorities of the buffers' columns in a range.

    Many rounds at a time: a loop that does nothing else keeps its few addresses in registers.
    """
    histograms, majorities = memory.histograms, 0
    counts, tails, scales = histograms.rewards, histograms.tails, histograms.scales
    low_inference, low_evaluator = histograms.ranges[0, 0], histograms.ranges[1, 0]
    for t in range(first, last):
        if assigned is not None:  # noqa: SIM102  (pruned where None)
            if assigned.node[first_row + t] < 0:
                continue
        count_pair(histograms.grid, buffers.consensus[t], buffers.truth[t])
        deviates = int(
            conduct.inference[np.uint64(buffers.draws[Slot.NODE, t]), InferenceColumn.DEVIATES]
        )
        kind = Kind.HONEST_INFERENCE + deviates
        count_reward(counts, tails, kind, buffers.paid[t], low_inference, scales[0])
        malicious = 0
        for k in range(rules.committee_size):
            lies = int(
                conduct.evaluators[np.uint64(buffers.seated[t, k]), EvaluatorColumn.MALICIOUS]
            )
            kind = Kind.HONEST_EVALUATOR + lies
            count_reward(counts, tails, kind, buffers.rewards[t, k], low_evaluator, scales[1])
            malicious += lies
        majorities += int(2 * malicious > rules.committee_size)
    memory.counters[Counter.MAJORITY] += majorities


@compiled
def _remember(count: int, consensus: float, buffers: Buffers, memory: Memory) -> None:
    """Let the members note the consensus."""
    for k in range(count):
        member = np.uint64(buffers.committee[k])
        memory.state[member, State.JOBS] += 1.0
        memory.state[member, State.SEEN] += consensus


@compiled
def _find_deviations(consensus: float, truth: float, rules: Rules, buffers: Buffers) -> float:
    """Put each member's deviation from what trust is measured against in the buffers.

    Returns their sum, which also keeps the compiler from reading scores four at a time that have
    just been written one by one: a processor waits for that.
    """
    count = rules.committee_size
    centre, apart = consensus, False
    if rules.trust_update == TrustUpdate.GOLD:
        centre = truth
    elif rules.trust_reference == TrustReference.MEDIAN:
        centre = median(buffers.scores, count, buffers.ordered)
    else:
        apart = rules.trust_reference == TrustReference.LEAVE_ONE_OUT
    total = 0.0
    for k in range(count):
        against = centre
        if apart:
            against = reference_score(
                Reference.LEAVE_ONE_OUT,
                rules.aggregation,
                rules.aggregation_parameter,
                buffers.scores,
                buffers.weights,
                count,
                k,
                consensus,
                buffers.others,
                buffers.their_weights,
                buffers.ordered,
                buffers.carried,
            )
        d = deviation(buffers.scores[k], against)
        buffers.deviations[k] = d
        total += d
    return total


@compiled
def _learn(
    round_: int,
    column: int,
    total: float,
    rules: Rules,
    buffers: Buffers,
    conduct: Conduct,
    memory: Memory,
) -> None:
    """Update the members' trust, let those who lost it come back as somebody new."""
    count, update, high = rules.committee_size, rules.trust_update, rules.trust_maximum
    typical = typical_deviation(update, total, buffers.deviations, count, buffers.ordered)
    full = 0
    for k in range(count):
        member, d = np.uint64(buffers.committee[k]), buffers.deviations[k]
        old = memory.trust[member, column]
        low, rate = rules.trust_minimum, rules.trust_rate
        weight = update_weight(update, old, rate, d, typical, low, high)
        if weight < conduct.evaluators[member, EvaluatorColumn.RESET_TRUST]:
            weight = rules.trust_start
            memory.state[member, State.IDENTITIES] += 1.0
        full += int(weight >= high) - int(old >= high)
        memory.trust[member, column] = weight
    memory.counters[Counter.SATURATED] += full
    everyone = memory.counters[Counter.SATURATED] == memory.trust.size
    if everyone and memory.counters[Counter.SATURATED_ROUND] < 0:
        memory.counters[Counter.SATURATED_ROUND] = round_


@compiled
def close_round(
    round_: int,
    column: int,
    consensus: float,
    truth: float,
    gold: bool,
    rules: Rules,
    buffers: Buffers,
    conduct: Conduct,
    memory: Memory,
) -> None:
    """Let the committee remember the round and update its trust; write the trust log when due.

    Under ``gold`` only rounds on planted records, whose truth the operator knows, change trust.
    """
    _remember(rules.committee_size, consensus, buffers, memory)
    update = rules.trust_update
    if update != TrustUpdate.NONE and (update != TrustUpdate.GOLD or gold):
        total = _find_deviations(consensus, truth, rules, buffers)
        _learn(round_, column, total, rules, buffers, conduct, memory)
    interval = rules.trust_interval
    if interval > 0 and (round_ + 1) % interval == 0:
        entry = (round_ + 1) // interval - 1
        if entry >= memory.trust_log.shape[0]:
            return  # a model may be played on beyond the rounds its log was opened for
        for member in range(memory.trust.shape[0]):
            for kept in range(memory.trust.shape[1]):
                memory.trust_log[entry, member, kept] = memory.trust[member, kept]
