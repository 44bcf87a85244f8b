"""Means and shares over replications, with their confidence intervals."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy  # which imports scipy.special where it is first used: .2 s
from numpy.typing import NDArray

__all__ = [
    "CONFIDENCE",
    "COUNT",
    "POSITIVE",
    "SUMMARISED",
    "UNBOUNDED",
    "Range",
    "decimals",
    "ends_of_difference",
    "ends_within",
    "mean_interval",
    "pearson",
    "share_interval",
    "shown",
    "student",
    "summarise",
]

CONFIDENCE = 0.95
_DUST = 1e-12  #: of a number: what sums of equal values differ by for their rounding alone

#: the columns of ``nodes`` that a summary reads
SUMMARISED = (
    "treatment",
    "replication",
    "role",
    "group",
    "model",
    "presence",
    "jobs",
    "reward_total",
    "cost",
    "latency_ms",
    "latency_source",
)


class Range(NamedTuple):
    """Between what a quantity lies; ``whole`` where it counts things one by one.

    ``known`` where its values are worked out and not observed, as the chance of an event and not
    the share of times it was seen: that all lie at an end is then no accident.
    """

    low: float
    high: float
    whole: bool = False
    known: bool = False

    @property
    def of_difference(self) -> Range:
        """The range of the difference of two such quantities.

        >>> Range(0.0, 10.0).of_difference
        Range(low=-10.0, high=10.0, whole=False, known=False)
        """
        width = self.high - self.low
        return Range(-width, width, known=self.known)


UNBOUNDED = Range(-math.inf, math.inf)
POSITIVE = Range(0.0, math.inf)
COUNT = Range(0.0, math.inf, whole=True)


def mean_interval(
    values: Any, confidence: float = CONFIDENCE, within: Range = UNBOUNDED
) -> tuple[float, float, float, float]:
    """Return mean, s.d. and the two ends of the mean's confidence interval inside its range.

    With m the mean of n values, s their s.d. and h = t_{(1 + confidence) / 2, n - 1} s / sqrt(n):

    * without ends, Student's interval m -+ h;
    * inside (a, b), the same on the scale of g(x) = log((x - a) / (b - x)), and back:
      g^-1(g(m) -+ h g'(m)), g'(m) = (b - a) / ((m - a) (b - m)). For a correlation this is Fisher's
      z, for a share the logit;
    * above a, on the scale of g(x) = sqrt(x - a), which ends at a;
    * all values at one end of a range is no proof that others cannot come. With chance
      1 - confidence at most, n replications show nothing else if others have a chance above
      p = 1 - ((1 - confidence) / 2)^(1/n), Clopper and Pearson's: the interval reaches from that
      end p (b - a) into the range. Of counts that are all 0, Garwood's: up to
      -log((1 - confidence) / 2) / n. What is ``known`` and not observed stays where it is.

    Values that agree inside the range, or where it has no end, leave no error to tell of: what
    averages over rounds agrees to the last bit by construction only. One value has no interval:
    s.d. and ends are NaN, and so is the mean of none.

    Replications are independent, so Student's interval is exact for normal values; the others are
    close for means over many rounds, and never leave the range.

    Source: Fisher (1921), Metron 1, 3-32; Clopper and Pearson (1934), Biometrika 26, 404-413;
    Garwood (1936), Biometrika 28, 437-442; for the delta method, van der Vaart (1998), chapter 3.

    >>> [round(x, 4) for x in mean_interval([1.0, 2.0, 3.0])]
    [2.0, 1.0, -0.4841, 4.4841]
    >>> [round(x, 4) for x in mean_interval([0.0, 0.0, 0.1], within=Range(0.0, 1.0))]
    [0.0333, 0.0577, 0.0004, 0.7472]
    >>> [round(x, 4) for x in mean_interval([0.0] * 40, within=Range(0.0, 1.0))]
    [0.0, 0.0, 0.0, 0.0881]
    """
    sample = np.asarray(values, dtype=np.float64)
    mean, sd, half = (float(found) for found in student(sample, confidence))
    return mean, sd, *ends_within(within, mean, half, sample.size, confidence)


def student(
    samples: NDArray[np.float64], confidence: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return mean, s.d. and half the width of Student's interval of samples along the last axis."""
    size = samples.shape[-1]
    missing = np.full(samples.shape[:-1], np.nan)
    if size == 0:
        return missing, missing, missing
    mean = samples.mean(axis=-1)
    if size < 2:
        return mean, missing, missing
    sd = samples.std(axis=-1, ddof=1)
    quantile = float(scipy.special.stdtrit(size - 1, (1 + confidence) / 2))
    return mean, sd, quantile * sd / math.sqrt(size)


def ends_within(
    within: Range, mean: float, half: float, n: int, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Return the ends of a mean's interval inside its range; :func:`mean_interval` says how.

    ``half`` is half the width of Student's interval of the ``n`` values.

    >>> [round(end, 3) for end in ends_within(Range(-1.0, 1.0), 0.9, 0.2, 20)]
    [0.397, 0.987]
    """
    low, high = within.low, within.high
    if not (math.isfinite(mean) and math.isfinite(half)):
        return mean - half, mean + half
    if mean <= low or mean >= high:
        return _beside_the_end(within, mean, n, confidence)
    if half == 0.0:
        return mean, mean
    if math.isinf(low) and math.isinf(high):
        return mean - half, mean + half
    if math.isfinite(low) and math.isfinite(high):
        width, below, above = high - low, mean - low, high - mean
        odds, stretch = math.log(below / above), half * width / (below * above)
        lower, upper = (
            low + width * float(scipy.special.expit(odds + way * stretch)) for way in (-1.0, 1.0)
        )
        return min(lower, mean), max(min(upper, high), mean)
    sign, reach = (1.0, mean - low) if math.isfinite(low) else (-1.0, high - mean)
    root = math.sqrt(reach)
    ends = (max(root + way * half / (2.0 * root), 0.0) ** 2 for way in (-1.0, 1.0))
    nearer, farther = (mean + sign * (end - reach) for end in ends)
    return (max(nearer, low), farther) if sign > 0.0 else (farther, min(nearer, high))


def ends_of_difference(
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    half: float,
    within: Range = UNBOUNDED,
    confidence: float = CONFIDENCE,
) -> tuple[float, float]:
    """Return the ends of the interval of the mean of matched differences, b - a.

    Those of :func:`ends_within` in the range of such differences; ``half`` is half the width of
    Student's interval. Where neither a nor b varies, as the share of an event that was seen in
    neither, each may be off by what its own interval says, and so may their difference. Where they
    vary and differ by the same, they do so by construction.

    >>> [round(x, 3) for x in ends_of_difference(np.zeros(40), np.zeros(40), 0.0, Range(0.0, 1.0))]
    [-0.088, 0.088]
    """
    if np.ptp(a) == np.ptp(b) == 0.0:
        sides = [ends_within(within, float(side[0]), 0.0, side.size, confidence) for side in (a, b)]
        return sides[1][0] - sides[0][1], sides[1][1] - sides[0][0]
    mean = math.fsum(b - a) / a.size
    if half == 0.0:
        return mean, mean
    return ends_within(within.of_difference, mean, half, a.size, confidence)


def _beside_the_end(within: Range, mean: float, n: int, confidence: float) -> tuple[float, float]:
    """Return the interval of a mean that lies at an end of its range."""
    low, high, whole, known = within
    if known:
        return mean, mean
    miss = (1.0 - confidence) / 2.0
    if math.isfinite(high - low):
        reach = (1.0 - miss ** (1.0 / n)) * (high - low)
        return (low, low + reach) if mean <= low else (high - reach, high)
    return (mean, mean - math.log(miss) / n) if whole and mean <= low else (mean, mean)


def decimals(estimate: float, low: float, high: float) -> int:
    """Return how many decimals show an estimate: as many as its interval can tell apart.

    Two digits of the interval's width, but no more than five of the number itself, and nine in all.
    Without an interval, or where its width is the rounding of sums, four digits of the number.

    >>> decimals(0.123, 0.120, 0.126), decimals(1234.5, 1200.0, 1269.0), decimals(0.5, 0.5, 0.5)
    (4, 0, 4)
    >>> decimals(44.99999626, 44.99999615, 44.99999637)
    3
    """
    size = max((abs(x) for x in (estimate, low, high) if math.isfinite(x)), default=0.0)
    width = high - low
    if not size > 0.0:
        return 0
    of_number = -math.floor(math.log10(size))
    if not (math.isfinite(width) and width > _DUST * size):
        return min(max(3 + of_number, 0), 9)
    return min(max(min(1 - math.floor(math.log10(width)), 4 + of_number), 0), 9)


def shown(estimate: float, low: float, high: float, *, sign: str = "") -> tuple[str, str]:
    """Return an estimate and its interval in words, with :func:`decimals` decimals.

    An interval that is narrower than these is told by the larger half of its width. Missing values
    are dashes; ``sign`` is that of Python's format strings.

    >>> shown(0.123, 0.120, 0.126)
    ('0.1230', '[0.1200, 0.1260]')
    >>> shown(44.99999626, 44.99999615, 44.99999637)
    ('45.000', '±1.1e-07')
    >>> shown(0.0, 0.0, 0.0), shown(math.nan, math.nan, math.nan)
    (('0', '[0, 0]'), ('-', '-'))
    """
    digits = decimals(estimate, low, high)
    texts = [
        "-" if math.isnan(x) else f"{round(x, digits) + 0.0:{sign},.{digits}f}"
        for x in (estimate, low, high)
    ]
    if "-" in texts[1:]:
        return texts[0], "-"
    if texts[1] == texts[2] and high - low > _DUST * max(abs(low), abs(high)):
        return texts[0], f"±{max(estimate - low, high - estimate):.2g}"
    return texts[0], f"[{texts[1]}, {texts[2]}]"


def pearson(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Return Pearson's correlation of two arrays of one shape, by sums of no BLAS.

    >>> pearson(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0]))
    1.0
    """
    x, y = x - x.mean(), y - y.mean()
    return float((x * y).sum() / math.sqrt((x * x).sum() * (y * y).sum()))


def share_interval(
    successes: Any, trials: Any, confidence: float = CONFIDENCE, *, clustered: bool = True
) -> tuple[float, float, float]:
    """Return a share of trials over replications and the two ends of its interval, in [0, 1].

    p = sum s / sum n, with the interval of Korn and Graubard (1998): Clopper and Pearson's at the
    effective number of trials n* = p (1 - p) / v, less what estimating v from R replications costs,
    (z / t_{R - 1})^2. v = R / (R - 1) sum (s - p n)^2 / (sum n)^2 is the variance of the ratio, so
    outcomes that a replication shares count as few. n* lies between the number of replications,
    Kish's (sum n)^2 / sum n^2, which is what all-or-nothing outcomes are worth, and that of trials.
    Where nothing or everything succeeded v says nothing and n* is the lower of the two: the upper
    end of a share of 0 is 1 - (a / 2)^(1 / n*), a = 1 - confidence. One replication has no
    interval, no trial no share.

    Parameters
    ----------
    successes, trials
        One entry per replication, shape (R,); counts, or sums of weights in [0, 1].
    confidence
        Level of the interval, in (0, 1).
    clustered
        Whether the trials of a replication can share their outcome. Where they cannot, a share of 0
        or 1 rests on all trials and not on the number of replications.

    Examples
    --------
    >>> [round(x, 4) for x in share_interval([10, 0, 0, 0], [10, 10, 10, 10])]
    [0.25, 0.0063, 0.8059]
    >>> [round(x, 4) for x in share_interval([0] * 20, [100] * 20)]
    [0.0, 0.0, 0.1684]
    >>> [round(x, 4) for x in share_interval([0] * 20, [100] * 20, clustered=False)]
    [0.0, 0.0, 0.0018]
    """
    hits = np.asarray(successes, dtype=np.float64)
    tried = np.asarray(trials, dtype=np.float64)
    hits, tried = hits[tried > 0.0], tried[tried > 0.0]
    count, total = tried.size, float(tried.sum())
    if count == 0:
        return math.nan, math.nan, math.nan
    share = min(max(float(hits.sum()) / total, 0.0), 1.0)
    if count < 2:
        return share, math.nan, math.nan
    tail = (1.0 - confidence) / 2.0
    least = total**2 / float((tried**2).sum())
    effective = least if clustered else total
    if 0.0 < share < 1.0:
        variance = count / (count - 1) * float(((hits - share * tried) ** 2).sum()) / total**2
        student = float(scipy.special.stdtrit(count - 1, 1.0 - tail))
        narrowing = (scipy.special.ndtri(1.0 - tail) / student) ** 2
        spread = share * (1.0 - share)
        effective = max(spread / variance * narrowing, least) if variance > 0.0 else total
        effective = min(effective, total)
    hit, missed = effective * share, effective * (1.0 - share)
    low = float(scipy.special.betaincinv(hit, missed + 1.0, tail)) if hit > 0.0 else 0.0
    high = float(scipy.special.betaincinv(hit + 1.0, missed, 1.0 - tail)) if missed > 0.0 else 1.0
    return share, low, high


def summarise(
    nodes: pd.DataFrame | Iterable[pd.DataFrame], confidence: float = CONFIDENCE
) -> pd.DataFrame:
    """Return one row per treatment and population group: reward per job with its interval.

    The estimate of one replication is the tokens that the group was paid over its jobs; mean, s.d.
    and interval are over replications (of those in which the group had a job at all). ``nodes`` is
    how many of the group were there at a time, on average; ``cost``, the C charged, and
    ``latency_ms`` are means over the jobs of all replications.

    Parameters
    ----------
    nodes
        A table with the columns of :data:`poq_abm.experiment.schemas.NODES`, or parts of one that
        hold whole replications.
    confidence
        Level of the interval, in (0, 1).
    """
    keys = ["treatment", "role", "group"]
    parts = [nodes] if isinstance(nodes, pd.DataFrame) else nodes
    ours = pd.concat([_by_replication(part, keys) for part in parts])
    cell = ours.groupby(level=keys, observed=True, sort=False).ngroup().to_numpy()
    first = np.unique(cell, return_index=True)[1]
    reward = _over(ours["reward_total"].to_numpy(), ours["jobs"].to_numpy())
    known = np.flatnonzero(~np.isnan(reward))
    mean, sd, half = np.full((3, first.size), np.nan)
    for cells, places in _equally_many(cell[known]):
        mean[cells], sd[cells], half[cells] = student(reward[known][places], confidence)
    names = ["nodes", "jobs", "cost", "latency_ms"]
    totals, count = np.empty((len(names), first.size)), np.empty(first.size, np.int64)
    for cells, places in _equally_many(cell):
        count[cells] = places.shape[1]
        for total, name in zip(totals, names, strict=True):
            total[cells] = ours[name].to_numpy(np.float64)[places].sum(axis=1)
    nodes_there, jobs, cost, latency = totals
    return pd.DataFrame(
        {
            **{key: ours.index.get_level_values(key)[first].tolist() for key in keys},
            "model": ours["model"].iloc[first].astype(str).tolist(),
            "nodes": nodes_there / count,
            "replications": count,
            "jobs_mean": jobs / count,
            "reward_mean": mean,
            "reward_sd": sd,
            "reward_low": mean - half,
            "reward_high": mean + half,
            "cost": _over(cost, jobs),
            "latency_ms": _over(latency, jobs),
            "latency_source": ours["latency_source"].iloc[first].astype(str).tolist(),
        }
    )


def _by_replication(nodes: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Return sums over the nodes of a group, and what its first node is, by replication."""
    charged, waited = (nodes[name] * nodes["jobs"] for name in ("cost", "latency_ms"))
    by = nodes.assign(cost=charged, latency_ms=waited).groupby(
        [*keys, "replication"], observed=True, sort=False
    )
    return by.agg(
        model=("model", "first"),
        nodes=("presence", "sum"),
        jobs=("jobs", "sum"),
        reward_total=("reward_total", "sum"),
        cost=("cost", "sum"),
        latency_ms=("latency_ms", "sum"),
        latency_source=("latency_source", "first"),
    )


def _equally_many(
    cell: NDArray[np.integer[Any]],
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield the cells that have equally many rows, and the places of their rows, a cell a row.

    So all of these are summed at once, each in the order of its own rows.

    >>> [(cells.tolist(), places.tolist()) for cells, places in _equally_many(np.array([0, 1, 0]))]
    [([1], [[1]]), ([0], [[0, 2]])]
    """
    order, counts = np.argsort(cell, kind="stable"), np.bincount(cell)
    starts = np.cumsum(counts) - counts
    for size in np.unique(counts[counts > 0]):
        cells = np.flatnonzero(counts == size)
        yield cells, order[starts[cells, None] + np.arange(size)]


def _over(totals: NDArray[Any], jobs: NDArray[Any]) -> NDArray[np.float64]:
    """Return totals over jobs; NaN where there was none."""
    found = np.full(jobs.shape, np.nan)
    np.divide(totals, jobs, out=found, where=jobs > 0)
    return found
