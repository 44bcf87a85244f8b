"""The compiled loop of the queries: arrivals, queues, cheats, checks and settlements."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.compilation import compiled, compiled_loop
from poq_abm.random import Purpose, below, fill_uniforms, fill_words, uniform
from poq_abm.rules.aggregation import Aggregation, aggregate
from poq_abm.rules.protocol.settling import settle
from poq_abm.rules.protocol.terms import Query
from poq_abm.rules.schedule.committee import seat_committee
from poq_abm.rules.schedule.drawing import Slot
from poq_abm.simulation.arrivals import gap
from poq_abm.simulation.buffers import BATCH_ROUNDS, draw_ahead
from poq_abm.simulation.queries.beliefs import Action
from poq_abm.simulation.queries.node_types import NodeTypes, advance
from poq_abm.simulation.queries.query_arrays import Draw, QueryState, QueryTrace, Setting, add, note
from poq_abm.simulation.queue import serve, service_factor, starts

__all__ = ["Served", "choose", "draw_others", "draw_partners", "draw_queries", "occupy", "play"]

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
def occupy(state: QueryState, node: int, arrival: float, service: float) -> float:
    """Let a node work for so long, when its turn comes; return when it is done."""
    state.busy[node] += service
    return serve(state.queue, node, starts(state.queue, node, arrival), service)


@compiled
def draw_partners(q: int, node: int, count: int, setting: Setting, state: QueryState) -> None:
    """Put ``count`` nodes other than ``node`` on the state."""
    nodes = state.busy.size
    for j in range(count):
        key = (setting.seed, setting.replication, Purpose.PARTNER, q, j)
        state.steps[j] = below(*key, nodes - 1 - j)
    draw_others(state.others, state.steps, node, count)


@compiled
def _serve_partners(
    q: int, action: int, factor: float, setting: Setting, state: QueryState
) -> tuple[float, float, bool, int]:
    """Let the other providers answer.

    Return when they have, for how long, whether one differs, and how many of them lie.
    """
    arrival, done, service, diverges, liars = state.clock[0], 0.0, 0.0, False, 0
    seed, replication, types = setting.seed, setting.replication, setting.node_types
    for j in range(setting.terms.providers - 1):
        other = state.others[j]
        broken = advance(state.vendors, int(types.vendor[other]), arrival, seed, replication)
        draw = uniform(seed, replication, Purpose.PARTNER_CHANCE, q, j)
        theirs = choose(types, other, broken, draw)
        diverges = diverges or theirs != action
        liars += int(theirs != HONEST)
        work = setting.people.service_s[other, theirs] * factor
        done = max(done, occupy(state, other, arrival, work))
        service += work
    return done, service, diverges, liars


@compiled
def _serve(q: int, t: int, node: int, action: int, setting: Setting, state: QueryState) -> Served:
    """Let the node answer, with other providers or a validator beside it, each in its queue.

    A lazy validator does nothing.
    """
    terms, times, draws = setting.terms, setting.people.service_s, state.draws[:, t]
    arrival = state.clock[0]
    factor = service_factor(setting.law, draws[Draw.SERVICE]) * (1.0 + terms.overhead)
    plain = times[node, HONEST] * factor
    service = times[node, action] * factor
    if terms.proof_on_node and draws[Draw.PROOF] < terms.proof_rate:
        service += terms.proof_s
    done, diverges, validated = occupy(state, node, arrival, service), False, 0.0
    wait, liars = done - service - arrival, int(action != HONEST)
    if terms.providers > 1:
        draw_partners(q, node, terms.providers - 1, setting, state)
        last, more, diverges, others = _serve_partners(q, action, factor, setting, state)
        done, service, liars = max(done, last), service + more, liars + others
    elif draws[Draw.SAMPLE] < terms.sample_rate and draws[Draw.CONFIRM] >= terms.lazy:
        draw_partners(q, node, 1, setting, state)
        plain = times[state.others[0], HONEST] * factor
        validated = occupy(state, state.others[0], arrival, plain) - arrival
    return Served(done, service, plain, validated, wait, diverges, liars)


@compiled
def _agree(record: int, node: int, action: int, setting: Setting, state: QueryState) -> float:
    """Return what the seated committee agrees on for an answer; everybody weighs alike."""
    rules, nodes, buffers = setting.rules, setting.nodes, state.buffers
    count, model = rules.committee_size, setting.people.model[node, action]
    lift, fixed = setting.ways.lift[action], setting.ways.fixed[action]
    for k in range(count):
        member = buffers.committee[k]
        score = setting.tables.scores[record, model, nodes.evaluator[member]] + lift
        buffers.scores[k] = min(score, 10.0) if math.isnan(fixed) else fixed
        stakes = rules.aggregation == Aggregation.STAKE_MEDIAN
        buffers.weights[k] = nodes.stake[member] if stakes else 1.0
    return aggregate(
        rules.aggregation,
        rules.aggregation_parameter,
        buffers.scores,
        buffers.weights,
        count,
        buffers.ordered,
        buffers.carried,
    )


@compiled
def _score(
    t: int, record: int, node: int, action: int, setting: Setting, state: QueryState
) -> tuple[float, float, float, float]:
    """Seat the committee; return its slowest and its total time, and both consensus.

    The second consensus is that of the honest answer to the same record.
    """
    buffers = state.buffers
    seat_committee(buffers.committee, buffers.order, buffers.swapped, buffers.draws, t)
    slowest = total = 0.0
    for k in range(setting.rules.committee_size):
        seconds = setting.people.scoring_s[buffers.committee[k]]
        slowest, total = max(slowest, seconds), total + seconds
    consensus = _agree(record, node, action, setting, state)
    honest = consensus
    if action != HONEST:
        honest = _agree(record, node, HONEST, setting, state)
    return slowest, total, consensus, honest


@compiled
def _play_query(
    q: int, t: int, row: int, setting: Setting, state: QueryState, trace: QueryTrace | None
) -> None:
    """Play the query whose draws stand in column ``t``, into ``row`` of the trace."""
    terms, ways, types = setting.terms, setting.ways, setting.node_types
    draws, table = state.draws[:, t], state.buffers.draws
    record, node = int(table[Slot.RECORD, t]), int(table[Slot.NODE, t])
    arrival = state.clock[0] + gap(draws[Draw.ARRIVAL], setting.rate)
    state.clock[0] = arrival
    vendor = int(types.vendor[node])
    broken = advance(state.vendors, vendor, arrival, setting.seed, setting.replication)
    action = choose(types, node, broken, draws[Draw.CHEAT])
    served = _serve(q, t, node, action, setting, state)
    scored = scoring = 0.0
    consensus = honest_consensus = math.nan
    if terms.committee:
        scored, scoring, consensus, honest_consensus = _score(
            t, record, node, action, setting, state
        )
    query = Query(
        action != HONEST,
        broken,
        served.diverges,
        served.liars,
        served.service,
        served.plain,
        served.done - arrival,
        served.validated,
        scored,
        scoring,
        consensus,
        honest_consensus,
        setting.people.cost[node],
        ways.gain[action],
        draws[Draw.PROOF],
        draws[Draw.SAMPLE],
        draws[Draw.CONFIRM],
        draws[Draw.WATCH],
    )
    outcome = settle(terms, setting.rules.alpha_inference, setting.rules.beta_inference, query)
    model = setting.people.model[node, action]
    truth = setting.tables.truth[record, model] if math.isnan(ways.fixed[action]) else 0.0
    state.clock[1] = max(state.clock[1], served.done)
    add(state, q, query, outcome, bool(types.rational[node]), truth, served.wait)
    if trace is not None:
        note(trace, row, arrival, node, record, action, query, outcome)


@compiled_loop
def play(
    first: int, last: int, setting: Setting, state: QueryState, trace: QueryTrace | None
) -> None:
    """Play queries ``first`` to ``last - 1``, in the order of their arrival, into the state.

    Record, node and committee of query q are those of round q of the mechanism. ``first`` is 0 or
    where the last call ended.
    """
    start = first
    while start < last:
        stop = min(last, (start // BATCH_ROUNDS + 1) * BATCH_ROUNDS)
        draw_queries(start, setting, state)
        for q in range(start, stop):
            _play_query(q, q - start, q - first, setting, state, trace)
        start = stop


@compiled_loop
def draw_queries(first: int, setting: Setting, state: QueryState) -> None:
    """Draw what the batch of queries from ``first`` on needs."""
    seed, replication = setting.seed, setting.replication
    draw_ahead(
        first, seed, replication, setting.rules, setting.tables, setting.nodes, state.buffers
    )
    fill_words(state.words, seed, replication, Purpose.QUERY, first)
    fill_uniforms(state.draws, state.words)
