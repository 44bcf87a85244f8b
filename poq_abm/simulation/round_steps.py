"""The steps of a round, one compiled function each: measure, report, agree, compare, pay, learn.

A committee's scores lie in its :class:`~poq_abm.rules.committee.Committee`; every step reads
there what the one before it left. The compiled loop, the agents and the verification of queries
call these and no others.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.compilation import compiled, compiled_or_python, compiled_step
from poq_abm.random import Purpose, normal, uniform
from poq_abm.rules.aggregation import WeighsBy
from poq_abm.rules.behaviour.attacks import HIGHEST, LOWEST, Attack, Recipe, attacked, in_scale
from poq_abm.rules.committee import Committee
from poq_abm.rules.compiled import (
    Kernels,
    aggregate,
    closeness,
    deviation,
    find_references,
    median_of,
    pay_evaluator,
    pay_inference,
    typical_deviation,
    update_weight,
)
from poq_abm.rules.payment import MeasuredFrom
from poq_abm.simulation.arrays import (
    ActiveBehaviours,
    EvaluatorColumn,
    GameArrays,
    InferenceColumn,
    Rules,
)
from poq_abm.simulation.buffers import ReplicationKey
from poq_abm.simulation.replication import Counter, Memory, Replication, State

__all__ = [
    "NO_TASK",
    "RoundDraw",
    "Seat",
    "agree",
    "answer_truth",
    "compare",
    "evaluator_points",
    "inference_points",
    "learn",
    "look_up_scores",
    "measure",
    "member_report",
    "report_scores",
]

Table = NDArray[np.float64]
NO_TASK: Final = -1  #: the last row of a table by task


class RoundDraw(NamedTuple):
    """A round before anybody scores: its number, the answer, and the node that gave it."""

    number: int  #: of the round
    place: int  #: column of the buffers in which its draws stand
    task: int
    record: int
    node: int  #: inference node
    model: int  #: inference model that answered
    column: int  #: of the trust table, by task
    truth: float


class Seat(NamedTuple):
    """What an evaluator knows as it reports: where it sits, whom it scores, and its luck."""

    number: int  #: in the committee, from 0
    round: int
    agreed: float  #: mean score of all evaluator models for the answer
    group: float  #: inference group of the node it scores
    trust: float  #: its weight, for the task
    chance: float  #: uniform draw of the seat, where anybody has a use for it
    z: float  #: normal draw of the seat, likewise


@compiled
def look_up_scores(record: int, model: int, game: GameArrays, committee: Committee) -> None:
    """Put into the committee what its members' models score an answer, by the profile."""
    for k in range(committee.members.size):
        evaluator = game.nodes.evaluator[committee.members[k]]
        committee.scores[k] = game.tables.scores[record, model, evaluator]


@compiled
def measure(
    looked_up: float,
    answering: Table,
    family: float,
    bias: float,
    noise_sd: float,
    seat: int,
    round_: int,
    key: ReplicationKey,
) -> float:
    """Return the score a member's model gives: the profile's, with what the two nodes add to it.

    clip(s + lift + bias + noise_sd z, 0, 10); a freeloader's constant answer stands for s.
    ``answering`` is the row of :class:`~poq_abm.simulation.arrays.InferenceColumn` of the node that
    answered, whose lift depends on whether the member's ``family`` is the one it pleases. The noise
    is keyed by round and seat, so that a larger committee leaves the first seats as they were.
    """
    fixed = answering[InferenceColumn.FIXED]
    score = looked_up if math.isnan(fixed) else fixed
    pleased = answering[InferenceColumn.FAMILY]
    fooled = (pleased < 0.0) | (pleased == family)
    lift = answering[InferenceColumn.LIFT if fooled else InferenceColumn.LIFT_ELSEWHERE]
    score += lift + bias
    if noise_sd > 0.0:
        score += noise_sd * normal(key.seed, key.replication, Purpose.NOISE, round_, seat)
    return in_scale(score)


@compiled
def answer_truth(truth: float, answering: Table) -> float:
    """Return the truth of a node's answer, the profile's being ``truth``: 0 for a constant one.

    ``answering`` is the node's row, as for :func:`measure`.
    """
    if not math.isnan(answering[InferenceColumn.FIXED]):
        return 0.0
    return in_scale(truth + answering[InferenceColumn.TRUTH_LIFT])


