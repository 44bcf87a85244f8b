"""Arrival processes: counts, dispersion, shape over the day, bursts, surges, elasticity."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from economy_support import network, played
from numpy.typing import NDArray

from poq_abm.economy.arrivals import (
    BINS,
    Clock,
    arrive_at_random,
    arrive_evenly,
    most_queries,
)
from poq_abm.scenario.economy import Demand

Array = NDArray[np.float64]
SEEDS = range(5)


def expected(epochs: int, hours: float = 1.0, seed: int = 1, **demand: Any) -> Array:
    """The expected numbers by stretch, shape (epochs, BINS), of 6,000 queries an epoch."""
    clock = Clock(Demand(**demand), 6000.0, hours, seed, 0)
    return np.array([clock.expected(epoch) for epoch in range(epochs)])


def times(rates: Array, seed: int = 1, replication: int = 0, first: int = 0) -> Array:
    """Arrival times in an hour."""
    room = np.empty(most_queries(rates))
    count = arrive_at_random(room, rates, 3600.0, seed, replication, first)
    return room[:count]


def test_evenly_spaced_times_by_hand() -> None:
    room = np.empty(4)
    arrive_evenly(room, 4, 8.0)
    assert room.tolist() == [1.0, 3.0, 5.0, 7.0]


@pytest.mark.parametrize("mean", [30.0, 600.0])
def test_numbers_are_poisson(mean: float) -> None:
    """1,000 epochs by five seeds: mean to 4 s.e., index of dispersion 1 to 4 s.e. (sqrt(2/n))."""
    rates = np.full(BINS, mean / BINS)
    counts = np.array(
        [times(rates, seed, replication).size for seed in SEEDS for replication in range(1000)]
    )
    assert abs(counts.mean() - mean) < 4.0 * math.sqrt(mean / counts.size)
    assert abs(counts.var(ddof=1) / mean - 1.0) < 4.0 * math.sqrt(2.0 / counts.size)


def test_gaps_are_exponential_and_independent() -> None:
    gaps = np.concatenate([np.diff(times(np.full(BINS, 1000.0), seed)) for seed in SEEDS])
    mean = 3600.0 / 60_000.0
    share = [(gaps > mean * x).mean() for x in (0.5, 1.0, 2.0)]
    sd = 0.5 / math.sqrt(gaps.size)
    np.testing.assert_allclose(share, np.exp([-0.5, -1.0, -2.0]), atol=4.0 * sd)
    lag = np.corrcoef(gaps[:-1], gaps[1:])[0, 1]
    assert abs(lag) < 4.0 / math.sqrt(gaps.size)


def test_times_ascend_and_lie_in_the_epoch() -> None:
    for seed in SEEDS:
        at = times(np.linspace(0.0, 30.0, BINS), seed)
        assert (np.diff(at) >= 0.0).all()
        assert at[0] >= 60.0  # the first minute has a rate of 0
        assert at[-1] < 3600.0


def test_an_epoch_without_demand_has_no_queries() -> None:
    assert times(np.zeros(BINS)).size == 0


def test_a_higher_rate_moves_queries_forward_and_draws_none_anew() -> None:
    few, many = times(np.full(BINS, 5.0)), times(np.full(BINS, 10.0))
    np.testing.assert_allclose(many[: few.size], few / 2.0)


def test_a_day_swings_by_the_amplitude_about_the_peak_and_means_the_nominal_rate() -> None:
    rates = expected(24, arrivals="diurnal", amplitude=0.8, peak_hour=14.0).reshape(-1)
    assert rates.sum() == pytest.approx(24 * 6000.0)
    hours = (np.arange(rates.size) + 0.5) / BINS
    np.testing.assert_allclose(rates / 100.0, 1.0 + 0.8 * np.cos((hours - 14.0) * math.pi / 12.0))
    assert hours[rates.argmax()] == pytest.approx(14.0, abs=1.0 / BINS)


def test_random_arrivals_follow_the_day() -> None:
    """Counts by the hour against the curve, each to 5 s.d. of a Poisson number, pooled by seed."""
    rates = expected(24, arrivals="diurnal", amplitude=0.8)
    counts = np.array(
        [[times(rates[hour], seed, 0, hour * 10**6).size for hour in range(24)] for seed in SEEDS]
    ).sum(axis=0)
    mean = rates.sum(axis=1) * len(SEEDS)
    assert (np.abs(counts - mean) < 5.0 * np.sqrt(mean)).all()


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_bursts_have_the_share_the_factor_the_length_and_the_nominal_mean(share: float) -> None:
    """2,000 hours by five seeds; bursts of 10 minutes are independent enough for these bounds.

    The share has an s.e. of sqrt(2 share L / T), with L the memory in minutes and T their number.
    """
    rates = np.concatenate(
        [
            expected(2000, seed=s, arrivals="bursty", burst_factor=5.0, burst_share=share).reshape(
                -1
            )
            for s in SEEDS
        ]
    )
    low, high = np.unique(rates)
    assert high / low == pytest.approx(5.0)
    assert share * high + (1.0 - share) * low == pytest.approx(100.0)
    bursting = rates == high
    error = math.sqrt(2.0 * share * (1.0 - share) ** 2 * 10.0 / rates.size)
    assert abs(bursting.mean() - share) < 5.0 * error
    bursts = (np.diff(bursting.astype(int)) == 1).sum()
    length = bursting.sum() / bursts  # minutes; geometric, so its s.d. is its mean
    assert length == pytest.approx(10.0, rel=5.0 / math.sqrt(bursts))


def test_a_burst_goes_on_in_the_next_epoch() -> None:
    rates = expected(500, arrivals="bursty", burst_minutes=30.0)
    burst = rates.max()
    alike = (rates[:-1, -1] == burst) == (rates[1:, 0] == burst)
    independent = 0.1**2 + 0.9**2
    assert alike.mean() > independent + 0.1


def test_bursty_counts_are_more_dispersed_than_poisson_ones() -> None:
    rates = expected(500, arrivals="bursty")
    counts = np.array([times(row, 1, epoch).size for epoch, row in enumerate(rates)])
    assert counts.var() / counts.mean() > 10.0


def test_a_surge_multiplies_demand_in_its_epochs_only() -> None:
    economy = played(
        {"epochs": 5, "demand": {"surge": {"first": 1, "last": 2, "factor": 2.5}}}, rounds=100
    )
    assert network(economy, "queries").tolist() == [20, 50, 50, 20, 20]


def test_demand_falls_with_the_fee_by_its_elasticity() -> None:
    clock = Clock(Demand(elasticity=0.5), 100.0, 1.0, 1, 0)
    assert clock.scale(0, 4.0) == pytest.approx(0.5)
    assert clock.scale(0, 1.0) == 1.0
    assert math.isfinite(Clock(Demand(elasticity=10.0), 1.0, 1.0, 1, 0).scale(0, 1e-300))


def test_a_fee_that_rises_drives_demand_away() -> None:
    economy = played(
        {
            "epochs": 6,
            "payment": {"fee": 1.0},
            "demand": {"elasticity": 1.0},
            "controllers": [{"move": "fee", "target": 0.01}],
        },
        rounds=1200,
    )
    price = network(economy, "price")
    assert price[1] == pytest.approx(1.125)
    np.testing.assert_array_equal(network(economy, "queries"), np.round(200.0 / price))


def test_the_rounds_of_an_epoch_have_numbers_of_their_own() -> None:
    """Where numbers vary, what one epoch draws does not depend on how many came before."""
    few = played({"epochs": 2, "demand": {"arrivals": "poisson"}}, rounds=100)
    surge = {"arrivals": "poisson", "surge": {"first": 0, "last": 0, "factor": 3.0}}
    many = played({"epochs": 2, "demand": surge}, rounds=100)
    assert network(few, "queries")[0] < network(many, "queries")[0]
    assert network(few, "queries")[1] == network(many, "queries")[1]
