"""Composites of scores: what an audit leaves out, and what that is worth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from economy_support import small_profile

from poq_abm.analysis.composite import composite_table, gated_weights
from poq_abm.profile import load_profile

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
    assert table["gated by task"] > 0.9 > table["equal"]
    assert table["gated by task"] >= table["gated"] > table["equal"]


def test_intervals_hold_what_they_are_of() -> None:
    table = composite_table(load_profile("published"))
    assert table["composite"].tolist()[-3:] == ["equal", "gated", "gated by task"]
    assert (table["low"] <= table["correlation"]).all()
    assert (table["correlation"] <= table["high"]).all()
