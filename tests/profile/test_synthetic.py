"""The synthetic profile has the moments its formula promises, and keeps them when it grows.

The statistical tests have fixed seeds, so they always give the same result. Unless a test says
otherwise, its tolerance is ``ALARM`` standard errors of the estimate: an ideal table fails one such
comparison with probability 6e-7.
"""

from __future__ import annotations

import dataclasses
import json
import math
import pickle
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from profile_support import write_parts

from poq_abm.errors import InputError
from poq_abm.profile import Profile, read_profile
from poq_abm.profile.synthetic import (
    MAX_SCORES,
    SyntheticSettings,
    _fill_normals,
    synthetic_profile,
)
from poq_abm.profile.validity import COST_COLUMNS
from poq_abm.random import Purpose, normal
from poq_abm.rules.payment.formulas import min_max_cost

ALARM = 5.0
RECORDS = 40_000
Array = NDArray[np.float64]


def make(**values: Any) -> Profile:
    return synthetic_profile(SyntheticSettings(**values))


def errors(profile: Profile, slope: float = 1.0, mean: float = 5.0) -> Array:
    """What is left of the scores without what the truth explains."""
    return profile.scores - mean - slope * (profile.truth - mean)[:, :, np.newaxis]


def cor(one: Array, other: Array) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def cor_tolerance(rho: float, n: int) -> float:
    return ALARM * (1.0 - rho**2) / math.sqrt(n)  # of normal pairs, to first order


def sd_tolerance(sd: float, n: int) -> float:
    return ALARM * sd / math.sqrt(2 * n)


# --------------------------------------------------------------------------------- the closed form

# Spreads of at most 0.8 points around 5: the ends are five standard deviations of a score away.


def test_moments_are_those_of_the_formula() -> None:
    slopes, biases, noises = (1.0, 0.5, 0.0), (0.0, 0.4, -0.3), (0.5, 0.8, 0.6)
    profile = make(
        records=RECORDS, evaluators=3, truth_sd=0.6, slope=slopes, bias=biases, noise_sd=noises
    )
    truth = profile.truth
    assert abs(truth.mean() - 5.0) < ALARM * 0.6 / math.sqrt(RECORDS)
    assert abs(truth.std() - 0.6) < sd_tolerance(0.6, RECORDS)
    for e, (slope, bias, noise) in enumerate(zip(slopes, biases, noises, strict=True)):
        scores = profile.scores[:, :, e]
        sd = math.hypot(slope * 0.6, noise)
        rho = slope * 0.6 / sd
        assert abs(scores.mean() - 5.0 - bias) < ALARM * sd / math.sqrt(RECORDS)
        assert abs(scores.std() - sd) < sd_tolerance(sd, RECORDS)
        assert abs(cor(truth, scores) - rho) < cor_tolerance(rho, RECORDS)


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.9])
def test_errors_of_any_two_evaluators_have_the_correlation(rho: float) -> None:
    profile = make(records=RECORDS, evaluators=4, truth_sd=0.3, noise_sd=0.8, error_correlation=rho)
    left = errors(profile)
    pairs = [(i, j) for i in range(4) for j in range(i)]
    for i, j in pairs:
        assert abs(cor(left[:, :, i], left[:, :, j]) - rho) < cor_tolerance(rho, RECORDS)
    for e in range(4):
        assert abs(left[:, :, e].std() - 0.8) < sd_tolerance(0.8, RECORDS)
        assert abs(cor(profile.truth, left[:, :, e])) < cor_tolerance(0.0, RECORDS)


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_truths_of_two_models_share_the_record(share: float) -> None:
    profile = make(records=RECORDS, models=3, evaluators=1, truth_sd=0.8, record_share=share)
    truth = profile.truth
    for m in range(3):
        assert abs(truth[:, m].std() - 0.8) < sd_tolerance(0.8, RECORDS)
        expected, between = share, cor(truth[:, m], truth[:, m - 1])
        assert abs(between - expected) < cor_tolerance(expected, RECORDS) + 1e-12


def test_errors_on_two_models_are_unrelated() -> None:
    left = errors(make(records=RECORDS, models=2, evaluators=2, truth_sd=0.5, noise_sd=0.8))
    assert abs(cor(left[:, 0], left[:, 1])) < cor_tolerance(0.0, 2 * RECORDS)


