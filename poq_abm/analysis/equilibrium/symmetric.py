"""Symmetric equilibria: mixes that nobody gains by leaving."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from poq_abm.analysis.equilibrium.elimination import solve_linear
from poq_abm.analysis.equilibrium.regret import regret
from poq_abm.analysis.equilibrium.replicator import simplex_grid

__all__ = ["symmetric_equilibria"]

Array = NDArray[np.float64]

_STARTS = 12  # steps of the grid of starts
_ITERATIONS = 40
_NUDGE = 1e-6
_TOLERANCE = 1e-9  # of the payoffs' spread
_APART = 1e-4


def symmetric_equilibria(payoffs: Callable[[Array], Array], strategies: int) -> Array:
    """Return the mixes in which no strategy earns more than those that are used.

    For every set of strategies, mixes at which all of the set earn the same are looked for by
    Newton's method from a grid, and kept where nothing outside it earns more. Isolated ones are
    found, stable or not, as closely as the grid is laid; of a continuum only its corners.

    Parameters
    ----------
    payoffs
        u(x) of mixes, both of shape (points, strategies).
    strategies
        Their number.

    Returns
    -------
    array
        Shape (equilibria, strategies); pure ones first.

    Examples
    --------
    Of hawk and dove, with 2 to be had and a fight that costs 3, two in three are hawks:

    >>> hawk_dove = np.array([[-0.5, 2.0], [0.0, 1.0]])
    >>> found = symmetric_equilibria(lambda x: (hawk_dove[None] * x[:, None]).sum(axis=2), 2)
    >>> found.round(4).tolist()
    [[0.6667, 0.3333]]
    """
    found: list[Array] = []
    corners = np.eye(strategies)
    paid = payoffs(corners)
    spread = max(float(paid.max() - paid.min()), np.finfo(float).tiny)
    for size in range(1, strategies + 1):
        for used in itertools.combinations(range(strategies), size):
            starts = simplex_grid(max(_STARTS, size), size) if size > 1 else np.ones((1, 1))
            for start in starts:
                mix = np.zeros(strategies)
                mix[list(used)] = start
                end = mix if size == 1 else _balanced(payoffs, mix, np.array(used), spread)
                if end is None or any(np.abs(end - one).max() < _APART for one in found):
                    continue
                if float(regret(end, payoffs(end[None])[0])) <= _TOLERANCE * spread:
                    found.append(end)
    return np.array(found).reshape(-1, strategies)


def _balanced(
    payoffs: Callable[[Array], Array], mix: Array, used: NDArray[np.int64], spread: float
) -> Array | None:
    """Return a mix near another in which all the strategies that are used earn the same."""
    first, rest = used[0], used[1:]
    moves = np.zeros((rest.size, mix.size))
    moves[np.arange(rest.size), rest] = 1.0
    moves[:, first] = -1.0

    def apart(mixes: Array) -> Array:
        paid = payoffs(mixes)
        return np.asarray(paid[:, rest] - paid[:, [first]])

    for _ in range(_ITERATIONS):
        (off,) = apart(mix[None])
        slopes = (apart(mix + _NUDGE * moves) - apart(mix - _NUDGE * moves)).T / (2.0 * _NUDGE)
        step = solve_linear(slopes, off)
        if step is None:  # also where it is one of a continuum
            return None
        if np.abs(off).max() <= 1e-13 * spread:
            break
        mix = mix - (step[:, None] * moves).sum(axis=0)
        if mix[used].min() < -0.5 or not np.isfinite(mix).all():
            return None
    inside = bool(mix[used].min() > _APART and np.abs(apart(mix[None])).max() <= 1e-10 * spread)
    return mix if inside else None
