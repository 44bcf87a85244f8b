"""Arrival processes: counts, dispersion, shape over the day, bursts, surges, elasticity."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from economy_support import network, played
from numpy.typing import NDArray

from poq_abm.scenario.schema.economy import MOST_DEMAND, Demand
from poq_abm.simulation.arrivals import (
    BINS,
    Clock,
    Stretches,
    arrive_at_random,
    arrive_evenly,
    most_queries,
)

Array = NDArray[np.float64]
SEEDS = range(5)


def stretches(
    epochs: int, hours: float = 1.0, seed: int = 1, queries: float = 6000.0, **demand: Any
) -> list[Stretches]:
    """The stretches of so many epochs, of 6,000 queries each."""
    clock = Clock(Demand(**demand), queries, hours, seed, 0)
    return [clock.expected(epoch) for epoch in range(epochs)]


def expected(epochs: int, hours: float = 1.0, seed: int = 1, **demand: Any) -> Array:
    """The expected numbers by stretch, shape (epochs, BINS), of 6,000 queries an epoch."""
    return np.array([epoch.queries for epoch in stretches(epochs, hours, seed, **demand)])


def bursts(epochs: int, hours: float, seed: int = 1, **demand: Any) -> tuple[Array, Array, Array]:
    """Minutes at which stretches begin, their lengths, and whether they are bursts; joined."""
    begins, lengths, high = [], [], []
    for epoch, (edges, queries) in enumerate(
        stretches(epochs, hours, seed, arrivals="bursty", **demand)
    ):
        unit = 60.0 * hours / edges[-1]
        begins.append(60.0 * hours * epoch + edges[:-1] * unit)
        lengths.append(np.diff(edges) * unit)
        high.append(queries / lengths[-1] > 6000.0 / hours / 60.0)
    at, minutes, burst = np.concatenate(begins), np.concatenate(lengths), np.concatenate(high)
    turns = np.flatnonzero(np.concatenate([[True], np.diff(burst.astype(int)) != 0]))
    return at[turns], np.add.reduceat(minutes, turns), burst[turns]


def times(rates: Array, seed: int = 1, replication: int = 0, first: int = 0) -> Array:
    """Arrival times in an hour."""
    room = np.empty(most_queries(rates))
    edges = np.arange(rates.size + 1.0)
    count = arrive_at_random(room, edges, rates, 3600.0, seed, replication, first)
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
    day = 1.0 + 0.8 * np.cos((hours - 14.0) * math.pi / 12.0)
    np.testing.assert_allclose(rates / 100.0, day, rtol=2e-5)
    assert hours[rates.argmax()] == pytest.approx(14.0, abs=1.0 / BINS)


def test_random_arrivals_follow_the_day() -> None:
    """Counts by the hour against the curve, each to 5 s.d. of a Poisson number, pooled by seed."""
    rates = expected(24, arrivals="diurnal", amplitude=0.8)
    counts = np.array(
        [[times(rates[hour], seed, 0, hour * 10**6).size for hour in range(24)] for seed in SEEDS]
    ).sum(axis=0)
    mean = rates.sum(axis=1) * len(SEEDS)
    assert (np.abs(counts - mean) < 5.0 * np.sqrt(mean)).all()


EPOCHS = [0.5, 1.0, 6.0, 7.5, 24.0, 168.0, 720.0, 4320.0]


@pytest.mark.parametrize("hours", [24.0, 168.0, 720.0, 1440.0, 2880.0, 4320.0])
def test_whole_days_have_the_nominal_demand_whatever_the_length_of_an_epoch(hours: float) -> None:
    for edges, queries in stretches(2, hours, queries=1000.0, arrivals="diurnal", amplitude=0.5):
        assert queries.sum() == pytest.approx(1000.0, rel=1e-12)
        assert edges.size - 1 >= BINS * hours / 24.0  # the shape of a day is kept


@pytest.mark.parametrize("hours", EPOCHS)
def test_demand_between_two_hours_does_not_depend_on_the_length_of_an_epoch(hours: float) -> None:
    """Against the integral of the rate; 250 queries an hour, from the first epoch to the third."""
    a, peak = 0.9, 5.0
    for epoch, (_, queries) in enumerate(
        stretches(3, hours, queries=250.0 * hours, arrivals="diurnal", amplitude=a, peak_hour=peak)
    ):
        phase = 2.0 * math.pi * (np.array([epoch, epoch + 1]) * hours - peak) / 24.0
        integral = 250.0 * (hours + a * 12.0 / math.pi * np.diff(np.sin(phase))[0])
        assert queries.sum() == pytest.approx(integral, rel=1e-9)
        assert queries.min() >= 0.0


@pytest.mark.parametrize("hours", EPOCHS)
@pytest.mark.parametrize("share", [0.1, 0.5])
def test_bursts_have_their_length_share_factor_and_mean_at_any_length_of_an_epoch(
    hours: float, share: float
) -> None:
    """8,640 hours: bursts are independent, so sums of n of them have an s.d. of sqrt(n) means."""
    rows = stretches(int(8640 / hours), hours, arrivals="bursty", burst_factor=5.0,
                     burst_share=share)  # fmt: skip
    rate = np.concatenate([row.queries / np.diff(row.edges) * row.edges[-1] for row in rows])
    low, high = rate.min(), rate.max()
    np.testing.assert_allclose(np.minimum(abs(rate - low), abs(rate - high)), 0.0, atol=1e-6)
    assert high / low == pytest.approx(5.0)
    assert share * high + (1.0 - share) * low == pytest.approx(6000.0)
    _, lengths, burst = bursts(int(8640 / hours), hours, burst_factor=5.0, burst_share=share)
    lengths, burst = lengths[1:-1], burst[1:-1]  # whole ones
    assert lengths[burst].mean() == pytest.approx(10.0, rel=5.0 / math.sqrt(burst.sum()))
    calm = 10.0 * (1.0 - share) / share
    assert lengths[~burst].mean() == pytest.approx(calm, rel=5.0 / math.sqrt((~burst).sum()))


@pytest.mark.parametrize("hours", EPOCHS[1:])
def test_the_same_bursts_come_however_time_is_cut(hours: float) -> None:
    epochs = int(4320 / hours)
    at, _, burst = bursts(epochs, hours, seed=3, burst_minutes=45.0)
    reference, _, alike = bursts(int(2 * epochs * hours), 0.5, seed=3, burst_minutes=45.0)
    np.testing.assert_allclose(at, reference, atol=1e-6)
    np.testing.assert_array_equal(burst, alike)


def test_the_first_state_is_stationary() -> None:
    """4,000 seeds: a share of 0.3 begins in a burst, to 4 s.d."""
    first = [bursts(1, 0.01, seed, burst_share=0.3)[2][0] for seed in range(4000)]
    assert abs(np.mean(first) - 0.3) < 4.0 * math.sqrt(0.21 / 4000)


def test_bursty_counts_are_more_dispersed_than_poisson_ones() -> None:
    rows = stretches(500, arrivals="bursty")
    counts = []
    for epoch, (edges, queries) in enumerate(rows):
        room = np.empty(most_queries(queries))
        counts.append(arrive_at_random(room, edges, queries, 3600.0, 1, epoch, 0))
        assert (np.diff(room[: counts[-1]]) >= 0.0).all()
    assert np.var(counts) / np.mean(counts) > 10.0


def test_bursts_put_arrivals_where_they_are() -> None:
    """In a burst of rate 5 lie as many queries as its share says, to 5 s.d. of a Poisson number."""
    edges, queries = stretches(1, 24.0, arrivals="bursty", burst_factor=5.0, burst_share=0.3)[0]
    room = np.empty(most_queries(queries))
    count = arrive_at_random(room, edges, queries, 86_400.0, 1, 0, 0)
    found, _ = np.histogram(room[:count], edges * 60.0)
    assert (np.abs(found - queries) < 6.0 * np.sqrt(queries) + 6.0).all()


def test_a_surge_multiplies_demand_in_its_epochs_only() -> None:
    economy = played(
        {"epochs": 5, "demand": {"surge": {"first": 1, "last": 2, "factor": 2.5}}}, rounds=100
    )
    assert network(economy, "queries").tolist() == [20, 50, 50, 20, 20]


def test_demand_falls_with_the_fee_by_its_elasticity() -> None:
    clock = Clock(Demand(elasticity=0.5), 100.0, 1.0, 1, 0)
    assert clock.scale(0, 1e-9) == pytest.approx(MOST_DEMAND)
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