def test_a_slope_can_change_its_sign_between_tasks() -> None:
    """Slope 1, truth s.d. 0.6, noise 0.8: the correlation is 0.6, and -0.6 where it inverts."""
    profile = make(
        records=RECORDS,
        evaluators=2,
        truth_sd=0.6,
        noise_sd=0.8,
        task=("qa", "summarization"),
        slope={"qa": 1.0, "summarization": (-1.0, 1.0)},
    )
    for task, expected in enumerate([(0.6, 0.6), (-0.6, 0.6)]):
        rows = profile.task_of_record == task
        assert rows.sum() == RECORDS
        for e, rho in enumerate(expected):
            found = cor(profile.truth[rows], profile.scores[rows][:, :, e])
            assert abs(found - rho) < cor_tolerance(rho, RECORDS)
    halves = profile.truth[:RECORDS], profile.truth[RECORDS:]
    assert abs(cor(*halves)) < cor_tolerance(0.0, RECORDS)  # each task has its own luck


def test_without_noise_the_score_is_the_line() -> None:
    profile = make(records=50, models=2, evaluators=2, slope=(2.0, -0.5), bias=0.25, noise_sd=0.0)
    for e, slope in enumerate((2.0, -0.5)):
        line = np.clip(5.25 + slope * (profile.truth - 5.0), 0.0, 10.0)
        assert profile.scores[:, :, e] == pytest.approx(line, abs=1e-12)


# ------------------------------------------------------------------------- a consequence, by hand

#: Mean closeness of evaluators with s.d. 2 by committee size, as given for the robust mechanism.
INCLUSIVE = {1: 1.000, 2: 0.887, 3: 0.870, 5: 0.858, 7: 0.852, 10: 0.848}
LEAVE_ONE_OUT = {2: 0.774, 3: 0.805, 5: 0.822, 7: 0.828, 10: 0.832}


def mean_closeness(scores: Array, committee: int, *, leave_one_out: bool) -> tuple[float, float]:
    """Return the mean closeness of the first evaluators to their mean, and its standard error."""
    seated = scores[:, 0, :committee]
    total = seated.sum(axis=1, keepdims=True)
    reference = (total - seated) / (committee - 1) if leave_one_out else total / committee
    rounds = (1.0 - np.abs(seated - reference) / 10.0).mean(axis=1)
    return float(rounds.mean()), float(rounds.std() / math.sqrt(rounds.size))


def closeness_by_hand(sd: float, committee: int, *, leave_one_out: bool) -> float:
    """The deviation from the reference is normal: sd^2 (K - 1) / K, or K / (K - 1) without own."""
    ratio = (committee - 1) / committee
    spread = sd * math.sqrt(1.0 / ratio if leave_one_out else ratio)
    return 1.0 - spread * math.sqrt(2.0 / math.pi) / 10.0


@pytest.fixture(scope="module")
def noisy() -> Array:
    """No truth mean keeps s.d. 2 off both ends; 5 does best and clips 1.2% of the scores."""
    scores = make(records=200_000, truth_mean=5.0, truth_sd=0.0, noise_sd=2.0).scores
    assert np.mean((scores == 0.0) | (scores == 10.0)) == pytest.approx(0.0124, abs=5e-4)
    return scores


@pytest.mark.parametrize("committee", INCLUSIVE)
def test_inclusive_closeness_falls_with_the_committee(noisy: Array, committee: int) -> None:
    """Within 0.002: clipping adds 0.001, and the figures are up to 0.0008 off the closed form."""
    found, error = mean_closeness(noisy, committee, leave_one_out=False)
    assert error < 2.5e-4
    assert found == pytest.approx(INCLUSIVE[committee], abs=0.002)


@pytest.mark.parametrize("committee", LEAVE_ONE_OUT)
def test_leave_one_out_closeness_rises_with_the_committee(noisy: Array, committee: int) -> None:
    """Within 0.003: clipping adds 0.001 and the draw up to 0.002 at K = 2, rounding the rest."""
    found, error = mean_closeness(noisy, committee, leave_one_out=True)
    assert error < 5e-4
    assert found == pytest.approx(LEAVE_ONE_OUT[committee], abs=0.003)


