"""From a committee's scores to its consensus."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from poq_abm.jit import compiled

__all__ = ["Aggregation", "aggregate", "mean"]


class Aggregation(IntEnum):
    """The aggregation rules a scenario can name."""

    MEAN = 0


@compiled
def mean(scores: NDArray[np.float64], count: int) -> float:
    """Return the arithmetic mean of the first ``count`` scores.

    c = (1 / K) sum_k s_k, the published consensus (arXiv 2512.16317, among equations (1)-(5)).
    The sum runs in the committee's order; scores and result lie in [0, 10].

    >>> import numpy as np
    >>> mean(np.array([2.0, 4.0, 9.0]), 3)
    5.0
    """
    total = 0.0
    for k in range(count):
        total += scores[k]
    return total / count


@compiled
def aggregate(rule: int, scores: NDArray[np.float64], count: int) -> float:
    """Return the consensus of the first ``count`` scores under ``rule``.

    Raises
    ------
    ValueError
        If ``rule`` is not an :class:`Aggregation`.

    Examples
    --------
    >>> import numpy as np
    >>> aggregate(Aggregation.MEAN, np.array([2.0, 4.0]), 2)
    3.0
    """
    if rule == Aggregation.MEAN:
        return mean(scores, count)
    raise ValueError("unknown aggregation rule")
