from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from poq_abm.rules.payment.rewards import (
    RewardFamily,
    closeness,
    evaluator_reward,
    family_reward,
    inference_reward,
    min_max_cost,
    quality,
)

property_test = settings(deadline=None, derandomize=True, max_examples=200)
scores = st.floats(0.0, 10.0)
shares = st.floats(0.0, 1.0)
coefficients = st.floats(0.0, 100.0)
latencies = hnp.arrays(np.float64, st.integers(1, 30), elements=st.floats(1e-3, 1e7))


def test_rewards_by_hand() -> None:
    assert quality(6.0) == 0.6
    assert closeness(7.0, 5.0) == 0.8
    assert closeness(5.0, 7.0) == 0.8
    assert inference_reward(2.0, 0.5, 5.0, 0.25) == 0.875
    assert evaluator_reward(2.0, 0.5, 0.75, 0.25) == 1.375
    assert min_max_cost(np.array([1108.0, 2000.0, 3000.0])).tolist() == [0.0, 892 / 1892, 1.0]


def test_the_ends_of_the_scales() -> None:
    assert (quality(0.0), quality(10.0)) == (0.0, 1.0)
    assert (closeness(0.0, 10.0), closeness(10.0, 0.0)) == (0.0, 0.0)
    assert inference_reward(1.0, 0.3, 0.0, 1.0) == -0.3  # the worst answer at the highest cost


@property_test
@given(scores, scores)
def test_closeness_is_a_symmetric_share_and_one_only_for_equals(one: float, other: float) -> None:
    near = closeness(one, other)
    assert 0.0 <= near <= 1.0
    assert near == closeness(other, one)
    assert closeness(one, one) == 1.0


@property_test
@given(scores)
def test_quality_is_a_share(consensus: float) -> None:
    assert 0.0 <= quality(consensus) <= 1.0


@property_test
@given(coefficients, coefficients, scores, shares, shares)
def test_rewards_stay_between_minus_beta_and_alpha(
    alpha: float, beta: float, consensus: float, near: float, cost: float
) -> None:
    assert -beta <= inference_reward(alpha, beta, consensus, cost) <= alpha
    assert -beta <= evaluator_reward(alpha, beta, near, cost) <= alpha


@property_test
@given(coefficients, coefficients, scores, scores, shares, shares)
def test_a_better_answer_never_pays_less_and_a_higher_cost_never_more(
    alpha: float, beta: float, one: float, other: float, cheap: float, dear: float
) -> None:
    (low, high), (cheap, dear) = sorted((one, other)), sorted((cheap, dear))
    assert inference_reward(alpha, beta, low, dear) <= inference_reward(alpha, beta, high, cheap)
    assert evaluator_reward(alpha, beta, quality(low), dear) <= evaluator_reward(
        alpha, beta, quality(high), cheap
    )


@property_test
@given(latencies)
def test_costs_run_from_zero_to_one_in_the_order_of_the_latencies(latency: np.ndarray) -> None:
    cost = min_max_cost(latency)
    assert np.all((cost >= 0.0) & (cost <= 1.0))
    order = np.argsort(latency, kind="stable")
    assert np.all(np.diff(cost[order]) >= 0.0)
    if latency.min() < latency.max():
        assert (cost.min(), cost.max()) == (0.0, 1.0)


@property_test
@given(latencies, st.integers(-20, 20))
def test_costs_do_not_depend_on_the_unit_of_time(latency: np.ndarray, power: int) -> None:
    """Exactly so for powers of two, which only move the exponent."""
    assert np.array_equal(min_max_cost(latency * 2.0**power), min_max_cost(latency))