@pytest.mark.parametrize("leave_one_out", [False, True])
@pytest.mark.parametrize("committee", [2, 3, 5, 7, 10])
def test_closeness_is_the_closed_form_where_nothing_is_clipped(
    committee: int, leave_one_out: bool
) -> None:
    """S.d. 1 lies five s.d. off the ends; half of the figures' loss of closeness."""
    scores = make(records=50_000, truth_sd=0.0, noise_sd=1.0).scores
    found, error = mean_closeness(scores, committee, leave_one_out=leave_one_out)
    assert abs(found - closeness_by_hand(1.0, committee, leave_one_out=leave_one_out)) < (
        ALARM * error
    )


# ------------------------------------------------------------------------- one luck for every size

SMALL: dict[str, Any] = {
    "records": 30,
    "models": 2,
    "evaluators": 10,
    "error_correlation": 0.4,
    "task": ("qa", "news"),
}


@pytest.mark.parametrize(
    "larger",
    [{"evaluators": 12}, {"models": 5}, {"records": 47}, {"records": 33, "evaluators": 64}],
    ids=str,
)
def test_a_larger_profile_contains_the_smaller(larger: dict[str, Any]) -> None:
    small, large = make(**SMALL), make(**{**SMALL, **larger})
    rows = np.isin(large.records, small.records)
    assert tuple(np.array(large.records)[rows]) == small.records
    assert np.array_equal(large.truth[rows][:, :2], small.truth)
    assert np.array_equal(large.scores[rows][:, :2, :10], small.scores)
    assert large.evaluators[:10] == small.evaluators
    assert large.models[:2] == small.models


def test_a_further_task_leaves_the_first_as_it_was() -> None:
    one, two = make(**{**SMALL, "task": "qa"}), make(**SMALL)
    assert np.array_equal(two.scores[:30], one.scores)
    assert np.array_equal(two.truth[:30], one.truth)


def test_a_coefficient_leaves_the_luck_as_it_was() -> None:
    plain = make(truth_sd=0.3, noise_sd=0.3)
    other = make(truth_sd=0.3, noise_sd=0.6, bias=0.5, slope=2.0)
    assert np.array_equal(plain.truth, other.truth)
    assert errors(other, slope=2.0) == pytest.approx(2.0 * errors(plain) + 0.5, abs=1e-12)


def test_every_draw_has_its_key() -> None:
    drawn = np.empty((3, 2, 4))
    _fill_normals(drawn, 7, 5, 2**32)
    purpose = int(Purpose.PROFILE)
    for t, i, s in np.ndindex(drawn.shape):
        assert drawn[t, i, s] == normal(7, 5 + i, purpose, 2**32 + t, s)
    assert np.unique(drawn).size == drawn.size


def test_the_same_settings_give_the_same_profile() -> None:
    one, other = make(**SMALL), make(**SMALL)
    assert one.content_hash == other.content_hash
    assert np.array_equal(one.scores, other.scores)
    assert np.array_equal(one.truth, other.truth)


def test_another_seed_gives_another_table() -> None:
    one, other = make(truth_sd=0.5, noise_sd=0.5), make(truth_sd=0.5, noise_sd=0.5, seed=2)
    assert abs(cor(one.scores, other.scores)) < cor_tolerance(0.0, 2000)
    assert not np.intersect1d(one.scores, other.scores).size


def test_a_cell_by_hand() -> None:
    """Task 1, record 2, model 1, evaluator 3: its four normals, put together as the module says."""
    made = SyntheticSettings(
        **{**SMALL, "records": 5},
        truth_mean=4.5,
        truth_sd=1.2,
        slope={"qa": 1.0, "news": [0.1 * e for e in range(10)]},
        bias=[0.2 * e for e in range(10)],
        noise_sd=[0.3 * e for e in range(10)],
        record_share=0.25,
        seed=9,
    )
    round_, purpose = 2**32 + 2, int(Purpose.PROFILE)
    a = normal(9, 1, purpose, round_, 0)
    b, c, d = (normal(9, 2 + 1, purpose, round_, slot) for slot in (0, 1, 2 + 3))
    truth = 4.5 + 1.2 * (0.5 * a + math.sqrt(0.75) * b)
    error = 0.9 * (math.sqrt(0.4) * c + math.sqrt(0.6) * d)
    score = 4.5 + 0.3 * (truth - 4.5) + 0.6 + error
    assert 0.0 < truth < 10.0
    assert 0.0 < score < 10.0
    profile = synthetic_profile(made)
    assert profile.truth[5 + 2, 1] == pytest.approx(truth, abs=1e-12)
    assert profile.scores[5 + 2, 1, 3] == pytest.approx(score, abs=1e-12)


