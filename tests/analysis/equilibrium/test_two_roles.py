"""The game between roles: games of two solved by hand, and one that is played."""

import numpy as np
import pytest

from poq_abm import load
from poq_abm.analysis.audit.variants import VariantRunner
from poq_abm.analysis.equilibrium.logit_path import logit_path
from poq_abm.analysis.equilibrium.two_roles import TwoRoleGame, two_role_game
from poq_abm.errors import InputError

PENNIES = np.array([[9.0, 0.0], [0.0, 1.0]]), np.array([[0.0, 1.0], [1.0, 0.0]])
COORDINATION = np.array([[2.0, 0.0], [0.0, 1.0]]), np.array([[1.0, 0.0], [0.0, 3.0]])


def game_of(rows, columns, luck=0.0):
    """A game in which nobody's payoff depends on the others of its role: a game of two players.

    ``rows`` and ``columns`` are the matrices of both players, by (row, column).
    """
    noise = luck * np.random.default_rng(1).normal(size=(20, 1, 1, 1))
    first = np.repeat(rows[:, None, :], len(rows), axis=1)[None] + noise
    second = np.repeat(columns.T[:, None, :], columns.shape[1], axis=1)[None] + noise
    names = ("honest", "freeload"), ("honest", "constant")
    return TwoRoleGame(load("cost_aware_poq"), names, (first, second), "job")


def test_pure_equilibria_and_what_leaving_others_gains():
    table = game_of(*COORDINATION).profiles()
    assert table["equilibrium"].tolist() == [True, False, False, True]
    off = table.iloc[1]  # inference nodes honest, evaluators constant
    assert (off["inference_regret"], off["inference_best"]) == (1.0, "freeload")
    assert (off["evaluator_regret"], off["evaluator_best"]) == (1.0, "honest")
    said = game_of(*COORDINATION, luck=0.3).sentences  # luck that all cells share moves nothing
    assert said[0] == "Inference nodes that play honest with evaluators that play honest are an " \
        "equilibrium."  # fmt: skip
    assert len(said) == 4


def test_logit_equilibria_are_those_of_the_published_game():
    """Figures of McKelvey and Palfrey's game, as the reference restates them."""
    game = game_of(*PENNIES)
    path = logit_path(game.paid, [2, 2], [0.1, 0.5, 1.0, 3.0])
    assert path[:, 0] == pytest.approx([0.597516, 0.830671, 0.893576, 0.795384], abs=1e-6)
    assert path[:, 2] == pytest.approx([0.495124, 0.418077, 0.312780, 0.145256], abs=1e-6)
    assert not game.profiles()["equilibrium"].any()
    end = logit_path(game.paid, [2, 2], [200.0])[0]
    assert end[0] == pytest.approx(0.5, abs=0.02)  # so that evaluators do not care
    assert end[2] == pytest.approx(0.1, abs=0.01)  # 9 q = 1 - q


@pytest.mark.parametrize("matrices", [PENNIES, COORDINATION])
def test_nashpy_finds_the_same(matrices):
    nashpy = pytest.importorskip("nashpy")
    game = game_of(*matrices)
    theirs = list(nashpy.Game(*matrices).support_enumeration())
    pure = {
        (int(row.argmax()), int(column.argmax()))
        for row, column in theirs
        if row.max() == column.max() == 1.0
    }
    table = game.profiles()
    ours = {divmod(place, 2) for place in np.flatnonzero(table["equilibrium"])}
    assert ours == pure
    end = logit_path(game.paid, [2, 2], [200.0])[0]
    assert any(np.abs(np.concatenate(pair) - end).max() < 0.02 for pair in theirs)


def test_of_a_scenario_entries_are_of_one_node_among_all():
    """An entry in which all are honest is the honest node's pay; a lazy one saves its compute."""
    scenario = load("cost_aware_poq", ["rounds=150", "replications=3"])
    runner = VariantRunner.of(scenario, compute_cost=0.3)
    specs = {"inference": [{"name": "freeload"}], "evaluator": [{"name": "copycat"}]}
    game = two_role_game(runner, specs)
    assert game.strategies == (("honest", "freeload"), ("honest", "copycat"))
    assert [samples.shape for samples in game.samples] == [(3, 2, 2, 2)] * 2
    played = runner.play({"base": scenario}, 0, 3)["base"]
    pay = played.rewards / played.jobs
    first = scenario.population.inference_nodes
    assert game.samples[0][:, 0, 0, 0] == pytest.approx(pay[:, :first].mean(axis=1))
    assert game.samples[1][:, 0, 0, 0] == pytest.approx(pay[:, first:].mean(axis=1))
    assert set(game.tables) == {"profiles", "payoffs", "path"}
    assert len(game.payoffs) == 16


@pytest.mark.parametrize(
    ("specs", "message"),
    [
        ({"evaluator": [{"name": "boost"}]}, "inference nodes have 0"),
        ({"inference": [{"name": "boost"}]}, "no behaviour 'boost' of inference nodes"),
        (
            {"inference": [{"name": "freeload"}], "evaluator": [{"name": "collude"}]},
            "collude needs a ring",
        ),
    ],
)
def test_mistakes_are_told(specs, message):
    with pytest.raises(InputError, match=message):
        two_role_game(VariantRunner.of(load("cost_aware_poq")), specs)
