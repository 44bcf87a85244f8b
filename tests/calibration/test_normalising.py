"""From values to scores: the scale, its limits, and what has none."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from calibration.normalising import RESOLUTION, apply, fit
from poq_abm.errors import InputError

VALUES = {"e": [("qa", 0.2), ("qa", 0.6), ("summarization", -1.0), ("summarization", 3.0)]}
FINITE = st.floats(-1e6, 1e6)


def test_each_task_has_its_own_scale() -> None:
    fitted = fit(VALUES, "per_task")
    assert fitted["scope"] == "task"
    assert [apply(fitted, "e", *row) for row in VALUES["e"]] == [0.0, 10.0, 0.0, 10.0]
    assert apply(fitted, "e", "qa", 0.3) == pytest.approx(2.5)


def test_the_whole_set_has_one_scale() -> None:
    fitted = fit(VALUES, "whole_set")
    assert fitted["scope"] == "set"
    assert [apply(fitted, "e", *row) for row in VALUES["e"]] == pytest.approx([3.0, 4.0, 0.0, 10.0])


def test_later_outputs_are_clipped_to_the_scale() -> None:
    fitted = fit(VALUES, "per_task")
    assert apply(fitted, "e", "qa", -math.inf) == 0.0
    assert apply(fitted, "e", "qa", 9.0) == 10.0


def test_a_transform_survives_as_json() -> None:
    fitted = fit(VALUES, "per_task")
    assert json.loads(json.dumps(fitted, allow_nan=False)) == fitted


@given(st.lists(FINITE, min_size=2, max_size=20), FINITE, FINITE)
def test_scores_stay_on_the_scale_and_keep_the_order(
    values: list[float], one: float, other: float
) -> None:
    assume(max(values) - min(values) > 2 * RESOLUTION * max(map(abs, values)))
    fitted = fit({"e": [("qa", value) for value in values]}, "per_task")
    low, high = sorted((one, other))
    assert 0.0 <= apply(fitted, "e", "qa", low) <= apply(fitted, "e", "qa", high) <= 10.0
    assert apply(fitted, "e", "qa", min(values)) == 0.0
    assert apply(fitted, "e", "qa", max(values)) == 10.0


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
        fit({"e": values}, "per_task")


def test_small_values_are_not_mistaken_for_a_constant() -> None:
    fitted = fit({"e": [("qa", 1e-9), ("qa", 2e-9)]}, "per_task")
    assert apply(fitted, "e", "qa", 1.5e-9) == pytest.approx(5.0)


def test_a_constant_over_the_whole_set_gets_no_hint_to_use_the_whole_set() -> None:
    with pytest.raises(InputError) as caught:
        fit({"e": [("qa", 1.0), ("other", 1.0)]}, "whole_set")
    assert "whole_set" not in str(caught.value)
    assert "all 2 outputs the same value" in str(caught.value)


def test_what_was_not_fitted_is_an_input_error() -> None:
    fitted = fit(VALUES, "per_task")
    with pytest.raises(InputError, match="no scale was fitted for 'f'"):
        apply(fitted, "f", "qa", 1.0)
    with pytest.raises(InputError, match="did you mean 'summarization'"):
        apply(fitted, "e", "summarisation", 1.0)
    with pytest.raises(InputError, match="NaN"):
        apply(fitted, "e", "qa", math.nan)
    with pytest.raises(InputError, match="did you mean 'per_task'"):
        fit(VALUES, "pertask")
