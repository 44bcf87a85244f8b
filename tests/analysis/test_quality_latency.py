"""Quality against latency."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from poq_abm.analysis.quality_latency import quality_against_latency
from poq_abm.profile import load_profile


def test_means_and_rates_are_those_of_the_table() -> None:
    profile = load_profile("published")
    table = quality_against_latency(profile, resamples=50).set_index("model")
    np.testing.assert_allclose(table["truth"], profile.truth.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(table["judge"], profile.judge.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(table["consensus"], profile.scores.mean(axis=(0, 2)), rtol=1e-12)
    gemma = table.loc["gemma_2_2b_it"]
    assert gemma["truth_per_second"] == pytest.approx(gemma["truth"] / 1.108)
    assert (table["truth_low"] < table["truth"]).all()
    assert (table["truth"] < table["truth_high"]).all()


def test_the_judge_counts_where_it_spoke() -> None:
    profile = load_profile("published")
    judge = profile.judge.copy()
    judge[10:, 0] = np.nan
    judge[:, 1] = np.nan
    table = quality_against_latency(replace(profile, judge=judge), resamples=20)
    assert table["judge"][0] == pytest.approx(judge[:10, 0].mean())
    assert np.isnan(table["judge"][1])
