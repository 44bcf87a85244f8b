"""Queues and service times: whose turn it is, and laws whose mean is one."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from poq_abm.simulation.arrivals import gap
from poq_abm.simulation.queries.query_loop import draw_others
from poq_abm.simulation.queue import (
    Queue,
    ServiceTime,
    earliest_place,
    heavy_tailed,
    lognormal,
    open_queue,
    serve,
    service_factor,
    starts,
)

MIDDAYS = (np.arange(20_000) + 0.5) / 20_000


def answer(queue: Queue, node: int, arrival: float, service: float) -> float:
    return serve(queue, node, starts(queue, node, arrival), service)


def test_a_node_serves_one_after_the_other() -> None:
    queue = open_queue(2)
    arrivals, services = [0.0, 0.1, 5.0, 5.5], [1.0, 2.0, 1.0, 0.25]
    done = [answer(queue, 1, a, s) for a, s in zip(arrivals, services, strict=True)]
    assert done == [1.0, 3.0, 6.0, 6.25]
    assert queue.free_at.tolist() == [[0.0], [6.25]]


def test_two_places_serve_two_at_a_time() -> None:
    queue = open_queue(1, 2)
    assert [answer(queue, 0, 0.0, 1.0) for _ in range(4)] == [1.0, 1.0, 2.0, 2.0]


def test_a_node_that_is_down_begins_when_it_is_up_again() -> None:
    queue = open_queue(1)._replace(down_from=np.array([1.0]), down_until=np.array([3.0]))
    assert [starts(queue, 0, at) for at in (0.5, 1.0, 2.9, 3.0)] == [0.5, 3.0, 3.0, 3.0]


def test_the_place_that_is_free_first() -> None:
    free_at = np.array([[3.0, 1.0, 2.0], [0.0, 0.0, 0.0]])
    assert (earliest_place(free_at, 0), earliest_place(free_at, 1)) == (1, 0)


def test_a_markovian_queue_waits_as_long_as_theory_says() -> None:
    """M/M/1 at load 0.5 waits rho / (1 - rho) = 1 service; its mean over 400,000 errs by 2%."""
    draws = np.random.default_rng(1).uniform(size=(400_000, 2))
    queue, now, waited = open_queue(1), 0.0, 0.0
    for arrival, service in draws:
        now += gap(arrival, 0.5)
        length = gap(service, 1.0)
        waited += answer(queue, 0, now, length) - length - now
    assert waited / len(draws) == pytest.approx(1.0, rel=0.05)


@pytest.mark.parametrize(
    ("law", "spread"),
    [
        (heavy_tailed("fixed", 0.2, 0.0, 2.5), 0.0),
        (heavy_tailed("lognormal", 0.4, 0.0, 2.5), math.exp(0.16) - 1.0),
        (heavy_tailed("exponential", 0.2, 0.0, 2.5), 1.0),
        (lognormal(0.5), 0.25),
    ],
    ids=["fixed", "lognormal", "exponential", "lognormal by its spread"],
)
def test_service_times_have_a_mean_of_one(law: ServiceTime, spread: float) -> None:
    """Quadrature over 20,000 quantiles, which misses a little of the far tail."""
    factors = np.array([service_factor(law, u) for u in MIDDAYS])
    assert factors.mean() == pytest.approx(1.0, rel=1e-3)
    assert factors.var() == pytest.approx(spread, rel=1e-2)


def test_a_heavy_tail_keeps_the_mean() -> None:
    law = heavy_tailed("lognormal", 0.3, 0.1, 3.5)
    factors = np.array([service_factor(law, u) for u in MIDDAYS])
    assert factors.mean() == pytest.approx(1.0, rel=5e-3)


def test_both_ways_to_name_a_log_normal_law_are_one() -> None:
    own, named = lognormal(0.5), heavy_tailed("lognormal", math.sqrt(math.log(1.25)), 0.0, 2.0)
    for u in (0.01, 0.5, 0.99):
        assert service_factor(own, u) == pytest.approx(service_factor(named, u), rel=1e-14)


@pytest.mark.parametrize("node", range(5))
def test_every_selection_of_other_nodes_is_equally_likely(node: int) -> None:
    """All step sequences of 3 out of 4 other nodes give every ordered selection once."""
    seen = set()
    others = np.zeros(4, np.int64)
    for steps in product(range(4), range(3), range(2)):
        draw_others(others, np.array(steps), node, 3)
        chosen = tuple(others[:3].tolist())
        assert node not in chosen
        assert len(set(chosen)) == 3
        assert all(0 <= other < 5 for other in chosen)
        seen.add(chosen)
    assert len(seen) == 4 * 3 * 2
