"""Statistics of matched pairs, against numbers worked out by hand and against scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from poq_abm.analysis.paired import holm, paired, variance_reduction_interval

NUMBER = st.floats(-100.0, 100.0)
PAIR = st.tuples(NUMBER | st.just(math.nan), NUMBER | st.just(math.nan))


def test_three_pairs_by_hand() -> None:
    found = paired([1.0, 2.0, 3.0], [2.0, 4.0, 3.0])
    # d = 1, 2, 0: mean 1, s.d. 1; t_{2, 0.975} = 4.302653; all variances are 1.
    assert found[:4] == (3, 2.0, 3.0, 1.0)
    half = 4.302653 / math.sqrt(3)
    assert (found.low, found.high) == pytest.approx((1 - half, 1 + half), rel=1e-6)
    assert found.variance_reduction == 2.0
    # With two degrees of freedom, p = 1 - t / sqrt(t^2 + 2), and t = sqrt(3).
    assert found.p_value == pytest.approx(1 - math.sqrt(3 / 5))
    # S = 3, 6, 6 has variance 3 and no correlation with D; t_{1, 0.975} = 12.7062.
    k = 1 + 2 * 12.7062**2
    stretch = k + math.sqrt(k * k - 1)
    ends = ((1 + 3 / stretch) / 2, (1 + 3 * stretch) / 2)
    assert found[6:][1:3] == pytest.approx(ends, rel=1e-5)


def test_the_test_is_scipys() -> None:
    random = np.random.default_rng(5)
    a = random.normal(size=9)
    b = a + random.normal(0.3, 0.5, size=9)
    expected = stats.ttest_rel(b, a)
    found = paired(a, b, 0.9)
    interval = expected.confidence_interval(0.9)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.p_value == pytest.approx(expected.pvalue)


def test_the_variance_interval_inverts_the_test_of_equal_variances() -> None:
    random = np.random.default_rng(6)
    a = random.normal(size=10)
    b = 0.8 * a + random.normal(0.0, 0.4, size=10)
    found = paired(a, b)
    for end in (found.variance_reduction_low, found.variance_reduction_high):
        ratio = 2 * end - 1  # var(a + b) / var(b - a) that is just refused at 5%
        total, difference = a + b, math.sqrt(ratio) * (b - a)
        refused = stats.pearsonr(total + difference, total - difference)
        assert refused.pvalue == pytest.approx(0.05)


def test_the_variance_interval_covers_at_its_nominal_rate() -> None:
    random = np.random.default_rng(8)
    a = random.normal(size=(2000, 8))
    b = 1.5 * a + random.normal(0.0, 0.7, size=a.shape)
    truth = (1 + 1.5**2 + 0.7**2) / (0.5**2 + 0.7**2)
    found = [paired(x, y) for x, y in zip(a, b, strict=True)]
    covered = sum(f.variance_reduction_low <= truth <= f.variance_reduction_high for f in found)
    # Binomial(2000, 0.95) leaves [1862, 1937] with probability below 1e-4.
    assert 1862 <= covered <= 1937


@given(st.lists(PAIR, max_size=12))
def test_swapping_a_and_b_mirrors_everything(pairs: list[tuple[float, float]]) -> None:
    a, b = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
    there, back = paired(a, b), paired(b, a)
    assert there.replications == back.replications
    mirrored = (there.mean_b, there.mean_a, -there.difference, -there.high, -there.low)
    np.testing.assert_array_equal(back[1:6], mirrored)
    np.testing.assert_array_equal(back[6:], there[6:])


@given(st.lists(st.tuples(NUMBER, NUMBER), min_size=3, max_size=12))
def test_without_matching_the_variance_is_what_the_reduction_says(pairs) -> None:
    a, b = np.array(pairs).T
    found = paired(a, b)
    assume(1e-3 < found.variance_reduction < 1e6)
    # Over all n ways of shifting B against A, covariances cancel.
    shifted = np.mean([(np.roll(b, k) - a).var() for k in range(a.size)])
    assert found.variance_reduction == pytest.approx(shifted / (b - a).var(), rel=1e-6)
    assert found.variance_reduction >= 0.5 - 1e-9
    if math.isfinite(found.variance_reduction_high):
        ends = found.variance_reduction_low, found.variance_reduction_high
        assert ends[0] * (1 - 1e-9) <= found.variance_reduction <= ends[1] * (1 + 1e-9)


def test_a_missing_value_drops_its_pair() -> None:
    nan = math.nan
    found = paired([1.0, 2.0, nan, 3.0, 9.0], [2.0, 4.0, 5.0, 3.0, nan])
    assert found == paired([1.0, 2.0, 3.0], [2.0, 4.0, 3.0])


def test_equal_columns_have_no_difference_and_nothing_to_test() -> None:
    found = paired([0.1, 0.2, 0.4], [0.1, 0.2, 0.4])
    assert (found.difference, found.low, found.high) == (0.0, 0.0, 0.0)
    assert found.variance_reduction == math.inf
    assert math.isnan(found.p_value)


def test_a_constant_difference_has_a_degenerate_interval() -> None:
    a = np.array([0.1, 0.2, 0.7])
    found = paired(a, a + 1 / 3)  # which rounding does not leave quite constant
    assert found.low == found.difference == found.high == pytest.approx(1 / 3)
    assert (found.variance_reduction, found.variance_reduction_low) == (math.inf, math.inf)
    assert found.p_value == 0.0


def test_rounding_is_no_difference() -> None:
    a = np.array([0.1, 0.7, 5.0])
    found = paired(a, a * (1 + 2e-16))
    assert (found.difference, found.low, found.high) == (0.0, 0.0, 0.0)


def test_small_figures_are_not_taken_for_rounding() -> None:
    found = paired([1e-9, 2e-9, 3e-9], [2e-9, 4e-9, 3e-9])
    assert found.variance_reduction == pytest.approx(2.0)
    assert found.low < 0.0 < found.high


def test_without_variation_at_all_there_is_no_reduction_to_speak_of() -> None:
    found = paired([2.0, 2.0, 2.0], [3.0, 3.0, 3.0])
    assert (found.low, found.high) == (1.0, 1.0)
    assert math.isnan(found.variance_reduction)


def test_one_pair_has_a_difference_and_nothing_else() -> None:
    found = paired([1.0], [3.0])
    assert found[:4] == (1, 1.0, 3.0, 2.0)
    assert all(math.isnan(value) for value in found[4:])


def test_no_pair_says_nothing() -> None:
    found = paired([1.0, math.nan], [math.nan, 1.0])
    assert found.replications == 0
    assert all(math.isnan(value) for value in found[1:])


def test_two_pairs_have_no_interval_of_variances() -> None:
    ends = variance_reduction_interval(1.0, 1.0, 0.5, 2)
    assert all(math.isnan(end) for end in ends)


def test_holm_by_hand() -> None:
    # Sorted: 4 x 0.005, 3 x 0.01, 2 x 0.03, and 1 x 0.04 lifted to what stands before it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_leaves_missing_ones_out() -> None:
    adjusted = holm([math.nan, 0.01, math.nan, 0.7])
    np.testing.assert_allclose(adjusted, [math.nan, 0.02, math.nan, 0.7])


@given(st.lists(st.floats(0.0, 1.0), max_size=9))
def test_holm_lies_between_the_raw_and_bonferronis(p: list[float]) -> None:
    adjusted = holm(p)
    assert (adjusted >= np.array(p)).all()
    assert (adjusted <= np.minimum(np.array(p) * len(p), 1.0)).all()
    assert (np.diff(adjusted[np.argsort(p)]) >= 0).all()
