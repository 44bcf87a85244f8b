"""Latency percentiles from a histogram with log-spaced bins, kept inside the loop.

Bins lie between 10^-4 s and 10^9 s, 200 to a decade, so that neighbours differ by 1.16%; a
percentile is the geometric middle of its bin and errs by at most 0.58% of itself.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from poq_abm.jit import compiled

__all__ = ["BINS", "RELATIVE_ERROR", "bin_of", "percentile"]

LOWEST_S: Final = 1e-4
DECADES: Final = 13
PER_DECADE: Final = 200
BINS: Final = DECADES * PER_DECADE
RELATIVE_ERROR: Final = 10.0 ** (0.5 / PER_DECADE) - 1.0  #: of a percentile inside the range


@compiled
def bin_of(seconds: float) -> int:
    """Return the bin of a duration; what lies outside the range goes to the bin at its end.

    >>> bin_of(1e-4), bin_of(0.0), bin_of(1e12) == BINS - 1
    (0, 0, True)
    """
    if seconds <= LOWEST_S:
        return 0
    return min(int(math.log10(seconds / LOWEST_S) * PER_DECADE), BINS - 1)


def percentile(counts: NDArray[np.int64], share: float) -> float:
    """Return the smallest duration, in seconds, below which ``share`` of the entries lie.

    >>> counts = np.zeros(BINS, np.int64)
    >>> counts[bin_of(2.0)] = 10
    >>> abs(percentile(counts, 0.5) / 2.0 - 1.0) < RELATIVE_ERROR
    True
    """
    total = int(counts.sum())
    if total == 0:
        return math.nan
    place = int(np.searchsorted(np.cumsum(counts), math.ceil(share * total)))
    return float(LOWEST_S * 10.0 ** ((place + 0.5) / PER_DECADE))
