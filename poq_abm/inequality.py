"""How unevenly something is shared: Gini, Lorenz, Theil, Herfindahl-Hirschman, Nakamoto.

Every function takes one amount per holder, in any unit, at least 0 and finite. What a *share* of
the total means is lost when somebody holds less than nothing, so negative amounts are refused
rather than given an index outside its range. Nobody, or nobody with anything, has no distribution:
the indices of an empty array and of a zero total are NaN. Sums are NumPy's own, never those of a
BLAS, whose last bit depends on the processor.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["gini", "hhi", "lorenz", "nakamoto_coefficient", "theil"]

Array = NDArray[np.float64]

_ROUNDING = 1e-12  # a partial sum this close to the threshold, relatively, has not passed it


def gini(amounts: ArrayLike) -> float:
    """Return the Gini coefficient, in [0, 1 - 1/n]: 0 when all hold the same.

    G = sum_i (2 i - n - 1) x_(i) / (n sum x), with x_(i) ascending and i from 1: half the mean
    absolute difference over the mean, of these holders, with no correction for a sample.

    Raises ValueError for negative or non-finite amounts. Source: Gini, *Variabilità e mutabilità*,
    1912; the formula as in Sen, *On Economic Inequality*, 1973.

    >>> gini([1, 1, 1, 1]), gini([0, 0, 0, 1])
    (0.0, 0.75)
    """
    shares = _shares(amounts)
    if shares.size == 0:
        return float("nan")
    count = shares.size
    ranks = 2.0 * np.arange(1, count + 1) - count - 1.0
    return max(0.0, float(np.sum(np.sort(shares) * ranks)) / count)


def lorenz(amounts: ArrayLike) -> tuple[Array, Array]:
    """Return the Lorenz curve: shares of holders, poorest first, and the shares they hold.

    Both arrays have n + 1 points in [0, 1], from (0, 0) to (1, 1); the curve between two points is
    the straight line, under which lies an area of (1 - gini) / 2. Without a total the second array
    is NaN. Raises ValueError as :func:`gini`.

    >>> holders, held = lorenz([3, 1])
    >>> holders.tolist(), held.tolist()
    ([0.0, 0.5, 1.0], [0.0, 0.25, 1.0])
    """
    shares = _shares(amounts)
    if shares.size == 0:
        count = np.size(amounts)
        holders = np.linspace(0.0, 1.0, count + 1) if count else np.zeros(1)
        return holders, np.full(count + 1, np.nan)
    held = np.concatenate([[0.0], np.cumsum(np.sort(shares))])
    held[-1] = 1.0  # what rounding left over
    return np.linspace(0.0, 1.0, shares.size + 1), np.minimum(held, 1.0)


def theil(amounts: ArrayLike) -> float:
    """Return Theil's T, in [0, ln n]: 0 when all hold the same.

    T = (1/n) sum_i (x_i / mu) ln(x_i / mu), with 0 ln 0 = 0. Raises ValueError as :func:`gini`.
    Source: Theil, *Economics and Information Theory*, 1967.

    >>> theil([2, 2]), round(theil([0, 5]), 6)
    (0.0, 0.693147)
    """
    shares = _shares(amounts)
    if shares.size == 0:
        return float("nan")
    ratios = shares[shares > 0.0] * shares.size
    return max(0.0, float(np.sum(ratios * np.log(ratios))) / shares.size)


def hhi(amounts: ArrayLike) -> float:
    """Return the Herfindahl-Hirschman index, sum of squared shares, in [1/n, 1].

    1 / hhi is the number of equal holders that would be as concentrated. Raises ValueError as
    :func:`gini`. Source: Herfindahl, *Concentration in the Steel Industry*, 1950.

    >>> hhi([1, 1, 1, 1]), hhi([0, 7])
    (0.25, 1.0)
    """
    shares = _shares(amounts)
    return float(np.sum(shares * shares)) if shares.size else float("nan")


def nakamoto_coefficient(amounts: ArrayLike, share: float = 0.5) -> float:
    """Return the fewest holders who together hold more than ``share`` of the total.

    A whole number in [1, n], as a float because it is NaN where there is no total. Equal to the
    threshold is not above it, up to rounding (1e-12 of the total). Raises ValueError as
    :func:`gini`, and for a ``share`` outside [0, 1). Source: Srinivasan and Lee, "Quantifying
    Decentralization", 2017.

    >>> nakamoto_coefficient([1, 1, 1, 1]), nakamoto_coefficient([9, 1, 1])
    (3.0, 1.0)
    """
    if not 0.0 <= share < 1.0:
        raise ValueError(f"share must lie in [0, 1), not {share!r}")
    shares = _shares(amounts)
    if shares.size == 0:
        return float("nan")
    held = np.cumsum(np.sort(shares)[::-1])
    above = held > share + _ROUNDING
    return float(np.argmax(above) + 1) if above.any() else float(np.count_nonzero(shares))


def _shares(amounts: ArrayLike) -> Array:
    """Return each holder's share of the total; empty where there is no total."""
    values = np.asarray(amounts, dtype=np.float64).ravel()
    if not np.isfinite(values).all():
        raise ValueError("amounts must be finite")
    if values.size and values.min() < 0.0:
        raise ValueError(
            f"amounts must not be negative, and {float(values.min())!r} is: "
            "shares of a total mean nothing then"
        )
    if values.size == 0 or values.max() == 0.0:
        return np.empty(0)
    scaled: Array = (
        values / values.max()
    )  # no sum of huge or tiny amounts leaves the range of a double
    return scaled / float(scaled.sum())
