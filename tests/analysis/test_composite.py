"""Composites of scores: what an audit leaves out, and what that is worth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from economy_support import small_profile

import poq_abm
from poq_abm.analysis.composite import COMPOSITE, PLANTED, composite_table, gated_weights
from poq_abm.profile import load_profile
from poq_abm.random import Purpose, uniform
from poq_abm.scenario import load

#: arXiv 2603.04028: default weights and correlations with the truth, in its order of dimensions
WEIGHTS = np.array([0.15, 0.10, 0.20, 0.25, 0.15, 0.15])
PEARSON = np.array([0.294, 0.389, 0.466, 0.733, -0.437, -0.384])


def test_the_published_dimensions_are_gated_as_published() -> None:
    calibrated = WEIGHTS * [1, 1, 1, 1, 0, 0]
    np.testing.assert_allclose(gated_weights(WEIGHTS, PEARSON), calibrated / 0.7)
    assert gated_weights(WEIGHTS, PEARSON, 0.9).tolist() == pytest.approx(WEIGHTS.tolist())
    assert gated_weights(np.ones(2), np.array([np.nan, 0.1])).tolist() == [0.0, 1.0]


def test_gating_takes_a_table_of_the_published_moments_from_513_to_760() -> None:
    # Correlations among dimensions are not published: 0.5 between the two left out is assumed; one
    # among the four kept, and one across, follow from what both published composites reach.
    kept = np.where(PEARSON > 0.0, WEIGHTS, 0.0)
    variance, kept_variance = (
        ((weights * PEARSON).sum() / reached) ** 2
        for weights, reached in ((WEIGHTS, 0.513), (kept, 0.760))
    )
    own = (kept**2).sum()
    inside = (kept_variance - own) / (0.7**2 - own)
    across = (variance - kept_variance - 2 * 0.15**2 * 1.5) / (2 * 0.3 * 0.7)
    moments = np.eye(7)
    moments[:4, :4], moments[4:6, 4:6] = inside, 0.5
    moments[:4, 4:6] = moments[4:6, :4] = across
    moments[6, :6] = moments[:6, 6] = PEARSON
    np.fill_diagonal(moments, 1.0)
    drawn = np.random.default_rng(5).normal(size=(2000, 7))
    drawn -= drawn.mean(axis=0)
    white = drawn @ np.linalg.inv(np.linalg.cholesky(drawn.T @ drawn / 2000)).T
    table = white @ np.linalg.cholesky(moments).T
    dimensions, truth = table[:, :6], table[:, 6]
    audited = np.array([np.corrcoef(column, truth)[0, 1] for column in dimensions.T])
    np.testing.assert_allclose(audited, PEARSON, atol=1e-9)
    gated = gated_weights(WEIGHTS, audited)
    assert np.corrcoef((dimensions * WEIGHTS).sum(axis=1), truth)[0, 1] == pytest.approx(0.513)
    assert np.corrcoef((dimensions * gated).sum(axis=1), truth)[0, 1] == pytest.approx(0.760)


def test_an_inverted_dimension_is_left_out_where_it_is_inverted() -> None:
    profile = small_profile(records=(60, 60))
    chance = np.random.default_rng(2)
    noise = chance.normal(size=(120, 2, 3))
    sign = np.ones((120, 1, 3))
    sign[:, :, 2] = -1.0  # inverted everywhere
    sign[60:, :, 1] = -1.0  # inverted in the second task
    scores = np.clip(5.0 + sign * (profile.truth[:, :, None] - 5.0) + noise, 0.0, 10.0)
    table = composite_table(replace(profile, scores=scores)).set_index("composite")["correlation"]
    assert table["m2"] < 0.0 < table["m0"]
    assert table["gated by task"] > 0.9 > table["all"]
    assert table["gated by task"] >= table["gated"] > table["all"]


def test_intervals_hold_what_they_are_of() -> None:
    table = composite_table(load_profile("published"))
    assert table["composite"].tolist()[-3:] == ["all", "gated", "gated by task"]
    assert (table["low"] <= table["correlation"]).all()
    assert (table["correlation"] <= table["high"]).all()


#: inferred: correlations of the six dimensions and the truth, and the dimensions' spreads, with
#: which all seven composites that the paper prints follow the truth as printed
NAMES = ("model_prior", "cost_prior", "structure", "semantic", "alignment", "agreement")
MOMENTS = np.array([
    [1.0, -0.161, 0.294, 0.240, -0.091, -0.119, 0.294],
    [-0.161, 1.0, 0.074, 0.234, -0.392, -0.366, 0.389],
    [0.294, 0.074, 1.0, 0.519, 0.029, -0.011, 0.466],
    [0.240, 0.234, 0.519, 1.0, -0.299, -0.289, 0.733],
    [-0.091, -0.392, 0.029, -0.299, 1.0, 0.329, -0.437],
    [-0.119, -0.366, -0.011, -0.289, 0.329, 1.0, -0.384],
    [0.294, 0.389, 0.466, 0.733, -0.437, -0.384, 1.0],
])  # fmt: skip
SPREADS = np.array([0.962, 1.264, 0.840, 0.951, 1.092, 0.891, 1.0])


def with_moments(rng: np.random.Generator, rows: int) -> np.ndarray:
    """Return rows whose moments are exactly those above."""
    drawn = rng.normal(size=(rows, len(MOMENTS)))
    drawn -= drawn.mean(axis=0)
    white = np.linalg.solve(np.linalg.cholesky(np.cov(drawn.T, bias=True)), drawn.T)
    return 5.0 + 0.5 * (np.linalg.cholesky(MOMENTS) @ white).T * SPREADS


def test_gating_lifts_the_published_composite_as_published() -> None:
    rng, profile = np.random.default_rng(3), small_profile(records=(200, 200))
    planted = np.array([uniform(1, 0, int(Purpose.GOLD), r, 0) for r in range(400)]) < PLANTED
    table = np.empty((400, 2, 7))
    for half in (planted, ~planted):
        table[half] = with_moments(rng, 2 * half.sum()).reshape(-1, 2, 7)
    made = replace(profile, scores=table[..., :6], truth=table[..., 6], evaluators=NAMES)
    found = composite_table(made, weights=dict(zip(NAMES, WEIGHTS, strict=True)))
    correlation = found.set_index("composite")["correlation"]
    # Both are printed with three digits; the moments above are rounded to as many.
    assert correlation["all"] == pytest.approx(0.513, abs=0.002)
    assert correlation["gated"] == pytest.approx(0.760, abs=0.002)


def test_a_composite_is_played_as_an_evaluator(tmp_path: Path, poq) -> None:
    made = tmp_path / "made"
    done = poq("profile", "composite", "five_evaluators", made, "--tau", "0.1")
    assert done.code == 0
    assert "0.25 ce_minilm + 0.25 sts_stsb" in done.out
    profile, parts = load_profile(made), ["ce_minilm", "sts_stsb", "sts_minilm", "sts_paraphrase"]
    columns = [profile.evaluators.index(name) for name in parts]
    composite = profile.scores[:, :, profile.evaluators.index(COMPOSITE)]
    np.testing.assert_allclose(composite, profile.scores[:, :, columns].mean(axis=2), atol=1e-12)
    assert profile.latency_ms(COMPOSITE, "rtx_4090") == pytest.approx(
        sum(profile.latency_ms(name, "rtx_4090") for name in parts)
    )
    scenario = load("cost_aware_poq").replace(
        {
            "profile": str(made),
            "population.evaluators": [{"model": COMPOSITE}, {"model": "sts_stsb"}],
            "mechanism.committee_size": 2,
            "rounds": 20,
        }
    )
    assert COMPOSITE in set(poq_abm.run(scenario, replications=1).nodes["group"])
    assert poq("profile", "composite", "five_evaluators", made).code == 2
    said = poq("profile", "composite", "five_evaluators", "other", "--weight", "sts_stbs=1").err
    assert "did you mean 'sts_stsb'" in said