PINNED_HASH = "4d9accc012eefb31"
PINNED_TRUTH = [5.1266201136, 5.5568197153, 3.4994526172, 5.2179966017]
PINNED_SCORES = [5.6963335453, 5.7085495915, 6.6630802199, 6.5295681841]


def test_the_draws_are_pinned() -> None:
    """The format version must be raised when these numbers change."""
    profile = make(records=2, evaluators=2, models=2, error_correlation=0.25)
    assert profile.content_hash.startswith(PINNED_HASH)
    assert profile.truth.ravel().tolist() == pytest.approx(PINNED_TRUTH, abs=1e-9)
    assert profile.scores[0].ravel().tolist() == pytest.approx(PINNED_SCORES, abs=1e-9)


# ------------------------------------------------------------------------------- hash and settings

CHANGES: dict[str, Any] = {
    "records": 2001,
    "models": 2,
    "evaluators": 11,
    "truth_mean": 5.1,
    "truth_sd": 1.6,
    "slope": 0.9,
    "bias": 0.1,
    "noise_sd": 1.1,
    "error_correlation": 0.1,
    "record_share": 0.6,
    "task": "summarization",
    "seed": 2,
    "latency_ms": 900.0,
}


def test_every_field_changes_the_hash() -> None:
    fields = {field.name for field in dataclasses.fields(SyntheticSettings)}
    assert fields == set(CHANGES)
    hashes = {SyntheticSettings(**{name: value}).content_hash for name, value in CHANGES.items()}
    assert len(hashes | {SyntheticSettings().content_hash}) == len(CHANGES) + 1


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ({"bias": 0}, {"bias": [0.0] * 10}),
        ({"bias": 0.0}, {"bias": -0.0}),
        ({"task": "qa"}, {"task": ["qa"]}),
        ({"slope": 1}, {"slope": {"qa": (1.0,) * 10}}),
        ({"latency_ms": 1000}, {"latency_ms": [1000.0]}),
        ({"records": 2000}, {"records": np.int64(2000)}),
        ({"noise_sd": 0.5}, {"noise_sd": np.float64(0.5)}),
    ],
)
def test_the_hash_does_not_depend_on_how_a_value_is_written(
    short: dict[str, Any], long: dict[str, Any]
) -> None:
    assert SyntheticSettings(**short).content_hash == SyntheticSettings(**long).content_hash


def test_settings_are_keys_and_travel_to_workers() -> None:
    made = SyntheticSettings(task=("qa", "news"), slope={"qa": 1.0, "news": [-1.0] * 10})
    again = pickle.loads(pickle.dumps(made))
    assert again == made
    assert {made: 1}[again] == 1


def test_later_changes_to_a_mapping_do_not_reach_the_settings() -> None:
    slope = {"qa": 1.0}
    made = SyntheticSettings(slope=slope)
    slope["qa"] = -1.0
    assert made.slopes().tolist() == [[1.0] * 10]


# ------------------------------------------------------------------------------ clipping and shape


def test_everything_stays_on_the_scale() -> None:
    profile = make(evaluators=3, truth_mean=9.0, truth_sd=4.0, bias=(-9.0, 0.0, 9.0), noise_sd=3.0)
    for values in (profile.truth, profile.scores):
        assert values.min() == 0.0
        assert values.max() == 10.0
    # an evaluator sees the clipped truth: without noise its error is the bias or the end
    exact = make(evaluators=1, truth_mean=9.0, truth_sd=4.0, bias=-1.0, noise_sd=0.0)
    assert exact.scores[:, :, 0] == pytest.approx(np.maximum(exact.truth - 1.0, 0.0))


