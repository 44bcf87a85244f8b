"""Fitted margins and normal scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from calibration.margins import fit_margin, kolmogorov_smirnov, normal_scores

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
