"""Means over replications and their intervals."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from poq_abm.experiment.estimates import mean_interval, summarise


def test_interval_is_students() -> None:
    values = np.array([0.1, 0.4, 0.35, 0.8])
    mean, sd, low, high = mean_interval(values)
    expected = stats.t.interval(0.95, 3, values.mean(), stats.sem(values))
    assert (mean, sd) == pytest.approx((values.mean(), values.std(ddof=1)))
    assert (low, high) == pytest.approx(expected)


def test_one_value_has_no_interval() -> None:
    mean, sd, low, high = mean_interval([0.7])
    assert mean == 0.7
    assert all(math.isnan(value) for value in (sd, low, high))


def test_interval_covers_at_its_nominal_rate() -> None:
    draws = np.random.default_rng(7).normal(0.0, 1.0, size=(2000, 5))
    covered = sum(low <= 0.0 <= high for _, _, low, high in map(mean_interval, draws))
    # Binomial(2000, 0.95) leaves [1862, 1937] with probability below 1e-4.
    assert 1862 <= covered <= 1937


def node(replication: int, group: str, jobs: int, total: float) -> dict[str, object]:
    return {
        "treatment": "base",
        "replication": replication,
        "role": "inference",
        "group": group,
        "model": "m",
        "jobs": jobs,
        "reward_total": total,
        "presence": 1.0,
        "cost": 0.5,
        "latency_ms": 100.0,
        "latency_source": "measured",
    }


def test_a_groups_estimate_weighs_nodes_by_their_jobs() -> None:
    rows = [node(0, "a", 1, 1.0), node(0, "a", 3, 0.0), node(1, "a", 2, 1.0), node(1, "a", 2, 1.0)]
    row = summarise(pd.DataFrame(rows)).iloc[0]
    assert (row["nodes"], row["replications"], row["jobs_mean"]) == (2, 2, 4.0)
    assert row["reward_mean"] == pytest.approx((0.25 + 0.5) / 2)


def test_a_group_that_never_worked_has_no_reward() -> None:
    row = summarise(pd.DataFrame([node(0, "idle", 0, 0.0)])).iloc[0]
    assert math.isnan(row["reward_mean"])
