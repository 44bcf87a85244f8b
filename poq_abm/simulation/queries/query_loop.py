"""The compiled loop of the queries: arrivals, queues, cheats, checks and settlements."""

from __future__ import annotations

import math
from typing import Final

from poq_abm.compilation import compiled, compiled_loop
from poq_abm.random import Purpose, below, fill_uniforms, fill_words, uniform
from poq_abm.rules.protocol.settling import settle
from poq_abm.rules.protocol.terms import Query
from poq_abm.rules.schedule.committee import seat_committee
from poq_abm.rules.schedule.drawing import Slot
from poq_abm.simulation.arrays import GameArrays
from poq_abm.simulation.buffers import (
    BATCH_ROUNDS,
    Buffers,
    Committee,
    ReplicationKey,
    draw_ahead,
)
from poq_abm.simulation.queries.beliefs import Conduct
from poq_abm.simulation.queries.market import People, Ways
from poq_abm.simulation.queries.node_types import NodeTypes
from poq_abm.simulation.queries.query_arrays import Draw, QueryTrace, Setting, State, add, note
from poq_abm.simulation.queries.queue import draw_others, interval, serve, spread_of
from poq_abm.simulation.queries.vulnerability import Vendors, advance
from poq_abm.simulation.round_steps import agree, look_up_scores

__all__ = ["play"]

_HONEST: Final = int(Conduct.HONEST)


@compiled
def _consensus(
    conduct: int,
    record: int,
    model: int,
    game: GameArrays,
    ways: Ways,
    committee: Committee,
) -> float:
    """Return what the seated committee agrees on for an answer; without trust all weigh alike."""
    look_up_scores(record, model, game, committee)
    fixed = ways.fixed[conduct]
    for k in range(committee.members.size):
        score = committee.scores[k] + ways.lift[conduct]
        committee.scores[k] = min(score, 10.0) if math.isnan(fixed) else fixed
    return agree(game.rules, game.nodes.stake, None, 0, committee)


@compiled
def _choose(node_types: NodeTypes, node: int, broken: bool, draw: float) -> int:
    """Return what a node does with a query, as Conduct."""
    state = int(broken)
    cheats = draw < node_types.chance[node, state]
    return int(node_types.conduct[node, state]) if cheats else _HONEST


@compiled
def _serve_partners(
    q: int,
    conduct: int,
    factor: float,
    setting: Setting,
    people: People,
    node_types: NodeTypes,
    vendors: Vendors,
    state: State,
) -> tuple[float, float, bool, int]:
    """Let the other providers answer.

    Return when they have, for how long, whether one differs, and how many of them lie.
    """
    arrival, done, service, diverges, liars = state.clock[0], 0.0, 0.0, False, 0
    seed, replication = setting.seed, setting.replication
    for j in range(setting.terms.providers - 1):
        other = state.others[j]
        broken = advance(vendors, int(node_types.vendor[other]), arrival, seed, replication)
        draw = uniform(seed, replication, Purpose.PARTNER_CHANCE, q, j)
        theirs = _choose(node_types, other, broken, draw)
        diverges = diverges or theirs != conduct
        liars += int(theirs != _HONEST)
        work = people.service_s[other, theirs] * factor
        done = max(done, serve(state.free, state.busy, other, arrival, work))
        service += work
    return done, service, diverges, liars


@compiled
def _draw_partners(q: int, node: int, count: int, setting: Setting, state: State) -> None:
    """Put ``count`` nodes other than ``node`` on the state."""
    nodes = state.free.size
    for j in range(count):
        key = (setting.seed, setting.replication, Purpose.PARTNER, q, j)
        state.steps[j] = below(*key, nodes - 1 - j)
    draw_others(state.others, state.steps, node, count)


@compiled
def _serve(
    q: int,
    t: int,
    node: int,
    conduct: int,
    setting: Setting,
    people: People,
    node_types: NodeTypes,
    vendors: Vendors,
    state: State,
) -> tuple[float, float, float, float, float, bool, int]:
    """Let the node answer, with other providers or a validator beside it, each in its queue.

    Return when all have answered, their time, that of one honest answer, the time from arrival
    until a validator is done, how long the node's queue was, whether an answer differs, and how
    many lie. A lazy validator does nothing.
    """
    terms, draws, arrival = setting.terms, state.draws[:, t], state.clock[0]
    factor = spread_of(draws[Draw.SERVICE], setting.sigma) * (1.0 + terms.overhead)
    plain = people.service_s[node, _HONEST] * factor
    service = people.service_s[node, conduct] * factor
    if terms.proof_on_node and draws[Draw.PROOF] < terms.proof_rate:
        service += terms.proof_s
    done, diverges, validated = serve(state.free, state.busy, node, arrival, service), False, 0.0
    wait, liars = done - service - arrival, int(conduct != _HONEST)
    if terms.providers > 1:
        _draw_partners(q, node, terms.providers - 1, setting, state)
        crowd = (setting, people, node_types, vendors, state)
        last, more, diverges, others = _serve_partners(q, conduct, factor, *crowd)
        done, service, liars = max(done, last), service + more, liars + others
    elif draws[Draw.SAMPLE] < terms.sample_rate and draws[Draw.CONFIRM] >= terms.lazy:
        _draw_partners(q, node, 1, setting, state)
        plain = people.service_s[state.others[0], _HONEST] * factor
        validated = serve(state.free, state.busy, state.others[0], arrival, plain) - arrival
    return done, service, plain, validated, wait, diverges, liars


