"""All solutions of a game whose payoffs are made up, and their intervals."""

import math

import numpy as np
import pytest

from poq_abm import load
from poq_abm.analysis.equilibrium.mixture_payoffs import compositions
from poq_abm.analysis.equilibrium.reduced_game import ReducedGame
from poq_abm.analysis.equilibrium.solution import bootstrap_ends, solve


def made_up(strategies, payoff_of, luck=0.0, players=5):
    """Payoffs by a function of a strategy and of the shares of the others, with common luck."""
    others = compositions(players - 1, len(strategies))
    exact = np.array(
        [[payoff_of(i, counts / counts.sum()) for counts in others] for i in range(len(strategies))]
    )
    noise = luck * np.random.default_rng(1).normal(size=(20, *exact.shape))
    scenario = load("cost_aware_poq")
    nodes = 3 * others
    return ReducedGame(scenario, "evaluator", strategies, others, nodes, exact + noise, "job")


def test_a_deviation_that_pays_where_many_do_it():
    """Honest earn .5, liars as many as there are: all honest and all liars, basins half each."""
    solved = solve(made_up(("honest", "boost"), lambda i, x: x[1] if i else 0.5))
    table = solved.equilibria.set_index("honest")
    assert sorted(table.index.to_numpy().round(6)) == [0.0, 0.5, 1.0]
    assert table["equilibrium"].all()
    assert table["stable"].to_dict() == {1.0: True, 0.0: True, table.index[2]: False}
    assert table.loc[[1.0, 0.0], "basin"].tolist() == pytest.approx([19 / 39, 19 / 39])
    assert solved.invasion["threshold"].tolist() == [0.5]
    assert solved.unsettled == 0.0
    assert "All honest is an equilibrium against boost" in solved.sentences[0]
    assert "boost pays from a share of 0.50 [0.50, 0.50]" in " ".join(solved.sentences)


def test_what_luck_leaves_open_is_said():
    def slightly_worse(i, x):
        return 0.5 - 0.001 * i

    sure = solve(made_up(("honest", "boost"), slightly_worse))
    assert sure.invasion["threshold"].tolist() == [math.inf]
    assert "boost pays at no share of deviators [never, never]." in sure.sentences
    unsure = solve(made_up(("honest", "boost"), slightly_worse, luck=0.05))
    (row,) = unsure.equilibria[unsure.equilibria["honest"] == 1.0].to_dict("records")
    assert row["low"] == 0.0 < row["high"]
    assert "is not decided" in unsure.sentences[0]


def test_a_gain_that_is_sure():
    solved = solve(made_up(("honest", "boost", "constant"), lambda i, x: [0.5, 0.6, 0.4][i], 0.01))
    assert "All honest is no equilibrium: who leaves it for boost gains" in solved.sentences[0]
    assert solved.ranks.set_index("strategy")["time"].idxmax() == "boost"
    assert solved.path[["honest", "boost", "constant"]].sum(axis=1).to_numpy() == pytest.approx(1.0)
    assert solved.path["boost"].is_monotonic_increasing
    assert set(solved.tables) == {"payoffs", "equilibria", "ranks", "path", "invasion"}


def test_where_all_earn_the_same_it_is_said():
    solved = solve(made_up(("honest", "boost"), lambda i, x: 0.7))
    assert solved.sentences == [
        "Whatever the others do, honest, boost earn the same: every mix is an equilibrium."
    ]
    assert not solved.equilibria["stable"].any()


def test_ends_of_many_resamples_of_a_mean_are_student_s():
    values = np.random.default_rng(0).normal(size=(20_000, 1)) * math.sqrt(9 / 10 / 10)
    low, high = bootstrap_ends(values, 10)[:, 0]
    assert high - low == pytest.approx(2 * 2.262 / math.sqrt(10), rel=0.05)