@property_test
@given(
    hnp.arrays(np.int64, st.integers(2, 30), elements=st.integers(1, 10**6)),
    st.integers(0, 10**6),
    st.integers(1, 1000),
)
def test_costs_do_not_depend_on_the_origin_or_the_scale_of_time(
    latency: np.ndarray, shift: int, scale: int
) -> None:
    """Whole milliseconds are shifted and scaled without rounding; only the cost is rounded."""
    one = min_max_cost(latency.astype(np.float64))
    other = min_max_cost((latency * scale + shift).astype(np.float64))
    assert np.array_equal(one, other)


@property_test
@given(st.floats(1e-3, 1e7), st.integers(1, 20))
def test_equal_latencies_cost_nothing(latency: float, nodes: int) -> None:
    assert min_max_cost(np.full(nodes, latency)).tolist() == [0.0] * nodes


@property_test
@given(latencies)
def test_equal_latencies_have_equal_costs_and_nobody_is_changed(latency: np.ndarray) -> None:
    before = latency.copy()
    twice = min_max_cost(np.concatenate([latency, latency]))
    assert np.array_equal(twice[: latency.size], twice[latency.size :])
    assert np.array_equal(latency, before)


# ------------------------------------------------------------------------------------ the families

LINEAR, CONVEX, RATIO = RewardFamily.LINEAR, RewardFamily.CONVEX_COST, RewardFamily.RATIO
THRESHOLD, WEIGHTED = RewardFamily.THRESHOLD, RewardFamily.TASK_WEIGHTED


@pytest.mark.parametrize(
    ("family", "parameter", "weight", "paid"),
    [
        (LINEAR, 9.0, 9.0, 2.0 * 0.6 - 0.5 * 0.5),
        (CONVEX, 2.0, 9.0, 2.0 * 0.6 - 0.5 * 0.25),
        (RATIO, 9.0, 9.0, 2.0 * 0.6 / 1.25),
        (THRESHOLD, 0.6, 9.0, 2.0 - 0.25),
        (THRESHOLD, 0.61, 9.0, -0.25),
        (WEIGHTED, 9.0, 1.5, 3.0 * 0.6 - 0.25),
    ],
)
def test_families_by_hand(
    family: RewardFamily, parameter: float, weight: float, paid: float
) -> None:
    """alpha = 2, beta = 1/2, Q = 0.6, C = 1/2; 9 stands for what a family ignores."""
    reward = family_reward(family, parameter, weight, 2.0, 0.5, 6.0, 0.5)
    assert reward == pytest.approx(paid, rel=1e-15)


@property_test
@given(coefficients, coefficients, scores, shares)
def test_linear_is_published_to_the_last_bit_and_others_meet_it_at_their_neutral_value(
    alpha: float, beta: float, consensus: float, cost: float
) -> None:
    published = inference_reward(alpha, beta, consensus, cost)
    values = (alpha, beta, consensus, cost)
    assert family_reward(LINEAR, 0.0, 1.0, *values) == published
    assert family_reward(CONVEX, 1.0, 1.0, *values) == published
    assert family_reward(WEIGHTED, 0.0, 1.0, *values) == published
    assert family_reward(RATIO, 0.0, 1.0, alpha, 0.0, consensus, cost) == alpha * quality(consensus)


@property_test
@given(
    st.sampled_from([LINEAR, CONVEX, RATIO, THRESHOLD, WEIGHTED]),
    shares,
    coefficients,
    coefficients,
    scores,
    scores,
    shares,
    shares,
)
def test_no_family_pays_less_for_quality_or_more_for_cost(
    family: RewardFamily,
    parameter: float,
    alpha: float,
    beta: float,
    one: float,
    other: float,
    cheap: float,
    dear: float,
) -> None:
    (low, high), (cheap, dear) = sorted((one, other)), sorted((cheap, dear))
    parameter = 1.0 + 9.0 * parameter if family == CONVEX else parameter
    worse = family_reward(family, parameter, 1.0, alpha, beta, low, dear)
    better = family_reward(family, parameter, 1.0, alpha, beta, high, cheap)
    assert worse <= better
    assert -beta <= worse
    assert better <= alpha
