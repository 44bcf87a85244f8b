"""The compiled loop of the queries: arrivals, queues, cheats, checks and settlements."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.compilation import compiled_loop, compiled_or_python
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
    Machines,
    Providers,
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

__all__ = [
    "UNJUDGED",
    "Judged",
    "Served",
    "act",
    "add_pay",
    "choose",
    "draw_luck",
    "draw_of",
    "draw_others",
    "draw_partners",
    "occupy",
    "play",
    "query_of",
]

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


@compiled_or_python
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


@compiled_or_python
def choose(node_types: NodeTypes, node: int, broken: bool, draw: float) -> int:
    """Return what a node does with a query, as :class:`~.beliefs.Action`, for a uniform draw."""
    state = int(broken)
    cheats = draw < node_types.chance[node, state]
    return int(node_types.action[node, state]) if cheats else HONEST


@compiled_or_python
def occupy(queue: Queue, busy: Floats, node: int, arrival: float, service: float) -> float:
    """Let a node work for so long, when its turn comes; return when it is done."""
    busy[node] += service
    return serve(queue, node, starts(queue, node, arrival), service)


@compiled_or_python
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
        step = below(key.seed, key.replication, Purpose.PARTNER.value, q, j, nodes - 1 - j)
        steps[j] = step
    draw_others(others, steps, node, count)


@compiled_or_python
def _serve_partners(
    q: int,
    action: int,
    arrival: float,
    factor: float,
    key: ReplicationKey,
    providers: Providers,
    machines: Machines,
) -> tuple[float, float, bool, int]:
    """Let the other providers answer.

    Return when they have, for how long, whether one differs, and how many of them lie.
    """
    types = providers.types
    done, service, diverges, liars = 0.0, 0.0, False, 0
    for j in range(providers.terms.providers - 1):
        other = machines.others[j]
        broken = advance(machines.vendors, types.vendor[other], arrival, key)
        draw = uniform(key.seed, key.replication, Purpose.PARTNER_CHANCE.value, q, j)
        theirs = choose(types, other, broken, draw)
        diverges = diverges or theirs != action
        liars += int(theirs != HONEST)
        work = providers.people.service_s[other, theirs] * factor
        done = max(done, occupy(machines.queue, machines.busy, other, arrival, work))
        service += work
    return done, service, diverges, liars


@compiled_or_python
def _serve(
    q: int,
    node: int,
    action: int,
    arrival: float,
    luck: Floats,
    key: ReplicationKey,
    providers: Providers,
    machines: Machines,
) -> Served:
    """Let the node answer, with other providers or a validator beside it, each in its queue.

    A lazy validator does nothing.
    """
    terms, times = providers.terms, providers.people.service_s
    queue, busy, steps, others = machines.queue, machines.busy, machines.steps, machines.others
    factor = service_factor(providers.law, luck[Draw.SERVICE]) * (1.0 + terms.overhead)
    plain = times[node, HONEST] * factor
    service = times[node, action] * factor
    if terms.proof_on_node and luck[Draw.PROOF] < terms.proof_rate:
        service += terms.proof_s
    done, diverges, validated = occupy(queue, busy, node, arrival, service), False, 0.0
    wait, liars = done - service - arrival, int(action != HONEST)
    if terms.providers > 1:
        draw_partners(q, node, terms.providers - 1, busy.size, key, steps, others)
        last, more, diverges, lying = _serve_partners(
            q, action, arrival, factor, key, providers, machines
        )
        done, service, liars = max(done, last), service + more, liars + lying
    elif luck[Draw.SAMPLE] < terms.sample_rate and luck[Draw.CONFIRM] >= terms.lazy:
        draw_partners(q, node, 1, busy.size, key, steps, others)
        plain = times[others[0], HONEST] * factor
        validated = occupy(queue, busy, others[0], arrival, plain) - arrival
    return Served(done, service, plain, validated, wait, diverges, liars)


@compiled_or_python
def act(row: Floats, action: int, ways: Ways) -> None:
    """Let a node's row say what it does with the query at hand, for evaluators to measure."""
    row[InferenceColumn.LIFT] = ways.lift[action]
    row[InferenceColumn.FIXED] = ways.fixed[action]
    row[InferenceColumn.DEVIATES] = 1.0 if action != HONEST else 0.0


@compiled_or_python
def _score(
    drawn: RoundDraw,
    game: GameArrays,
    kept: Replication,
    active: ActiveBehaviours | None,
    own: Kernels | None,
) -> None:
    """Let the seated committee score an answer."""
    committee = kept.buffers.committee
    look_up_scores(drawn.record, drawn.model, game, committee)
    if active is not None:
        report_scores(drawn, game, kept, active, own)
    else:
        answering = game.conduct.inference[drawn.node]
        for k in range(committee.members.size):
            looked_up = committee.scores[k]
            score = measure(looked_up, answering, 0.0, 0.0, 0.0, k, drawn.number, kept.key)
            committee.scores[k] = score


@compiled_or_python
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


@compiled_or_python
def add_pay(sums: Floats, malicious: int, usd: float) -> None:
    """Add what a seat was paid to the sums."""
    sums[Sum.EVALUATOR_PAY] += usd
    sums[Sum.MALICIOUS_SEATS if malicious else Sum.HONEST_SEATS] += 1.0
    sums[Sum.MALICIOUS_PAY if malicious else Sum.HONEST_PAY] += usd


