"""The copula: that it recovers a known structure, and that its draws are keyed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from calibration.profile.copula import (
    fit_copula,
    fit_margin,
    kolmogorov_smirnov,
    normal_scores,
    structure_of,
)
from poq_abm.profile.synthetic import SyntheticSettings, synthetic_profile

SETTINGS = SyntheticSettings(
    records=400, models=4, evaluators=2, truth_sd=1.0, noise_sd=(0.8, 1.0), slope=(1.0, -0.5),
    error_correlation=0.4, record_share=0.6,
)  # fmt: skip


@pytest.fixture(scope="module")
def table() -> np.ndarray:
    profile = synthetic_profile(SETTINGS)
    return np.concatenate([profile.truth[:, :, None], profile.scores], axis=2)


def test_a_known_structure_comes_back(table: np.ndarray) -> None:
    """Measured against the formula: 400 records know a correlation to about 0.05."""
    drawn = structure_of(fit_copula(table, 1, 0).draw(10_000))
    assert drawn.same[0, 1] == pytest.approx(1 / np.hypot(1, 0.8), abs=0.08)
    assert drawn.same[0, 2] == pytest.approx(-0.5 / np.hypot(0.5, 1), abs=0.1)
    assert drawn.across[0, 0] == pytest.approx(0.6, abs=0.1)


def test_the_structure_of_the_table_comes_back_closely(table: np.ndarray) -> None:
    measured, drawn = structure_of(table), structure_of(fit_copula(table, 1, 0).draw(10_000))
    np.testing.assert_allclose(drawn.same, measured.same, atol=0.03)
    np.testing.assert_allclose(drawn.across, measured.across, atol=0.03)


def test_ties_do_not_weaken_correlations(table: np.ndarray) -> None:
    """A third of the truths are 0 and the scores are marks; correlations still hold."""
    table = table.copy()
    table[:, :, 0] = np.maximum(table[:, :, 0] - 4.6, 0.0)
    table[:, :, 1:] = np.round(table[:, :, 1:])
    measured, drawn = structure_of(table), structure_of(fit_copula(table, 1, 0).draw(10_000))
    np.testing.assert_allclose(drawn.same[0, 1:], measured.same[0, 1:], atol=0.03)


def test_a_larger_table_contains_the_smaller_one(table: np.ndarray) -> None:
    copula = fit_copula(table[:60], 1, 0)
    assert np.array_equal(copula.draw(50)[:20], copula.draw(20))


def test_draws_depend_on_seed_and_task(table: np.ndarray) -> None:
    first, *others = (fit_copula(table[:60], s, t).draw(5) for s, t in ((1, 0), (2, 0), (1, 1)))
    for other in others:
        assert not np.array_equal(first, other)


def test_missing_values_are_left_out(table: np.ndarray) -> None:
    holes = table.copy()
    holes[100:, :, 1] = np.nan
    expected = np.corrcoef(table[:100, 0, 0], table[:100, 0, 1])[0, 1]
    assert structure_of(holes[:, :1]).same[0, 1] == pytest.approx(expected, rel=1e-9)


def test_a_column_that_is_constant_for_one_model_stays_so(table: np.ndarray) -> None:
    table = table.copy()
    table[:, 2, 0] = 0.0
    drawn = fit_copula(table, 1, 0).draw(100)
    assert (drawn[:, 2, 0] == 0.0).all()
    assert np.isfinite(drawn).all()


columns = st.lists(st.floats(0, 10, allow_subnormal=False), min_size=2, max_size=60).map(np.array)


GRID = (np.arange(2000) + 0.5) / 2000


@given(columns)
def test_quantiles_never_leave_what_was_measured_and_never_fall(values) -> None:
    drawn = fit_margin(values).quantiles(GRID)
    assert drawn.min() >= values.min()
    assert drawn.max() <= values.max()
    assert (np.diff(drawn) >= 0).all()


@given(columns)
def test_a_margin_is_within_one_value_of_the_column(values) -> None:
    drawn = fit_margin(values).quantiles(GRID)
    # half a value's mass lies beyond the plotting positions, the other half between neighbours
    assert kolmogorov_smirnov(values, drawn) <= 1 / values.size + 1 / GRID.size + 1e-9


def test_a_run_of_equal_values_keeps_its_mass() -> None:
    values = np.r_[np.zeros(30), np.linspace(1, 9, 70)]
    drawn = fit_margin(values).quantiles(GRID)
    assert np.mean(drawn == 0) == pytest.approx(0.295, abs=0.001)
    assert np.unique(drawn).size > 1000


def test_marks_stay_marks() -> None:
    marks = np.repeat([2.0, 4.0, 8.0], [10, 50, 40])
    values, counts = np.unique(fit_margin(marks).quantiles(GRID), return_counts=True)
    assert dict(zip(values, counts / 2000, strict=True)) == {2.0: 0.1, 4.0: 0.5, 8.0: 0.4}


def test_normal_scores_of_ties_are_equal_and_centred() -> None:
    scores = normal_scores(np.array([3.0, 1.0, 3.0, 9.0, 1.0, 9.0]))
    assert scores[0] == scores[2]
    assert scores[1] == scores[4]
    assert scores[0] == pytest.approx(0.0)


@given(columns, columns)
def test_the_distance_is_scipys(first, second) -> None:
    expected = ks_2samp(first, second, method="asymp").statistic
    assert kolmogorov_smirnov(first, second) == pytest.approx(expected)
