"""Means over replications and their intervals."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from poq_abm.experiment.estimates import mean_interval, share_interval, summarise


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


@pytest.mark.parametrize("hits", [0, 1, 7, 99, 100])
def test_independent_trials_have_clopper_and_pearsons_interval_or_a_wider_one(hits: int) -> None:
    """With a success spread as evenly as it can be, all trials count."""
    successes = [hits // 10 + (place < hits % 10) for place in range(10)]
    share, low, high = share_interval(successes, [10] * 10, clustered=False)
    exact = stats.binomtest(hits, 100).proportion_ci(0.95, "exact")
    assert share == hits / 100
    assert low <= exact.low + 1e-12
    assert high >= exact.high - 1e-12


def test_no_success_leaves_an_upper_end_and_all_a_lower_one() -> None:
    bound = 1.0 - 0.025 ** (1.0 / 400)
    assert share_interval([0] * 400, [2000] * 400) == pytest.approx((0.0, 0.0, bound))
    assert share_interval([5] * 400, [5] * 400) == pytest.approx((1.0, 1.0 - bound, 1.0))


def test_a_share_of_nothing_is_missing_and_one_replication_has_no_interval() -> None:
    assert all(math.isnan(value) for value in share_interval([0, 0], [0, 0]))
    share, low, high = share_interval([3, 0], [10, 0])
    assert share == 0.3
    assert math.isnan(low)
    assert math.isnan(high)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=2, max_size=30),
    st.sampled_from([0.5, 0.95, 0.999]),
    st.booleans(),
)
def test_a_shares_interval_holds_it_inside_its_range_and_has_a_width(
    counts: list[tuple[int, int]], confidence: float, clustered: bool
) -> None:
    trials = np.array([hits + misses for hits, misses in counts])
    share, low, high = share_interval(
        [hits for hits, _ in counts], trials, confidence, clustered=clustered
    )
    if (trials > 0).sum() >= 2:
        assert 0.0 <= low <= share <= high <= 1.0
        assert low < high


@pytest.mark.parametrize(
    ("replications", "size", "chance", "together"),
    [
        (40, 50, 0.05, 0.0),  # independent
        (40, 50, 0.05, 1.0),  # all or nothing
        (20, 200, 0.0394, 1.0),
        (20, 50, 0.3, 0.5),
        (400, 20, 0.002, 1.0),
    ],
)
def test_a_shares_interval_covers_at_its_level_or_above(
    replications: int, size: int, chance: float, together: float
) -> None:
    """Half of all outcomes, none or all may be shared by the whole replication."""
    rng = np.random.default_rng(11)
    runs = 600
    whole = rng.random((runs, replications)) < chance
    alone = rng.binomial(size, chance, (runs, replications))
    shared = rng.random((runs, replications)) < together
    successes = np.where(shared, whole * size, alone)
    trials = np.full(replications, size)
    covered = sum(
        low <= chance <= high for _, low, high in (share_interval(row, trials) for row in successes)
    )
    # Binomial(600, 0.95) falls below 545 with a chance of 1e-5.
    assert covered >= 545
