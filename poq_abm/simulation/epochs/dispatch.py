"""The scheduler of an economy: who answers a query, when, and which committee judges it."""

from __future__ import annotations

import math

import numpy as np

from poq_abm.compilation import compiled, compiled_loop
from poq_abm.random import Purpose, below, uniform
from poq_abm.rules.schedule.committee import seat_by_weight, seat_committee
from poq_abm.rules.schedule.drawing import Slot
from poq_abm.simulation.arrays import Assignments, GameArrays
from poq_abm.simulation.buffers import Buffers, ReplicationKey, draw_ahead
from poq_abm.simulation.epochs.epoch_arrays import Floor, Queries, Routing
from poq_abm.simulation.queue import Distribution, ServiceTime, serve, service_factor, starts

__all__ = ["dispatch"]


@compiled
def _route(
    drawn: int, arrival: float, round_: int, seed: int, replication: int, floor: Floor
) -> int:
    """Return the node that a query goes to, given the one that was drawn."""
    if floor.routing == Routing.POWER_OF_TWO:
        place = below(seed, replication, Purpose.ROUTE, round_, 0, floor.active.size)
        other = floor.active[place]
        return (
            other
            if starts(floor.queue, other, arrival) < starts(floor.queue, drawn, arrival)
            else drawn
        )
    if floor.routing == Routing.CHEAPEST:
        best, soonest = drawn, math.inf
        for i in range(floor.by_cost.size):
            node = floor.by_cost[i]
            begin = starts(floor.queue, node, arrival)
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
    law: ServiceTime,
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
    if law.distribution != Distribution.FIXED:
        factor = service_factor(law, uniform(seed, replication, Purpose.SERVICE, round_, 0))
    begin = starts(floor.queue, node, arrival)
    if begin - arrival > floor.patience_s:
        assigned.node[row] = -1
        queries.wait[row] = math.nan
        return
    service = floor.service_s[node] * factor
    serve(floor.queue, node, begin, service)
    assigned.node[row] = node
    assigned.cost_factor[row] = factor if floor.charges_realised else 1.0
    queries.wait[row], queries.service[row] = begin - arrival, service


@compiled_loop
def dispatch(
    first_round: int,
    count: int,
    key: ReplicationKey,
    law: ServiceTime,
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
            _take_on(row, t, round_, seed, replication, law, buffers, floor, assigned, queries)
            if floor.by_weight:
                seat_by_weight(committee, floor.seats, seed, replication, round_)
            else:
                seat_committee(committee, buffers.order, buffers.swapped, buffers.draws, t)
            for k in range(committee.size):
                assigned.committee[row, k] = floor.members[committee[k]]
        start = stop
