"""Waiting times against queueing theory: M/M/c by Erlang's C, M/G/1 by Pollaczek and Khinchine.

The tolerance of 2 % is what an economist would want to rely on. Runs are so long that it is at
least four standard errors, found from the means of batches much longer than a queue remembers.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from economy_support import account, groups, network, opened, played, small_profile

from poq_abm.simulation.histograms import RELATIVE_ERROR

TOLERANCE = 0.02
SEEDS = (1, 2, 3, 4)
BATCH, BATCHES = 50_000, 24
ALONE = {"inference": [{"model": "f0"}], "evaluators": [{"model": "m0", "count": 2}]}


def erlang_c(places: int, load: float) -> float:
    """The share of queries that wait, for an offered load in places' time."""
    terms = [load**k / math.factorial(k) for k in range(places)]
    last = load**places / math.factorial(places) * places / (places - load)
    return last / (sum(terms) + last)


def waits(places: int, utilisation: float, seed: int, **latency: object) -> np.ndarray:
    """Batches of waiting times in seconds, shape (BATCHES, 2): mean, share that waits.

    The mean service time is a second; the first batch, which begins empty, is left out.
    """
    rate = places * utilisation
    economy = opened(
        {
            "epochs": BATCHES + 1,
            "epoch_hours": BATCH / rate / 3600.0,
            "latency": latency,
            "demand": {"arrivals": "poisson"},
            "service": {"capacity": places},
        },
        rounds=BATCH * (BATCHES + 1),
        population=ALONE,
        mechanism__committee_size=1,
        seed=seed,
    )
    batches = []
    while not economy.finished:
        economy.step()
        wait = economy.play.queries.wait[: int(network(economy, "queries")[economy.epoch - 1])]
        batches.append((wait.mean(), (wait > 0.0).mean()))
    assert network(economy, "dropped").sum() == 0.0
    busy = groups(economy, "busy")[1:, -1].mean()
    assert busy == pytest.approx(utilisation, rel=0.02)
    return np.array(batches[1:])


def assert_mean(batches: np.ndarray, expected: float) -> None:
    """The mean of all batches is within the tolerance, which the runs are long enough for."""
    error = batches.std(ddof=1) / math.sqrt(batches.size)
    assert 4.0 * error < TOLERANCE * expected
    assert abs(batches.mean() - expected) < TOLERANCE * expected


@pytest.mark.parametrize(("places", "utilisation"), [(1, 0.5), (2, 0.6), (5, 0.7)])
def test_waiting_times_are_those_of_erlang_c(places: int, utilisation: float) -> None:
    batches = np.concatenate(
        [waits(places, utilisation, seed, distribution="exponential") for seed in SEEDS]
    )
    waiting = erlang_c(places, places * utilisation)
    assert_mean(batches[:, 1], waiting)
    assert_mean(batches[:, 0], waiting / (places - places * utilisation))


@pytest.mark.parametrize(
    ("latency", "variance"),
    [
        ({"distribution": "fixed"}, 0.0),
        ({"distribution": "lognormal", "sigma": 0.5}, math.exp(0.25) - 1.0),
    ],
    ids=["fixed", "lognormal"],
)
def test_waiting_times_are_those_of_pollaczek_and_khinchine(
    latency: dict[str, object], variance: float
) -> None:
    utilisation = 0.5
    batches = np.concatenate([waits(1, utilisation, seed, **latency) for seed in SEEDS])
    assert_mean(batches[:, 0], utilisation * (1.0 + variance) / 2.0 / (1.0 - utilisation))


def test_a_queue_is_carried_from_epoch_to_epoch() -> None:
    """Twice as many queries as one node can answer: the queue grows by half an epoch in each."""
    economy = opened(
        {"epochs": 3, "epoch_hours": 100.0 / 3600.0},  # 200 a hundred seconds, a second each
        rounds=600,
        population=ALONE,
        mechanism__committee_size=1,
    )
    last = []
    while not economy.finished:
        economy.step()
        last.append(economy.play.queries.wait[199])
    np.testing.assert_allclose(last, [99.5, 199.5, 299.5])


def test_a_latency_that_never_varies_is_read_to_the_last_digit() -> None:
    """1.0777 s is 1.0777 s, in epochs and in accounts."""
    economy = played(
        {"epochs": 3, "epoch_hours": 1.0},
        rounds=300,
        profile=small_profile(latency_ms=(1077.7, 2000.0, 50.0, 100.0, 100.0)),
        population=ALONE,
        mechanism__committee_size=1,
    )
    for name in ("latency_p50", "latency_p95"):
        assert network(economy, name) == pytest.approx(1.0777, rel=1e-12)
        assert account(economy, name)[0] == pytest.approx(1.0777, rel=1e-12)
        assert np.isnan(account(economy, name)[1:]).all()


def test_an_epochs_percentiles_are_those_of_its_queries() -> None:
    """And a node's, over all epochs, are off by less than a cell."""
    economy = opened(
        {
            "epochs": 4,
            "epoch_hours": 500.0 / 3600.0,
            "latency": {"distribution": "lognormal", "sigma": 0.5},
            "demand": {"arrivals": "poisson"},
            "service": {"patience_s": 3.0},
        },
        rounds=1600,
        population=ALONE,
        mechanism__committee_size=1,
    )
    seen = []
    while not economy.finished:
        economy.step()
        count = int(network(economy, "queries")[economy.epoch - 1])
        queries = economy.play.queries
        latency = (queries.wait + queries.service)[:count]
        latency = latency[economy.play.assigned.node[:count] >= 0]
        seen.append(latency)
        for name, share in (("latency_p50", 0.5), ("latency_p95", 0.95)):
            exact = np.quantile(latency, share, method="inverted_cdf")
            assert network(economy, name)[economy.epoch - 1] == exact
    assert network(economy, "dropped").sum() > 0
    for name, share in (("latency_p50", 0.5), ("latency_p95", 0.95)):
        exact = np.quantile(np.concatenate(seen), share, method="inverted_cdf")
        assert account(economy, name)[0] == pytest.approx(exact, rel=RELATIVE_ERROR)
