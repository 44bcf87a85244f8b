"""The compiled loop of the queries: arrivals, queues, cheats, checks and settlements."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.compilation import compiled, compiled_loop
from poq_abm.random import Purpose, below, fill_uniforms, fill_words, uniform
from poq_abm.rules.committee import Committee
from poq_abm.rules.compiled import Kernels
from poq_abm.rules.protocol.terms import Query
from poq_abm.rules.schedule.committee import seat_committee
from poq_abm.rules.schedule.drawing import Slot
from poq_abm.rules.settling import settle
from poq_abm.simulation.arrays import (
    ActiveBehaviours,
    EvaluatorColumn,
    GameArrays,
    InferenceColumn,
    Tables,
)
from poq_abm.simulation.arrivals import gap
from poq_abm.simulation.buffers import (
    BATCH_ROUNDS,
    ReplicationKey,
    draw_ahead,
    draw_behaviour_luck,
)
from poq_abm.simulation.queries.beliefs import Action
from poq_abm.simulation.queries.market import People, Ways
from poq_abm.simulation.queries.node_types import NodeTypes, advance
from poq_abm.simulation.queries.query_arrays import (
    Draw,
    QueryState,
    QueryTrace,
    Setting,
    Sum,
    add,
    note,
)
from poq_abm.simulation.queue import Queue, serve, service_factor, starts
from poq_abm.simulation.replication import Counter, Replication, State
from poq_abm.simulation.round_steps import (
    RoundDraw,
    agree,
    compare,
    evaluator_points,
    inference_points,
    learn,
    look_up_scores,
    measure,
    report_scores,
)

__all__ = ["Served", "choose", "draw_others", "draw_partners", "draw_queries", "occupy", "play"]

Floats = NDArray[np.float64]

HONEST: Final = int(Action.HONEST)


class Served(NamedTuple):
    """What it took the node, and others with it, to answer a query; times in seconds."""

    done: float  #: when all have answered, from the start
    service: float  #: of all together
    plain: float  #: that of one honest answer
    validated: float  #: from arrival until a validator is done; 0 without one
    wait: float  #: in the queue of the node that was drawn
    diverges: bool  #: whether an answer differs from the node's
    liars: int


class Judged(NamedTuple):
    """What the committee makes of an answer, and of the honest answer to the same record."""

    slowest: float  #: time of the member that takes longest, in seconds
    total: float  #: of all of them
    consensus: float
    honest_consensus: float
    points: float  #: of the node, by the mechanism's reward
    honest_points: float


#: without a committee
UNJUDGED: Final = Judged(0.0, 0.0, math.nan, math.nan, math.nan, math.nan)


@compiled
def draw_others(others: NDArray[np.int64], steps: NDArray[np.int64], node: int, count: int) -> None:
    """Fill the first ``count`` places of ``others`` with different nodes, none of them ``node``.

    ``steps[j]`` is uniform in [0, F - 1 - j): each is moved past the nodes already taken, which are
    looked at in ascending order, so every selection is equally likely. ``others`` has one place
    more, for scratch.

    >>> others = np.empty(3, np.int64)
    >>> draw_others(others, np.array([0, 0]), 1, 2)
    >>> others[:2].tolist()
    [0, 2]
    """
    for j in range(count):
        choice = steps[j]
        taken = -1
        for _ in range(j + 1):  # the next larger of what is taken: node, then others[:j]
            following = node if node > taken else -1
            for i in range(j):
                if others[i] > taken and (following < 0 or others[i] < following):
                    following = others[i]
            if following < 0 or choice < following:
                break
            choice += 1
            taken = following
        others[j] = choice


@compiled
def choose(node_types: NodeTypes, node: int, broken: bool, draw: float) -> int:
    """Return what a node does with a query, as :class:`~.beliefs.Action`, for a uniform draw."""
    state = int(broken)
    cheats = draw < node_types.chance[node, state]
    return int(node_types.action[node, state]) if cheats else HONEST


@compiled
def occupy(queue: Queue, busy: Floats, node: int, arrival: float, service: float) -> float:
    """Let a node work for so long, when its turn comes; return when it is done."""
    busy[node] += service
    return serve(queue, node, starts(queue, node, arrival), service)


@compiled
def draw_partners(
    q: int,
    node: int,
    count: int,
    nodes: int,
    key: ReplicationKey,
    steps: NDArray[np.int64],
    others: NDArray[np.int64],
) -> None:
    """Put ``count`` of the ``nodes`` nodes, none of them ``node``, into ``others``."""
    for j in range(count):
        step = below(key.seed, key.replication, Purpose.PARTNER, q, j, nodes - 1 - j)
        steps[j] = step
    draw_others(others, steps, node, count)


@compiled
def _serve_partners(
    q: int, action: int, factor: float, setting: Setting, state: QueryState
) -> tuple[float, float, bool, int]:
    """Let the other providers answer.

    Return when they have, for how long, whether one differs, and how many of them lie.
    """
    arrival, done, service, diverges, liars = state.clock[0], 0.0, 0.0, False, 0
    (seed, replication), types = state.kept.key, setting.node_types
    for j in range(setting.terms.providers - 1):
        other = state.others[j]
        broken = advance(state.vendors, int(types.vendor[other]), arrival, seed, replication)
        draw = uniform(seed, replication, Purpose.PARTNER_CHANCE, q, j)
        theirs = choose(types, other, broken, draw)
        diverges = diverges or theirs != action
        liars += int(theirs != HONEST)
        work = setting.people.service_s[other, theirs] * factor
        done = max(done, occupy(state.queue, state.busy, other, arrival, work))
        service += work
    return done, service, diverges, liars


@compiled
def _serve(q: int, t: int, node: int, action: int, setting: Setting, state: QueryState) -> Served:
    """Let the node answer, with other providers or a validator beside it, each in its queue.

    A lazy validator does nothing.
    """
    terms, times, draws = setting.terms, setting.people.service_s, state.draws[:, t]
    arrival, queue, busy, key = state.clock[0], state.queue, state.busy, state.kept.key
    factor = service_factor(setting.law, draws[Draw.SERVICE]) * (1.0 + terms.overhead)
    plain = times[node, HONEST] * factor
    service = times[node, action] * factor
    if terms.proof_on_node and draws[Draw.PROOF] < terms.proof_rate:
        service += terms.proof_s
    done, diverges, validated = occupy(queue, busy, node, arrival, service), False, 0.0
    wait, liars = done - service - arrival, int(action != HONEST)
    if terms.providers > 1:
        draw_partners(q, node, terms.providers - 1, busy.size, key, state.steps, state.others)
        last, more, diverges, others = _serve_partners(q, action, factor, setting, state)
        done, service, liars = max(done, last), service + more, liars + others
    elif draws[Draw.SAMPLE] < terms.sample_rate and draws[Draw.CONFIRM] >= terms.lazy:
        draw_partners(q, node, 1, busy.size, key, state.steps, state.others)
        plain = times[state.others[0], HONEST] * factor
        validated = occupy(queue, busy, state.others[0], arrival, plain) - arrival
    return Served(done, service, plain, validated, wait, diverges, liars)


@compiled
def act(node: int, action: int, game: GameArrays, ways: Ways) -> None:
    """Let a node's row say what it does with the query at hand, for evaluators to measure."""
    row = game.conduct.inference[node]
    row[InferenceColumn.LIFT] = ways.lift[action]
    row[InferenceColumn.FIXED] = ways.fixed[action]
    row[InferenceColumn.DEVIATES] = 1.0 if action != HONEST else 0.0


