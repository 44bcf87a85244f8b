"""Correlations of evaluators with truth and judge."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from poq_abm.analysis.evaluator_correlation import (
    correlation_table,
    evaluator_correlations,
)
from poq_abm.profile import Profile, load_profile
from poq_abm.profile.synthetic import SyntheticSettings, synthetic_profile


@pytest.fixture(scope="module")
def published() -> Profile:
    return load_profile("published")


@pytest.mark.parametrize("against", ["truth", "judge"])
def test_correlations_are_numpys(published: Profile, against: str) -> None:
    table = correlation_table(published, resamples=20).query("against == @against")
    for number, task in enumerate(published.tasks):
        part = published.task_of_record == number
        other = getattr(published, against)[part].ravel()
        expected = [
            np.corrcoef(published.scores[part][:, :, e].ravel(), other)[0, 1] for e in range(3)
        ]
        found = table.loc[table["task"] == task, "correlation"]
        np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_the_average_is_that_of_the_tasks(published: Profile) -> None:
    table = correlation_table(published, resamples=20)
    by_task = table[table["task"] != "average"].groupby(["against", "evaluator"])["correlation"]
    average = table[table["task"] == "average"].set_index(["against", "evaluator"])["correlation"]
    np.testing.assert_allclose(average, by_task.mean().loc[average.index], rtol=1e-9)


def test_unjudged_outputs_are_left_out(published: Profile) -> None:
    judge = published.judge.copy()
    judge[5:90] = np.nan
    table = correlation_table(replace(published, judge=judge), resamples=20)
    row = table.query("task == 'qa' and against == 'judge'").iloc[0]
    kept = np.r_[0:5, 90:200]
    expected = np.corrcoef(published.scores[kept][:, :, 0].ravel(), judge[kept].ravel())[0, 1]
    assert row["rows"] == 115 * 5
    assert row["correlation"] == pytest.approx(expected, rel=1e-9)


def test_what_is_not_defined_is_nan(published: Profile) -> None:
    scores = published.scores.copy()
    scores[:, :, 1] = 4.2
    silent = replace(published, scores=scores, judge=np.full_like(published.judge, np.nan))
    table = correlation_table(silent, resamples=20)
    undefined = (table["against"] == "judge") | (table["evaluator"] == "ce_minilm")
    assert table.loc[undefined, ["correlation", "low", "high"]].isna().all(axis=None)
    assert table.loc[~undefined, ["correlation", "low", "high"]].notna().all(axis=None)


def test_one_task_has_no_average() -> None:
    profile = synthetic_profile(SyntheticSettings(records=20, evaluators=2))
    assert set(correlation_table(profile, resamples=20)["task"]) == {"qa"}


def test_records_that_differ_widen_the_interval() -> None:
    """With the same rows, a truth shared by the models of a record counts once, not five times."""
    widths = []
    for share in (0.0, 1.0):
        settings = SyntheticSettings(
            records=200, models=5, evaluators=1, record_share=share, noise_sd=1.0,
            error_correlation=0.0, truth_sd=1.0,
        )  # fmt: skip
        profile = synthetic_profile(settings)
        # the error is shared as well when all models of a record get the first model's score
        scores = profile.scores[:, :1].repeat(5, axis=1) if share == 1.0 else profile.scores
        table = correlation_table(replace(profile, scores=scores), resamples=300)
        (row,) = table.query("against == 'truth'").to_dict("records")
        widths.append(row["high"] - row["low"])
    # five copies of 200 rows against 1,000 rows: sqrt(5), the quantiles' noise aside
    assert widths[1] / widths[0] == pytest.approx(5**0.5, rel=0.25)


def drawn() -> Profile:
    return synthetic_profile(SyntheticSettings(records=40, models=4, evaluators=2, seed=3))


def test_missing_judgements_are_left_out() -> None:
    profile = drawn()
    holes = profile.truth.copy()
    holes[3:9] = np.nan
    kept = np.delete(np.arange(40), np.arange(3, 9))
    columns = profile.scores[kept].reshape(-1, 2).T
    expected = [np.corrcoef(column, holes[kept].ravel())[0, 1] for column in columns]
    table = correlation_table(replace(profile, judge=holes), resamples=2)
    judged = table.query("against == 'judge'")
    np.testing.assert_allclose(judged["correlation"], expected, rtol=1e-9)
    assert set(judged["rows"]) == {34 * 4}


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
