"""What the compiled part of an epoch reads and writes, as arrays."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.rules.schedule.committee import SeatWeights
from poq_abm.simulation.arrays import Assignments
from poq_abm.simulation.histograms import LatencyCells, open_cells
from poq_abm.simulation.queue import Queue

__all__ = [
    "Floor",
    "Queries",
    "Routing",
    "Takings",
    "open_orders",
    "open_queries",
    "open_takings",
]

Array = NDArray[np.float64]


class Routing(IntEnum):
    """How the scheduler finds the node of a query, once it has drawn one."""

    DRAWN = 0  #: the node drawn, uniformly, in turn or by weight
    CHEAPEST = 1  #: of the nodes that are free, the one that reports the lowest cost
    POWER_OF_TWO = 2  #: of two nodes drawn, the one that is free earlier


class Floor(NamedTuple):
    """What the scheduler sees when a query arrives. Times are in seconds from the epoch's start."""

    routing: int
    active: NDArray[np.int64]  #: inference nodes that are there
    members: NDArray[np.int64]  #: evaluators that are there, in [0, M)
    by_weight: bool  #: whether seats in a committee go by weight
    seats: SeatWeights  #: of ``members``
    by_cost: NDArray[np.int64]  #: ``active`` by reported cost, the cheapest first
    service_s: Array  #: (F,) mean service time
    queue: Queue
    patience_s: float
    charges_realised: bool  #: whether rewards charge what a job took


class Queries(NamedTuple):
    """What became of the queries of an epoch; the first ``n`` entries count."""

    arrival: Array  #: seconds from the epoch's start, ascending
    wait: Array  #: seconds until its service began; NaN where it was dropped
    service: Array  #: seconds of service


class Takings(NamedTuple):
    """What an epoch's rounds add up to, besides what the ledger holds."""

    busy_s: Array  #: (F,) seconds of service
    served: NDArray[np.int64]  #: (1,) queries answered
    sums: Array  #: (2,) truth, fee factors, over queries answered
    latencies: LatencyCells  #: of every inference node, over all epochs
    gold_seen: NDArray[np.int64]  #: (M,) planted records scored
    gold_failed: NDArray[np.int64]  #: (M,) of these, scored wrongly


def open_orders(rounds: int, committee_size: int) -> Assignments:
    """Return empty assignments for as many rounds.

    >>> open_orders(4, 3).committee.shape
    (4, 3)
    """
    return Assignments(
        task=np.empty(rounds, np.int32),
        record=np.empty(rounds, np.int32),
        node=np.empty(rounds, np.int32),
        committee=np.empty((rounds, committee_size), np.int32),
        cost_factor=np.ones(rounds),
    )


def open_queries(rounds: int) -> Queries:
    """Return empty columns for as many queries."""
    return Queries(np.empty(rounds), np.empty(rounds), np.empty(rounds))


def open_takings(inference: int, evaluators: int) -> Takings:
    """Return the takings of a network before its first round."""
    return Takings(
        busy_s=np.zeros(inference),
        served=np.zeros(1, np.int64),
        sums=np.zeros(2),
        latencies=open_cells(inference),
        gold_seen=np.zeros(evaluators, np.int64),
        gold_failed=np.zeros(evaluators, np.int64),
    )
