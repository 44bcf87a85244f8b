"""Imitation against closed forms: two strategies whose payoffs differ by a constant.

Profits are set by hand and draws are those of an economy, epoch after epoch: what is tested is the
rule. With an advantage d the chance of copying upwards less that of copying downwards is
tanh(d / 2T).
"""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from economy_support import opened

from poq_abm.random import Purpose
from poq_abm.rules.adaptation.behaviours import Imitation
from poq_abm.rules.adaptation.choosing import choose, fermi, imitate

NODES, EPOCHS, RATE, TEMPERATURE, ADVANTAGE = 100_000, 40, 0.2, 0.5, 0.4
SEEDS = (1, 2, 3, 4)


def logistic(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


def test_the_fermi_function() -> None:
    assert fermi(0.0, 0.3, 0.1) == pytest.approx(logistic(3.0))
    assert fermi(0.3, 0.0, 0.1) == pytest.approx(logistic(-3.0))
    assert fermi(0.0, 1e6, 1e-9) == 1.0
    assert fermi(1e6, 0.0, 1e-9) == 0.0


def shares(start: float, seed: int, rate: float = RATE, **values: float) -> np.ndarray:
    """The share of those that do the second of two things, epoch after epoch.

    It pays ADVANTAGE more. The rule sees what an epoch's end shows it, and nothing else.
    """
    economy = opened({"epochs": 1}, 1, seed=seed)
    rule = Imitation(
        {"role": "evaluator", "rate": rate, "temperature": TEMPERATURE, "mutation": 0.0, **values}
    )
    doing = (np.arange(NODES) < start * NODES).astype(np.int64)
    economy.population.size = NODES
    path = [doing.mean()]
    for epoch in range(EPOCHS):
        economy.epoch = epoch

        def adopt(nodes: Any, behaviours: Any) -> None:
            doing[nodes] = behaviours

        end: Any = SimpleNamespace(
            profit=doing * ADVANTAGE,
            was=doing.copy(),
            population=SimpleNamespace(options=lambda role: np.array([0, 1])),
            staying=lambda role: np.arange(NODES),
            adopt=adopt,
        )
        rule.revise(end, economy.draw(Purpose.ADAPTATION, 0, rule.draws))
        path.append(doing.mean())
    return np.array(path)


@pytest.mark.parametrize("start", [0.05, 0.5])
def test_imitation_follows_its_mean_field(start: float) -> None:
    """x' = x + r x (1 - x) tanh(d / 2T): a binomial error each epoch, which growth carries on.

    100,000 nodes times 4 seeds: the mean of the paths is held to 0.015, four times its s.e. at the
    steepest point, which the spread between the seeds confirms.
    """
    paths = np.array([shares(start, seed) for seed in SEEDS])
    expected = [start]
    for _ in range(EPOCHS):
        x = expected[-1]
        gain = math.tanh(ADVANTAGE / (2.0 * TEMPERATURE))
        expected.append(x + RATE * x * (1.0 - x) * NODES / (NODES - 1) * gain)
    error = paths.std(axis=0, ddof=1).max() / math.sqrt(len(SEEDS))
    assert 4.0 * error < 0.02
    assert np.abs(paths.mean(axis=0) - expected).max() < 0.015


def test_slow_imitation_is_the_replicator_s_logistic_curve() -> None:
    """As r goes to 0: logit x(t) = logit x(0) + r t tanh(d / 2T)."""
    rate = 0.05
    paths = np.array([shares(0.3, seed, rate) for seed in SEEDS]).mean(axis=0)
    speed = rate * math.tanh(ADVANTAGE / (2.0 * TEMPERATURE))
    expected = [logistic(math.log(0.3 / 0.7) + speed * t) for t in range(EPOCHS + 1)]
    assert np.abs(paths - expected).max() < 0.015


def test_without_an_advantage_the_share_only_drifts() -> None:
    """At an infinite temperature copying is a fair coin: a martingale."""
    paths = np.array([shares(0.3, seed, temperature=1e9) for seed in SEEDS])
    drift = math.sqrt(EPOCHS * RATE * 0.21 / NODES / len(SEEDS))
    assert abs(paths[:, -1].mean() - 0.3) < 4.0 * drift


def test_with_mutation_alone_behaviours_become_equally_common() -> None:
    path = shares(0.0, 1, rate=0.0, mutation=0.2)
    expected = 0.5 * (1.0 - 0.8 ** np.arange(EPOCHS + 1))
    assert np.abs(path - expected).max() < 4.0 * 0.5 / math.sqrt(NODES)


def test_nobody_copies_itself_and_everybody_else_equally_often() -> None:
    nodes, draws = np.arange(10) * 2, np.zeros((3, 20))
    seen = np.zeros(10)
    for place in (np.arange(900) + 0.5) / 900:
        draws[1] = place
        copied = np.empty(10, np.int64)
        imitate(np.zeros(20), nodes, 1.0, 1.0, draws, copied)
        assert (copied != nodes).all()
        seen += np.bincount(copied // 2, minlength=10)
    assert seen.tolist() == [900.0] * 10


def test_the_logit_rule_has_its_shares() -> None:
    payoffs, u = np.array([0.0, 0.1, 0.3]), (np.arange(100_000) + 0.5) / 100_000
    counts = np.bincount([choose(payoffs, 0.2, x) for x in u[::10]], minlength=3) / 10_000
    weights = np.exp(payoffs / 0.2)
    np.testing.assert_allclose(counts, weights / weights.sum(), atol=2e-4)


def test_the_logit_rule_survives_payoffs_of_any_size() -> None:
    assert choose(np.array([-1e250, 1e250]), 1e-9, 0.999) == 1
    assert choose(np.array([1e250, 1e250]), 1e-9, 0.75) == 1
