"""The latent model and its fit, on their own."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.shipped import published_fit
from calibration.shipped.published_fit import Targets, draw_latents, fit_table, normalise, squash


def targets(**changes: list[float]) -> Targets:
    values = {
        "quality": [0.58, 0.5, 0.46],
        "closeness": [0.85, 0.84, 0.84],
        "truth_correlation": [0.5, -0.1, 0.0],
        "judge_correlation": [0.2, 0.0, 0.1],
        "truth": [5.0, 4.0, 2.0],
        "judge": [8.0, 7.0, 6.0],
    }
    return Targets(**{name: np.array(value) for name, value in (values | changes).items()})


def test_latents_do_not_depend_on_how_many_records_follow() -> None:
    few, many = draw_latents(3, 5), draw_latents(6, 5)
    np.testing.assert_array_equal(few.noise, many.noise[:3])
    np.testing.assert_array_equal(few.truth, many.truth[:3])


def test_latents_are_standard_and_share_what_is_declared() -> None:
    latents = draw_latents(4000, 2)
    # Means of 4000 records have standard error 0.016, correlations about the same.
    for latent in (latents.truth, latents.judge, latents.noise):
        np.testing.assert_allclose(latent.mean(axis=0), 0.0, atol=0.06)
        np.testing.assert_allclose(latent.std(axis=0), 1.0, atol=0.06)
    assert np.corrcoef(latents.truth.T)[0, 1] == pytest.approx(0.5, abs=0.06)
    within = np.corrcoef(latents.truth[:, 0], latents.judge[:, 0])[0, 1]
    assert within == pytest.approx(0.35, abs=0.06)
    noise = np.corrcoef(latents.noise[:, 0].T)
    assert noise[0, 1] == pytest.approx(np.sqrt(0.6 * 0.2), abs=0.06)
    assert noise[1, 2] == pytest.approx(0.2, abs=0.06)


def test_squash_is_the_normal_distribution_on_a_scale_of_ten() -> None:
    assert squash(np.array([1.959963984540054])).item() == pytest.approx(9.75)


def test_normalise_works_per_evaluator() -> None:
    scores = np.array([[[0.0, 10.0]], [[5.0, 30.0]]])
    assert normalise(scores).tolist() == [[[0.0, 0.0]], [[10.0, 10.0]]]


def test_other_targets_are_met_too() -> None:
    wanted = targets()
    table = fit_table(wanted, [120, 80])
    np.testing.assert_allclose(table.scores.mean(axis=(0, 2)) / 10, wanted.quality, atol=1e-4)
    np.testing.assert_allclose(table.truth.mean(axis=0), wanted.truth, atol=1e-3)
    np.testing.assert_allclose(table.judge.mean(axis=0), wanted.judge, atol=1e-3)
    for block in (slice(0, 120), slice(120, 200)):
        for e, correlation in enumerate(wanted.truth_correlation):
            reached = np.corrcoef(table.scores[block, :, e].ravel(), table.truth[block].ravel())
            assert reached[0, 1] == pytest.approx(correlation, abs=1e-3)


def test_targets_out_of_reach_are_reported() -> None:
    impossible = targets(truth_correlation=[0.99, -0.99, 0.0], closeness=[0.99, 0.99, 0.99])
    with pytest.raises(RuntimeError, match="misses a published moment"):
        fit_table(impossible, [60, 60])


def test_tolerance_is_below_the_published_precision() -> None:
    assert published_fit.TOLERANCE <= 5e-5
