"""Shares of variance by record, model and residual."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from poq_abm.analysis.variance import variance_shares
from poq_abm.profile import Profile
from poq_abm.profile.synthetic import SyntheticSettings, synthetic_profile


def profile_of(truth: np.ndarray) -> Profile:
    base = synthetic_profile(
        SyntheticSettings(records=len(truth), models=truth.shape[1], evaluators=1)
    )
    return replace(base, truth=truth)


def shares(truth: np.ndarray) -> dict[str, float]:
    table = variance_shares(profile_of(truth), resamples=20).query("quantity == 'truth'")
    return dict(zip(table["source"], table["share"], strict=True))


def test_records_alone() -> None:
    assert shares(np.array([[1.0, 1.0], [4.0, 4.0], [9.0, 9.0]])) == {
        "record": 1.0,
        "model": 0.0,
        "residual": 0.0,
    }


def test_models_alone() -> None:
    assert shares(np.tile([2.0, 3.0, 7.0], (4, 1)))["model"] == 1.0


def test_mean_squares_by_hand() -> None:
    """Rows (0, 2), (4, 6), (2, 10): MS_record = 14, MS_model = 24, MS_residual = 6."""
    # row means 1, 5, 6, column means 2, 6, grand mean 4: SS_record = 2 (9 + 1 + 4) = 28 over 2,
    # SS_model = 3 (4 + 4) = 24 over 1, SS_total = 16 + 4 + 0 + 4 + 4 + 36 = 64, residual 12 over 2
    components = np.array([(14 - 6) / 2, (24 - 6) / 3, 6])
    found = shares(np.array([[0.0, 2.0], [4.0, 6.0], [2.0, 10.0]]))
    np.testing.assert_allclose(list(found.values()), components / components.sum(), rtol=1e-12)


def test_what_is_not_defined_is_nan() -> None:
    table = variance_shares(profile_of(np.full((5, 3), 4.0)), resamples=20)
    undefined = table["quantity"].isin(["truth", "judge"])
    assert table.loc[undefined, "share"].isna().all()
    assert table.loc[~undefined, "share"].notna().all()


def test_one_model_has_no_shares() -> None:
    truth = np.random.default_rng(1).uniform(0, 10, size=(30, 1))
    assert variance_shares(profile_of(truth), resamples=20)["share"].isna().all()


def test_shares_and_ends_lie_in_0_to_1() -> None:
    truth = np.random.default_rng(1).uniform(0, 10, size=(12, 3))
    table = variance_shares(profile_of(truth), resamples=100).query("quantity == 'truth'")
    for column in ("share", "low", "high"):
        assert table[column].between(0, 1).all()
    assert (table["low"] <= table["high"]).all()


@pytest.mark.parametrize("shift", [0.0, 4.0])
def test_a_shift_changes_nothing(shift: float) -> None:
    truth = np.random.default_rng(1).uniform(0, 5, size=(12, 3))
    assert shares(truth + shift) == pytest.approx(shares(truth), rel=1e-9)
