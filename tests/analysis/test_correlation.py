"""Correlations of evaluators with truth and judge."""

from __future__ import annotations

import numpy as np
import pytest

from poq_abm.analysis.correlation import evaluator_correlations, pearson
from poq_abm.profile import load_profile


def test_pearson_is_numpys() -> None:
    random = np.random.default_rng(3)
    scores, other = random.normal(size=(20, 4, 2)), random.normal(size=(20, 4))
    expected = [np.corrcoef(scores[:, :, e].ravel(), other.ravel())[0, 1] for e in range(2)]
    np.testing.assert_allclose(pearson(scores, other), expected, rtol=1e-12)


def test_missing_judgements_are_left_out() -> None:
    random = np.random.default_rng(3)
    scores, other = random.normal(size=(20, 4, 2)), random.normal(size=(20, 4))
    holes = other.copy()
    holes[3:9] = np.nan
    kept = np.delete(np.arange(20), np.arange(3, 9))
    np.testing.assert_allclose(pearson(scores, holes), pearson(scores[kept], other[kept]))


def test_intervals_are_those_of_resampled_records() -> None:
    profile = load_profile("published")
    table = evaluator_correlations(profile, resamples=200)
    assert (table["low"] < table["correlation"]).all()
    assert (table["correlation"] < table["high"]).all()
    # 1,000 rows of 200 records a task: at least the width of 2,000 independent rows (about 0.04
    # x sqrt(2)), at most that of 400 (0.14).
    widths = table["high"] - table["low"]
    assert widths.between(0.04, 0.14).all()


def test_intervals_are_reproducible() -> None:
    profile = load_profile("published")
    first = evaluator_correlations(profile, resamples=50)
    assert first.equals(evaluator_correlations(profile, resamples=50))
    assert not first.equals(evaluator_correlations(profile, resamples=50, seed=2))


@pytest.mark.parametrize("against", ["truth", "judge"])
def test_every_evaluator_is_there(against: str) -> None:
    table = evaluator_correlations(load_profile("published"), resamples=20)
    assert set(table.loc[table["against"] == against, "evaluator"]) == {
        "sts_stsb",
        "ce_minilm",
        "ce_deberta",
    }
