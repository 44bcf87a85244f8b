"""What nodes do in a round besides being paid: measure, report, learn. Both engines call these."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from poq_abm.behaviour.attacks import HIGHEST, LOWEST, Attack, in_scale, report
from poq_abm.jit import compiled
from poq_abm.mechanism.aggregation.order_statistics import median
from poq_abm.mechanism.reference import Reference, reference_score
from poq_abm.mechanism.trust import TrustReference, TrustUpdate, deviation, update_weights
from poq_abm.network.columns import Conduct, Ploy, Rules, Trait
from poq_abm.network.desk import Desk
from poq_abm.network.memory import Counter, Memory, State
from poq_abm.network.tally import Kind, count_pair, count_reward
from poq_abm.streams import Purpose, normal, uniform

__all__ = ["Plugin", "close_round", "count_round", "measure", "member_report", "report_all"]

Table = NDArray[np.float64]
Plugin = Callable[[float, float, float, float], float]  #: a user's own compiled report


@compiled
def measure(
    looked_up: float,
    node: int,
    member: int,
    inference: Table,
    evaluators: Table,
    state: Table,
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
    fixed = inference[node, Ploy.FIXED]
    score = looked_up if math.isnan(fixed) else fixed
    score += inference[node, Ploy.LIFT] + state[member, State.BIAS]
    if evaluators[member, Trait.NOISE_SD] > 0.0:
        score += evaluators[member, Trait.NOISE_SD] * normal(
            seed, replication, Purpose.NOISE, round_, seat
        )
    return in_scale(score)


@compiled
def member_report(
    measured: float,
    agreed: float,
    trust: float,
    node: int,
    member: int,
    inference: Table,
    evaluators: Table,
    state: Table,
    seat: int,
    seed: int,
    replication: int,
    round_: int,
    plugin: Plugin | None,
) -> float:
    """Return what a member reports of what it measured, as its behaviour has it."""
    attack = int(evaluators[member, Trait.ATTACK])
    if attack == Attack.HONEST:
        return measured
    chance, z = 0.0, 0.0
    probability = evaluators[member, Trait.PROBABILITY]
    if probability < 1.0:
        chance = uniform(seed, replication, Purpose.GATE, round_, seat)
    if plugin is not None and attack == Attack.PLUGIN:
        amount = evaluators[member, Trait.AMOUNT]
        chance = uniform(seed, replication, Purpose.GATE, round_, seat)
        z = normal(seed, replication, Purpose.ATTACK, round_, seat)
        return plugin(measured, amount, chance, z)
    if attack == Attack.NOISE:
        z = normal(seed, replication, Purpose.ATTACK, round_, seat)
    target, jobs = evaluators[member, Trait.TARGET], state[member, State.JOBS]
    on_target = target < 0.0 or target == inference[node, Ploy.GROUP]
    awake = (
        trust >= evaluators[member, Trait.WAKE_TRUST]
        and jobs >= evaluators[member, Trait.WAKE_JOBS]
    )
    if attack != Attack.COLLUDE:
        awake = awake and on_target
    remembered = state[member, State.SEEN] / jobs if jobs > 0.0 else measured
    amount = evaluators[member, Trait.AMOUNT]
    return report(
        attack, amount, measured, probability, chance, awake, z, remembered, agreed, on_target
    )


@compiled
def report_all(
    agreed: float,
    node: int,
    column: int,
    seed: int,
    replication: int,
    round_: int,
    count: int,
    desk: Desk,
    conduct: Conduct,
    memory: Memory,
    plugin: Plugin | None,
) -> None:
    """Turn the profile's scores on the desk into what the members of the committee report."""
    evaluators, inference = conduct
    for seat in range(count):
        member = desk.committee[seat]
        place = (node, member, inference, evaluators, memory.state, seat)
        measured = measure(desk.scores[seat], *place, seed, replication, round_)
        trust = memory.trust[member, column]
        desk.scores[seat] = member_report(
            measured, agreed, trust, *place, seed, replication, round_, plugin
        )
        # Only a user's own function can report what is no score; NaN fails the comparison too.
        if plugin is not None and not LOWEST <= desk.scores[seat] <= HIGHEST:
            memory.counters[Counter.FAULT_ROUND] = round_
            memory.counters[Counter.FAULT_MEMBER] = member


