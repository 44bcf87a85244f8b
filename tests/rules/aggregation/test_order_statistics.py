from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import trim_mean
from scipy.stats.mstats import winsorize

from poq_abm.rules.aggregation.mean import Mean
from poq_abm.rules.aggregation.median import Median
from poq_abm.rules.aggregation.trimmed_mean import TrimmedMean
from poq_abm.rules.aggregation.winsorized_mean import WinsorizedMean

property_test = settings(deadline=None, derandomize=True, max_examples=200)
committees = st.lists(st.floats(0.0, 10.0), min_size=1, max_size=64)
taus = st.sampled_from([0.0, 0.1, 0.2, 0.25, 0.3, 0.4, 0.49])


def of(rule, scores: list[float], *tau: float) -> float:
    return rule.consensus(scores, **dict(zip(rule.parameters, tau, strict=True)))


def test_by_hand() -> None:
    """Of 0 3 4 8 10: median 4; ends cut (3 + 4 + 8) / 3; ends pulled in (6 + 4 + 16) / 5."""
    scores = [4.0, 10.0, 0.0, 8.0, 3.0]
    assert of(Median, scores) == 4.0
    assert of(TrimmedMean, scores, 0.2) == 5.0
    assert of(WinsorizedMean, scores, 0.2) == 5.2
    assert of(TrimmedMean, scores, 0.4) == of(WinsorizedMean, scores, 0.4) == 4.0


def test_an_even_committee_has_two_middle_scores() -> None:
    assert of(Median, [1.0, 2.0, 7.0, 9.0]) == 4.5


@pytest.mark.parametrize("rule", [TrimmedMean, WinsorizedMean])
def test_nothing_is_cut_below_one_score(rule) -> None:
    """0.2 x 4 is less than one score."""
    assert of(rule, [0.0, 4.0, 6.0, 10.0], 0.2) == 5.0
    assert of(rule, [7.0], 0.49) == 7.0


@pytest.mark.parametrize("hundredths", range(50))
def test_the_number_cut_is_floor_tau_k_in_exact_arithmetic(hundredths: int) -> None:
    """0.29 x 100 is 28.999999999999996 in binary; the committee 0, 1, ... shows what was cut."""
    for count in [*range(1, 65), 100, 200, 700]:
        cut = int(Fraction(hundredths, 100) * count)
        scores = np.zeros(count)
        scores[: cut + 1] = 1.0  # one more than is cut, so exactly one is left
        expected = 1.0 / (count - 2 * cut)
        assert TrimmedMean.consensus(scores, tau=hundredths / 100) == expected


@property_test
@given(committees)
def test_the_median_is_numpys(scores: list[float]) -> None:
    assert of(Median, scores) == pytest.approx(np.median(scores), abs=1e-15, rel=1e-15)


@property_test
@given(committees, taus)
def test_the_trimmed_mean_is_scipys(scores: list[float], tau: float) -> None:
    assert of(TrimmedMean, scores, tau) == pytest.approx(trim_mean(scores, tau), abs=1e-13)


@property_test
@given(committees, taus)
def test_the_winsorized_mean_is_scipys(scores: list[float], tau: float) -> None:
    expected = np.asarray(winsorize(np.array(scores), (tau, tau))).mean()
    assert of(WinsorizedMean, scores, tau) == pytest.approx(expected, abs=1e-13)


@property_test
@given(committees)
def test_trimming_nothing_is_the_mean(scores: list[float]) -> None:
    expected = pytest.approx(Mean.consensus(scores), abs=1e-13)
    assert of(TrimmedMean, scores, 0.0) == expected
    assert of(WinsorizedMean, scores, 0.0) == expected


@property_test
@given(st.lists(st.floats(0.0, 10.0), min_size=3, max_size=63))
def test_trimming_all_but_one_is_the_median(scores: list[float]) -> None:
    scores = scores if len(scores) % 2 else scores[1:]
    almost_half = (len(scores) - 1) / 2 / len(scores)
    assert of(TrimmedMean, scores, almost_half) == of(Median, scores)
