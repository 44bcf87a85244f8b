"""Means and shares over replications, with their confidence intervals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import betaincinv, ndtri, stdtrit

__all__ = ["CONFIDENCE", "SUMMARISED", "mean_interval", "share_interval", "summarise"]

CONFIDENCE = 0.95

#: the columns of ``nodes`` that a summary reads
SUMMARISED = (
    "treatment",
    "replication",
    "role",
    "group",
    "model",
    "jobs",
    "reward_total",
    "cost",
    "latency_ms",
    "latency_source",
)


def mean_interval(values: Any, confidence: float = CONFIDENCE) -> tuple[float, float, float, float]:
    """Return mean, s.d. and the two ends of Student's confidence interval of the mean.

    mean -+ t_{(1 + confidence) / 2, n - 1} s / sqrt(n). Replications are independent, so the
    interval is exact for normal values and close for means over many rounds. One value has no
    interval: s.d. and ends are NaN.

    >>> [round(x, 4) for x in mean_interval([1.0, 2.0, 3.0])]
    [2.0, 1.0, -0.4841, 4.4841]
    """
    sample = np.asarray(values, dtype=np.float64)
    n = sample.size
    mean = float(sample.mean())
    if n < 2:
        return mean, np.nan, np.nan, np.nan
    sd = float(sample.std(ddof=1))
    half = float(stdtrit(n - 1, (1 + confidence) / 2)) * sd / math.sqrt(n)
    return mean, sd, mean - half, mean + half


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
        narrowing = (ndtri(1.0 - tail) / float(stdtrit(count - 1, 1.0 - tail))) ** 2
        spread = share * (1.0 - share)
        effective = max(spread / variance * narrowing, least) if variance > 0.0 else total
        effective = min(effective, total)
    hit, missed = effective * share, effective * (1.0 - share)
    low = float(betaincinv(hit, missed + 1.0, tail)) if hit > 0.0 else 0.0
    high = float(betaincinv(hit + 1.0, missed, 1.0 - tail)) if missed > 0.0 else 1.0
    return share, low, high


def summarise(nodes: pd.DataFrame, confidence: float = CONFIDENCE) -> pd.DataFrame:
    """Return one row per treatment and population group: reward per job with its interval.

    The estimate of one replication is the group's reward over its jobs; mean, s.d. and interval are
    over replications (of those in which the group had a job at all).

    Parameters
    ----------
    nodes
        A table with the columns of :data:`poq_abm.experiment.tables.NODES`.
    confidence
        Level of the interval, in (0, 1).
    """
    keys = ["treatment", "role", "group"]
    by_replication = nodes.groupby([*keys, "replication"], observed=True, sort=False).agg(
        model=("model", "first"),
        nodes=("jobs", "size"),
        jobs=("jobs", "sum"),
        reward_total=("reward_total", "sum"),
        cost=("cost", "first"),
        latency_ms=("latency_ms", "first"),
        latency_source=("latency_source", "first"),
    )
    jobs = by_replication["jobs"].to_numpy(dtype=np.float64)
    reward = np.full(jobs.size, np.nan)
    np.divide(by_replication["reward_total"].to_numpy(), jobs, out=reward, where=jobs > 0)
    by_replication["reward"] = reward
    rows = []
    for key, group in by_replication.groupby(level=keys, observed=True, sort=False):
        estimates = group["reward"].dropna()
        mean, sd, low, high = (
            mean_interval(estimates, confidence) if len(estimates) else (np.nan,) * 4
        )
        rows.append(
            {
                **dict(zip(keys, key, strict=True)),
                "model": str(group["model"].iloc[0]),
                "nodes": int(group["nodes"].iloc[0]),
                "replications": len(group),
                "jobs_mean": float(group["jobs"].mean()),
                "reward_mean": mean,
                "reward_sd": sd,
                "reward_low": low,
                "reward_high": high,
                "cost": float(group["cost"].iloc[0]),
                "latency_ms": float(group["latency_ms"].iloc[0]),
                "latency_source": str(group["latency_source"].iloc[0]),
            }
        )
    return pd.DataFrame(rows)