@compiled_or_python
def _pay_committee(
    fee: float, game: GameArrays, committee: Committee, sums: Floats, own: Kernels | None
) -> None:
    """Pay every member by its closeness less its cost; one point is worth the fee."""
    majority = 0
    for k in range(game.rules.committee_size):
        member = committee.members[k]
        cost = game.nodes.evaluator_cost[member]
        points = evaluator_points(game.rules, k, cost, committee, own)
        malicious = int(game.conduct.evaluators[member, EvaluatorColumn.MALICIOUS])
        add_pay(sums, malicious, fee * points)
        majority += malicious
    sums[Sum.MALICIOUS_MAJORITY] += int(2 * majority > game.rules.committee_size)


@compiled_or_python
def _judge(
    drawn: RoundDraw,
    action: int,
    setting: Setting,
    kept: Replication,
    sums: Floats,
    active: ActiveBehaviours | None,
    own: Kernels | None,
) -> Judged:
    """Seat the committee, let it score, pay it and let it learn.

    A dishonest answer is scored twice, first as the honest one would have been: by the same members
    with the same luck, who remember nothing of that.
    """
    game, ways, people = setting.game, setting.ways, setting.providers.people
    rules = game.rules
    buffers, memory, committee = kept.buffers, kept.memory, kept.buffers.committee
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
        act(game.conduct.inference[drawn.node], acts, ways)
        scored = draw_of(drawn.number, drawn.place, acts, game.tables, people, ways, buffers.draws)
        _score(scored, game, kept, active, own)
        honest = consensus
        if active is None:
            consensus = agree(rules, game.nodes.stake, None, 0, committee, own)
        else:
            column = drawn.column
            consensus = agree(rules, game.nodes.stake, memory.trust, column, committee, own)
            if turn == 0:
                for k in range(rules.committee_size):
                    memory.state[committee.members[k], State.ACTED] = committee.deviations[k]
    honest = consensus if action == HONEST else honest
    compare(consensus, rules, committee, own)
    _pay_committee(setting.providers.terms.fee, game, committee, sums, own)
    if active is not None:
        learn(drawn, consensus, game, committee, memory, own)
    cost = people.cost[drawn.node]
    points = inference_points(rules, drawn.task, consensus, cost, own)
    forgone = inference_points(rules, drawn.task, honest, cost, own)
    return Judged(slowest, total, consensus, honest, points, forgone)


@compiled_or_python
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


@compiled_loop
def play(
    first: int,
    last: int,
    setting: Setting,
    state: QueryState,
    committee: Committee | None,
    active: ActiveBehaviours | None,
    trace: QueryTrace | None,
    own: Kernels | None,
) -> None:
    """Play queries ``first`` to ``last - 1``, in the order of their arrival, into the state.

    Record, node and committee of query q are those of round q of the mechanism. ``first`` is 0 or
    where the last call ended. Without ``committee``, that of the state, nobody scores the answers;
    without ``active`` all evaluators are honest and nobody learns. What is left out is not
    compiled, and the loop is the quicker for it.
    """
    kept, clock, machines = state.kept, state.clock, state.machines
    ways, providers, tables = setting.ways, setting.providers, setting.game.tables
    types, people = providers.types, providers.people
    key, drawn_ahead = kept.key, kept.buffers.draws
    start = first
    while start < last:
        stop = min(last, (start // BATCH_ROUNDS + 1) * BATCH_ROUNDS)
        draw_ahead(start, key, setting.game, kept.buffers)
        if active is not None:
            draw_behaviour_luck(start, key, active, kept.buffers)
        draw_luck(start, key, state.draws, state.words)
        for q in range(start, stop):
            t = q - start
            luck, node = state.draws[:, t], int(drawn_ahead[Slot.NODE, t])
            arrival = clock[0] + gap(luck[Draw.ARRIVAL], setting.rate)
            clock[0] = arrival
            broken = advance(machines.vendors, types.vendor[node], arrival, key)
            action = choose(types, node, broken, luck[Draw.CHEAT])
            served = _serve(q, node, action, arrival, luck, key, providers, machines)
            drawn = draw_of(q, t, action, tables, people, ways, drawn_ahead)
            judged = UNJUDGED
            if committee is not None:
                judged = _judge(drawn, action, setting, kept, state.totals.sums, active, own)
            query = query_of(served, judged, action, broken, arrival, ways.gain[action], luck)
            outcome = settle(providers.terms, query)
            clock[1] = max(clock[1], served.done)
            rational = bool(types.rational[node])
            add(state.totals, q, query, outcome, rational, drawn.truth, served.wait)
            if trace is not None:
                note(trace, q - first, arrival, node, drawn.record, action, query, outcome)
            if own is not None and active is not None:  # noqa: SIM102  (pruned where None)
                if kept.memory.counters[Counter.FAULT_ROUND] >= 0:
                    return
        start = stop


@compiled_or_python
def draw_luck(first: int, key: ReplicationKey, draws: Floats, words: NDArray[np.uint32]) -> None:
    """Draw what the batch of queries from ``first`` on needs besides what rounds draw."""
    fill_words(words, key.seed, key.replication, Purpose.QUERY.value, first)
    fill_uniforms(draws, words)