@compiled
def count_round(
    node: int,
    reward: float,
    consensus: float,
    truth: float,
    rules: Rules,
    desk: Desk,
    conduct: Conduct,
    memory: Memory,
) -> None:
    """Count a round's consensus, truth and rewards (the members' lie on the desk)."""
    counts = memory.reward_counts
    count_pair(memory.grid, consensus, truth)
    beta = rules.beta_inference
    kind = Kind.HONEST_INFERENCE + int(conduct.inference[node, Ploy.DEVIATES])
    count_reward(counts, kind, reward, beta, memory.reward_scales[0])
    beta, scale = rules.beta_evaluator, memory.reward_scales[1]
    for k in range(rules.committee_size):
        malicious = int(conduct.evaluators[desk.committee[k], Trait.MALICIOUS])
        kind = Kind.HONEST_EVALUATOR + malicious
        count_reward(counts, kind, desk.rewards[k], beta, scale)


@compiled
def _remember(count: int, consensus: float, desk: Desk, conduct: Conduct, memory: Memory) -> None:
    """Let the members note the consensus, and count a committee that malicious members rule."""
    malicious = 0.0
    for k in range(count):
        member = desk.committee[k]
        memory.state[member, State.JOBS] += 1.0
        memory.state[member, State.SEEN] += consensus
        malicious += conduct.evaluators[member, Trait.MALICIOUS]
    if 2.0 * malicious > count:
        memory.counters[Counter.MAJORITY] += 1


@compiled
def _find_deviations(consensus: float, truth: float, rules: Rules, desk: Desk) -> None:
    """Put each member's deviation from what trust is measured against on the desk."""
    count = rules.committee_size
    centre, apart = consensus, False
    if rules.trust_update == TrustUpdate.GOLD:
        centre = truth
    elif rules.trust_reference == TrustReference.MEDIAN:
        centre = median(desk.scores, count, desk.ordered)
    else:
        apart = rules.trust_reference == TrustReference.LEAVE_ONE_OUT
    for k in range(count):
        against = centre
        if apart:
            against = reference_score(
                Reference.LEAVE_ONE_OUT,
                rules.aggregation,
                rules.aggregation_parameter,
                desk.scores,
                desk.weights,
                count,
                k,
                consensus,
                desk.others,
                desk.their_weights,
                desk.ordered,
                desk.carried,
            )
        desk.deviations[k] = deviation(desk.scores[k], against)


@compiled
def _learn(
    round_: int, column: int, rules: Rules, desk: Desk, conduct: Conduct, memory: Memory
) -> None:
    """Update the members' trust, let those who lost it come back as somebody new."""
    count, high = rules.committee_size, rules.trust_maximum
    for k in range(count):
        desk.updated[k] = memory.trust[desk.committee[k], column]
    update_weights(
        rules.trust_update,
        rules.trust_rate,
        rules.trust_minimum,
        high,
        desk.updated,
        desk.deviations,
        count,
        desk.ordered,
    )
    for k in range(count):
        member, weight = desk.committee[k], desk.updated[k]
        if weight < conduct.evaluators[member, Trait.RESET_TRUST]:
            weight = rules.trust_start
            memory.state[member, State.IDENTITIES] += 1.0
        full = int(weight >= high) - int(memory.trust[member, column] >= high)
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
    desk: Desk,
    conduct: Conduct,
    memory: Memory,
) -> None:
    """Let the committee remember the round and update its trust; write the trust log when due.

    Under ``gold`` only rounds on planted records, whose truth the operator knows, change trust.
    """
    _remember(rules.committee_size, consensus, desk, conduct, memory)
    update = rules.trust_update
    if update != TrustUpdate.NONE and (update != TrustUpdate.GOLD or gold):
        _find_deviations(consensus, truth, rules, desk)
        _learn(round_, column, rules, desk, conduct, memory)
    interval = rules.trust_interval
    if interval > 0 and (round_ + 1) % interval == 0:
        entry = (round_ + 1) // interval - 1
        if entry >= memory.trust_log.shape[0]:
            return  # a model may be played on beyond the rounds its log was opened for
        for member in range(memory.trust.shape[0]):
            for kept in range(memory.trust.shape[1]):
                memory.trust_log[entry, member, kept] = memory.trust[member, kept]
