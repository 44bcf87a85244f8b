"""Logit quantal response equilibria, followed from chance to best responses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from poq_abm.analysis.equilibrium.elimination import solve_linear

__all__ = ["logit_path"]

Array = NDArray[np.float64]
Payoffs = Callable[[Array], Array]

_TOLERANCE = 1e-12
_NUDGE = 1e-6  # of a log-odds, for a slope
_FIRST, _LONGEST, _SHORTEST = 0.05, 0.5, 1e-7  # steps along the path
_MOST_STEPS = 20_000
_ITERATIONS = 12


def logit_path(payoffs: Payoffs, sizes: Sequence[int], precisions: Sequence[float]) -> Array:
    """Return the mixes in which what earns more is chosen more often, by how closely it is told.

    x_i = exp(lambda u_i(x)) / sum_j exp(lambda u_j(x)) in every role. At lambda = 0 all choices are
    alike; from there the curve of solutions is followed by its length (predictor and corrector), so
    that it may turn back. It ends in a Nash equilibrium, the limit of the principal branch. Each
    precision is read off where the curve first passes it.

    Parameters
    ----------
    payoffs
        What every strategy earns against shares of all roles' strategies, one role after another;
        of size one or so, for steps have the same length in lambda and log-odds.
    sizes
        Number of strategies of each role.
    precisions
        lambda, rising from 0 or above, in one over the unit of the payoffs.

    Returns
    -------
    array
        Shape (precisions, strategies of all roles); NaN where the path did not get so far.

    Source: McKelvey and Palfrey (1995), Games and Economic Behavior 10, 6-38; for the homotopy,
    Turocy (2005), Games and Economic Behavior 51, 243-263.

    Examples
    --------
    >>> def dominated(shares):
    ...     return np.array([1.0, 0.0])
    >>> logit_path(dominated, [2], [0.0, 1.0]).round(4).tolist()
    [[0.5, 0.5], [0.7311, 0.2689]]
    """
    found = np.full((len(precisions), sum(sizes)), np.nan)
    at = 0
    before = np.zeros(sum(sizes) - len(sizes) + 1)
    for point in _points(payoffs, sizes):
        while at < len(precisions) and precisions[at] <= point[-1]:
            span = point[-1] - before[-1]
            share = (precisions[at] - before[-1]) / span if span > 0.0 else 1.0
            guess = before + share * (point - before)
            guess[-1] = precisions[at]
            axis = np.zeros_like(guess)
            axis[-1] = 1.0
            exact = _corrected(payoffs, sizes, guess, axis)
            found[at] = _shares((guess if exact is None else exact)[:-1], sizes)
            at += 1
        if at == len(precisions):
            break
        before = point
    return found


def _points(payoffs: Payoffs, sizes: Sequence[int]) -> Iterator[Array]:
    """Yield points of the path: log-odds against each role's first strategy, then lambda."""
    point = np.zeros(sum(sizes) - len(sizes) + 1)
    # At lambda = 0 the slopes by log-odds are the identity: there always is a direction.
    along = _direction(payoffs, sizes, point, np.append(np.zeros(point.size - 1), 1.0))
    assert along is not None
    step = _FIRST
    yield point
    for _ in range(_MOST_STEPS):
        if step < _SHORTEST:
            return
        there = _corrected(payoffs, sizes, point + step * along, along)
        if there is None or np.abs(there - point).max() > 2.0 * step:
            step /= 2.0
            continue
        onward = _direction(payoffs, sizes, there, along)
        if onward is None:
            return
        point, along = there, onward
        step = min(1.3 * step, _LONGEST)
        yield point


def _corrected(payoffs: Payoffs, sizes: Sequence[int], guess: Array, along: Array) -> Array | None:
    """Return the path's point in the plane through a guess, if it is near (Newton)."""
    point = guess.copy()
    for _ in range(_ITERATIONS):
        off = np.append(_residual(payoffs, sizes, point), (along * (point - guess)).sum())
        move = solve_linear(np.vstack([_slopes(payoffs, sizes, point), along]), off)
        if move is None:
            return None
        point = point - move
        if np.abs(move).max() <= _TOLERANCE * (1.0 + np.abs(point).max()):
            return point
    return None


def _direction(payoffs: Payoffs, sizes: Sequence[int], point: Array, before: Array) -> Array | None:
    """Return the unit vector along the path, on from the one before, where there is one."""
    goal = np.zeros_like(point)
    goal[-1] = 1.0
    along = solve_linear(np.vstack([_slopes(payoffs, sizes, point), before]), goal)
    return None if along is None else np.asarray(along / np.sqrt((along * along).sum()))


def _residual(payoffs: Payoffs, sizes: Sequence[int], point: Array) -> Array:
    """Return how far log-odds are from lambda times what a strategy earns more than the first."""
    paid = payoffs(_shares(point[:-1], sizes))
    ends = np.cumsum(sizes)[:-1]
    better = [role[1:] - role[0] for role in np.split(paid, ends)]
    return np.asarray(point[:-1] - point[-1] * np.concatenate(better))


def _slopes(payoffs: Payoffs, sizes: Sequence[int], point: Array) -> Array:
    columns = []
    for place in range(point.size):
        nudge = np.zeros_like(point)
        nudge[place] = _NUDGE
        ahead, behind = (_residual(payoffs, sizes, point + sign * nudge) for sign in (1, -1))
        columns.append((ahead - behind) / (2.0 * _NUDGE))
    return np.stack(columns, axis=1)


def _shares(odds: Array, sizes: Sequence[int]) -> Array:
    """Return the shares that log-odds against the first strategy of each role stand for."""
    shares = []
    first = 0
    for size in sizes:
        logs = np.append(0.0, odds[first : first + size - 1])
        powers = np.exp(logs - logs.max())
        shares.append(powers / powers.sum())
        first += size - 1
    return np.concatenate(shares)
