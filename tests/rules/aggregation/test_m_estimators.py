from __future__ import annotations

import math
from itertools import combinations_with_replacement

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import median_abs_deviation, norm

from poq_abm.rules.aggregation.huber import Huber
from poq_abm.rules.aggregation.mad_filter import MadFilter
from poq_abm.rules.aggregation.mean import Mean
from poq_abm.rules.aggregation.sorting import NORMAL_MAD, median_and_mad

property_test = settings(deadline=None, derandomize=True, max_examples=300)
committees = st.lists(
    st.one_of(st.floats(0.0, 10.0), st.integers(0, 40).map(lambda n: n / 4)),
    min_size=1,
    max_size=64,
)
bends = st.sampled_from([0.01, 0.1, 0.5, 1.0, 1.345, 2.0, 5.0])


def of(rule, parameter: float, scores: list[float]) -> float:
    return rule.consensus(scores, **{next(iter(rule.parameters)): parameter})


def test_the_constant_is_that_of_the_normal_distribution() -> None:
    assert pytest.approx(1.0 / norm.ppf(0.75), rel=1e-14) == NORMAL_MAD


def test_huber_by_hand() -> None:
    """Of 2 4 5 6 10: median 5, MAD 1, reach 1.4826 at bend 1: the ends cancel, 4 5 6 stay.

    Of 4 5 6 7 10: median 6, MAD 1; 4 and 10 are out of reach and cancel, 5 6 7 stay.
    """
    assert of(Huber, 1.0, [2.0, 4.0, 5.0, 6.0, 10.0]) == 5.0
    assert of(Huber, 1.0, [7.0, 4.0, 5.0, 6.0, 10.0]) == pytest.approx(6.0, abs=1e-14)


@property_test
@given(committees, bends)
@example(scores=[0.0, 0.0, 1.0, 9.0, 10.0, 10.0], bend=0.1)  # nothing within reach of the middle
def test_huber_is_the_root_that_brentq_finds(scores: list[float], bend: float) -> None:
    array = np.array(scores)
    reach = bend * NORMAL_MAD * median_abs_deviation(array)
    consensus = of(Huber, bend, scores)
    if reach == 0.0:
        assert consensus == np.median(array)
        return

    def pull(centre: float) -> float:
        return float(np.clip((array - centre) / reach, -1.0, 1.0).sum())

    assert pull(consensus) == pytest.approx(0.0, abs=1e-9 + 1e-11 / reach)
    flat = (np.abs(array - consensus) < reach).sum() == 0  # then roots fill an interval
    if not flat and reach > 1e-6:
        root = brentq(pull, array.min(), array.max(), xtol=1e-14)
        assert pull(root) == pytest.approx(pull(consensus), abs=1e-9)
        near = (np.abs(array - root) < reach).sum()
        assert near == 0 or consensus == pytest.approx(root, abs=1e-9)


@property_test
@given(committees)
def test_a_huge_bend_is_the_mean_unless_more_than_half_agree(scores: list[float]) -> None:
    array = np.array(scores)
    if median_abs_deviation(array) > 1e-6:
        assert of(Huber, 1e9, scores) == pytest.approx(Mean.consensus(array), abs=1e-11)


@property_test
@given(committees)
def test_median_and_mad_are_scipys(scores: list[float]) -> None:
    scratch = np.full((2, len(scores)), np.nan)
    centre, mad = median_and_mad(np.array(scores), len(scores), *scratch)
    assert centre == pytest.approx(np.median(scores), abs=1e-15, rel=1e-15)
    assert mad == pytest.approx(median_abs_deviation(scores), abs=1e-14)


def test_mad_filter_by_hand() -> None:
    """Of 4 5 6 10: median 5.5, MAD 1, reach 4.4478 at cutoff 3, so 10 falls out and 9.9 stays."""
    assert of(MadFilter, 3.0, [4.0, 5.0, 6.0, 10.0]) == 5.0
    assert of(MadFilter, 3.0, [4.0, 5.0, 6.0, 9.9]) == pytest.approx(24.9 / 4, abs=1e-14)


