"""Queues: when a node begins with a query, and how long it then takes. One for every horizon.

A node has one or more places, each of which serves one query at a time, in the order in which they
arrive. The time a service takes is a mean times a factor of mean 1, from one uniform draw.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.compilation import compiled, compiled_or_python
from poq_abm.profile.latency_noise import latency_mean, latency_quantile
from poq_abm.random import normal_quantile

__all__ = [
    "Distribution",
    "Queue",
    "ServiceTime",
    "earliest_place",
    "heavy_tailed",
    "lognormal",
    "open_queue",
    "serve",
    "service_factor",
    "starts",
]

Array = NDArray[np.float64]


class Distribution(IntEnum):
    """How the time of a service varies about its mean; scenarios write small letters."""

    FIXED = 0
    LOGNORMAL = 1  #: with a Pareto tail, if any
    EXPONENTIAL = 2


class ServiceTime(NamedTuple):
    """The law of a service's time over its mean."""

    distribution: int  #: as :class:`Distribution`
    sigma: float  #: s.d. of the logarithm
    tail_share: float  #: share of jobs in the Pareto tail
    tail_index: float  #: its index
    shift: float  #: taken from the logarithm, where there is no tail
    mean: float  #: that the quantile then still has


class Queue(NamedTuple):
    """When nodes are free. Times are in seconds from the start, of an epoch if there are any."""

    free_at: Array  #: (F, places) when each of a node's places is free
    down_from: Array  #: (F,) when it goes down; infinite if it does not
    down_until: Array  #: (F,)


def open_queue(nodes: int, places: int = 1) -> Queue:
    """Return the queues of nodes that are idle, and never down.

    >>> open_queue(3, 2).free_at.shape
    (3, 2)
    """
    never = np.full(nodes, np.inf)
    return Queue(np.zeros((nodes, places)), never, never)


def lognormal(cv: float) -> ServiceTime:
    """Return a log-normal law with a coefficient of variation; sigma^2 = log(1 + cv^2).

    >>> lognormal(0.0).distribution == Distribution.FIXED
    True
    """
    sigma = math.sqrt(math.log1p(cv**2))
    kind = Distribution.LOGNORMAL if sigma > 0.0 else Distribution.FIXED
    return ServiceTime(int(kind), sigma, 0.0, 2.0, 0.5 * sigma * sigma, 1.0)


def heavy_tailed(name: str, sigma: float, tail_share: float, tail_index: float) -> ServiceTime:
    """Return the law that a scenario names, a log-normal one with its tail.

    >>> heavy_tailed("exponential", 0.2, 0.0, 2.5).distribution
    2
    """
    mean = latency_mean(sigma, tail_share, tail_index)
    return ServiceTime(
        int(Distribution[name.upper()]), sigma, tail_share, tail_index, shift=0.0, mean=mean
    )


@compiled
def service_factor(law: ServiceTime, u: float) -> float:
    """Return a service's time over its mean, from one uniform ``u`` in (0, 1).

    Fixed: 1. Exponential: -ln(1 - u). Log-normal: exp(sigma z(u) - shift) / mean, z the normal
    quantile, or with a heavy tail the quantile of :mod:`poq_abm.profile.latency_noise` over its
    mean.

    >>> service_factor(lognormal(0.0), 0.3), round(service_factor(lognormal(1.0), 0.5), 4)
    (1.0, 0.7071)
    """
    if law.distribution == Distribution.FIXED:
        return 1.0
    if law.distribution == Distribution.EXPONENTIAL:
        return -math.log(1.0 - u)
    if law.tail_share == 0.0:
        return math.exp(law.sigma * normal_quantile(u) - law.shift) / law.mean
    return latency_quantile(law.sigma, law.tail_share, law.tail_index, u) / law.mean


@compiled_or_python
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


@compiled_or_python
def starts(queue: Queue, node: int, arrival: float) -> float:
    """Return when a node would begin with a query: once a place is free and the node is not down.

    >>> queue = open_queue(1)
    >>> queue.free_at[0, 0] = 2.0
    >>> starts(queue, 0, 1.0), starts(queue, 0, 3.0)
    (2.0, 3.0)
    """
    begin = max(arrival, queue.free_at[node, earliest_place(queue.free_at, node)])
    if queue.down_from[node] <= begin < queue.down_until[node]:
        return float(queue.down_until[node])
    return float(begin)


@compiled_or_python
def serve(queue: Queue, node: int, begin: float, service: float) -> float:
    """Let a node serve from ``begin`` on, in its place that is free first; return until when.

    >>> queue = open_queue(1)
    >>> serve(queue, 0, starts(queue, 0, 2.0), 0.5), serve(queue, 0, starts(queue, 0, 1.1), 0.5)
    (2.5, 3.0)
    """
    done: float = begin + service
    queue.free_at[node, earliest_place(queue.free_at, node)] = done
    return done
