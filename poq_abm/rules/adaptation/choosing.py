"""Choice by payoff: the Fermi rule between two, the logit rule among several."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from poq_abm.compilation import compiled, compiled_loop

__all__ = ["choose", "fermi", "imitate"]

Array = NDArray[np.float64]


@compiled
def fermi(own: float, other: float, temperature: float) -> float:
    """Return the chance of changing to what pays ``other``: 1 / (1 + exp(-(other - own) / T)).

    Source: Traulsen, Nowak and Pacheco, Physical Review E 74, 2006.

    >>> fermi(1.0, 1.0, 0.1)
    0.5
    """
    x = (other - own) / temperature
    if x < 0.0:
        e = math.exp(x)
        return e / (1.0 + e)
    return 1.0 / (1.0 + math.exp(-x))


@compiled_loop
def imitate(
    payoff: Array,
    nodes: NDArray[np.int64],
    rate: float,
    temperature: float,
    draws: Array,
    model: NDArray[np.int64],
) -> None:
    """Write into ``model[i]`` whom ``nodes[i]`` imitates by the Fermi rule: another, or itself.

    A node revises with chance ``rate``; it looks at one of the others, each equally likely.
    ``draws`` are uniforms of shape (3, N).

    >>> model, draws = np.empty(2, np.int64), np.array([[0.0, 0.9], [0.5, 0.5], [0.0, 0.0]])
    >>> imitate(np.array([0.0, 1.0]), np.array([0, 1]), 0.5, 0.1, draws, model)
    >>> model.tolist()
    [1, 1]
    """
    count = nodes.size
    for i in range(count):
        node = nodes[i]
        model[i] = node
        if count < 2 or draws[0, node] >= rate:
            continue
        place = min(int(draws[1, node] * (count - 1)), count - 2)
        other = nodes[place + int(place >= i)]
        if draws[2, node] < fermi(payoff[node], payoff[other], temperature):
            model[i] = other


def choose(payoffs: Array, temperature: float, u: float) -> int:
    """Return the option drawn by the logit rule: in proportion to exp(payoff / T).

    >>> choose(np.array([0.0, 100.0]), 0.1, 0.5)
    1
    """
    scaled = ((payoffs - payoffs.max()) / temperature).tolist()
    weights = [math.exp(x) for x in scaled]  # NumPy's exp differs between processors
    cumulative = np.cumsum(weights)
    return int(
        np.searchsorted(cumulative, u * cumulative[-1], side="right").clip(0, len(payoffs) - 1)
    )
