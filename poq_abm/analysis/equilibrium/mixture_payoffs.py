"""What each strategy earns against a mix, in a symmetric game of any number of players."""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["compositions", "mixture_payoffs"]

Array = NDArray[np.float64]


def compositions(total: int, parts: int) -> NDArray[np.int64]:
    """Return every way to share ``total`` among some parts, shape (ways, parts).

    There are (total + parts - 1)! / (total! (parts - 1)!) of them, the first part falling.

    >>> compositions(2, 2).tolist()
    [[2, 0], [1, 1], [0, 2]]
    """
    bars = itertools.combinations(range(total + parts - 1), parts - 1)
    rows = [np.diff([-1, *places, total + parts - 1]) - 1 for places in bars]
    return np.array(rows[::-1], dtype=np.int64)


def mixture_payoffs(payoffs: Array, others: NDArray[np.int64], mixes: Array) -> Array:
    """Return what each strategy earns on average where each of the others draws its own from a mix.

    u_i(x) = sum over c of n! / (c_1! ... c_k!) x_1^c_1 ... x_k^c_k u_i(c), where c counts the
    strategies of the n others.

    Parameters
    ----------
    payoffs
        u_i(c), shape (..., strategies, ways).
    others
        The counts c, shape (ways, strategies), as :func:`compositions` gives them.
    mixes
        Shares x of the strategies, shape (points, strategies).

    Returns
    -------
    array
        Shape (..., points, strategies).

    Examples
    --------
    Of two players it is the product of the matrix and the mix:

    >>> matrix = np.array([[0.0, 3.0], [1.0, 2.0]])
    >>> mixture_payoffs(matrix, compositions(1, 2), np.array([[0.5, 0.5]])).tolist()
    [[1.5, 1.5]]
    """
    ways = [
        math.factorial(int(counts.sum())) / math.prod(math.factorial(int(c)) for c in counts)
        for counts in others
    ]
    chances = np.array(ways) * np.prod(mixes[:, None, :] ** others[None], axis=-1)
    paid: Array = (payoffs[..., None, :, :] * chances[:, None, :]).sum(axis=-1)
    return paid
