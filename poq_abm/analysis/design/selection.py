"""Ranking and selection: the best of a short list, wrong no more often than was agreed."""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Selection", "SelectionDraw", "kim_nelson"]

Array = NDArray[np.float64]


class SelectionDraw(NamedTuple):
    """Which candidates are to be played, on which replications."""

    candidates: list[int]
    first: int
    last: int


class Selection(NamedTuple):
    """Who was selected, and what the others lost by."""

    best: int
    means: Array  #: of every candidate, over the replications it was played on
    replications: NDArray[np.int64]  #: of every candidate
    decided: bool  #: whether the others were eliminated; else the best mean at the end was taken


def kim_nelson(
    count: int,
    indifference: float,
    confidence: float = 0.95,
    first: int = 10,
    most: int = 10_000,
    step: int = 1,
) -> Generator[SelectionDraw, Array, Selection]:
    """Return the candidate with the lowest mean, by the fully sequential procedure KN.

    A generator: it yields what to play and is sent an array (candidates, replications). After n0
    replications of each, with S_il^2 the variance of the matched differences of i and l,
    eta = ((2 alpha / (k - 1))^(-2 / (n0 - 1)) - 1) / 2 and h^2 = 2 eta (n0 - 1), candidate i stays
    after r replications while, for every l that is left,

    mean_i <= mean_l + max(0, (delta / 2r) (h^2 S_il^2 / delta^2 - r)).

    For normal differences, the candidate with the lowest mean is selected with a probability of at
    least ``confidence`` wherever it is lower than all others by ``indifference`` (delta) or more;
    common keys make S_il small. Candidates that are hard to tell apart get the most replications;
    each is played until it is eliminated, ``step`` replications at a time: looking less often
    eliminates the best no more often. Source: Kim and Nelson, ACM TOMACS 11 (2001).

    >>> selecting = kim_nelson(2, 1.0, first=4)
    >>> next(selecting)
    SelectionDraw(candidates=[0, 1], first=0, last=4)
    >>> try:
    ...     selecting.send(np.array([[5.0, 6.0, 5.0, 6.0], [1.0, 2.0, 1.0, 2.0]]))
    ... except StopIteration as end:
    ...     end.value.best, end.value.decided
    (1, True)
    """
    alive = list(range(count))
    played = np.asarray((yield SelectionDraw(alive, 0, first)), dtype=np.float64)
    sums, counts = played.sum(axis=1), np.full(count, first, dtype=np.int64)
    spread = (played[:, None, :] - played[None, :, :]).var(axis=2, ddof=1)
    share = 2.0 * (1.0 - confidence) / max(count - 1, 1)
    h_squared = (share ** (-2.0 / (first - 1)) - 1.0) * (first - 1)
    r = first
    while True:
        means = sums / counts
        allowed = indifference / (2.0 * r) * (h_squared * spread / indifference**2 - r)
        bound = means[None, :] + np.maximum(allowed, 0.0)
        alive = [i for i in alive if all(means[i] <= bound[i, j] for j in alive)]
        if len(alive) == 1 or r >= most:
            best = min(alive, key=lambda i: means[i])
            return Selection(best, means, counts, len(alive) == 1)
        more = np.asarray((yield SelectionDraw(alive, r, r + step)), dtype=np.float64)
        sums[alive] += more.sum(axis=1)
        r += step
        counts[alive] = r
