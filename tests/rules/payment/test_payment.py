from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from poq_abm.rules.committee import open_committee
from poq_abm.rules.compiled import number_of, pay_evaluator, pay_inference
from poq_abm.rules.payment import INFERENCE_PAYMENT, InferencePayment
from poq_abm.rules.payment.closeness import Closeness
from poq_abm.rules.payment.formulas import (
    closeness,
    evaluator_reward,
    inference_reward,
    min_max_cost,
    quality,
)
from poq_abm.rules.registry import shipped

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

FAMILIES = shipped(INFERENCE_PAYMENT)


def paid_by(family: str, consensus: float, cost: float, alpha: float, beta: float, *given: float):
    """What the compiled choice of the engines pays."""
    number = number_of(FAMILIES[family])
    return pay_inference(number, np.array(given), None, consensus, cost, alpha, beta)


@pytest.mark.parametrize(
    ("family", "given", "paid"),
    [
        ("linear", [], 2.0 * 0.6 - 0.5 * 0.5),
        ("convex_cost", [2.0], 2.0 * 0.6 - 0.5 * 0.25),
        ("ratio", [], 2.0 * 0.6 / 1.25),
        ("threshold", [0.6], 2.0 - 0.25),
        ("threshold", [0.61], -0.25),
        ("task_weighted", [1.5], 3.0 * 0.6 - 0.25),
        ("bradley_terry", [20.0, 0.5, 1.0], -0.25),
    ],
)
def test_families_by_hand(family: str, given: list[float], paid: float) -> None:
    """alpha = 2, beta = 1/2, Q = 0.6, C = 1/2."""
    assert paid_by(family, 6.0, 0.5, 2.0, 0.5, *given) == pytest.approx(paid, rel=1e-15)


@property_test
@given(coefficients, coefficients, scores, shares)
def test_linear_is_published_to_the_last_bit_and_others_meet_it_at_their_neutral_value(
    alpha: float, beta: float, consensus: float, cost: float
) -> None:
    published = inference_reward(alpha, beta, consensus, cost)
    values = (consensus, cost, alpha, beta)
    assert paid_by("linear", *values) == published
    assert paid_by("convex_cost", *values, 1.0) == published
    assert paid_by("task_weighted", *values, 1.0) == published
    assert paid_by("ratio", consensus, cost, alpha, 0.0) == alpha * quality(consensus)


@property_test
@given(coefficients, coefficients, scores, scores, shares)
def test_closeness_is_paid_as_published_to_the_last_bit(
    alpha: float, beta: float, score: float, other: float, cost: float
) -> None:
    committee = open_committee([score, other])
    committee.nearness[:] = closeness(score, other)
    paid = pay_evaluator(number_of(Closeness), np.empty(0), None, committee, 1, cost, alpha, beta)
    assert paid == evaluator_reward(alpha, beta, closeness(score, other), cost)


def test_a_parameter_by_task_has_a_row_for_each_task_and_one_for_others() -> None:
    family = FAMILIES["task_weighted"]
    table = family.by_task({"task_weights": {"qa": 2.0}}, ["summarization", "qa"])
    assert table.tolist() == [[1.0], [2.0], [1.0]]


@pytest.mark.parametrize(
    "family",
    [rule for rule in FAMILIES.values() if rule.rises_with_quality],
    ids=lambda rule: rule.name,
)
@property_test
@given(
    shares,
    coefficients,
    coefficients,
    scores,
    scores,
    shares,
    shares,
)
def test_no_family_pays_less_for_quality_or_more_for_cost(
    family: type[InferencePayment],
    share: float,
    alpha: float,
    beta: float,
    one: float,
    other: float,
    cheap: float,
    dear: float,
) -> None:
    (low, high), (cheap, dear) = sorted((one, other)), sorted((cheap, dear))
    given = [
        parameter.low + share * (min(parameter.high, 1.0 + parameter.low) - parameter.low)
        for parameter in family.parameters.values()
    ]
    worse = paid_by(family.name, low, dear, alpha, beta, *given)
    better = paid_by(family.name, high, cheap, alpha, beta, *given)
    assert worse <= better
    assert -beta <= worse
    assert better <= alpha
