"""The scale that values tell, and the questions they leave open."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from calibration.scales import Scale, described, infer_scale, read_scales
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
    assert described({"e": {**entry, "values": [0.25, 1.0]}}) == [
        f"Scale of e (column 'c'): {ends[0]:g}:{ends[1]:g}, stated, for values in [0.25, 1]; "
        f"points of 10 are {formula}."
    ]
