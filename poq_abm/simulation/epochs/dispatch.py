"""The scheduler of an economy: who answers a query, when, and which committee judges it."""

from __future__ import annotations

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.compilation import compiled, compiled_loop
from poq_abm.random import Purpose, below, uniform
from poq_abm.rules.schedule.committee import SeatWeights, seat_by_weight, seat_committee
from poq_abm.rules.schedule.drawing import Slot
from poq_abm.rules.schedule.second_score import second_score
from poq_abm.simulation.arrays import Assignments, GameArrays
from poq_abm.simulation.buffers import Buffers, ReplicationKey, draw_ahead
from poq_abm.simulation.queue import (
    Distribution,
    Queue,
    ServiceTime,
    serve,
    service_factor,
    starts,
)

__all__ = [
    "Queries",
    "Routing",
    "SchedulerView",
    "dispatch",
    "open_assignments",
    "open_queries",
]

Array = NDArray[np.float64]


class Routing(IntEnum):
    """How the scheduler finds the node of a query, once it has drawn one."""

    DRAWN = 0  #: the node drawn, uniformly, in turn or by weight
    CHEAPEST = 1  #: of the nodes that are free, the one that reports the lowest cost
    POWER_OF_TWO = 2  #: of two nodes drawn, the one that is free earlier
    SECOND_SCORE = 3  #: the one of the best score, which is paid by the second


class SchedulerView(NamedTuple):
    """What the scheduler sees when a query arrives. Times are in seconds from the epoch's start."""

    routing: int
    active: NDArray[np.int64]  #: inference nodes that are there
    members: NDArray[np.int64]  #: evaluators that are there, in [0, M)
    by_weight: bool  #: whether seats in a committee go by weight
    seats: SeatWeights  #: of ``members``
    by_cost: NDArray[np.int64]  #: ``active`` by reported cost, the cheapest first
    worth: Array  #: (tasks, F) what an answer of a node is worth, in points; empty if none asks
    asked: Array  #: (F,) the cost that a node reports, in points; empty if none asks
    borne: Array  #: (F,) the cost that it truly has, in points; empty if none asks
    law: ServiceTime  #: of the time that a job takes, over its mean
    service_s: Array  #: (F,) mean service time
    queue: Queue
    patience_s: float
    charges_realised: bool  #: whether rewards charge what a job took


class Queries(NamedTuple):
    """What became of the queries of an epoch; the first ``n`` entries count."""

    arrival: Array  #: seconds from the epoch's start, ascending
    wait: Array  #: seconds until its service began; NaN where it was dropped
    service: Array  #: seconds of service


def open_assignments(rounds: int, committee_size: int) -> Assignments:
    """Return empty assignments for as many rounds.

    >>> open_assignments(4, 3).committee.shape
    (4, 3)
    """
    return Assignments(
        task=np.empty(rounds, np.int32),
        record=np.empty(rounds, np.int32),
        node=np.empty(rounds, np.int32),
        committee=np.empty((rounds, committee_size), np.int32),
        cost_factor=np.ones(rounds),
        price=np.full(rounds, np.nan),
    )


def open_queries(rounds: int) -> Queries:
    """Return empty columns for as many queries."""
    return Queries(np.empty(rounds), np.empty(rounds), np.empty(rounds))


@compiled
def _route(
    drawn: int, arrival: float, round_: int, key: ReplicationKey, view: SchedulerView
) -> int:
    """Return the node that a query goes to, given the one that was drawn."""
    queue = view.queue
    if view.routing == Routing.POWER_OF_TWO:
        place = below(key.seed, key.replication, Purpose.ROUTE, round_, 0, view.active.size)
        other = view.active[place]
        return other if starts(queue, other, arrival) < starts(queue, drawn, arrival) else drawn
    if view.routing == Routing.CHEAPEST:
        best, soonest = drawn, math.inf
        for i in range(view.by_cost.size):
            node = view.by_cost[i]
            begin = starts(queue, node, arrival)
            if begin < soonest:
                best, soonest = node, begin
            if soonest <= arrival:
                return best
        return best
    return drawn


@compiled
def _assign_node(
    row: int,
    place: int,
    round_: int,
    key: ReplicationKey,
    buffers: Buffers,
    view: SchedulerView,
    assigned: Assignments,
    queries: Queries,
) -> None:
    """Find the node of one query and let it queue there, unless it would wait too long."""
    arrival = queries.arrival[row]
    number = np.int64(buffers.draws[Slot.NODE, place])
    price = math.nan
    if view.routing == Routing.SECOND_SCORE:
        worth = view.worth[assigned.task[row]]
        node, price = second_score(worth, view.asked, view.active, number)
    else:
        node = _route(view.active[number], arrival, round_, key, view)
    factor = 1.0
    if view.law.distribution != Distribution.FIXED:
        u = uniform(key.seed, key.replication, Purpose.SERVICE, round_, 0)
        factor = service_factor(view.law, u)
    begin = starts(view.queue, node, arrival)
    if begin - arrival > view.patience_s:
        assigned.node[row] = -1
        queries.wait[row] = math.nan
        return
    service = view.service_s[node] * factor
    serve(view.queue, node, begin, service)
    assigned.node[row] = node
    charged = factor if view.charges_realised else 1.0
    if view.routing == Routing.SECOND_SCORE:
        price -= charged * view.borne[node]
    assigned.price[row] = price
    assigned.cost_factor[row] = charged
    queries.wait[row], queries.service[row] = begin - arrival, service


@compiled_loop
def dispatch(
    first_round: int,
    count: int,
    key: ReplicationKey,
    game: GameArrays,
    buffers: Buffers,
    view: SchedulerView,
    assigned: Assignments,
    queries: Queries,
) -> None:
    """Turn the first ``count`` queries of an epoch into assignments for its rounds.

    The nodes of ``game`` are those that are there: its schedule limits and evaluators are those of
    ``view.active`` and ``view.members``. With everybody there, uniform seats and a schedule that
    draws, the assignments are what plain rounds draw for themselves.
    """
    start, committee = 0, buffers.committee.members
    while start < count:
        stop = min(count, start + buffers.draws.shape[1])
        draw_ahead(first_round + start, key, game, buffers)
        for t in range(stop - start):
            row, round_ = start + t, first_round + start + t
            assigned.task[row] = buffers.draws[Slot.TASK, t]
            assigned.record[row] = buffers.draws[Slot.RECORD, t]
            _assign_node(row, t, round_, key, buffers, view, assigned, queries)
            if view.by_weight:
                seat_by_weight(committee, view.seats, key.seed, key.replication, round_)
            else:
                seat_committee(committee, buffers.order, buffers.swapped, buffers.draws, t)
            for k in range(committee.size):
                assigned.committee[row, k] = view.members[committee[k]]
        start = stop
