"""The cheapest contract: its published numbers, and what linear programming promises of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from poq_abm.analysis.cheapest_contract import (
    cheapest_contract,
    imitation,
    least_alpha,
    robust_costs,
)

COSTS = 0.105 * np.array([1.73, 2.3, 6.1])
few = settings(max_examples=40, deadline=None, derandomize=True, database=None)


def binary(*passing: float) -> np.ndarray:
    return np.stack([1.0 - np.array(passing), np.array(passing)], axis=1)


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Chances (models, bins) in hundredths, and costs."""
    models, bins = draw(st.integers(2, 5)), draw(st.integers(2, 5))
    counts = st.lists(st.integers(1, 50), min_size=bins, max_size=bins)
    chances = np.array([draw(counts) for _ in range(models)], float)
    costs = np.array([draw(st.integers(0, 20)) for _ in range(models)]) / 20.0
    return chances / chances.sum(axis=1, keepdims=True), costs


@pytest.mark.parametrize(
    ("passing", "known", "robust"),
    [((0.335, 0.36, 0.53), 2.35308, 2.69912), ((0.414, 0.47, 0.624), 2.59091, 2.97955)],
)
@pytest.mark.parametrize("minimise", ["pay", "budget"])
def test_the_published_contracts(passing, known: float, robust: float, minimise) -> None:
    for costs, pay in ((COSTS, known), (robust_costs(COSTS, 2), robust)):
        for monotone in (False, True):
            found = cheapest_contract(
                binary(*passing), costs, 2, minimise=minimise, monotone=monotone
            )
            assert found == pytest.approx([0.0, pay], abs=5e-6)


@few
@given(problems())
def test_two_models_need_their_cost_over_total_variation(problem) -> None:
    chances, costs = problem[0][:2], np.sort(problem[1][:2])
    variation = 0.5 * np.abs(chances[1] - chances[0]).sum()
    assume(variation > 0.01)
    found = cheapest_contract(chances, costs, 1, minimise="budget")
    assert found.max() == pytest.approx((costs[1] - costs[0]) / variation, rel=1e-6, abs=1e-9)


@few
@given(problems(), st.booleans())
def test_a_contract_makes_the_target_best_or_a_cheaper_mix_scores_alike(
    problem, monotone: bool
) -> None:
    chances, costs = problem
    target = len(costs) - 1
    mix = imitation(chances, costs, target, monotone=monotone)
    paid = [
        cheapest_contract(chances, costs, target, minimise=what, monotone=monotone)
        for what in ("pay", "budget")
    ]
    if paid[0] is None:
        assert paid[1] is None
        assert mix is not None
        assert mix @ costs < costs[target]
        assert mix[target] == 0.0
        tails = (chances[target] - mix @ chances)[::-1].cumsum()
        assert (tails < 1e-6).all() if monotone else tails == pytest.approx(0.0, abs=1e-6)
        return
    assert mix is None
    for pays in paid:
        assert (pays >= 0.0).all()
        profit = chances @ pays - costs
        assert profit[target] == pytest.approx(profit.max(), abs=1e-5 * max(1.0, pays.max()))
        assert not monotone or (np.diff(pays) >= -1e-6).all()
    scale = 1e-6 * max(1.0, paid[0].max())
    assert chances[target] @ paid[0] <= chances[target] @ paid[1] + scale
    assert paid[1].max() <= paid[0].max() + scale


@few
@given(problems())
def test_conditions_make_a_contract_no_cheaper(problem) -> None:
    chances, costs = problem
    plain, rising, robust = (
        cheapest_contract(chances, of, 0, monotone=monotone)
        for of, monotone in ((costs, False), (costs, True), (robust_costs(costs, 0), False))
    )
    for other in (rising, robust):
        if other is not None:
            least = chances[0] @ plain
            assert chances[0] @ other >= least - 1e-6 * max(1.0, least)


@few
@given(st.lists(st.integers(1, 99), min_size=3, max_size=3), problems())
def test_the_least_alpha_makes_the_target_best(quality, problem) -> None:
    costs = np.resize(problem[1], 3)
    mean = np.array(quality) / 100.0
    alpha = least_alpha(mean, costs, 1)
    grid = np.linspace(0.0, 60.0, 241)[:, None] * mean - costs
    works = (grid[:, [1]] >= grid - 1e-9).all(axis=1)
    if np.isnan(alpha):
        assert not works.any()
    else:
        profit = alpha * mean - costs
        assert profit[1] == pytest.approx(profit.max(), abs=1e-9 * max(1.0, alpha))
        assert not works[np.linspace(0.0, 60.0, 241) < alpha - 1e-6].any()


def test_models_that_score_alike_cannot_be_told_apart() -> None:
    alike = binary(0.5, 0.5, 0.8)
    assert cheapest_contract(alike, [0.1, 0.2, 0.3], 1) is None
    assert imitation(alike, [0.1, 0.2, 0.3], 1).tolist() == [1.0, 0.0, 0.0]
    assert cheapest_contract(alike, [0.2, 0.1, 0.3], 1).tolist() == [0.0, 0.0]
    one = np.ones((2, 1))
    assert cheapest_contract(one, [0.0, 1.0], 1) is None
    assert imitation(one, [0.0, 1.0], 1).tolist() == [1.0, 0.0]
