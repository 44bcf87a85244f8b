"""What a node could gain by leaving a mix."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["hoeffding_error", "regret"]

Array = NDArray[np.float64]


def regret(mix: Array, paid: Array) -> Array:
    """Return by how much the best strategy against a mix earns more than the mix itself.

    max_i u_i(x) - sum_i x_i u_i(x): 0 in a symmetric equilibrium, else above 0. ``paid`` holds
    u_i(x), shape (..., strategies), and ``mix`` the shares x; both in the unit of the payoffs.

    >>> float(regret(np.array([0.5, 0.5]), np.array([1.0, 3.0])))
    1.0
    """
    gained: Array = paid.max(axis=-1) - (mix * paid).sum(axis=-1)
    return np.maximum(gained, 0.0)


def hoeffding_error(width: float, entries: int, sample: int, confidence: float) -> float:
    """Return the most by which any mean payoff of a game is off, whatever payoffs are spread like.

    c sqrt(ln(2 |G| / delta) / (2 m)): with chance ``confidence`` = 1 - delta all |G| ``entries``
    are within it of their expectation, where a payoff of a replication lies in a range of ``width``
    c and is the mean of m of them, the ``sample``. A regret, the difference of two averages of
    payoffs, is then off by twice as much at most.

    Source: Hoeffding (1963), Journal of the American Statistical Association 58, 13-30; of games
    Tuyls et al. (2020), Autonomous Agents and Multi-Agent Systems 34, 7.

    >>> round(hoeffding_error(1.0, 10, 20, 0.95), 4)
    0.387
    """
    return width * math.sqrt(math.log(2.0 * entries / (1.0 - confidence)) / (2.0 * sample))
