from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from poq_abm.simulation.queries.queue import draw_others, interval, serve, spread_of


def test_a_node_serves_one_after_the_other() -> None:
    free, busy = np.zeros(2), np.zeros(2)
    arrivals, services = [0.0, 0.1, 5.0, 5.5], [1.0, 2.0, 1.0, 0.25]
    done = [serve(free, busy, 1, a, s) for a, s in zip(arrivals, services, strict=True)]
    assert done == [1.0, 3.0, 6.0, 6.25]
    assert busy.tolist() == [0.0, 4.25]


def test_a_markovian_queue_waits_as_long_as_theory_says() -> None:
    """M/M/1 at load 0.5 waits rho / (1 - rho) = 1 service; its mean over 400,000 errs by 2%."""
    draws = np.random.default_rng(1).uniform(size=(400_000, 2))
    free, busy, now, waited = np.zeros(1), np.zeros(1), 0.0, 0.0
    for arrival, service in draws:
        now += interval(arrival, 0.5)
        length = interval(service, 1.0)
        waited += serve(free, busy, 0, now, length) - length - now
    assert waited / len(draws) == pytest.approx(1.0, rel=0.05)


def test_the_log_normal_factor_has_mean_one_and_the_spread_asked_for() -> None:
    sigma = float(np.sqrt(np.log1p(0.5**2)))
    grid = (np.arange(100_000) + 0.5) / 100_000
    factors = np.array([spread_of(draw, sigma) for draw in grid])
    assert factors.mean() == pytest.approx(1.0, abs=1e-3)
    assert factors.std() == pytest.approx(0.5, abs=5e-3)


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