@property_test
@given(committees, st.sampled_from([0.7, 1.0, 3.0]))
def test_mad_filter_is_the_mean_of_what_numpy_keeps(scores: list[float], cutoff: float) -> None:
    array = np.array(scores)
    distance = np.abs(array - np.median(array))
    reach = cutoff * NORMAL_MAD * median_abs_deviation(array)
    if np.abs(distance - reach).min() < 1e-12 < reach:
        return  # on the edge: rounding decides
    kept = array[distance <= reach]
    assert 2 * kept.size >= array.size
    assert of(MadFilter, cutoff, scores) == pytest.approx(kept.mean(), abs=1e-13)


def test_a_filter_that_keeps_nothing_falls_back_to_the_median() -> None:
    assert of(MadFilter, 0.5, [2.0, 8.0]) == 5.0


@pytest.mark.parametrize(("rule", "parameter"), [(Huber, 1.345), (MadFilter, 3.0)])
@pytest.mark.parametrize("at", [0.0, 10.0])
def test_honest_members_who_agree_are_moved_by_nothing_below_half(rule, parameter, at) -> None:
    for count in range(1, 65):
        planted = (count - 1) // 2
        scores = [at] * planted + [6.3] * (count - planted)
        assert of(rule, parameter, scores) == pytest.approx(6.3, abs=1e-12)


@pytest.mark.parametrize(("bend", "count", "planted"), [(1.345, 7, 1), (0.3, 9, 2), (0.3, 5, 1)])
def test_huber_bears_its_share_against_every_committee_on_a_grid(
    bend: float, count: int, planted: int
) -> None:
    """planted / count is at most 1 / (2 + 2 x 1.4826 bend), or 1/4 where bend is small."""
    assert planted / count <= min(0.25, 1.0 / (2.0 + 2.0 * NORMAL_MAD * bend))
    for honest in combinations_with_replacement([0.0, 2.0, 3.0, 4.0, 4.5, 5.0], count - planted):
        assert of(Huber, bend, [*honest, *[10.0] * planted]) <= max(honest) + 1e-12


@pytest.mark.parametrize(
    ("rule", "parameter", "consensus"),
    [(Huber, 1.345, 4.5 + 0.5 * 1.345 * NORMAL_MAD), (MadFilter, 3.0, 18.4 / 3)],
)
def test_one_of_three_can_leave_the_honest_range(rule, parameter, consensus) -> None:
    """Honest 4 and 5, planted 9.4: median 5, MAD 1."""
    assert consensus > 5.0
    assert of(rule, parameter, [4.0, 5.0, 9.4]) == pytest.approx(consensus, abs=1e-14)


def test_one_planted_score_moves_the_mad_filter_in_a_committee_of_any_size() -> None:
    """Honest outliers fall out, the planted score stays: the bare breakdown point is 0."""
    for half in range(1, 32):
        honest = [0.0] * (half - 1) + [4.0] + [5.0] * half
        reach = 3.0 * NORMAL_MAD * 1.0
        assert of(MadFilter, 3.0, [*honest, 5.0 + reach - 1e-9]) > 5.0


def test_neither_is_monotone() -> None:
    """Raising one score takes the MAD from 0 to 1, so that the low pair pulls; or it falls out."""
    assert of(Huber, 1.345, [0.0, 0.0, 3.0, 3.0, 3.0]) == 3.0
    expected = (6.0 - 1.345 * NORMAL_MAD) / 2.0  # 3 and 3; the pull of 4 and of one 0 cancel
    assert of(Huber, 1.345, [0.0, 0.0, 3.0, 3.0, 4.0]) == pytest.approx(expected, abs=1e-14)
    assert of(MadFilter, 3.0, [0.0, 2.0, 3.0, 9.0]) == 3.5
    assert of(MadFilter, 3.0, [0.0, 2.0, 3.0, 10.0]) == pytest.approx(5 / 3, abs=1e-14)


def test_the_result_stays_finite_at_the_smallest_spread() -> None:
    tiny = math.ulp(5.0)
    assert of(Huber, 1.345, [5.0, 5.0 + tiny, 5.0 + 2 * tiny, 10.0]) == pytest.approx(5.0)
    assert of(Huber, 1.345, [0.0, 5e-324, 1e-323, 10.0]) == pytest.approx(0.0, abs=1e-300)
