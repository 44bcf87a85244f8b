"""Routing by second score: the node of the best score wins, and is paid by the score of the next.

A node's score is what its answer is worth less what it asks. Since its own report is no part of
what it is paid, reporting its true cost is best for it whatever the others do (Vickrey, The Journal
of Finance 16, 1961); used for routing to models in arXiv 2603.17302 and 2602.14476.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from poq_abm.compilation import compiled

__all__ = ["second_score"]

Array = NDArray[np.float64]


@compiled
def second_score(
    worth: Array, asked: Array, nodes: NDArray[np.int64], first: int | np.int64
) -> tuple[int, float]:
    """Return the winner and its pay: max_i (v q_i - c_i), v q_w - max_{j != w}(v q_j - c_j).

    ``worth`` is v q and ``asked`` the reported cost c of every node, in points; ``nodes`` are those
    that take part. Of equal scores the one that comes first wins, beginning at place ``first`` of
    ``nodes`` and going round. Who is alone is paid all that it is worth.

    >>> worth, asked = np.array([1.0, 0.75, 0.5]), np.array([0.5, 0.125, 0.25])
    >>> second_score(worth, asked, np.arange(3), 0)
    (1, 0.25)
    >>> second_score(worth, asked, np.array([2]), 0)
    (2, 0.5)
    """
    winner, best, runner_up = nodes[first], -math.inf, -math.inf
    for step in range(nodes.size):
        node = nodes[(first + step) % nodes.size]
        score = worth[node] - asked[node]
        if score > best:
            winner, best, runner_up = node, score, best
        elif score > runner_up:
            runner_up = score
    if nodes.size == 1:
        runner_up = 0.0
    return winner, worth[winner] - runner_up