@compiled
def member_report(
    measured: float,
    seat: Seat,
    key: ReplicationKey,
    traits: Table,
    state: Table,
    active: ActiveBehaviours,
    own: Kernels | None,
) -> float:
    """Return what a member reports of what it measured, as its behaviour has it; count if it acts.

    ``traits`` and ``state`` are its rows, by :class:`~poq_abm.simulation.arrays.EvaluatorColumn`
    and :class:`~poq_abm.simulation.replication.State`. Nothing is decided by branches that
    differ from member to member: a processor would guess wrong which members deviate.
    """
    if own is not None and int(traits[EvaluatorColumn.ATTACK]) == Attack.PLUGIN:
        draw = (key.seed, key.replication)
        chance = uniform(*draw, Purpose.GATE, seat.round, seat.number)
        z = normal(*draw, Purpose.ATTACK, seat.round, seat.number)
        state[State.ACTED] += 1.0
        return own.report(measured, traits[EvaluatorColumn.AMOUNT], chance, z)
    jobs = state[State.JOBS]
    remembered = state[State.SEEN] / jobs if jobs > 0.0 else measured
    on, favoured = True, True
    if active.waits:
        target = traits[EvaluatorColumn.TARGET]
        favoured = (target < 0.0) | (target == seat.group)
        on = (seat.trust >= traits[EvaluatorColumn.WAKE_TRUST]) & (
            jobs >= traits[EvaluatorColumn.WAKE_JOBS]
        )
        favours = traits[EvaluatorColumn.FAVOUR] != 0.0
        on = on & (favoured | favours | (traits[EvaluatorColumn.AGREED] > 0.0))  # these hit all
    if active.pauses:
        on = on & (seat.chance < traits[EvaluatorColumn.PROBABILITY])
    made = Recipe(
        traits[EvaluatorColumn.OWN],
        traits[EvaluatorColumn.SEEN],
        traits[EvaluatorColumn.AGREED],
        traits[EvaluatorColumn.SHIFT],
        traits[EvaluatorColumn.SPREAD],
        traits[EvaluatorColumn.FAVOUR],
    )
    reported = attacked(made, measured, remembered, seat.agreed, seat.z, favoured)
    state[State.ACTED] += traits[EvaluatorColumn.MALICIOUS] * int(on)
    return reported if on else measured


@compiled_step
def report_scores(
    drawn: RoundDraw,
    game: GameArrays,
    replication: Replication,
    active: ActiveBehaviours,
    own: Kernels | None,
) -> None:
    """Turn the scores that were looked up into what the members of the committee report."""
    evaluators, inference = game.conduct
    key, buffers, memory = replication.key, replication.buffers, replication.memory
    committee = buffers.committee
    answering = inference[np.uint64(drawn.node)]
    agreed = game.tables.agreed[drawn.record, drawn.model]
    for k in range(committee.members.size):
        member = np.uint64(committee.members[k])
        noise_sd = evaluators[member, EvaluatorColumn.NOISE_SD] if active.strays else 0.0
        bias = memory.state[member, State.BIAS]
        family = evaluators[member, EvaluatorColumn.FAMILY]
        looked_up, number = committee.scores[k], drawn.number
        score = measure(looked_up, answering, family, bias, noise_sd, k, number, key)
        if active.deviates:
            seat = Seat(
                k,
                drawn.number,
                agreed,
                answering[InferenceColumn.GROUP],
                memory.trust[member, drawn.column],
                buffers.chances[k, drawn.place],
                buffers.shocks[k, drawn.place],
            )
            traits, state = evaluators[member], memory.state[member]
            score = member_report(score, seat, key, traits, state, active, own)
        committee.scores[k] = score
        # Only a user's own function can report what is no score; NaN fails the comparison too.
        if own is not None and not LOWEST <= score <= HIGHEST:
            memory.counters[Counter.FAULT_ROUND] = drawn.number
            memory.counters[Counter.FAULT_MEMBER] = committee.members[k]


@compiled_or_python
def agree(
    rules: Rules,
    stake: Table,
    trust: Table | None,
    column: int,
    committee: Committee,
    own: Kernels | None,
) -> float:
    """Return the consensus of the scores in the committee, in [0, 10], as the rule weighs them.

    ``stake`` is that of all evaluators, shape (M,), and ``trust`` their weights, (M, columns);
    without any everybody weighs what the committee's weights say.
    """
    if rules.weighs_by == WeighsBy.STAKE:
        for k in range(rules.committee_size):
            committee.weights[k] = stake[committee.members[k]]
    elif trust is not None:  # noqa: SIM102  (pruned where None)
        if rules.weighs_by == WeighsBy.TRUST:
            for k in range(rules.committee_size):
                committee.weights[k] = trust[committee.members[k], column]
    return aggregate(rules.aggregation, rules.aggregation_parameters, own, committee)


@compiled_or_python
def compare(consensus: float, rules: Rules, committee: Committee, own: Kernels | None) -> None:
    """Put each member's closeness to what it is compared with into the committee."""
    rule, parameters, near = rules.aggregation, rules.aggregation_parameters, committee.nearness
    alike = rules.reference == MeasuredFrom.CONSENSUS
    if not alike:
        find_references(rules.reference, rule, parameters, own, committee, consensus, near)
    for k in range(rules.committee_size):
        near[k] = closeness(committee.scores[k], consensus if alike else near[k])


