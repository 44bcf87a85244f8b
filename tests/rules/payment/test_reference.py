from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poq_abm.rules.aggregation import Aggregation, aggregate
from poq_abm.rules.payment.reference import Reference, reference_score
from poq_abm.rules.payment.rewards import closeness

property_test = settings(deadline=None, derandomize=True, max_examples=200)
committees = st.lists(st.floats(0.0, 10.0), min_size=2, max_size=20)

MEAN = int(Aggregation.MEAN)
INCLUSIVE, LEAVE_ONE_OUT = (int(reference) for reference in Reference)


def against(reference: int, scores: list[float], member: int) -> float:
    return under(MEAN, 0.0, reference, scores, [1.0] * len(scores), member)


def under(
    rule: int,
    parameter: float,
    reference: int,
    scores: list[float],
    weights: list[float],
    member: int,
) -> float:
    """What a member is compared with under any rule; the scratch starts as NaN."""
    array, heavy, count = np.array(scores), np.array(weights), len(scores)
    ordered, carried, others, their_weights = np.full((4, count), np.nan)
    consensus = aggregate(rule, parameter, array, heavy, count, ordered, carried)
    scratch = (others, their_weights, ordered, carried)
    return reference_score(
        reference, rule, parameter, array, heavy, count, member, consensus, *scratch
    )


def test_each_member_of_three_is_compared_with_the_other_two() -> None:
    scores = [2.0, 4.0, 9.0]
    assert [against(LEAVE_ONE_OUT, scores, k) for k in range(3)] == [6.5, 5.5, 3.0]
    assert [against(INCLUSIVE, scores, k) for k in range(3)] == [5.0, 5.0, 5.0]


@pytest.mark.parametrize("reference", list(Reference))
def test_alone_in_its_committee_an_evaluator_is_compared_with_itself(reference: Reference) -> None:
    assert against(reference, [7.3], 0) == 7.3
    assert closeness(7.3, against(reference, [7.3], 0)) == 1.0


@property_test
@given(committees, st.data())
def test_leaving_one_out_is_the_mean_of_the_others(
    scores: list[float], data: st.DataObject
) -> None:
    member = data.draw(st.integers(0, len(scores) - 1))
    expected = np.delete(np.array(scores), member).mean()
    # NumPy adds in another order; both sums of numbers of one sign are good to K units.
    tolerance = 2 * len(scores) * 2.0**-52 * expected + 5e-324
    assert abs(against(LEAVE_ONE_OUT, scores, member) - expected) <= tolerance


@property_test
@given(committees, st.floats(0.0, 10.0), st.data())
def test_an_evaluator_cannot_move_its_own_left_out_reference(
    scores: list[float], other: float, data: st.DataObject
) -> None:
    member = data.draw(st.integers(0, len(scores) - 1))
    moved = [*scores]
    moved[member] = other
    assert against(LEAVE_ONE_OUT, moved, member) == against(LEAVE_ONE_OUT, scores, member)


@property_test
@given(committees, st.data())
def test_leaving_one_out_stretches_the_distance_by_k_over_k_minus_one(
    scores: list[float], data: st.DataObject
) -> None:
    """s - c_without = (s - c) K / (K - 1): the inclusive mean pulls towards the evaluator."""
    member, count = data.draw(st.integers(0, len(scores) - 1)), len(scores)
    inside = scores[member] - against(INCLUSIVE, scores, member)
    outside = scores[member] - against(LEAVE_ONE_OUT, scores, member)
    # Scores up to 10, sums of up to 20 of them: rounding stays far below 1e-13.
    assert abs(outside - inside * count / (count - 1)) < 1e-13


@property_test
@given(committees, st.floats(0.0, 10.0), st.data())
def test_the_inclusive_reference_is_the_consensus_it_is_given(
    scores: list[float], consensus: float, data: st.DataObject
) -> None:
    member, array = data.draw(st.integers(0, len(scores) - 1)), np.array(scores)
    scratch = np.full((4, array.size), np.nan)
    given_back = reference_score(
        INCLUSIVE, MEAN, 0.0, array, array, array.size, member, consensus, *scratch
    )
    assert given_back == consensus


def test_the_scores_and_places_beyond_the_committee_are_left_alone() -> None:
    scores, weights = np.array([2.0, 4.0, 9.0, 77.0]), np.array([1.0, 2.0, 3.0, 88.0])
    others, their_weights, ordered, carried = np.full((4, 4), -1.0)
    scratch = (others, their_weights, ordered, carried)
    given = (LEAVE_ONE_OUT, MEAN, 0.0, scores, weights, 3, 0, 5.0)
    assert reference_score(*given, *scratch) == 6.5
    assert scores.tolist() == [2.0, 4.0, 9.0, 77.0]
    assert weights.tolist() == [1.0, 2.0, 3.0, 88.0]
    assert others.tolist() == [4.0, 9.0, -1.0, -1.0]
    assert their_weights.tolist() == [2.0, 3.0, -1.0, -1.0]
    assert (ordered[3], carried[3]) == (-1.0, -1.0)


@pytest.mark.parametrize(
    ("rule", "parameter", "expected"),
    [
        (Aggregation.MEDIAN, 0.0, 6.0),
        (Aggregation.TRUST_WEIGHTED, 0.0, (2.0 + 3 * 4.0 + 2 * 8.0 + 10.0) / 7),
        (Aggregation.TRIMMED_MEAN, 0.25, 6.0),
        (Aggregation.WINSORIZED_MEAN, 0.25, 6.0),
    ],
)
def test_the_others_are_aggregated_by_the_same_rule_with_their_own_weights(
    rule: Aggregation, parameter: float, expected: float
) -> None:
    """Member 1 of five is left out; the others reported 2, 4, 8 and 10."""
    scores, weights = [2.0, 0.0, 4.0, 8.0, 10.0], [1.0, 50.0, 3.0, 2.0, 1.0]
    found = under(rule, parameter, LEAVE_ONE_OUT, scores, weights, 1)
    assert found == pytest.approx(expected, abs=1e-14)  # a handful of roundings below 10


@pytest.mark.parametrize("rule", list(Aggregation))
@property_test
@given(scores=committees, data=st.data())
def test_under_no_rule_does_an_evaluator_move_its_left_out_reference(
    rule: Aggregation, scores: list[float], data: st.DataObject
) -> None:
    member = data.draw(st.integers(0, len(scores) - 1))
    weights = data.draw(st.lists(st.floats(0.1, 5.0), min_size=len(scores), max_size=len(scores)))
    parameter = 0.4  # within the range of every parameter
    moved, heavier = [*scores], [*weights]
    moved[member] = 10.0 - scores[member]
    heavier[member] = 5.1 - weights[member]
    own = under(rule, parameter, LEAVE_ONE_OUT, scores, weights, member)
    assert under(rule, parameter, LEAVE_ONE_OUT, moved, heavier, member) == own