def test_clipping_takes_the_share_the_normal_says() -> None:
    """Truth of mean 5 and s.d. 2.5 leaves the scale on either side with probability Phi(-2)."""
    truth = make(records=RECORDS, evaluators=1, truth_sd=2.5).truth
    p = 0.0227501319
    for end in (0.0, 10.0):
        share = float((truth == end).mean())
        assert abs(share - p) < ALARM * math.sqrt(p * (1 - p) / RECORDS)


sizes = st.floats(-1e6, 1e6)
spreads = st.floats(0.0, 1e6)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(
    mean=st.floats(0.0, 10.0),
    truth_sd=spreads,
    slope=sizes,
    bias=sizes,
    noise_sd=spreads,
    rho=st.floats(0.0, 1.0, exclude_max=True),
    share=st.floats(0.0, 1.0),
    seed=st.integers(0, 2**63 - 1),
)
def test_any_valid_settings_give_a_valid_table(
    mean: float,
    truth_sd: float,
    slope: float,
    bias: float,
    noise_sd: float,
    rho: float,
    share: float,
    seed: int,
) -> None:
    profile = make(
        records=5,
        models=2,
        evaluators=3,
        truth_mean=mean,
        truth_sd=truth_sd,
        slope=slope,
        bias=bias,
        noise_sd=noise_sd,
        error_correlation=rho,
        record_share=share,
        seed=seed,
    )
    for values in (profile.truth, profile.scores):
        assert np.all((values >= 0.0) & (values <= 10.0))


def test_the_parts_of_the_profile() -> None:
    profile = make(**SMALL)
    assert profile.name == "synthetic"
    assert profile.tasks == ("qa", "news")
    assert profile.models == ("model_1", "model_2")
    assert profile.evaluators[::9] == ("evaluator_1", "evaluator_10")
    assert profile.records[:1] + profile.records[-1:] == ("qa_0000001", "news_0000030")
    assert profile.task_of_record.tolist() == [0] * 30 + [1] * 30
    assert profile.scores.shape == (60, 2, 10)
    assert not profile.scores.flags.writeable
    assert np.isnan(profile.judge).all()
    assert profile.judge.shape == profile.truth.shape == (60, 2)


def test_it_says_that_all_is_assumed() -> None:
    provenance = make().provenance
    assert "Synthetic" in provenance["summary"]
    assert provenance["published"] == provenance["inferred"] == []
    assert provenance["assumed"]
    rebuilt = SyntheticSettings(**json.loads(json.dumps(provenance["settings"])))
    assert rebuilt.content_hash == make().content_hash


def test_costs() -> None:
    profile = make(models=3, latency_ms=(1000.0, 1500.0, 2000.0))
    assert list(profile.costs.columns) == list(COST_COLUMNS)
    latency = np.array([profile.latency_ms(model, "none") for model in profile.models])
    assert min_max_cost(latency).tolist() == [0.0, 0.5, 1.0]
    assert profile.hardware_of("evaluator_10") == ("none",)
    assert profile.latency_ms("evaluator_10", "none") == 1.0
    same = make(models=3)
    assert {same.latency_ms(model, "none") for model in same.models} == {1000.0}


def test_written_and_read_it_is_the_same_table(tmp_path: Path) -> None:
    """It passes every check of a measured profile, and its rows are already in their order."""
    profile = make(**SMALL)
    rows = [
        (record, profile.tasks[task], model)
        for record, task in zip(profile.records, profile.task_of_record, strict=True)
        for model in profile.models
    ]
    table = pd.DataFrame(rows, columns=["record", "task", "model"])
    table["truth"], table["judge"] = profile.truth.ravel(), profile.judge.ravel()
    for e, evaluator in enumerate(profile.evaluators):
        table[evaluator] = profile.scores[:, :, e].ravel()
    folder = write_parts(
        tmp_path / "mine",
        name=profile.name,
        scores_table=table.sample(frac=1.0, random_state=1),
        costs_table=profile.costs,
        tasks=profile.tasks,
        models=profile.models,
        evaluators=profile.evaluators,
        normalisation={"method": "none"},
        hardware=["none"],
        provenance=profile.provenance,
    )
    back = read_profile(folder)
    assert back.records == profile.records
    assert back.task_of_record.tolist() == profile.task_of_record.tolist()
    for one, other in ((back.scores, profile.scores), (back.truth, profile.truth)):
        assert np.array_equal(one, other)


