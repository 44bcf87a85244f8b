"""The arithmetic mean: the published rule."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from poq_abm.compilation import compiled

__all__ = ["mean"]


@compiled
def mean(scores: NDArray[np.float64], count: int) -> float:
    """Return the arithmetic mean of the first ``count`` scores.

    c = (1 / K) sum_k s_k, published: equation (1) of arXiv 2512.16317 is Q = c / 10, with e_m for
    the scores. The sum runs in the committee's order; scores and result lie in [0, 10]. Breakdown
    point 0: one score can move it anywhere.

    >>> import numpy as np
    >>> mean(np.array([2.0, 4.0, 9.0]), 3)
    5.0
    """
    total = 0.0
    for k in range(count):
        total += scores[k]
    return total / count