@compiled_or_python
def inference_points(
    rules: Rules, task: int, consensus: float, cost: float, own: Kernels | None
) -> float:
    """Return what an answer earns its node, in points, by the mechanism's reward family.

    ``cost`` is the cost C that is charged, in [0, 1] unless it was realised; ``task`` is the
    answer's among those in play, or ``NO_TASK`` for none of them.
    """
    return pay_inference(
        rules.inference_payment,
        rules.inference_parameters[task],
        own,
        consensus,
        cost,
        rules.alpha_inference,
        rules.beta_inference,
    )


@compiled_or_python
def evaluator_points(
    rules: Rules, seat: int, cost: float, committee: Committee, own: Kernels | None
) -> float:
    """Return what a score earns the evaluator in a seat, in points, at cost C."""
    return pay_evaluator(
        rules.evaluator_payment,
        rules.evaluator_parameters,
        own,
        committee,
        seat,
        cost,
        rules.alpha_evaluator,
        rules.beta_evaluator,
    )


@compiled
def _remember(consensus: float, committee: Committee, memory: Memory) -> None:
    """Let the members note the consensus."""
    for k in range(committee.members.size):
        member = np.uint64(committee.members[k])
        memory.state[member, State.JOBS] += 1.0
        memory.state[member, State.SEEN] += consensus


@compiled
def _find_deviations(
    consensus: float, truth: float, rules: Rules, committee: Committee, own: Kernels | None
) -> float:
    """Put each member's deviation from what trust is measured against into the committee.

    Returns their sum, which also keeps the compiler from reading scores four at a time that have
    just been written one by one: a processor waits for that.
    """
    count, against = rules.committee_size, committee.deviations
    centre, apart = consensus, rules.trust_reference == MeasuredFrom.OTHERS
    if rules.trust_reference == MeasuredFrom.TRUTH:
        centre = truth
    elif rules.trust_reference == MeasuredFrom.MEDIAN:
        centre = median_of(committee.scores, count, committee.ordered)
    elif apart:
        rule, parameters = rules.aggregation, rules.aggregation_parameters
        find_references(MeasuredFrom.OTHERS, rule, parameters, own, committee, consensus, against)
    total = 0.0
    for k in range(count):
        d = deviation(committee.scores[k], against[k] if apart else centre)
        committee.deviations[k] = d
        total += d
    return total


@compiled
def _update_trust(
    drawn: RoundDraw,
    total: float,
    rules: Rules,
    evaluators: Table,
    committee: Committee,
    memory: Memory,
    own: Kernels | None,
) -> None:
    """Update the members' trust, let those who lost it come back as somebody new."""
    column = drawn.column
    count, high = rules.committee_size, rules.trust_maximum
    typical = typical_deviation(rules.trust_typical, total, committee.deviations, committee.ordered)
    full = 0
    for k in range(count):
        member, d = np.uint64(committee.members[k]), committee.deviations[k]
        old = memory.trust[member, column]
        weight = update_weight(rules.trust_update, rules.trust_parameters, own, old, d, typical)
        if weight < evaluators[member, EvaluatorColumn.RESET_TRUST]:
            weight = rules.trust_start
            memory.state[member, State.IDENTITIES] += 1.0
        full += int(weight >= high) - int(old >= high)
        memory.trust[member, column] = weight
    memory.counters[Counter.SATURATED] += full
    everyone = memory.counters[Counter.SATURATED] == memory.trust.size
    if everyone and memory.counters[Counter.SATURATED_ROUND] < 0:
        memory.counters[Counter.SATURATED_ROUND] = drawn.number


@compiled
def _log_trust(number: int, interval: int, memory: Memory) -> None:
    """Write the trust log after a round, when it is due."""
    if interval > 0 and (number + 1) % interval == 0:
        entry = (number + 1) // interval - 1
        if entry >= memory.trust_log.shape[0]:
            return  # a model may be played on beyond the rounds its log was opened for
        for member in range(memory.trust.shape[0]):
            for kept in range(memory.trust.shape[1]):
                memory.trust_log[entry, member, kept] = memory.trust[member, kept]


@compiled_step
def learn(
    drawn: RoundDraw,
    consensus: float,
    game: GameArrays,
    committee: Committee,
    memory: Memory,
    own: Kernels | None,
) -> None:
    """Let the committee remember the round and update its trust; write the trust log when due.

    Under ``gold`` only rounds on planted records, whose truth the operator knows, change trust.
    """
    _remember(consensus, committee, memory)
    rules, evaluators = game.rules, game.conduct.evaluators
    gold = game.tables.gold[drawn.record]
    if rules.trust_learns and (gold or not rules.trust_on_planted):
        total = _find_deviations(consensus, drawn.truth, rules, committee, own)
        _update_trust(drawn, total, rules, evaluators, committee, memory, own)
    _log_trust(drawn.number, rules.trust_interval, memory)
