"""Routing by second score: its closed form, and that no false report gains in any single draw."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poq_abm.rules.schedule.second_score import second_score

property_test = settings(deadline=None, derandomize=True, max_examples=200, database=None)
amounts = st.floats(0.0, 10.0)
markets = st.lists(st.tuples(amounts, amounts), min_size=1, max_size=8)


def won(worth: np.ndarray, asked: np.ndarray, first: int = 0) -> tuple[int, float]:
    return second_score(worth, asked, np.arange(worth.size), first)


@property_test
@given(markets, st.data())
def test_no_false_report_gains(market, data: st.DataObject) -> None:
    """Whatever the others report, a node's gain is that of the truth or less, but for rounding."""
    worth, asked = np.array(market).T.copy()
    node = data.draw(st.integers(0, worth.size - 1))
    first = data.draw(st.integers(0, worth.size - 1))
    cost = asked[node]

    def utility(report: float) -> float:
        said = asked.copy()
        said[node] = report
        winner, pay = won(worth, said, first)
        return pay - cost if winner == node else 0.0

    truthful = utility(cost)
    if worth.size > 1:
        assert truthful >= -1e-12
    rivals = np.delete(worth - asked, node)
    pivotal = worth[node] - rivals.max() if rivals.size else cost
    for report in (0.0, data.draw(amounts), *(max(0.0, pivotal + step) for step in (-1e-9, 1e-9))):
        assert utility(report) <= truthful + 1e-12


@property_test
@given(markets, st.integers(0, 7))
def test_the_best_score_wins_and_is_paid_by_the_next(market, first: int) -> None:
    worth, asked = np.array(market).T.copy()
    winner, pay = won(worth, asked, first % worth.size)
    scores = worth - asked
    assert scores[winner] == scores.max()
    others = np.delete(scores, winner)
    assert pay == worth[winner] - (others.max() if others.size else 0.0)


@pytest.mark.parametrize("nodes", [2, 3, 8])
def test_equal_nodes_cost_one_over_n_plus_one_and_are_paid_twice_that(nodes: int) -> None:
    """Costs uniform on [0, 1]: the least and the second least of n."""
    draws, worth = 4000, np.full(nodes, 5.0)
    costs = np.random.default_rng(7).uniform(size=(draws, nodes))
    found = [won(worth, cost) for cost in costs]
    cost = np.array([costs[row, winner] for row, (winner, _) in enumerate(found)])
    pay = np.array([paid for _, paid in found])
    for values, mean in ((cost, 1.0 / (nodes + 1.0)), (pay, 2.0 / (nodes + 1.0))):
        assert abs(values.mean() - mean) < 5.0 * values.std() / math.sqrt(draws)
    assert (pay >= cost).all()


def test_equal_scores_take_turns() -> None:
    worth, asked = np.ones(4), np.full(4, 0.25)
    assert [won(worth, asked, first) for first in range(4)] == [(n, 0.25) for n in range(4)]
