from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poq_abm.rules.aggregation import AGGREGATION, Aggregation
from poq_abm.rules.aggregation.mean import Mean
from poq_abm.rules.committee import open_committee
from poq_abm.rules.compiled import find_references, number_of
from poq_abm.rules.payment import REFERENCE, MeasuredFrom
from poq_abm.rules.payment.formulas import closeness
from poq_abm.rules.registry import shipped

property_test = settings(deadline=None, derandomize=True, max_examples=200)
committees = st.lists(st.floats(0.0, 10.0), min_size=2, max_size=20)

INCLUSIVE, LEAVE_ONE_OUT = int(MeasuredFrom.CONSENSUS), int(MeasuredFrom.OTHERS)


def against(reference: int, scores: list[float], member: int) -> float:
    return under(Mean, reference, scores, [1.0] * len(scores), member)


def under(
    rule: type[Aggregation],
    reference: int,
    scores: list[float],
    weights: list[float],
    member: int,
    **given: float,
) -> float:
    """What a member is compared with under any rule; the working places start as NaN."""
    consensus = rule.consensus(scores, weights, **given)
    committee = open_committee(scores, weights)
    number, parameters = number_of(rule), rule.array(given)
    found = np.full(len(scores), np.nan)
    find_references(reference, number, parameters, None, committee, consensus, found)
    return float(found[member])


def test_each_member_of_three_is_compared_with_the_other_two() -> None:
    scores = [2.0, 4.0, 9.0]
    assert [against(LEAVE_ONE_OUT, scores, k) for k in range(3)] == [6.5, 5.5, 3.0]
    assert [against(INCLUSIVE, scores, k) for k in range(3)] == [5.0, 5.0, 5.0]


@pytest.mark.parametrize("name", shipped(REFERENCE))
def test_alone_in_its_committee_an_evaluator_is_compared_with_itself(name: str) -> None:
    found = against(shipped(REFERENCE)[name].measured_from, [7.3], 0)
    assert found == 7.3
    assert closeness(7.3, found) == 1.0


def test_the_median_is_that_of_all_whatever_the_rule() -> None:
    assert [against(MeasuredFrom.MEDIAN, [2.0, 4.0, 9.0], k) for k in range(3)] == [4.0] * 3


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
@given(committees, st.floats(0.0, 10.0))
def test_the_inclusive_reference_is_the_consensus_it_is_given(
    scores: list[float], consensus: float
) -> None:
    committee = open_committee(scores)
    found = np.empty(len(scores))
    find_references(INCLUSIVE, 0, np.empty(0), None, committee, consensus, found)
    assert (found == consensus).all()


def test_the_committee_is_left_as_it_was() -> None:
    committee, found = open_committee([2.0, 4.0, 9.0], [1.0, 2.0, 3.0]), np.empty(3)
    find_references(LEAVE_ONE_OUT, number_of(Mean), np.empty(0), None, committee, 5.0, found)
    assert found.tolist() == [6.5, 5.5, 3.0]
    assert committee.scores.tolist() == [2.0, 4.0, 9.0]
    assert committee.weights.tolist() == [1.0, 2.0, 3.0]
    assert committee.others[:2].tolist() == [2.0, 4.0], "those of the last"
    assert committee.their_weights[:2].tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("median", {}, 6.0),
        ("trust_weighted", {}, (2.0 + 3 * 4.0 + 2 * 8.0 + 10.0) / 7),
        ("trimmed_mean", {"tau": 0.25}, 6.0),
        ("winsorized_mean", {"tau": 0.25}, 6.0),
    ],
)
def test_the_others_are_aggregated_by_the_same_rule_with_their_own_weights(
    name: str, given: dict[str, float], expected: float
) -> None:
    """Member 1 of five is left out; the others reported 2, 4, 8 and 10."""
    scores, weights = [2.0, 0.0, 4.0, 8.0, 10.0], [1.0, 50.0, 3.0, 2.0, 1.0]
    found = under(shipped(AGGREGATION)[name], LEAVE_ONE_OUT, scores, weights, 1, **given)
    assert found == pytest.approx(expected, abs=1e-14)  # a handful of roundings below 10


@pytest.mark.parametrize("rule", list(shipped(AGGREGATION).values()), ids=lambda rule: rule.name)
@property_test
@given(scores=committees, data=st.data())
def test_under_no_rule_does_an_evaluator_move_its_left_out_reference(
    rule: type[Aggregation], scores: list[float], data: st.DataObject
) -> None:
    member = data.draw(st.integers(0, len(scores) - 1))
    weights = data.draw(st.lists(st.floats(0.1, 5.0), min_size=len(scores), max_size=len(scores)))
    given = dict.fromkeys(rule.parameters, 0.4)  # within the range of every parameter
    moved, heavier = [*scores], [*weights]
    moved[member] = 10.0 - scores[member]
    heavier[member] = 5.1 - weights[member]
    own = under(rule, LEAVE_ONE_OUT, scores, weights, member, **given)
    assert under(rule, LEAVE_ONE_OUT, moved, heavier, member, **given) == own