@compiled
def _agree(
    drawn: RoundDraw,
    game: GameArrays,
    kept: Replication,
    active: ActiveBehaviours | None,
    own: Kernels | None,
) -> float:
    """Return what the seated committee agrees on for an answer."""
    committee = kept.buffers.committee
    look_up_scores(drawn.record, drawn.model, game, committee)
    if active is not None:
        report_scores(drawn, game, kept, active, own)
        return agree(game.rules, game.nodes.stake, kept.memory.trust, drawn.column, committee, own)
    answering = game.conduct.inference[drawn.node]
    for k in range(committee.members.size):
        looked_up = committee.scores[k]
        committee.scores[k] = measure(looked_up, answering, 0.0, 0.0, k, drawn.number, kept.key)
    return agree(game.rules, game.nodes.stake, None, 0, committee, own)


@compiled
def draw_of(
    q: int,
    t: int,
    action: int,
    tables: Tables,
    people: People,
    ways: Ways,
    draws: NDArray[np.uint32],
) -> RoundDraw:
    """Return the query as a round in which the node does ``action``."""
    task, record = int(draws[Slot.TASK, t]), int(draws[Slot.RECORD, t])
    node = int(draws[Slot.NODE, t])
    model = people.model[node, action]
    truth = tables.truth[record, model] if math.isnan(ways.fixed[action]) else 0.0
    return RoundDraw(q, t, task, record, node, model, tables.trust_task[task], truth)


