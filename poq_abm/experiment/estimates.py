"""Means over replications, with their confidence intervals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

__all__ = ["CONFIDENCE", "SUMMARISED", "mean_interval", "summarise"]

CONFIDENCE = 0.95

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


def summarise(nodes: pd.DataFrame, confidence: float = CONFIDENCE) -> pd.DataFrame:
    """Return one row per treatment and population group: reward per job with its interval.

    The estimate of one replication is the tokens that the group was paid over its jobs; mean, s.d.
    and interval are over replications (of those in which the group had a job at all). ``nodes`` is
    how many of the group were there at a time, on average; ``cost``, the C charged, and
    ``latency_ms`` are means over the jobs of all replications.

    Parameters
    ----------
    nodes
        A table with the columns of :data:`poq_abm.experiment.tables.NODES`.
    confidence
        Level of the interval, in (0, 1).
    """
    keys = ["treatment", "role", "group"]
    charged, waited = (nodes[name] * nodes["jobs"] for name in ("cost", "latency_ms"))
    table = nodes.assign(cost=charged, latency_ms=waited)
    by_replication = table.groupby([*keys, "replication"], observed=True, sort=False).agg(
        model=("model", "first"),
        nodes=("presence", "sum"),
        jobs=("jobs", "sum"),
        reward_total=("reward_total", "sum"),
        cost=("cost", "sum"),
        latency_ms=("latency_ms", "sum"),
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
                "nodes": float(group["nodes"].mean()),
                "replications": len(group),
                "jobs_mean": float(group["jobs"].mean()),
                "reward_mean": mean,
                "reward_sd": sd,
                "reward_low": low,
                "reward_high": high,
                "cost": _per_job(group, "cost"),
                "latency_ms": _per_job(group, "latency_ms"),
                "latency_source": str(group["latency_source"].iloc[0]),
            }
        )
    return pd.DataFrame(rows)


def _per_job(group: pd.DataFrame, total: str) -> float:
    """Return a total over the jobs of all replications; NaN where there was none."""
    jobs = float(group["jobs"].sum())
    return float(group[total].sum()) / jobs if jobs > 0.0 else math.nan
