"""Trust: a weight per evaluator that follows how far it deviates from the others.

The deviation d = |s - c| / 10 and the multiplicative update are published (arXiv 2601.21189,
Eq. 21); the other updates are ours, for comparison. Weights start at w0 and stay within
[w_min, w_max].
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from poq_abm.compilation import compiled
from poq_abm.rules.aggregation.order_statistics import median
from poq_abm.rules.payment.rewards import SCORE_SCALE

__all__ = [
    "TrustReference",
    "TrustUpdate",
    "clip",
    "deviation",
    "ema",
    "exponential",
    "hedge",
    "multiplicative",
    "relative",
    "typical_deviation",
    "update_weight",
]


class TrustUpdate(IntEnum):
    """How a round changes the weights of its committee."""

    NONE = 0
    MULTIPLICATIVE = 1  #: published, Eq. 21
    RELATIVE = 2  #: against the committee's median deviation
    HEDGE = 3  #: exponential weights against the committee's mean deviation
    EMA = 4  #: exponential moving average of closeness
    GOLD = 5  #: Eq. 21 against the truth, on planted records only


class TrustReference(IntEnum):
    """What the deviation is measured from."""

    INCLUSIVE = 0  #: the consensus (published)
    LEAVE_ONE_OUT = 1  #: the consensus of the others
    MEDIAN = 2  #: the committee's median


@compiled
def deviation(score: float, reference: float) -> float:
    """Return d = |s - c| / 10, in [0, 1]; published.

    >>> deviation(7.0, 5.0)
    0.2
    """
    return abs(score - reference) / SCORE_SCALE


@compiled
def clip(weight: float, low: float, high: float) -> float:
    """Return the weight, pulled into [low, high].

    >>> clip(7.0, 0.1, 5.0)
    5.0
    """
    return min(max(weight, low), high)


@compiled
def multiplicative(weight: float, rate: float, d: float, low: float, high: float) -> float:
    """Return clip(w (1 + lambda (0.5 - d)), w_min, w_max); published, Eq. 21.

    Every evaluator with a deviation below one half gains weight, until all are at w_max and the
    rule has become the mean.

    >>> multiplicative(1.0, 0.1, 0.2, 0.1, 5.0)
    1.03
    """
    return clip(weight * (1.0 + rate * (0.5 - d)), low, high)


@compiled
def relative(
    weight: float, rate: float, d: float, typical: float, low: float, high: float
) -> float:
    """Return clip(w (1 + lambda (d_med - d)), w_min, w_max), d_med the committee's median; ours.

    Half of a committee loses weight, whatever the level of its deviations.

    >>> relative(1.0, 0.5, 0.3, 0.1, 0.1, 5.0)
    0.9
    """
    return clip(weight * (1.0 + rate * (typical - d)), low, high)


@compiled
def exponential(x: float) -> float:
    """Return exp(x) for x in [-1, 1], within four units in the last place; beyond, less exact.

    The Pade approximant N(x) / N(-x) of degree 7, whose own error there is 2e-16. It takes a third
    of the time of the C library's and gives the same bits on every platform, which that does not.

    >>> exponential(0.0), round(exponential(1.0), 12)
    (1.0, 2.718281828459)
    """
    y = x * x
    even = ((56.0 * y + 25200.0) * y + 1995840.0) * y + 17297280.0
    odd = x * (((y + 1512.0) * y + 277200.0) * y + 8648640.0)
    return (even + odd) / (even - odd)


@compiled
def hedge(weight: float, rate: float, d: float, mean: float, low: float, high: float) -> float:
    """Return clip(w exp(lambda (d_mean - d)), w_min, w_max), d_mean the committee's mean; ours.

    Exponential weights (Freund and Schapire 1997) with the committee's mean as the zero of loss.

    >>> hedge(1.0, 0.5, 0.2, 0.2, 0.1, 5.0)
    1.0
    """
    return clip(weight * exponential(rate * (mean - d)), low, high)


@compiled
def ema(weight: float, rate: float, d: float, low: float, high: float) -> float:
    """Return (1 - lambda) w + lambda (w_min + (w_max - w_min)(1 - d)); ours.

    The weight tends to a level that depends on the evaluator's usual closeness and does not
    saturate.

    >>> ema(1.0, 0.5, 0.0, 0.0, 5.0)
    3.0
    """
    return clip((1.0 - rate) * weight + rate * (low + (high - low) * (1.0 - d)), low, high)


@compiled
def typical_deviation(
    update: int,
    total: float,
    deviations: NDArray[np.float64],
    count: int,
    ordered: NDArray[np.float64],
) -> float:
    """Return what an update compares a deviation with: the committee's median or mean, or nothing.

    ``total`` is the sum of the first ``count`` deviations; ``ordered`` is scratch.

    >>> import numpy as np
    >>> typical_deviation(TrustUpdate.RELATIVE, 0.9, np.array([0.1, 0.6, 0.2]), 3, np.empty(3))
    0.2
    """
    if update == TrustUpdate.RELATIVE:
        return median(deviations, count, ordered)
    return total / count if update == TrustUpdate.HEDGE else 0.0


@compiled
def update_weight(
    update: int, weight: float, rate: float, d: float, typical: float, low: float, high: float
) -> float:
    """Return an evaluator's weight after a round; under ``gold``, ``d`` must be from the truth.

    >>> update_weight(TrustUpdate.MULTIPLICATIVE, 1.0, 0.1, 0.2, 0.0, 0.1, 5.0)
    1.03
    """
    if update == TrustUpdate.RELATIVE:
        return relative(weight, rate, d, typical, low, high)
    if update == TrustUpdate.HEDGE:
        return hedge(weight, rate, d, typical, low, high)
    if update == TrustUpdate.EMA:
        return ema(weight, rate, d, low, high)
    return multiplicative(weight, rate, d, low, high)