@compiled
def add_pay(sums: Floats, malicious: int, usd: float) -> None:
    """Add what a seat was paid to the sums."""
    sums[Sum.EVALUATOR_PAY] += usd
    sums[Sum.MALICIOUS_SEATS if malicious else Sum.HONEST_SEATS] += 1.0
    sums[Sum.MALICIOUS_PAY if malicious else Sum.HONEST_PAY] += usd


@compiled
def _pay_committee(
    consensus: float,
    fee: float,
    game: GameArrays,
    committee: Committee,
    sums: Floats,
    own: Kernels | None,
) -> None:
    """Pay every member by its closeness less its cost; one point is worth the fee."""
    compare(consensus, game.rules, committee, own)
    majority = 0
    for k in range(game.rules.committee_size):
        member = committee.members[k]
        cost = game.nodes.evaluator_cost[member]
        points = evaluator_points(game.rules, k, cost, committee, own)
        malicious = int(game.conduct.evaluators[member, EvaluatorColumn.MALICIOUS])
        add_pay(sums, malicious, fee * points)
        majority += malicious
    sums[Sum.MALICIOUS_MAJORITY] += int(2 * majority > game.rules.committee_size)


@compiled
def _judge(
    drawn: RoundDraw,
    action: int,
    setting: Setting,
    state: QueryState,
    active: ActiveBehaviours | None,
    own: Kernels | None,
) -> Judged:
    """Seat the committee, let it score, pay it and let it learn.

    A dishonest answer is scored twice, first as the honest one would have been: by the same members
    with the same luck, who remember nothing of that.
    """
    game, kept, ways, rules = setting.game, state.kept, setting.ways, setting.game.rules
    buffers, memory, committee = kept.buffers, kept.memory, kept.buffers.committee
    people = setting.people
    seat_committee(committee.members, buffers.order, buffers.swapped, buffers.draws, drawn.place)
    slowest = total = consensus = honest = 0.0
    for k in range(rules.committee_size):
        member = committee.members[k]
        seconds = people.scoring_s[member]
        slowest, total = max(slowest, seconds), total + seconds
        if active is not None:
            committee.deviations[k] = memory.state[member, State.ACTED]
    for turn in range(2):
        if turn == 0 and action == HONEST:
            continue
        acts = HONEST if turn == 0 else action
        act(drawn.node, acts, game, ways)
        scored = draw_of(drawn.number, drawn.place, acts, game.tables, people, ways, buffers.draws)
        honest, consensus = consensus, _agree(scored, game, kept, active, own)
        if turn == 0 and active is not None:
            for k in range(rules.committee_size):
                memory.state[committee.members[k], State.ACTED] = committee.deviations[k]
    honest = consensus if action == HONEST else honest
    _pay_committee(consensus, setting.terms.fee, game, committee, state.sums, own)
    if active is not None:
        learn(drawn, consensus, game, committee, memory, own)
    cost = people.cost[drawn.node]
    points = inference_points(rules, drawn.task, consensus, cost, own)
    forgone = inference_points(rules, drawn.task, honest, cost, own)
    return Judged(slowest, total, consensus, honest, points, forgone)


