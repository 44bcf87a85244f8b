"""The drift of shares, and its figure."""

import numpy as np
import pytest

from poq_abm import load
from poq_abm.analysis.equilibrium.drift import drift, drift_figure
from poq_abm.analysis.equilibrium.mixture_payoffs import compositions
from poq_abm.analysis.equilibrium.reduced_game import ReducedGame
from poq_abm.analysis.equilibrium.solution import solve
from poq_abm.errors import InputError


def game_of(matrix, luck=0.0):
    matrix = np.array(matrix)
    count = len(matrix)
    others = compositions(1, count)  # the first strategy first
    samples = matrix + luck * np.random.default_rng(1).normal(size=(6, count, count))
    names = ("honest", "boost", "constant", "noise")[:count]
    return ReducedGame(load("cost_aware_poq"), "evaluator", names, others, others, samples, "job")


def test_shares_grow_by_what_they_earn_above_the_mean():
    game = game_of([[2.0, 0.0], [0.0, 1.0]])
    (moves,) = drift(game.payoffs, game, np.array([[0.5, 0.5]]))
    assert moves.tolist() == [0.125, -0.125]  # 1 and .5, with a mean of .75


@pytest.mark.filterwarnings("ignore")  # of the library
def test_egttools_says_the_same():
    analytical = pytest.importorskip("egttools.analytical")
    matrix, mix = np.random.default_rng(4).normal(size=(3, 3)), np.array([0.5, 0.3, 0.2])
    game = game_of(matrix)
    (moves,) = drift(game.payoffs, game, mix[None])
    assert moves == pytest.approx(analytical.replicator_equation(mix, matrix))


def test_of_two_a_line_and_of_three_a_triangle():
    line = drift_figure(solve(game_of([[2.0, 0.0], [0.0, 1.0]], luck=0.1)))
    assert "share of boost" in line.axes[0].get_xlabel()
    filled = [dot.get_markerfacecolor() for dot in line.axes[0].lines if dot.get_marker() == "o"]
    assert len(filled) == 3
    assert filled.count("white") == 1
    triangle = drift_figure(solve(game_of(np.eye(3))))
    assert {text.get_text() for text in triangle.axes[0].texts} == {"honest", "boost", "constant"}
    with pytest.raises(InputError, match="two or three strategies, not 4"):
        drift_figure(solve(game_of(np.eye(4))))
