"""Means over replications and their intervals."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from poq_abm.experiment.estimates import (
    COUNT,
    POSITIVE,
    UNBOUNDED,
    Range,
    decimals,
    mean_interval,
    share_interval,
    shown,
    summarise,
)
from poq_abm.experiment.schemas import RANGES, SCHEMAS, range_of


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


@pytest.mark.parametrize("within", [*set(RANGES.values()), UNBOUNDED, Range(-math.inf, 3.0)])
def test_an_interval_lies_in_its_range_about_its_estimate_and_has_a_width(within: Range) -> None:
    """Over random results: crowded at an end, all alike at it, spread, tiny, or few."""
    random = np.random.default_rng(13)
    low, high = (np.clip(end, -5.0, 5.0) for end in within[:2])
    for _ in range(400):
        n = int(random.integers(2, 30))
        shape = 10.0 ** random.uniform(-2.0, 2.0, 2)
        values = low + (high - low) * random.beta(*shape, size=n)
        values[random.random(n) < random.choice([0.0, 0.5, 1.0])] = random.choice([low, high])
        if within.whole:
            values = np.floor(np.abs(values))
        mean, _, least, most = mean_interval(values, within=within)
        assert within.low <= least <= mean <= most <= within.high
        ends = [end for end in within[:2] if math.isfinite(end)]
        alike = np.ptp(values) == 0.0
        by_construction = alike and (values[0] not in ends or math.inf in map(abs, within[:2]))
        assert (least < most) or (by_construction and not (within.whole and mean == 0.0))


def test_an_event_that_was_not_seen_may_still_happen() -> None:
    """0 of 400 replications, where .026% is exact, is no proof of 0 (and a tie inside is one)."""
    _, _, low, high = mean_interval(np.zeros(400), within=RANGES["0-1"])
    assert (low, high) == (0.0, pytest.approx(1.0 - 0.025 ** (1 / 400)))
    assert high > 0.00026
    _, _, low, high = mean_interval(np.zeros(40), within=COUNT)
    assert (low, high) == (0.0, pytest.approx(stats.chi2.ppf(0.975, 2) / 2 / 40))
    assert mean_interval([0.3] * 40, within=RANGES["0-1"])[2:] == (pytest.approx(0.3),) * 2


def test_a_correlations_interval_is_fishers() -> None:
    values = np.array([0.9, 0.95, 0.99, 0.8])
    mean, sd, low, high = mean_interval(values, within=RANGES["-1 to 1"])
    half = stats.t.ppf(0.975, 3) * sd / 2.0 / (1.0 - mean**2)
    assert (low, high) == pytest.approx(np.tanh(np.arctanh(mean) + np.array([-half, half])))


@pytest.mark.parametrize(
    ("draw", "true", "within", "n"),
    [
        (lambda r, n: r.binomial(1, 0.05, n) / 1.0, 0.05, RANGES["0-1"], 40),
        (lambda r, n: r.binomial(20, 0.02, n) / 20.0, 0.02, RANGES["0-1"], 20),
        (lambda r, n: r.beta(8.0, 1.0, n), 8.0 / 9.0, RANGES["0-1"], 10),
        (lambda r, n: r.poisson(0.1, n) / 1.0, 0.1, COUNT, 20),
        (lambda r, n: r.poisson(3.0, n) / 1.0, 3.0, COUNT, 5),
        (lambda r, n: r.gamma(4.0, 1.0, n), 4.0, POSITIVE, 10),
    ],
)
def test_intervals_in_a_range_cover(draw, true: float, within: Range, n: int) -> None:
    """At least 0.92 of 0.95: no delta method is exact for few and skewed values.

    Binomial(1000, 0.92) falls below 885 with probability below 1e-4.
    """
    random = np.random.default_rng(3)
    ends = [mean_interval(draw(random, n), within=within)[2:] for _ in range(1000)]
    assert sum(low <= true <= high for low, high in ends) >= 885


def test_every_measure_has_a_range_and_a_difference_twice_its_width() -> None:
    fields = [
        field for schema in SCHEMAS.values() for field in schema if str(field.type) == "double"
    ]
    units = {field.name: field.metadata[b"unit"].decode() for field in fields}
    assert {u for n, u in units.items() if range_of(n, u) == UNBOUNDED} <= {
        unit
        for unit in units.values()
        if any(word in unit for word in ("token", "point", "USD")) or unit == "share"
    }
    assert range_of("bias", units["bias"]) == RANGES["score 0-10"].of_difference


def test_printed_digits_follow_the_interval() -> None:
    assert decimals(0.123, 0.120, 0.126) == 4
    assert decimals(10.0, -40.0, 60.0) == 0
    assert shown(1.1, -0.2, 2.4) == ("1.1", "[-0.2, 2.4]")
    assert shown(44.99999626, 44.99999615, 44.99999637) == ("45.000", "±1.1e-07")
    assert shown(1 / 150, 1 / 150 - 1e-18, 1 / 150 + 1e-18) == ("0.006667", "[0.006667, 0.006667]")
    assert shown(-0.00004, -0.7, 0.9, sign="+") == ("+0.0", "[-0.7, +0.9]")


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


def test_all_groups_at_once_are_the_bits_of_one_by_one() -> None:
    """They have one to four replications, and not in all of them a job."""
    rows = [
        node(replication, group, replication * number % 3, 0.1 * number + replication / 7)
        for number, group in enumerate("abcd", start=1)
        for replication in range(number)
    ]
    frame = pd.DataFrame(rows)
    alone = [summarise(frame[frame["group"] == group]) for group in "abcd"]
    expected = pd.concat(alone, ignore_index=True)
    pd.testing.assert_frame_equal(summarise(frame), expected, check_exact=True)


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