@compiled
def query_of(
    served: Served,
    judged: Judged,
    action: int,
    broken: bool,
    arrival: float,
    gain: float,
    draws: Floats,
) -> Query:
    """Return what a protocol settles: what was served and judged, with the luck of the checks."""
    return Query(
        action != HONEST,
        broken,
        served.diverges,
        served.liars,
        served.service,
        served.plain,
        served.done - arrival,
        served.validated,
        judged.slowest,
        judged.total,
        judged.consensus,
        judged.honest_consensus,
        judged.points,
        judged.honest_points,
        gain,
        draws[Draw.PROOF],
        draws[Draw.SAMPLE],
        draws[Draw.CONFIRM],
        draws[Draw.WATCH],
    )


@compiled
def _play_query(
    q: int,
    t: int,
    row: int,
    setting: Setting,
    state: QueryState,
    active: ActiveBehaviours | None,
    trace: QueryTrace | None,
    own: Kernels | None,
) -> None:
    """Play the query whose draws stand in column ``t``, into ``row`` of the trace."""
    types, ways = setting.node_types, setting.ways
    draws, key = state.draws[:, t], state.kept.key
    node = int(state.kept.buffers.draws[Slot.NODE, t])
    arrival = state.clock[0] + gap(draws[Draw.ARRIVAL], setting.rate)
    state.clock[0] = arrival
    vendor = int(types.vendor[node])
    broken = advance(state.vendors, vendor, arrival, key.seed, key.replication)
    action = choose(types, node, broken, draws[Draw.CHEAT])
    served = _serve(q, t, node, action, setting, state)
    tables = setting.game.tables
    drawn = draw_of(q, t, action, tables, setting.people, ways, state.kept.buffers.draws)
    judged = UNJUDGED
    if setting.terms.committee:
        judged = _judge(drawn, action, setting, state, active, own)
    query = query_of(served, judged, action, broken, arrival, ways.gain[action], draws)
    outcome = settle(setting.terms, query)
    state.clock[1] = max(state.clock[1], served.done)
    add(state, q, query, outcome, bool(types.rational[node]), drawn.truth, served.wait)
    if trace is not None:
        note(trace, row, arrival, node, drawn.record, action, query, outcome)


@compiled_loop
def play(
    first: int,
    last: int,
    setting: Setting,
    state: QueryState,
    active: ActiveBehaviours | None,
    trace: QueryTrace | None,
    own: Kernels | None,
) -> None:
    """Play queries ``first`` to ``last - 1``, in the order of their arrival, into the state.

    Record, node and committee of query q are those of round q of the mechanism. ``first`` is 0 or
    where the last call ended. Without ``active`` all evaluators are honest and nobody learns; that
    loop is compiled apart, and is quicker.
    """
    start = first
    while start < last:
        stop = min(last, (start // BATCH_ROUNDS + 1) * BATCH_ROUNDS)
        draw_queries(start, setting, state, active)
        for q in range(start, stop):
            _play_query(q, q - start, q - first, setting, state, active, trace, own)
            if own is not None and active is not None:  # noqa: SIM102  (pruned where None)
                if state.kept.memory.counters[Counter.FAULT_ROUND] >= 0:
                    return
        start = stop


@compiled_loop
def draw_queries(
    first: int, setting: Setting, state: QueryState, active: ActiveBehaviours | None
) -> None:
    """Draw what the batch of queries from ``first`` on needs."""
    key, buffers = state.kept.key, state.kept.buffers
    draw_ahead(first, key, setting.game, buffers)
    if active is not None:
        draw_behaviour_luck(first, key, active, buffers)
    fill_words(state.words, key.seed, key.replication, Purpose.QUERY, first)
    fill_uniforms(state.draws, state.words)
