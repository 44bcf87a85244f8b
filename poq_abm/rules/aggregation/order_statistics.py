"""Rules that read sorted scores: median, trimmed mean, winsorized mean."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from poq_abm.compilation import compiled
from poq_abm.rules.aggregation.sorting import sort_into

__all__ = ["median", "middle", "trimmed_mean", "winsorized_mean"]

_ROUNDING = 1e-9  # 0.29 x 100 is a hair below 29 in binary


@compiled
def middle(ordered: NDArray[np.float64], count: int) -> float:
    """Return the median of sorted scores: the middle one, or the mean of the middle two.

    >>> import numpy as np
    >>> middle(np.array([2.0, 4.0, 9.0, 10.0]), 4)
    6.5
    """
    half = count // 2
    if count % 2 == 1:
        return float(ordered[half])
    return 0.5 * float(ordered[half - 1] + ordered[half])


@compiled
def median(scores: NDArray[np.float64], count: int, ordered: NDArray[np.float64]) -> float:
    """Return the median of the first ``count`` scores; ``ordered`` is scratch.

    Named by arXiv 2601.21189. Fewer than half of the scores cannot move it beyond the range of the
    others.

    >>> import numpy as np
    >>> median(np.array([9.0, 2.0, 4.0]), 3, np.empty(3))
    4.0
    """
    sort_into(ordered, scores, count)
    return middle(ordered, count)


@compiled
def _cut(tau: float, count: int) -> int:
    """Return how many scores to cut at each end; none where nothing would be left."""
    cut = int(tau * count + _ROUNDING)
    return cut if 2 * cut < count else 0


@compiled
def trimmed_mean(
    tau: float, scores: NDArray[np.float64], count: int, ordered: NDArray[np.float64]
) -> float:
    """Return the mean without the floor(tau K) lowest and the floor(tau K) highest scores.

    Named by arXiv 2601.21189; the formula is our reconstruction. ``tau`` in [0, 0.5); up to
    floor(tau K) scores cannot move the result beyond the range of the others.

    >>> import numpy as np
    >>> trimmed_mean(0.2, np.array([0.0, 4.0, 5.0, 6.0, 10.0]), 5, np.empty(5))
    5.0
    """
    sort_into(ordered, scores, count)
    cut = _cut(tau, count)
    total = 0.0
    for k in range(cut, count - cut):
        total += ordered[k]
    return total / (count - 2 * cut)


@compiled
def winsorized_mean(
    tau: float, scores: NDArray[np.float64], count: int, ordered: NDArray[np.float64]
) -> float:
    """Return the mean after pulling the floor(tau K) extreme scores at each end to the next ones.

    Ours, for comparison with the trimmed mean (Tukey and McLaughlin 1963); same breakdown point.

    >>> import numpy as np
    >>> winsorized_mean(0.2, np.array([0.0, 4.0, 5.0, 6.0, 10.0]), 5, np.empty(5))
    5.0
    """
    sort_into(ordered, scores, count)
    cut = _cut(tau, count)
    total = 0.0
    for k in range(count):
        total += ordered[min(max(k, cut), count - 1 - cut)]
    return total / count
