"""Where a population ends that does more of what earns more."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.analysis.equilibrium.mixture_payoffs import compositions
from poq_abm.analysis.equilibrium.regret import regret

__all__ = ["Basins", "replicator_basins", "simplex_grid"]

Array = NDArray[np.float64]

_STEP = 0.2  # of the logarithm of the odds between what is done by some
_RARE = 0.001  # share of what is done by nobody to speak of
_FASTER = 5.0  # where payoffs are closer than they are at most
_MOST_STEPS = 5_000
_STILL = 1e-9  # change of a share in a step
_SETTLED = 1e-6  # of the payoffs' spread: more regret is only a slow start from a corner
_APART = 0.01  # of two ends, in any share


class Basins(NamedTuple):
    """Where replicator dynamics go from a grid of mixes, the largest basin first."""

    attractors: Array  #: shares of the strategies, shape (attractors, strategies)
    basins: Array  #: share of the starts that end in each; what is missing to 1 never settled


def simplex_grid(steps: int, strategies: int) -> Array:
    """Return mixes all over the simplex, each strategy in them: multiples of 1 / steps.

    >>> simplex_grid(4, 2).tolist()
    [[0.75, 0.25], [0.5, 0.5], [0.25, 0.75]]
    """
    inner = compositions(steps - strategies, strategies) + 1
    return np.asarray(inner / float(steps))


def replicator_basins(payoffs: Callable[[Array], Array], starts: Array) -> Basins:
    """Return the attractors of the replicator dynamics and how many of the starts reach each.

    dx_i / dt = x_i (u_i(x) - sum_j x_j u_j(x)), in steps x_i exp(h u_i(x)), brought back to a sum
    of 1: they have the same rest points and never leave the simplex. Time has no unit here,
    and h is larger where payoffs are closer: orbits are the same.

    Parameters
    ----------
    payoffs
        u(x) of mixes, both of shape (points, strategies).
    starts
        Mixes to start from, shape (points, strategies), as :func:`simplex_grid` gives them.

    Source: Taylor and Jonker (1978), Mathematical Biosciences 40, 145-156.

    Examples
    --------
    Both do best to do alike; the first earns twice as much, and draws two thirds of all mixes.

    >>> found = replicator_basins(lambda x: x * np.array([2.0, 1.0]), simplex_grid(20, 2))
    >>> found.attractors.round(3).tolist(), found.basins.round(2).tolist()
    ([[1.0, 0.0], [0.0, 1.0]], [0.68, 0.32])
    """
    mixes = starts.copy()
    paid = payoffs(mixes)
    spread = float((paid.max(axis=1) - paid.min(axis=1)).max())
    still = np.zeros(len(mixes), dtype=bool)
    for _ in range(_MOST_STEPS):
        moving = np.flatnonzero(~still)
        if moving.size == 0:
            break
        here = mixes[moving]
        paid = payoffs(here)
        better = paid - paid.max(axis=1, keepdims=True, where=here > _RARE, initial=-np.inf)
        local = -better.min(axis=1, keepdims=True, where=here > _RARE, initial=0.0)
        pace = np.divide(_STEP, np.maximum(local, spread / _FASTER), where=spread > 0.0,
                         out=np.zeros_like(local))  # fmt: skip
        growth = here * np.exp(pace * np.minimum(better, spread))
        after = growth / growth.sum(axis=1, keepdims=True)
        mixes[moving] = after
        resting = regret(here, paid) <= _SETTLED * spread
        still[moving] = (np.abs(after - here).max(axis=1) < _STILL) & resting
    ends: list[Array] = []
    reached: list[int] = []
    for mix in mixes[still]:
        near = [n for n, end in enumerate(ends) if np.abs(end - mix).max() < _APART]
        if near:
            reached[near[0]] += 1
        else:
            ends.append(mix)
            reached.append(1)
    order = np.argsort([-count for count in reached], kind="stable")
    attractors = np.array(ends).reshape(-1, mixes.shape[1])[order]
    return Basins(attractors, np.array(reached, dtype=np.float64)[order] / len(mixes))
