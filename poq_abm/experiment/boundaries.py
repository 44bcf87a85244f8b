"""How wide intervals must be that hold at every look at growing data, not only at one."""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from poq_abm.errors import InputError

__all__ = ["constant_bound", "critical_level", "simultaneous_probability"]

Looks = tuple[int, ...]

#: Looks closer than this share of their size are taken as this far apart: less dependence raises
#: the bound (by 0.004 at most for one such pair at 0.95), and the grid stays below 2,500 nodes.
CLOSEST = 1e-4

#: Gauss-Legendre nodes per kernel width, in units of the half range: a Gaussian is then integrated
#: with an error of about exp(-2 * 4**2), 1e-14.
NODES_PER_WIDTH = 4
FEWEST_NODES = 48

_DIGITS = 10  # of a bound: beyond them it depends on the processor that LAPACK finds nodes on


def simultaneous_probability(looks: Looks, bound: float) -> float:
    """Return the chance that a standardised normal mean stays within -+c at all looks.

    P(max_i |Z_i| <= c), Z_i = sum_{j <= n_i} X_j / sqrt(n_i), X_j independent and standard normal.
    The density of Z_i on the paths that have not left [-c, c] follows from that of Z_{i-1},

        f_i(z) = ∫_{-c}^{c} f_{i-1}(u) sqrt(n_i / d) φ((z sqrt(n_i) - u sqrt(n_{i-1})) / sqrt(d)) du

    with d = n_i - n_{i-1}; integrals by Gauss-Legendre quadrature on a fixed grid.

    Source: Armitage, McPherson and Rowe (1969), J. R. Statist. Soc. A 132, 235-244.

    Parameters
    ----------
    looks
        Sample sizes n_1 < n_2 < ... at which one looks, positive.
    bound
        c, positive.

    Raises
    ------
    InputError
        If the sizes do not rise or the bound is not positive.

    Examples
    --------
    >>> round(simultaneous_probability((1,), 1.959964), 6)
    0.95
    >>> round(simultaneous_probability((1, 2, 3, 4, 5), 1.959964), 3)
    0.858
    """
    _check(looks)
    if not 0.0 < bound < math.inf:
        raise InputError(f"the bound must be a positive number, not {bound}")
    gaps = _gaps(looks)
    return _probability(gaps, bound, *_grid(gaps, bound))


def constant_bound(looks: Looks, confidence: float) -> float:
    """Return the c with P(max_i |Z_i| <= c) = confidence: Pocock's constant for any look sizes.

    It lies between the normal quantiles at ``confidence`` (one look) and at
    confidence^(1 / looks) (independent looks, Šidák's inequality).

    Source: Pocock (1977), Biometrika 64, 191-199, for equal steps; Jennison and Turnbull (2000),
    Group Sequential Methods with Applications to Clinical Trials, for others.

    Raises
    ------
    InputError
        If the sizes do not rise or the confidence is not inside (0, 1).

    Examples
    --------
    >>> round(constant_bound((10, 20), 0.95), 3)
    2.178
    """
    # scipy.optimize takes 0.1 s to import, and only runs with a precision target solve for a bound.
    from scipy.optimize import brentq  # noqa: PLC0415

    _check(looks)
    if not 0.0 < confidence < 1.0:
        raise InputError(f"confidence must lie between 0 and 1, not at {confidence}")
    low = _quantile(confidence)
    if len(looks) == 1:
        return low
    gaps = _gaps(looks)
    # The margin keeps a root inside that rounds to an end.
    low, high = 0.999 * low, 1.001 * _quantile(confidence ** (1.0 / len(looks)))
    grid = _grid(gaps, high)
    root = brentq(lambda c: _probability(gaps, c, *grid) - confidence, low, high, xtol=1e-12)
    return round(float(root), _DIGITS)


@lru_cache(maxsize=256)
def critical_level(looks: Looks, confidence: float) -> float:
    """Return the two-sided level at which each single look makes all looks hold together.

    α' = 2 (1 - Φ(c)), c from :func:`constant_bound`; 1 - confidence where there is one look. A
    statistic with another distribution, such as Student's t, is used at the same level: the
    significance-level approach of Jennison and Turnbull (2000), section 4.4.

    Raises
    ------
    InputError
        As :func:`constant_bound`.

    Examples
    --------
    >>> round(critical_level((20,), 0.95), 6)
    0.05
    >>> round(critical_level((20, 40), 0.95), 4)
    0.0294
    """
    return float(2.0 * ndtr(-constant_bound(looks, confidence)))


def _check(looks: Looks) -> None:
    if not looks or looks[0] < 1 or any(b <= a for a, b in pairwise(looks)):
        raise InputError(f"looks must be rising positive sample sizes, not {looks}")


def _quantile(confidence: float) -> float:
    return float(-ndtri(0.5 * (1.0 - confidence)))


def _gaps(looks: Looks) -> NDArray[np.float64]:
    """Return (n_i - n_{i-1}) / n_i of the looks after the first: all that the probability needs."""
    sizes = np.array(looks, dtype=np.float64)
    return np.maximum(np.diff(sizes) / sizes[1:], CLOSEST)


def _grid(
    gaps: NDArray[np.float64], bound: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return nodes and weights over [-1, 1], close enough for the narrowest step at this bound."""
    width = math.sqrt(gaps.min(initial=1.0))
    nodes = math.ceil(NODES_PER_WIDTH * bound / width)
    return np.polynomial.legendre.leggauss(FEWEST_NODES + nodes)


def _probability(
    gaps: NDArray[np.float64],
    bound: float,
    nodes: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> float:
    z, w = bound * nodes, bound * weights
    density = np.exp(-0.5 * z * z)
    for gap in gaps:
        step = z[:, None] - math.sqrt(1.0 - gap) * z[None, :]
        kernel = np.exp(-0.5 * step * step / gap)
        density = (kernel * (w * density)).sum(axis=1) / math.sqrt(2.0 * math.pi * gap)
    return float((w * density).sum()) / math.sqrt(2.0 * math.pi)
