"""How unevenly something is shared: Gini, Lorenz, Theil, Herfindahl-Hirschman, Nakamoto.

Every function takes one amount per holder, in any unit, at least 0 and finite, along the last axis;
all but Lorenz's give a number for each row of a table of several distributions. What a *share* of
the total means is lost when somebody holds less than nothing, so negative amounts are refused
rather than given an index outside its range. Nobody, or nobody with anything, has no distribution:
the indices of an empty array and of a zero total are NaN. Sums are NumPy's
own, never those of a BLAS, whose last bit depends on the processor.

``weights``, at least 0 and finite, say how many holders each amount stands for: a node that was
there for half of the time counts as half a node. By default every amount is of one holder. An
amount of weight 0 changes nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["gini", "hhi", "lorenz", "nakamoto_coefficient", "theil"]

Array = NDArray[np.float64]

_ROUNDING = 1e-12  # a partial sum this close to the threshold, relatively, has not passed it


def gini(amounts: ArrayLike, weights: ArrayLike | None = None) -> Any:
    """Return the Gini coefficient, in [0, 1 - 1/n]: 0 when all hold the same.

    G = sum_i (2 i - n - 1) x_(i) / (n sum x), with x_(i) ascending and i from 1: half the mean
    absolute difference over the mean, of these holders, with no correction for a sample. With
    weights w of sum W, sum_i w_(i) x_(i) (2 (w_(1) + .. + w_(i-1)) + w_(i) - W) / (W sum w x).

    Raises ValueError for negative or non-finite amounts or weights. Source: Gini, *Variabilità e
    mutabilità*, 1912; the formula as in Sen, *On Economic Inequality*, 1973.

    >>> gini([1, 1, 1, 1]), gini([0, 0, 0, 1])
    (0.0, 0.75)
    >>> gini([1, 3], weights=[3, 1]) == gini([1, 1, 1, 3])
    True
    >>> gini([[1, 3], [2, 2]]).tolist()
    [0.25, 0.0]
    """
    shares, weight = _ascending(*_shares(amounts, weights))
    if weight is None:  # the same numbers, without the sums of ones
        n = shares.shape[-1]
        ranks = np.arange(1.0 - n, n, 2.0)
        return _numbers(np.maximum(0.0, (shares * ranks).sum(axis=-1) / n))
    count = weight.sum(axis=-1, keepdims=True)
    ranks = 2.0 * np.cumsum(weight, axis=-1) - weight - count
    return _numbers(np.maximum(0.0, (weight * shares * ranks).sum(axis=-1) / count[..., 0]))


def lorenz(amounts: ArrayLike, weights: ArrayLike | None = None) -> tuple[Array, Array]:
    """Return the Lorenz curve: shares of holders, poorest first, and the shares they hold.

    Both arrays have n + 1 points in [0, 1], from (0, 0) to (1, 1); the curve between two points is
    the straight line, under which lies an area of (1 - gini) / 2. Without a total the second array
    is NaN. Raises ValueError as :func:`gini`.

    >>> holders, held = lorenz([3, 1])
    >>> holders.tolist(), held.tolist()
    ([0.0, 0.5, 1.0], [0.0, 0.25, 1.0])
    """
    shares, weight = _weighted(*_ascending(*_shares(np.ravel(amounts), weights)))
    shares, weight = shares[weight > 0.0], weight[weight > 0.0]
    if shares.size == 0 or np.isnan(shares[0]):
        holders = np.linspace(0.0, 1.0, shares.size + 1) if shares.size else np.zeros(1)
        return holders, np.full(shares.size + 1, np.nan)
    held = np.concatenate([[0.0], np.cumsum(weight * shares)])
    held[-1] = 1.0  # what rounding left over
    holders = np.concatenate([[0.0], np.cumsum(weight) / weight.sum()])
    holders[-1] = 1.0
    return holders, np.minimum(held, 1.0)


def theil(amounts: ArrayLike, weights: ArrayLike | None = None) -> Any:
    """Return Theil's T, in [0, ln n]: 0 when all hold the same.

    T = (1/n) sum_i (x_i / mu) ln(x_i / mu), with 0 ln 0 = 0, in means by weight. Raises
    ValueError as :func:`gini`. Source: Theil, *Economics and Information Theory*, 1967.

    >>> theil([2, 2]), round(theil([0, 5]), 6)
    (0.0, 0.693147)
    """
    shares, weight = _weighted(*_shares(amounts, weights))
    count = weight.sum(axis=-1, keepdims=True)
    ratios = shares * count
    logs = np.log(ratios, out=np.zeros_like(ratios), where=ratios > 0.0)
    return _numbers(np.maximum(0.0, (weight * ratios * logs).sum(axis=-1) / count[..., 0]))


def hhi(amounts: ArrayLike, weights: ArrayLike | None = None) -> Any:
    """Return the Herfindahl-Hirschman index, sum of squared shares, in [1/n, 1].

    With weights, sum w x^2 / (sum w x)^2. 1 / hhi is the number of equal holders that would be as
    concentrated. Raises ValueError as
    :func:`gini`. Source: Herfindahl, *Concentration in the Steel Industry*, 1950.

    >>> hhi([1, 1, 1, 1]), hhi([0, 7])
    (0.25, 1.0)
    """
    shares, weight = _shares(amounts, weights)
    held = shares if weight is None else weight * shares
    return _numbers((held * shares).sum(axis=-1))


def nakamoto_coefficient(
    amounts: ArrayLike, share: float = 0.5, weights: ArrayLike | None = None
) -> Any:
    """Return the fewest holders who together hold more than ``share`` of the total.

    A whole number in [1, n], as a float because it is NaN where there is no total; with weights,
    the sum of theirs. Equal to the
    threshold is not above it, up to rounding (1e-12 of the total). Raises ValueError as
    :func:`gini`, and for a ``share`` outside [0, 1). Source: Srinivasan and Lee, "Quantifying
    Decentralization", 2017.

    >>> nakamoto_coefficient([1, 1, 1, 1]), nakamoto_coefficient([9, 1, 1])
    (3.0, 1.0)
    """
    if not 0.0 <= share < 1.0:
        raise ValueError(f"share must lie in [0, 1), not {share!r}")
    shares, weight = _ascending(*_shares(amounts, weights))
    shares = shares[..., ::-1]
    held = shares if weight is None else weight[..., ::-1] * shares
    above = np.cumsum(held, axis=-1) > share + _ROUNDING
    last = np.maximum(np.count_nonzero(shares, axis=-1), 1) - 1  # where rounding never passes it
    at = np.where(above.any(axis=-1), np.argmax(above, axis=-1), last)
    if weight is None:
        found = at + 1.0
    else:
        count = np.cumsum(weight[..., ::-1], axis=-1)
        found = np.take_along_axis(count, at[..., None], axis=-1)[..., 0]
    return _numbers(np.where(np.isnan(shares[..., 0]), np.nan, found))


def _numbers(found: Array) -> Any:
    """Return one number as a float, several as an array."""
    return float(found) if found.ndim == 0 else found


def _ascending(shares: Array, weight: Array | None) -> tuple[Array, Array | None]:
    if weight is None:
        return np.sort(shares, axis=-1), None
    order = np.argsort(shares, axis=-1, kind="stable")
    return np.take_along_axis(shares, order, -1), np.take_along_axis(weight, order, -1)


def _weighted(shares: Array, weight: Array | None) -> tuple[Array, Array]:
    return shares, np.ones(shares.shape) if weight is None else weight


def _shares(amounts: ArrayLike, weights: ArrayLike | None) -> tuple[Array, Array | None]:
    """Return what each holder holds of the total, NaN where there is no total; and its weight.

    There is none where every amount is of one holder, as at the end of every epoch.
    """
    values = np.asarray(amounts, dtype=np.float64)
    values = values if values.shape[-1:] > (0,) else np.zeros((*values.shape[:-1], 1))
    weight = None if weights is None else np.asarray(weights, dtype=np.float64)
    if weight is not None:
        if not (
            weight.shape == values.shape and np.isfinite(weight).all() and (weight >= 0.0).all()
        ):
            raise ValueError("weights must be finite, not negative, and one for each amount")
        values = np.where(weight > 0.0, values, 0.0)
    if not np.isfinite(values).all():
        raise ValueError("amounts must be finite")
    if values.min(initial=0.0) < 0.0:
        raise ValueError(
            f"amounts must not be negative, and {float(values.min())!r} is: "
            "shares of a total mean nothing then"
        )
    most = values.max(axis=-1, keepdims=True)
    # No sum of huge or tiny amounts leaves the range of a double.
    scaled = np.divide(values, most, out=np.full(values.shape, np.nan), where=most > 0.0)
    held = scaled if weight is None else weight * scaled
    return scaled / held.sum(axis=-1, keepdims=True), weight
