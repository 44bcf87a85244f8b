"""The copula: that it recovers a known structure, and that its draws are keyed."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.copula import fit_copula, structure_of
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
