"""What the compiled part of an epoch reads and writes, as arrays."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.rules.schedule.committee import SeatWeights
from poq_abm.simulation.arrays import Assignments

__all__ = [
    "Floor",
    "Noise",
    "Queries",
    "Routing",
    "open_assignments",
    "open_queries",
]

Array = NDArray[np.float64]


class Routing(IntEnum):
    """How the scheduler finds the node of a query, once it has drawn one."""

    DRAWN = 0  #: the node drawn, uniformly, in turn or by weight
    CHEAPEST = 1  #: of the nodes that are free, the one that reports the lowest cost
    POWER_OF_TWO = 2  #: of two nodes drawn, the one that is free earlier


class Noise(NamedTuple):
    """How the time of a job varies about its mean; as in the section ``latency``."""

    distribution: int  #: 0 fixed, 1 log-normal, 2 exponential
    sigma: float
    tail_share: float
    tail_index: float
    mean: float  #: of the quantile function before it is scaled
    charges_realised: bool  #: whether rewards charge what a job took


class Floor(NamedTuple):
    """What the scheduler sees when a query arrives. Times are in seconds from the epoch's start."""

    routing: int
    active: NDArray[np.int64]  #: inference nodes that are there
    members: NDArray[np.int64]  #: evaluators that are there, in [0, M)
    by_weight: bool  #: whether seats in a committee go by weight
    seats: SeatWeights  #: of ``members``
    by_cost: NDArray[np.int64]  #: ``active`` by reported cost, the cheapest first
    service_s: Array  #: (F,) mean service time
    free_at: Array  #: (F, capacity) when each of a node's places is free
    down_from: Array  #: (F,) when it goes down; infinite if it does not
    down_until: Array  #: (F,)
    patience_s: float


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
    )


def open_queries(rounds: int) -> Queries:
    """Return empty columns for as many queries."""
    return Queries(np.empty(rounds), np.empty(rounds), np.empty(rounds))
