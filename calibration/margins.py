"""One column's distribution as fitted quantiles, and the normal scores that belong to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

__all__ = ["Margin", "fit_margin", "kolmogorov_smirnov", "normal_scores"]

Array = NDArray[np.float64]

#: A column with more repeated values than this is a scale with steps; between steps lies nothing.
_REPEATED = 0.5


@dataclass(frozen=True)
class Margin:
    """A distribution as a quantile function: linear between order statistics, or in steps."""

    values: Array  #: sorted, as measured
    has_steps: bool

    def quantiles(self, probabilities: Array) -> Array:
        """Return the values below which these shares of the distribution lie.

        >>> fit_margin(np.array([2.0, 1.0, 4.0])).quantiles(np.array([0.5, 1.0])).tolist()
        [2.0, 4.0]
        """
        n = self.values.size
        if self.has_steps:
            ranks = np.ceil(probabilities * n).astype(np.int64) - 1
            return np.asarray(self.values[np.clip(ranks, 0, n - 1)])
        places = (np.arange(n) + 0.5) / n
        return np.interp(probabilities, places, self.values)


def fit_margin(values: Array) -> Margin:
    """Return the margin of a column without missing values.

    Between order statistics, at the plotting positions (i - 1/2)/n, quantiles are linear: values
    that nobody measured appear, none beyond the extremes, and a run of equal values (an F1 of 0)
    keeps its mass. Where more than half of the values repeat another (a judge's marks), only
    measured values appear.
    """
    ordered = np.sort(values)
    repeated = 1.0 - np.unique(ordered).size / ordered.size
    return Margin(ordered, bool(repeated > _REPEATED))


def normal_scores(values: Array) -> Array:
    """Return the standard normal quantile of each value's mean rank; missing values stay NaN.

    >>> normal_scores(np.array([5.0, np.nan, 7.0, 9.0])).round(3).tolist()
    [-0.967, nan, 0.0, 0.967]
    """
    scores = np.full(values.shape, np.nan)
    known = ~np.isnan(values)
    ordered = np.sort(values[known])
    middle = (
        np.searchsorted(ordered, values[known]) + np.searchsorted(ordered, values[known], "right")
    ) / 2
    scores[known] = ndtri(middle / max(ordered.size, 1))
    return scores


def kolmogorov_smirnov(first: Array, second: Array) -> float:
    """Return the largest distance between two empirical distribution functions.

    >>> kolmogorov_smirnov(np.array([1.0, 2.0]), np.array([2.0, 3.0]))
    0.5
    """
    points = np.concatenate([first, second])
    below = [
        np.searchsorted(np.sort(sample), points, side="right") / sample.size
        for sample in (first, second)
    ]
    return float(np.abs(below[0] - below[1]).max())
