"""Regret, and the bound of its error that leans on no distribution."""

import math

import numpy as np
import pytest

from poq_abm import load
from poq_abm.analysis.audit.variants import VariantRunner
from poq_abm.analysis.equilibrium.reduced_game import reduced_game
from poq_abm.analysis.equilibrium.regret import hoeffding_error, regret
from poq_abm.analysis.equilibrium.solution import solve


def test_regret_is_what_the_best_earns_more():
    mix = np.array([0.5, 0.5])
    assert regret(mix, np.array([[1.0, 3.0], [2.0, 2.0]])).tolist() == [1.0, 0.0]


def test_the_bound_by_hand_and_of_coins():
    """4 entries, 50 replications, 95%: 2 sqrt(ln 160 / 100) = .4506; coins stay within it."""
    bound = hoeffding_error(2.0, 4, 50, 0.95)
    assert bound == pytest.approx(2.0 * math.sqrt(math.log(160.0) / 100.0))
    assert bound == pytest.approx(0.4506, abs=1e-4)
    coins = np.random.default_rng(0).choice([-1.0, 1.0], size=(2000, 50, 4)).mean(axis=1)
    assert (np.abs(coins).max(axis=1) > bound).mean() <= 0.05


def test_pay_of_a_round_has_a_range_and_profit_has_none():
    """alpha = 1 with beta = .3: from -.3 to 1, and .2 more where running a model is counted."""
    short = ["rounds=100", "replications=3", "mechanism.beta_evaluator=0.3"]
    boost = [{"name": "boost"}]
    game = reduced_game(VariantRunner.of(load("cost_aware_poq", short), compute_cost=0.2), boost)
    assert game.width == pytest.approx(1.5)
    assert "in a range of 1.5)" in " ".join(solve(game).sentences)
    answering = VariantRunner.of(load("cost_aware_poq", [*short, "mechanism.beta_inference=0.5"]))
    assert reduced_game(answering, [{"name": "freeload"}], role="inference").width == 1.5
    batch = load("cost_aware_poq", [*short, "mechanism.evaluator_reward=output_agreement"])
    assert math.isnan(reduced_game(VariantRunner.of(batch), boost).width)
    economy = load("cost_aware_poq", [*short, "economy={epochs: 2}"])
    assert math.isnan(reduced_game(VariantRunner.of(economy), boost).width)
