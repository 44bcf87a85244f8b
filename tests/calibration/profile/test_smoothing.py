"""Smoothed profiles: accepted only where the fit holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calibration.profile import smoothing
from calibration.profile.smoothing import fit_task, smooth
from poq_abm.errors import InputError
from poq_abm.profile import Profile, load_profile
from poq_abm.profile.synthetic import SyntheticSettings, synthetic_profile


@pytest.fixture(scope="module")
def published() -> Profile:
    return load_profile("published")


@pytest.fixture(scope="module")
def smoothed(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    out = tmp_path_factory.mktemp("smoothed") / "more"
    return load_profile(smooth("published", out, records=600))


def test_a_smoothed_profile_is_larger_and_otherwise_alike(
    published: Profile, smoothed: Profile
) -> None:
    assert smoothed.scores.shape == (1200, 5, 3)
    assert smoothed.models == published.models
    assert smoothed.costs.equals(published.costs)
    assert smoothed.name == "published_smoothed"
    # 600 records and 200 records: a mean differs by at most a few standard errors of 0.15
    np.testing.assert_allclose(smoothed.truth.mean(axis=0), published.truth.mean(axis=0), atol=0.4)


def test_the_profile_says_how_well_the_fit_holds(published: Profile, smoothed: Profile) -> None:
    told = smoothed.provenance
    assert told["smoothed_from"]["content_hash"] == published.content_hash
    assert "no single row was measured" in told["summary"]
    for task in published.tasks:
        fit = told["goodness_of_fit"][task]
        assert fit["records"] == 200
        assert 0 < fit["largest_ks_distance"] < 0.05
        assert 0 < fit["largest_correlation_error"] <= smoothing.TOLERANCE
        assert len(fit["correlations"]) == 10 + 5, "every pair of columns, and models on a record"


def test_a_fit_that_misses_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not hold") as refused:
        smooth("published", tmp_path / "more", records=50, tolerance=1e-4)
    assert "correlation of sts_stsb with truth: measured 0.660" in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_a_structure_that_the_fit_cannot_have_is_noticed() -> None:
    """The judge follows the truth of one model and runs against that of the other.

    What models share on a record is one covariance for all of them, and it cannot be negative.
    """
    base = synthetic_profile(
        SyntheticSettings(records=200, models=2, evaluators=1, record_share=0.9, truth_sd=1.0)
    )
    judge = np.stack([base.truth[:, 0], 10.0 - base.truth[:, 0]], axis=1)
    truth = np.stack([base.truth[:, 0], base.truth[:, 0]], axis=1)
    fit = fit_task(replace(base, judge=judge, truth=truth), 0)
    assert any("judge between models" in fault for fault in fit.faults)


def test_a_margin_that_is_off_is_noticed(
    published: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shifted(values, *rest):
        return real(values + 0.8, *rest)

    real = smoothing.fit_copula
    monkeypatch.setattr(smoothing, "fit_copula", shifted)
    fit = fit_task(published, 0)
    assert any("margin of ce_minilm, qwen2_1_5b: Kolmogorov-Smirnov" in f for f in fit.faults)


def test_a_judge_that_rarely_spoke_is_silent(published: Profile) -> None:
    judge = published.judge.copy()
    judge[9:200] = np.nan
    profile = replace(published, judge=judge)
    assert "judge" not in fit_task(profile, 0).columns
    assert "judge" in fit_task(profile, 1).columns


def test_few_records_cannot_be_smoothed(tmp_path: Path) -> None:
    profile = synthetic_profile(SyntheticSettings(records=19, evaluators=2))
    with pytest.raises(InputError, match="task 'qa' has 19 records; a fit needs 20 or more"):
        fit_task(profile, 0)


@pytest.mark.parametrize("records", [1, 0, -5, 10**7])
def test_a_size_out_of_range(tmp_path: Path, records: int) -> None:
    with pytest.raises(InputError, match="records must be a whole number"):
        smooth("published", tmp_path / "more", records=records)


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_out_of_range(tmp_path: Path, seed: int) -> None:
    with pytest.raises(InputError, match="seed must be a whole number"):
        smooth("published", tmp_path / "more", records=50, seed=seed)


def test_a_smoothed_profile_is_not_smoothed_again(tmp_path: Path) -> None:
    folder = smooth("published", tmp_path / "more", records=50)
    with pytest.raises(InputError, match="smoothed already"):
        smooth(folder, tmp_path / "again", records=50)


def test_an_existing_folder_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="exists"):
        smooth("published", tmp_path, records=50)
