"""The scheduler of an economy: who answers a query, when, and which committee judges it."""

from __future__ import annotations

import math

import numpy as np

from poq_abm.compilation import compiled, compiled_loop
from poq_abm.profile.latency_noise import latency_quantile
from poq_abm.random import Purpose, below, uniform
from poq_abm.rules.schedule.committee import seat_by_weight, seat_committee
from poq_abm.rules.schedule.drawing import Slot
from poq_abm.simulation.arrays import Assignments, GameArrays
from poq_abm.simulation.buffers import Buffers, ReplicationKey, draw_ahead
from poq_abm.simulation.epochs.epoch_arrays import Array, Floor, Noise, Queries, Routing

__all__ = ["dispatch", "earliest_place", "service_factor"]


@compiled
def service_factor(noise: Noise, u: float) -> float:
    """Return a job's time over its mean, from one uniform ``u``.

    Fixed: 1. Exponential: -ln(1 - u). Log-normal with a heavy tail: the quantile function of
    :mod:`poq_abm.profile.latency_noise`, over its mean.

    >>> service_factor(Noise(0, 0.2, 0.0, 2.5, 1.0, False), 0.3)
    1.0
    """
    if noise.distribution == 0:
        return 1.0
    if noise.distribution == 2:
        return -math.log(1.0 - u)
    return latency_quantile(noise.sigma, noise.tail_share, noise.tail_index, u) / noise.mean


@compiled
def earliest_place(free_at: Array, node: int) -> int:
    """Return which of a node's places is free first.

    >>> earliest_place(np.array([[3.0, 1.0]]), 0)
    1
    """
    place = 0
    for other in range(1, free_at.shape[1]):
        if free_at[node, other] < free_at[node, place]:
            place = other
    return place


@compiled
def _start(floor: Floor, node: int, arrival: float) -> float:
    """Return when a node would begin with a query that arrives now."""
    begin = max(arrival, floor.free_at[node, earliest_place(floor.free_at, node)])
    if floor.down_from[node] <= begin < floor.down_until[node]:
        return float(floor.down_until[node])
    return float(begin)


@compiled
def _route(
    drawn: int, arrival: float, round_: int, seed: int, replication: int, floor: Floor
) -> int:
    """Return the node that a query goes to, given the one that was drawn."""
    if floor.routing == Routing.POWER_OF_TWO:
        place = below(seed, replication, Purpose.ROUTE, round_, 0, floor.active.size)
        other = floor.active[place]
        return other if _start(floor, other, arrival) < _start(floor, drawn, arrival) else drawn
    if floor.routing == Routing.CHEAPEST:
        best, soonest = drawn, math.inf
        for i in range(floor.by_cost.size):
            node = floor.by_cost[i]
            begin = _start(floor, node, arrival)
            if begin < soonest:
                best, soonest = node, begin
            if soonest <= arrival:
                return best
        return best
    return drawn


@compiled
def _take_on(
    row: int,
    t: int,
    round_: int,
    seed: int,
    replication: int,
    noise: Noise,
    buffers: Buffers,
    floor: Floor,
    assigned: Assignments,
    queries: Queries,
) -> None:
    """Find the node of one query and let it queue there, unless it would wait too long."""
    arrival = queries.arrival[row]
    drawn = floor.active[np.int64(buffers.draws[Slot.NODE, t])]
    node = _route(drawn, arrival, round_, seed, replication, floor)
    factor = 1.0
    if noise.distribution != 0:
        u = uniform(seed, replication, Purpose.SERVICE, round_, 0)
        factor = service_factor(noise, u)
    begin = _start(floor, node, arrival)
    if begin - arrival > floor.patience_s:
        assigned.node[row] = -1
        queries.wait[row] = math.nan
        return
    service = floor.service_s[node] * factor
    floor.free_at[node, earliest_place(floor.free_at, node)] = begin + service
    assigned.node[row] = node
    assigned.cost_factor[row] = factor if noise.charges_realised else 1.0
    queries.wait[row], queries.service[row] = begin - arrival, service


@compiled_loop
def dispatch(
    first_round: int,
    count: int,
    key: ReplicationKey,
    noise: Noise,
    game: GameArrays,
    buffers: Buffers,
    floor: Floor,
    assigned: Assignments,
    queries: Queries,
) -> None:
    """Turn the first ``count`` queries of an epoch into assignments for its rounds.

    The nodes of ``game`` are those that are there: its schedule limits and evaluators are those of
    ``floor.active`` and ``floor.members``. With everybody there, uniform seats and a schedule that
    draws, the assignments are what plain rounds draw for themselves.
    """
    start, committee, (seed, replication) = 0, buffers.committee.members, key
    while start < count:
        stop = min(count, start + buffers.draws.shape[1])
        draw_ahead(first_round + start, key, game, buffers)
        for t in range(stop - start):
            row, round_ = start + t, first_round + start + t
            assigned.task[row] = buffers.draws[Slot.TASK, t]
            assigned.record[row] = buffers.draws[Slot.RECORD, t]
            _take_on(row, t, round_, seed, replication, noise, buffers, floor, assigned, queries)
            if floor.by_weight:
                seat_by_weight(committee, floor.seats, seed, replication, round_)
            else:
                seat_committee(committee, buffers.order, buffers.swapped, buffers.draws, t)
            for k in range(committee.size):
                assigned.committee[row, k] = floor.members[committee[k]]
        start = stop
