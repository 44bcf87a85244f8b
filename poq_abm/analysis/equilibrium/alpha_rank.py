"""Alpha-rank: how long a population that copies and seldom mutates stays with each strategy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["alpha_rank", "pairwise_gains"]

Array = NDArray[np.float64]
_LEAST = -600.0  # of the logarithm of a rate, below the largest: others are never 0


def pairwise_gains(payoffs: Array, population: int) -> Array:
    """Return the gains of mutants in a game of two: A[r, s] - A[s, r], however many there are.

    As the paper has it: shape (strategies, strategies, population - 1), for :func:`alpha_rank`.
    """
    gains = payoffs - payoffs.T
    return np.repeat(gains[:, :, None], population - 1, axis=2)


def alpha_rank(gains: Array, alpha: float) -> Array:
    r"""Return the share of time in which all of a population do each strategy.

    All of m nodes do s; one tries r. Nodes copy one another, the better the more often, until all
    do alike. That all do r then has the chance
    rho = 1 / sum_{k=0}^{m-1} exp(-alpha (d_1 + ... + d_k)), where d_j is what those who do r earn
    more than those who do s while j of m do r. If d does not depend on j this is
    (1 - exp(-alpha d)) / (1 - exp(-alpha m d)). From s the population moves to r at the rate
    rho / (strategies - 1), and what is returned is the stationary distribution of that chain, by
    elimination without a subtraction (Grassmann, Taksar and Heyman 1985).

    Parameters
    ----------
    gains
        d_j of r over s at [r, s, j - 1], shape (strategies, strategies, m - 1).
    alpha
        Intensity of selection, one over the unit of the gains; 0 and above.

    Source: Omidshafiei et al. (2019), Scientific Reports 9, 9937.

    Examples
    --------
    >>> rock_paper_scissors = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])
    >>> alpha_rank(pairwise_gains(rock_paper_scissors, 50), 1.0).round(3).tolist()
    [0.333, 0.333, 0.333]
    """
    count = len(gains)
    if count == 1:
        return np.ones(1)
    sums = np.concatenate([np.zeros((count, count, 1)), -alpha * gains.cumsum(axis=2)], axis=2)
    top = sums.max(axis=2)
    fixation = -(top + np.log(np.exp(sums - top[:, :, None]).sum(axis=2)))  # its logarithm
    apart = ~np.eye(count, dtype=bool)
    largest = fixation[apart].max()
    rates = np.exp(np.maximum(fixation - largest, _LEAST)).T * apart  # from row to column
    return _stationary(rates)


def _stationary(rates: Array) -> Array:
    """Return the stationary distribution of a chain whose rates are all above 0."""
    left = rates.copy()
    count = len(left)
    for last in range(count - 1, 0, -1):
        left[:last, last] /= left[last, :last].sum()
        left[:last, :last] += left[:last, last, None] * left[last, None, :last]
        np.fill_diagonal(left, 0.0)
    shares = np.ones(count)
    for state in range(1, count):
        shares[state] = (shares[:state] * left[:state, state]).sum()
    return np.asarray(shares / shares.sum())
