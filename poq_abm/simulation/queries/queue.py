"""Queues: each node serves one query at a time, in the order in which they arrive."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from poq_abm.compilation import compiled
from poq_abm.random import normal_quantile

__all__ = ["draw_others", "interval", "serve", "spread_of"]


@compiled
def interval(draw: float, rate: float) -> float:
    """Return an exponential time between two arrivals, in seconds, for a uniform draw.

    >>> round(interval(0.5, 1.0), 4)
    0.6931
    """
    return -math.log(draw) / rate


@compiled
def spread_of(draw: float, sigma: float) -> float:
    """Return a log-normal factor of mean 1 for a uniform draw; sigma^2 = log(1 + cv^2).

    >>> spread_of(0.5, 0.0)
    1.0
    """
    if sigma == 0.0:
        return 1.0
    return math.exp(sigma * normal_quantile(draw) - 0.5 * sigma * sigma)


@compiled
def serve(
    free: NDArray[np.float64],
    busy: NDArray[np.float64],
    node: int,
    arrival: float,
    service: float,
) -> float:
    """Return when a node has served a query, first come first served; note how busy it was.

    Done = max(arrival, when the node is free) + service. ``free`` and ``busy`` hold, per node, when
    it will be free and how long it has worked, in seconds.

    >>> free, busy = np.array([2.0]), np.zeros(1)
    >>> serve(free, busy, 0, 1.0, 0.5), serve(free, busy, 0, 1.1, 0.5)
    (2.5, 3.0)
    """
    done: float = max(arrival, free[node]) + service
    free[node] = done
    busy[node] += service
    return done


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
