"""When a treatment has been replicated often enough: a precision target and its honest interval.

Looking at the interval again and again, and stopping when one likes it, makes an ordinary interval
cover less often than it says. These intervals hold at all looks together, whatever makes one stop.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import scipy  # which imports scipy.special where it is first used: .2 s
from numpy.typing import NDArray

from poq_abm.errors import InputError
from poq_abm.experiment.estimates import UNBOUNDED, Range, ends_of_difference, ends_within

__all__ = [
    "PrecisionTarget",
    "Reached",
    "State",
    "constant_bound",
    "critical_level",
    "judge",
    "judge_at_level",
    "looks",
    "next_look",
    "simultaneous_probability",
]

State = Literal["reached", "spent", "undefined", "going on"]


Looks = tuple[int, ...]

#: Looks closer than this share of their size are taken as this far apart: less dependence raises
#: the bound (by 0.004 at most for one such pair at 0.95), and the grid stays below 2,500 nodes.
CLOSEST = 1e-4

#: Gauss-Legendre nodes per kernel width, in units of the half range: a Gaussian is then integrated
#: with an error of about exp(-2 * 4**2), 1e-14.
NODES_PER_WIDTH = 4
FEWEST_NODES = 48

_DIGITS = 10  # of a bound: beyond them it depends on the processor that LAPACK finds nodes on


@dataclass(frozen=True)
class PrecisionTarget:
    """How well the mean of a metric is to be known, and how many replications that may take.

    Attributes
    ----------
    metric
        The column of the replications table.
    half_width, relative
        Half the interval's width, in the metric's units or as a share of the mean; exactly one of
        the two, positive. Of an interval that its range makes uneven, the larger half.
    at_least, at_most
        Replications at the first look, at least 2, and at the last.
    confidence
        Chance that the reported interval holds the mean, inside (0, 1).
    within
        The range of the metric, which no interval leaves.

    Raises
    ------
    InputError
        If a value is out of range.
    """

    metric: str
    half_width: float | None
    relative: float | None
    at_least: int
    at_most: int
    confidence: float = 0.95
    within: Range = UNBOUNDED

    def __post_init__(self) -> None:
        sizes = [size for size in (self.half_width, self.relative) if size is not None]
        if len(sizes) != 1:
            raise InputError("a precision target takes exactly one of half_width and relative")
        if not 0.0 < sizes[0] < math.inf:
            name = "half_width" if self.relative is None else "relative"
            raise InputError(f"{name} must be a positive number, not {sizes[0]}")
        if not 2 <= self.at_least <= self.at_most:
            raise InputError(
                "a precision target needs 2 <= at_least <= at_most,"
                f" not {self.at_least} and {self.at_most}"
            )
        if not 0.0 < self.confidence < 1.0:
            raise InputError(f"confidence must lie between 0 and 1, not at {self.confidence}")

    @property
    def looks(self) -> tuple[int, ...]:
        """The numbers of replications at which the target is judged."""
        return looks(self.at_least, self.at_most)

    def is_met(self, mean: float, half_width: float) -> bool:
        """Tell whether an interval mean -+ h is narrow enough.

        h <= half_width, or h <= relative (|mean| - h), the end nearest to zero: then the estimate
        lies within ``relative`` of the *true* mean wherever the interval holds it, and zero lies
        outside. An interval without width always is.

        Source: Law (2015), Simulation Modeling and Analysis, section 9.4, for the relative rule,
        there written h / |mean| <= relative / (1 + relative).

        >>> PrecisionTarget("spearman", None, 0.1, 20, 100).is_met(mean=1.1, half_width=0.1)
        True
        >>> PrecisionTarget("spearman", None, 0.1, 20, 100).is_met(mean=1.0, half_width=0.1)
        False
        """
        if half_width == 0.0:
            return True
        if self.half_width is not None:
            return half_width <= self.half_width
        assert self.relative is not None
        return half_width <= self.relative * (abs(mean) - half_width)


@dataclass(frozen=True)
class Reached:
    """What one look has found: the estimate, its interval, and whether to go on.

    Attributes
    ----------
    replications, used
        Replications played, and those in which the metric is not missing.
    mean, low, high, half_width
        The estimate and its interval; NaN where ``state`` is undefined (the mean of a single
        value is told).
    state
        ``reached`` the target; ``spent`` all replications without reaching it; ``undefined``, fewer
        than two values to go by; or ``going on``. Only the last asks for more replications.
    looks
        Looks so far, this one included.
    """

    replications: int
    used: int
    mean: float
    low: float
    high: float
    half_width: float
    state: State
    looks: int


def looks(at_least: int, at_most: int) -> tuple[int, ...]:
    """Return the sample sizes at which a target is judged.

    n_1 = at_least, n_{i+1} = ceil(1.5 n_i), and at_most at the end.

    Raises
    ------
    InputError
        If not 1 <= at_least <= at_most.

    Examples
    --------
    >>> looks(20, 100)
    (20, 30, 45, 68, 100)
    >>> looks(20, 20)
    (20,)
    """
    if not 1 <= at_least <= at_most:
        raise InputError(f"looks need 1 <= at_least <= at_most, not {at_least} and {at_most}")
    sizes = [at_least]
    while sizes[-1] < at_most:
        sizes.append(min(at_most, (3 * sizes[-1] + 1) // 2))
    return tuple(sizes)


def next_look(target: PrecisionTarget, replications: int) -> int | None:
    """Return the smallest look above ``replications``, or None where none is left.

    >>> next_look(PrecisionTarget("spearman", 0.1, None, 20, 100), 20)
    30
    """
    return next((look for look in target.looks if look > replications), None)


def judge(target: PrecisionTarget, values: Any, baseline: Any = None) -> Reached:
    """Return what the metric's values of replications 0 to n - 1 say, n being one of the looks.

    The interval of :func:`~poq_abm.experiment.estimates.mean_interval` over the m values that are
    not missing (NaN), mean -+ t_{1 - α'/2, m - 1} s / sqrt(m) where the metric has no range, at the
    level α' of :func:`critical_level`, which makes the intervals
    hold at all looks together with probability ``target.confidence``. They therefore hold at
    whichever look one stops. With missing values this is so if their absence tells nothing about
    what they would have been. The result depends on the values alone, not on their order.

    Source: Jennison and Turnbull (1989), J. R. Statist. Soc. B 51, 305-361, repeated confidence
    intervals; (2000), chapter 9, and section 4.4 for Student's t.

    Parameters
    ----------
    target
        What is wanted.
    values
        Shape (n,), in the order of replications. An infinite value leaves the mean undefined.
    baseline
        The same of another treatment, played with the same draws, if the target is on the mean of
        the matched differences, values less baseline; one that lacks a side is missing.

    Raises
    ------
    ValueError
        If n is not a look: the level would not be the right one.

    Examples
    --------
    >>> target = PrecisionTarget("spearman", 5.0, None, 3, 3)
    >>> judge(target, [1.0, 2.0, 3.0]).state
    'reached'
    >>> round(judge(target, [1.0, 2.0, 3.0]).half_width, 3)
    2.484
    """
    level = critical_level(target.looks, target.confidence)
    return judge_at_level(target, values, level, baseline)


def judge_at_level(
    target: PrecisionTarget, values: Any, level: float, baseline: Any = None
) -> Reached:
    """Return what :func:`judge` does, with intervals at a two-sided level of one's own.

    ``level`` = 1 - confidence gives the naive rule, which forgets that one has looked before.

    Raises
    ------
    ValueError
        If the number of values is not a look.
    """
    sample = np.asarray(values, dtype=np.float64)
    schedule = target.looks
    if sample.ndim != 1 or sample.size not in schedule:
        raise ValueError(f"{sample.shape} values are no look; looks are at {schedule}")
    other = np.zeros_like(sample) if baseline is None else np.asarray(baseline, dtype=np.float64)
    whole = ~np.isnan(sample - other)
    known, other = sample[whole], other[whole]
    mean, half_width = _interval(known - other, level)
    if math.isnan(half_width):
        low = high = math.nan
    elif baseline is None:
        low, high = ends_within(target.within, mean, half_width, known.size, 1.0 - level)
    else:
        low, high = ends_of_difference(other, known, half_width, target.within, 1.0 - level)
    if target.within != UNBOUNDED:
        half_width = max(mean - low, high - mean)
    return Reached(
        replications=sample.size,
        used=known.size,
        mean=mean,
        low=low,
        high=high,
        half_width=half_width,
        state=_state(target, mean, half_width, last=sample.size == target.at_most),
        looks=schedule.index(sample.size) + 1,
    )


def _interval(known: Any, level: float) -> tuple[float, float]:
    """Return the mean and half the width of Student's interval; NaN where there is none.

    Sums are exact before they are rounded, so neither the order nor the machine's vector width can
    move a stop.
    """
    n = known.size
    if n == 0 or not np.isfinite(known).all():
        return math.nan, math.nan
    if known.min() == known.max():
        return float(known[0]), 0.0 if n > 1 else math.nan
    mean = math.fsum(known.tolist()) / n
    variance = math.fsum(((known - mean) ** 2).tolist()) / (n - 1)
    quantile = -float(scipy.special.stdtrit(n - 1, level / 2.0))
    return mean, quantile * math.sqrt(variance / n)


def _state(target: PrecisionTarget, mean: float, half_width: float, *, last: bool) -> State:
    if math.isnan(half_width):
        return "undefined"
    if target.is_met(mean, half_width):
        return "reached"
    return "spent" if last else "going on"


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
    return float(2.0 * scipy.special.ndtr(-constant_bound(looks, confidence)))


def _check(looks: Looks) -> None:
    if not looks or looks[0] < 1 or any(b <= a for a, b in pairwise(looks)):
        raise InputError(f"looks must be rising positive sample sizes, not {looks}")


def _quantile(confidence: float) -> float:
    return float(-scipy.special.ndtri(0.5 * (1.0 - confidence)))


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
