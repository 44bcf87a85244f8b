"""From what share of deviators on a deviation pays."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["invasion_threshold"]

Array = NDArray[np.float64]


def invasion_threshold(shares: Array, gains: Array) -> float:
    """Return the smallest share of deviators among the others at which one more gains.

    Between shares that were played gains are on a straight line. 0 where the first deviator gains,
    infinite where none does at any share.

    Parameters
    ----------
    shares
        Rising from 0 to 1, of the others that deviate.
    gains
        What one more deviator earns above what it would as it is, at these shares.

    >>> invasion_threshold(np.array([0.0, 0.5, 1.0]), np.array([-1.0, -1.0, 3.0]))
    0.625
    """
    if gains[0] > 0.0:
        return 0.0
    above = np.flatnonzero(gains > 0.0)
    if above.size == 0:
        return math.inf
    place = int(above[0])
    low, high = gains[place - 1], gains[place]
    part = -low / (high - low)
    return float(shares[place - 1] + part * (shares[place] - shares[place - 1]))