@compiled
def _score(
    t: int,
    record: int,
    node: int,
    conduct: int,
    game: GameArrays,
    people: People,
    ways: Ways,
    buffers: Buffers,
) -> tuple[float, float, float, float]:
    """Seat the committee; return its slowest and its total time, and both consensus.

    The second consensus is that of the honest answer to the same record.
    """
    committee = buffers.committee
    seat_committee(committee.members, buffers.order, buffers.swapped, buffers.draws, t)
    slowest = total = 0.0
    for k in range(committee.members.size):
        seconds = people.scoring_s[committee.members[k]]
        slowest, total = max(slowest, seconds), total + seconds
    common = (game, ways, committee)
    consensus = _consensus(conduct, record, people.model[node, conduct], *common)
    honest = consensus
    if conduct != _HONEST:
        honest = _consensus(_HONEST, record, people.model[node, _HONEST], *common)
    return slowest, total, consensus, honest


@compiled_loop
def _play_query(
    q: int,
    t: int,
    row: int,
    setting: Setting,
    game: GameArrays,
    people: People,
    ways: Ways,
    node_types: NodeTypes,
    vendors: Vendors,
    buffers: Buffers,
    state: State,
    trace: QueryTrace | None,
) -> None:
    """Play the query whose draws stand in column ``t``, into ``row`` of the trace."""
    terms, draws = setting.terms, state.draws[:, t]
    record, node = int(buffers.draws[Slot.RECORD, t]), int(buffers.draws[Slot.NODE, t])
    arrival = state.clock[0] + interval(draws[Draw.ARRIVAL], setting.rate)
    state.clock[0] = arrival
    vendor = int(node_types.vendor[node])
    broken = advance(vendors, vendor, arrival, setting.seed, setting.replication)
    conduct = _choose(node_types, node, broken, draws[Draw.CHEAT])
    crowd = (setting, people, node_types, vendors, state)
    done, service, plain, validated, wait, diverges, liars = _serve(q, t, node, conduct, *crowd)
    scored = scoring = 0.0
    consensus = honest_consensus = math.nan
    if terms.committee:
        tools = (game, people, ways, buffers)
        scored, scoring, consensus, honest_consensus = _score(t, record, node, conduct, *tools)
    query = Query(
        conduct != _HONEST,
        broken,
        diverges,
        liars,
        service,
        plain,
        done - arrival,
        validated,
        scored,
        scoring,
        consensus,
        honest_consensus,
        people.cost[node],
        ways.gain[conduct],
        draws[Draw.PROOF],
        draws[Draw.SAMPLE],
        draws[Draw.CONFIRM],
        draws[Draw.WATCH],
    )
    outcome = settle(terms, game.rules.alpha_inference, game.rules.beta_inference, query)
    model = people.model[node, conduct]
    truth = game.tables.truth[record, model] if math.isnan(ways.fixed[conduct]) else 0.0
    state.clock[1] = max(state.clock[1], done)
    add(state, q, query, outcome, bool(node_types.rational[node]), truth, wait)
    if trace is not None:
        note(trace, row, arrival, node, record, conduct, query, outcome)


@compiled_loop
def play(
    first: int,
    last: int,
    setting: Setting,
    game: GameArrays,
    people: People,
    ways: Ways,
    node_types: NodeTypes,
    vendors: Vendors,
    buffers: Buffers,
    state: State,
    trace: QueryTrace | None,
) -> None:
    """Play queries ``first`` to ``last - 1``, in the order of their arrival, into the state.

    Record, node and committee of query q are those of round q of the mechanism. ``first`` is 0 or
    where the last call ended.
    """
    start = first
    while start < last:
        stop = min(last, (start // BATCH_ROUNDS + 1) * BATCH_ROUNDS)
        seed, replication = setting.seed, setting.replication
        draw_ahead(start, ReplicationKey(seed, replication), game, buffers)
        fill_words(state.words, seed, replication, Purpose.QUERY, start)
        fill_uniforms(state.draws, state.words)
        for q in range(start, stop):
            t, row = q - start, q - first
            _play_query(
                q,
                t,
                row,
                setting,
                game,
                people,
                ways,
                node_types,
                vendors,
                buffers,
                state,
                trace,
            )
        start = stop