def test_a_common_size_is_made_in_a_moment() -> None:
    make(records=1)  # compile
    start = time.perf_counter()
    make(records=2000, models=5, evaluators=20)
    assert time.perf_counter() - start < 0.5  # 0.01 s on an ordinary core


# --------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"records": 0}, "records must be a whole number from 1 to 1,000,000, got 0"),
        ({"records": 2_000_000}, "records must be"),
        ({"models": -1}, "models must be"),
        ({"models": 1001}, "models must be a whole number from 1 to 1,000"),
        ({"evaluators": 0}, "evaluators must be"),
        ({"evaluators": 2.0}, r"evaluators must be a whole number .* got 2\.0"),
        ({"evaluators": True}, "evaluators must be"),
        ({"evaluators": None}, "evaluators must be"),
        ({"records": 1_000_000, "evaluators": 21}, f"21,000,000 scores.*most {MAX_SCORES:,}"),
        ({"seed": -1}, "seed must be"),
        ({"seed": 2**63}, "seed must be"),
        ({"seed": "1"}, "seed must be"),
        ({"truth_mean": 10.5}, r"truth_mean must be a number from 0 to 10, got 10\.5"),
        ({"truth_mean": -0.1}, "truth_mean must be"),
        ({"truth_mean": math.nan}, "truth_mean must be"),
        ({"truth_sd": -1.0}, "truth_sd must be"),
        ({"truth_sd": math.inf}, "truth_sd must be"),
        ({"truth_sd": True}, "truth_sd must be"),
        ({"error_correlation": 1.0}, "error_correlation must be below 1"),
        ({"error_correlation": 1.5}, "error_correlation must be"),
        ({"error_correlation": -0.1}, "error_correlation must be"),
        ({"error_correlation": math.nan}, "error_correlation must be"),
        ({"record_share": 1.1}, "record_share must be"),
        ({"record_share": "half"}, "record_share must be a number from 0 to 1, got 'half'"),
        ({"bias": math.nan}, "bias must be"),
        ({"bias": 10**400}, "bias must be"),
        ({"bias": (1.0, 2.0)}, "bias must be one number or a list of 10, got 2 entries"),
        ({"bias": ()}, "got 0 entries"),
        ({"evaluators": 2, "bias": (1.0, math.inf)}, r"bias\[1\] must be"),
        ({"bias": {"qa": 1.0}}, "bias must be"),
        ({"noise_sd": -0.5}, "noise_sd must be a number from 0"),
        ({"evaluators": 2, "noise_sd": (1.0, -1.0)}, r"noise_sd\[1\] must be"),
        ({"latency_ms": 0.0}, r"latency_ms must be a number from 0\.001"),
        ({"latency_ms": (1.0, 2.0)}, "latency_ms must be one number or a list of 1"),
        ({"slope": None}, "slope must be"),
        ({"slope": (1.0,) * 9}, "slope must be one number or a list of 10"),
        ({"slope": {"qq": 1.0}}, "slope of unknown task 'qq'; "),
        ({"slope": {3: 1.0}}, "slope of unknown task 3"),
        ({"slope": {}}, "slope is missing for task 'qa'"),
        ({"task": ("qa", "news"), "slope": {"qa": 1.0}}, "slope is missing for task 'news'"),
        ({"slope": {"qa": (1.0,)}}, r"slope\.qa must be one number or a list of 10"),
        ({"slope": {"qa": math.nan}}, r"slope\.qa must be"),
        ({"task": ()}, "task must be a name or 1 to 100 of them"),
        ({"task": None}, "task must be a name"),
        ({"task": 7}, "task must be a name"),
        ({"task": "Q A"}, "task 'Q A' must be made of"),
        ({"task": ("qa", 3)}, "task 3 must be made of"),
        ({"task": ("qa", "qa")}, "task names something twice: qa, qa"),
        ({"task": tuple(f"t{i}" for i in range(101))}, "task must be a name or 1 to 100"),
    ],
    ids=lambda part: None if isinstance(part, str) else str(part)[:60],
)
def test_bad_settings_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"^synthetic profile: .*{message}"):
        SyntheticSettings(**values)
