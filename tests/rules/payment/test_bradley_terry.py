"""Strengths by Bradley and Terry: against hand-solved cases, and what must hold of any."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from poq_abm.rules.payment.bradley_terry import (
    BradleyTerry,
    chances_against_average,
    strengths,
    wins_of,
)
from poq_abm.rules.registry import complete

Array = NDArray[np.float64]
property_test = settings(deadline=None, derandomize=True, max_examples=40)


@st.composite
def win_matrices(draw: st.DrawFn) -> Array:
    """Every two nodes met, and each won something: a strength is finite then."""
    size = draw(st.integers(2, 6))
    won = draw(st.lists(st.integers(1, 40), min_size=size * size, max_size=size * size))
    wins = np.array(won, float).reshape(size, size)
    np.fill_diagonal(wins, 0.0)
    return wins


def test_two_nodes_are_as_strong_as_they_win() -> None:
    found = strengths(np.array([[0.0, 12.0], [5.0, 0.0]]))
    assert found[0] / found[1] == pytest.approx(12.0 / 5.0, rel=1e-15)
    # p / (p + sqrt(p q)) = 1 / (1 + sqrt(q / p))
    expected = [1.0 / (1.0 + np.sqrt(5.0 / 12.0)), 1.0 / (1.0 + np.sqrt(12.0 / 5.0))]
    np.testing.assert_allclose(chances_against_average(found), expected, rtol=1e-14)


def test_ties_with_the_average_by_hand() -> None:
    """v = 2, one win against nobody else's: 2 = n p / (p + q) + 2 p / (p + 1) with q = 1 / p.

    By symmetry q = 1 / p, so that 1 + 1 = p^2 / (p^2 + 1) + 2 p / (p + 1).
    """
    found = strengths(np.array([[0.0, 1.0], [0.0, 0.0]]), ties=2.0)
    assert found[0] * found[1] == pytest.approx(1.0, rel=1e-9)
    p = found[0]
    assert p * p / (p * p + 1.0) + 2.0 * p / (p + 1.0) == pytest.approx(2.0, rel=1e-9)


@property_test
@given(win_matrices())
def test_strengths_expect_what_was_won(wins: Array) -> None:
    """The likelihood's condition: W_i = sum over j of n_ij p_i / (p_i + p_j)."""
    p = strengths(wins)
    chance = p[:, np.newaxis] / (p[:, np.newaxis] + p)
    np.testing.assert_allclose(((wins + wins.T) * chance).sum(axis=1), wins.sum(axis=1), rtol=1e-8)


@property_test
@given(win_matrices(), st.randoms(use_true_random=False), st.floats(0.1, 20.0))
def test_names_and_scales_do_not_matter(wins: Array, luck, scale: float) -> None:
    order = list(range(len(wins)))
    luck.shuffle(order)
    merit = chances_against_average(strengths(wins))
    turned = chances_against_average(strengths(wins[np.ix_(order, order)]))
    np.testing.assert_allclose(turned, merit[order], rtol=1e-9)
    np.testing.assert_allclose(chances_against_average(strengths(scale * wins)), merit, rtol=1e-9)
    np.testing.assert_allclose(chances_against_average(scale * strengths(wins)), merit, rtol=1e-9)
    assert merit.mean() == pytest.approx(0.5, abs=1e-12)


@st.composite
def answers(draw: st.DrawFn) -> Array:
    records, nodes = draw(st.integers(1, 8)), draw(st.integers(1, 5))
    scores = st.sampled_from([0.1, 0.3, 5.0, 9.7])
    found = np.zeros((records, nodes, 2))
    for record in range(records):
        for node in range(nodes):
            for _ in range(draw(st.integers(0, 3))):
                found[record, node] += 1.0, draw(scores)
    return found


@property_test
@given(answers())
def test_every_pair_on_a_record_is_one_comparison(found: Array) -> None:
    wins = wins_of(found)
    here = found[:, :, 0] > 0.0
    met = np.array([[(a & b).sum() for b in here.T] for a in here.T], float)
    np.fill_diagonal(met, 0.0)
    np.testing.assert_array_equal(wins + wins.T, met)
    merits = BradleyTerry.merits(found, complete(BradleyTerry, {"minimum_shared": 2}))
    thin = here.any(axis=0) & (met.sum(axis=1) < 2)
    assert merits.thin == thin.sum()
    assert (merits.merit[thin] == 0.5).all()
    assert ((merits.merit > 0.0) & (merits.merit < 1.0)).all()


def test_sums_that_differ_by_rounding_are_a_tie() -> None:
    thrice = 0.1 + 0.1 + 0.1
    assert thrice / 3.0 != 0.1
    wins = wins_of(np.array([[[3.0, thrice], [1.0, 0.1]]]))
    assert wins.tolist() == [[0.0, 0.5], [0.5, 0.0]]


def test_who_never_lost_has_a_finite_strength() -> None:
    found = np.zeros((30, 3, 2))
    found[:, :, 0] = 1.0
    found[:, :, 1] = [9.0, 5.0, 1.0]
    merits = BradleyTerry.merits(found, complete(BradleyTerry, {}))
    best, middle, worst = merits.merit.tolist()
    assert 0.9 < best < 1.0
    assert middle == pytest.approx(0.5, abs=1e-9)
    assert worst == pytest.approx(1.0 - best, abs=1e-9)
    assert merits.thin == 0
