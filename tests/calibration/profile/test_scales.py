"""The scale that values tell, and the questions they leave open."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from calibration.profile.scales import (
    RESOLUTION,
    Scale,
    described_scales,
    fit_ranges,
    infer_scale,
    points_of,
    read_scales,
)
from poq_abm.errors import InputError

SHARES = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30)


@given(SHARES, st.sampled_from([1.0, 10.0, 100.0]))
def test_whatever_is_inferred_gives_the_same_points(shares: list[float], top: float) -> None:
    """The same judgements on another scale are the same points, or are asked about."""
    assume(max(shares) > 0.2)
    values = np.array(shares) * top
    try:
        scale = infer_scale(values, "c")
    except InputError as error:
        assert "--scale c=LOW:HIGH" in str(error)
    else:
        assert scale == Scale(0.0, top, "inferred")
        np.testing.assert_allclose(scale.points(values), 10 * np.array(shares), atol=1e-12)


@given(SHARES, st.floats(-0.99, 1.49))
def test_one_stray_value_never_moves_a_column_silently(shares: list[float], stray: float) -> None:
    try:
        scale = infer_scale(np.array([*shares, stray]), "c")
    except InputError:
        return
    assert scale == Scale(0.0, 1.0, "inferred")
    assert 0.0 <= stray <= 1.0 + 1e-6


@given(st.lists(st.integers(1, 5), min_size=1, max_size=30))
def test_marks_of_one_to_five_are_never_taken_for_points(marks: list[int]) -> None:
    assume(set(marks) != {1})
    with pytest.raises(InputError, match="marks of 1:5, or of 0:10"):
        infer_scale(np.array(marks, dtype=float), "likert")


@pytest.mark.parametrize(
    ("values", "question"),
    [
        ([0.0, 3.0, 6.0], "marks of 1:5, of 1:7, or of 0:10"),
        ([0.2, 0.9, -0.1], "cosines of -1:1, or shares of 0:1 with noise (1 of 3 are negative)"),
        ([-1.0, 4.0, 9.0], "is -1 the mark of a missing score (1 of 3 values; then say"),
        ([0.2, 0.9, 1.3], "values of 0:1 with noise or an error, or of 0:10 (1 of 3 are above 1)"),
        ([*[5.5] * 20, 80.0], "of 0:10 with noise or an error, or of 0:100 (1 of 21 are above 10)"),
    ],
)
def test_what_is_asked(values: list[float], question: str) -> None:
    with pytest.raises(InputError) as asked:
        infer_scale(np.array(values), "c")
    assert question in str(asked.value)


@pytest.mark.parametrize("values", [[-11.0, 4.0], [3.0, 250.0], [-2.0, 0.5], [-1.0, -0.9, 101.0]])
def test_raw_values_are_on_no_scale(values: list[float]) -> None:
    assert infer_scale(np.array(values), "c") is None


def test_zeros_do_not_hide_a_scale() -> None:
    """Token F1 of weak models is mostly 0."""
    assert infer_scale(np.array([0.0] * 95 + [2.0, 6.7, 10.0, 4.0, 3.3]), "f1") == Scale(
        0.0, 10.0, "inferred"
    )


def test_the_last_digits_of_single_precision_are_within_a_scale() -> None:
    values = np.array([0.3, np.float32(1.0) + np.float32(1.2e-7)], dtype=float)
    assert infer_scale(values, "c") == Scale(0.0, 1.0, "inferred")
    assert Scale(0.0, 1.0).outside(values).size == 0
    assert Scale(0.0, 1.0).points(values).max() == 10.0


def test_points_of_ten_keep_their_bits() -> None:
    values = np.array([0.1, 1 / 3, 9.7, np.nan])
    np.testing.assert_array_equal(Scale(0.0, 10.0).points(values), values)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("cosine", "takes column=low:high, got 'cosine'"),
        ("cosine=", "such as cosine=0:1, got ''"),
        ("cosine=0-1", "such as cosine=0:1, got '0-1'"),
        ("cosine=0:1:2", "got '0:1:2'"),
        ("cosine=1:1", "below the high one"),
        ("cosine=nan:1", "below the high one"),
        ("cosine=per_tsk", "did you mean 'per_task'?"),
    ],
)
def test_what_is_no_scale(entry: str, message: str) -> None:
    with pytest.raises(InputError) as refused:
        read_scales([entry])
    assert message in str(refused.value)


def test_the_name_of_a_column_may_hold_the_sign() -> None:
    assert read_scales(["a=b=-1:1"]) == {"a=b": Scale(-1.0, 1.0)}


@pytest.mark.parametrize(
    ("ends", "formula"),
    [
        ((0.0, 10.0), "the values as they are"),
        ((0.0, 1.0), "10 x value"),
        ((1.0, 5.0), "10 x (value - 1) / 4"),
        ((-1.0, 1.0), "10 x (value + 1) / 2"),
    ],
)
def test_a_mapping_is_said_in_a_sentence(ends: tuple[float, float], formula: str) -> None:
    entry = {"column": "c", "minimum": ends[0], "maximum": ends[1], "known": "stated"}
    assert described_scales({"e": {**entry, "values": [0.25, 1.0]}}) == [
        f"Scale of e (column 'c'): {ends[0]:g}:{ends[1]:g}, stated, for values in [0.25, 1]; "
        f"points of 10 are {formula}."
    ]


VALUES = {"e": [("qa", 0.2), ("qa", 0.6), ("summarization", -1.0), ("summarization", 3.0)]}


FINITE = st.floats(-1e6, 1e6)


def test_each_task_has_its_own_scale() -> None:
    fitted = fit_ranges(VALUES, "per_task")
    assert fitted["scope"] == "task"
    assert [points_of(fitted, "e", *row) for row in VALUES["e"]] == [0.0, 10.0, 0.0, 10.0]
    assert points_of(fitted, "e", "qa", 0.3) == pytest.approx(2.5)


def test_the_whole_set_has_one_scale() -> None:
    fitted = fit_ranges(VALUES, "whole_set")
    assert fitted["scope"] == "set"
    assert [points_of(fitted, "e", *row) for row in VALUES["e"]] == pytest.approx(
        [3.0, 4.0, 0.0, 10.0]
    )


def test_later_outputs_are_clipped_to_the_scale() -> None:
    fitted = fit_ranges(VALUES, "per_task")
    assert points_of(fitted, "e", "qa", -math.inf) == 0.0
    assert points_of(fitted, "e", "qa", 9.0) == 10.0


def test_a_transform_survives_as_json() -> None:
    fitted = fit_ranges(VALUES, "per_task")
    assert json.loads(json.dumps(fitted, allow_nan=False)) == fitted


@given(st.lists(FINITE, min_size=2, max_size=20), FINITE, FINITE)
def test_scores_stay_on_the_scale_and_keep_the_order(
    values: list[float], one: float, other: float
) -> None:
    assume(max(values) - min(values) > 2 * RESOLUTION * max(map(abs, values)))
    fitted = fit_ranges({"e": [("qa", value) for value in values]}, "per_task")
    low, high = sorted((one, other))
    assert 0.0 <= points_of(fitted, "e", "qa", low) <= points_of(fitted, "e", "qa", high) <= 10.0
    assert points_of(fitted, "e", "qa", min(values)) == 0.0
    assert points_of(fitted, "e", "qa", max(values)) == 10.0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([("qa", 0.5), ("qa", 0.5)], "'e' gives all 2 outputs of task 'qa' the same value, 0.5"),
        ([("qa", 0.5), ("qa", 0.5 + 1e-8)], "a constant has no scale"),
        ([("qa", 0.0), ("qa", 0.0)], "same value, 0:"),
        ([("qa", 0.5), ("qa", math.nan)], "'e' returns nan for an output of task 'qa'"),
        ([], "no values to fit"),
    ],
)
def test_what_has_no_scale_is_an_input_error(values: list[tuple[str, float]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit_ranges({"e": values}, "per_task")


def test_small_values_are_not_mistaken_for_a_constant() -> None:
    fitted = fit_ranges({"e": [("qa", 1e-9), ("qa", 2e-9)]}, "per_task")
    assert points_of(fitted, "e", "qa", 1.5e-9) == pytest.approx(5.0)


def test_a_constant_over_the_whole_set_gets_no_hint_to_use_the_whole_set() -> None:
    with pytest.raises(InputError) as caught:
        fit_ranges({"e": [("qa", 1.0), ("other", 1.0)]}, "whole_set")
    assert "whole_set" not in str(caught.value)
    assert "all 2 outputs the same value" in str(caught.value)


def test_what_was_not_fitted_is_an_input_error() -> None:
    fitted = fit_ranges(VALUES, "per_task")
    with pytest.raises(InputError, match="no scale was fitted for 'f'"):
        points_of(fitted, "f", "qa", 1.0)
    with pytest.raises(InputError, match="did you mean 'summarization'"):
        points_of(fitted, "e", "summarisation", 1.0)
    with pytest.raises(InputError, match="NaN"):
        points_of(fitted, "e", "qa", math.nan)
    with pytest.raises(InputError, match="did you mean 'per_task'"):
        fit_ranges(VALUES, "pertask")
