"""How the latency of one job scatters about its mean: a log-normal body with a Pareto tail.

Below its 1 - q quantile the latency, over the body's median, is log-normal; the share q above has
a Pareto tail of index a that starts there:

    X(u) = exp(sigma z(u))                       for u <= 1 - q,  z the normal quantile
    X(u) = exp(sigma z(1 - q)) ((1 - u) / q)^(-1/a)  for u > 1 - q

A Pareto tail rather than a second log-normal: the quantile is one formula, continuous and rising,
so that one uniform makes one latency and the same luck stays the same luck as parameters change;
the mean is known; and its likelihood cannot grow without bound on a few equal values, as that of a
mixture of normals does. The mean exists for a > 1.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from poq_abm.compilation import compiled
from poq_abm.random import normal_quantile

__all__ = ["LatencyNoise", "latency_factor", "latency_mean", "latency_quantile"]


@compiled
def latency_quantile(sigma: float, tail_share: float, tail_index: float, u: float) -> float:
    """Return the ``u`` quantile of a latency over the median of its body.

    sigma >= 0; the tail's share q in [0, 1/2]; its index a > 1 (not read where q is 0); u in
    (0, 1).

    >>> latency_quantile(0.1, 0.02, 2.0, 0.5)
    1.0
    """
    if u <= 1.0 - tail_share:
        return math.exp(sigma * normal_quantile(u))
    start = math.exp(sigma * normal_quantile(1.0 - tail_share))
    return start * math.exp(-math.log((1.0 - u) / tail_share) / tail_index)


@compiled
def latency_mean(sigma: float, tail_share: float, tail_index: float) -> float:
    """Return the mean of :func:`latency_quantile` over all u.

    exp(sigma^2 / 2) Phi(z - sigma) + q exp(sigma z) a / (a - 1), z the normal quantile of 1 - q:
    the log-normal's mean below the splice, and the Pareto's above.

    >>> latency_mean(0.0, 0.1, 2.0)
    1.1
    """
    body = math.exp(0.5 * sigma * sigma)
    if tail_share <= 0.0:
        return body
    z = normal_quantile(1.0 - tail_share)
    below = 0.5 * math.erfc((sigma - z) / math.sqrt(2.0))
    tail = tail_share * math.exp(sigma * z) * tail_index / (tail_index - 1.0)
    return body * below + tail


@compiled
def latency_factor(sigma: float, tail_share: float, tail_index: float, u: float) -> float:
    """Return a factor of mean 1 by which one job's latency differs from the mean.

    X(u) / E[X]. In a loop divide :func:`latency_quantile` by a mean that was taken once.

    >>> latency_factor(0.0, 0.0, 2.0, 0.7)
    1.0
    """
    quantile = latency_quantile(sigma, tail_share, tail_index, u)
    return quantile / latency_mean(sigma, tail_share, tail_index)


class LatencyNoise(NamedTuple):
    """The shape of a latency's scatter.

    >>> round(LatencyNoise(0.1, 0.02, 2.0).mean, 4)
    1.0286
    """

    sigma: float  #: s.d. of the logarithm of the body
    tail_share: float = 0.0  #: share of jobs in the tail
    tail_index: float = 2.0  #: index of the Pareto tail; the smaller the heavier

    @property
    def mean(self) -> float:
        """Mean over the median of the body, above 0."""
        return latency_mean(self.sigma, self.tail_share, self.tail_index)

    def quantile(self, u: float) -> float:
        """Return the quantile over the mean: what a job's latency is multiplied by."""
        return latency_factor(self.sigma, self.tail_share, self.tail_index, u)
