from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from poq_abm.rules.aggregation.mean import Mean

property_test = settings(deadline=None, derandomize=True, max_examples=200)
committees = st.lists(st.floats(0.0, 10.0), min_size=1, max_size=30)


def test_the_mean_of_three_scores() -> None:
    assert Mean.consensus(np.array([2.0, 4.0, 9.0])) == 5.0


def test_the_mean_of_one_score_is_that_score() -> None:
    assert Mean.consensus(np.array([0.1])) == 0.1


@property_test
@given(committees)
def test_the_mean_is_the_mean(scores: list[float]) -> None:
    exact = math.fsum(scores) / len(scores)
    # K - 1 rounded additions of numbers of one sign, and one rounded division.
    tolerance = len(scores) * 2.0**-52 * exact + 5e-324
    assert abs(Mean.consensus(np.array(scores)) - exact) <= tolerance


@property_test
@given(committees, st.randoms(use_true_random=False))
def test_the_mean_does_not_depend_on_the_order_beyond_rounding(
    scores: list[float], random: object
) -> None:
    shuffled = list(scores)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    count = len(scores)
    one, other = Mean.consensus(np.array(scores)), Mean.consensus(np.array(shuffled))
    assert abs(one - other) <= 2 * count * 2.0**-52 * one + 5e-324  # both within the bound above


@property_test
@given(committees)
def test_the_mean_lies_between_the_extremes(scores: list[float]) -> None:
    slack = len(scores) * 2.0**-52 * max(scores) + 5e-324  # rounding, as above
    consensus = Mean.consensus(np.array(scores))
    assert min(scores) - slack <= consensus <= max(scores) + slack


def test_ten_is_never_exceeded_by_rounding() -> None:
    for count in range(1, 200):
        assert Mean.consensus(np.full(count, 10.0)) == 10.0
