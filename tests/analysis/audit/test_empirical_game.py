"""The empirical game, by hand and through the eyes of game solvers."""

from __future__ import annotations

import numpy as np
import pytest

from poq_abm.analysis.audit.empirical_game import EmpiricalGame, empirical_game
from poq_abm.analysis.audit.variants import VariantRunner
from poq_abm.errors import InputError
from tests.analysis.audit.test_hand import alike

HONEST, BOOST = {"name": "honest"}, {"name": "boost", "b": 3.0}


@pytest.fixture(scope="module")
def game() -> EmpiricalGame:
    scenario = alike(10, **{"population.evaluators.0.noise_sd": 0.0})
    return empirical_game(
        VariantRunner.of(scenario), [HONEST, BOOST], shares=[1 / 3, 1.0], replications=2
    )


def test_agreement_is_what_pays(game: EmpiricalGame) -> None:
    """Doing as the others do pays 1; departing by b among ten costs 0.9 b / 10."""
    assert game.payoffs() == pytest.approx(np.array([[1.0, 0.73], [0.73, 1.0]]))


def test_payoffs_depend_on_the_share_of_the_others(game: EmpiricalGame) -> None:
    """Three of nine boost: the mean moves by 0.9, and the honest lie that far from it."""
    table = game.table.set_index(["behaviour", "others", "share"])["payoff"]
    assert table["honest", "boost(b=3.0)", 1 / 3] == pytest.approx(0.91)


def test_nashpy_takes_it_and_finds_both_conventions(game: EmpiricalGame) -> None:
    nashpy = pytest.importorskip("nashpy")
    pure = [
        pair
        for pair in nashpy.Game(*game.to_nashpy()).support_enumeration()
        if max(pair[0]) == max(pair[1]) == 1.0
    ]
    assert sorted(int(np.argmax(row)) for row, _ in pure) == [0, 1]


def test_the_matrices_are_what_the_solvers_take(game: EmpiricalGame) -> None:
    row, column = game.to_nashpy()
    assert (column == row.T).all()
    matrix = game.to_egttools()
    assert matrix.flags.c_contiguous
    assert (matrix.dtype, matrix.shape) == (np.float64, (2, 2))


def test_standard_errors_shrink_with_replications() -> None:
    runner = VariantRunner.of(alike(4, rounds=30))
    few = empirical_game(runner, [HONEST, BOOST], replications=4)
    many = empirical_game(runner, [HONEST, BOOST], replications=64)
    ratio = few.payoffs("standard_error") / many.payoffs("standard_error")
    assert (ratio > 1.5).all()  # 4 on average; an s.d. of four values may be half of the true one


def test_one_replication_has_no_standard_error() -> None:
    one = empirical_game(VariantRunner.of(alike(3)), [HONEST, BOOST], replications=1)
    assert np.isnan(one.payoffs("standard_error")).all()


@pytest.mark.parametrize(
    ("behaviours", "shares", "message"),
    [
        ([HONEST], [1.0], "two behaviours or more"),
        ([HONEST, {"name": "collude"}], [1.0], "collude needs a ring"),
        ([HONEST, BOOST], [0.0], "shares must lie in"),
        ([HONEST, {"name": "bost"}], [1.0], "did you mean 'boost'"),
    ],
)
def test_what_is_no_game_is_refused(behaviours, shares, message: str) -> None:
    with pytest.raises(InputError, match=message):
        empirical_game(VariantRunner.of(alike(3)), behaviours, shares=shares)


def test_one_node_plays_no_game() -> None:
    with pytest.raises(InputError, match="two evaluator nodes or more"):
        empirical_game(VariantRunner.of(alike(1)), [HONEST, BOOST])
