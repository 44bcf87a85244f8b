"""Tables at any width, and the same as JSON and CSV."""

from __future__ import annotations

import io
import json

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poq_abm.cli.printing import print_data, print_frame

WORDS = st.text("ab ", min_size=0, max_size=30)
FRAMES = st.integers(1, 4).flatmap(
    lambda rows: st.dictionaries(
        st.text("abcdefgh_", min_size=1, max_size=14),
        st.one_of(
            st.lists(st.floats(-1e6, 1e6), min_size=rows, max_size=rows),
            st.lists(WORDS, min_size=rows, max_size=rows),
        ),
        min_size=1,
        max_size=9,
    ).map(pd.DataFrame)
)


def printed(frame: pd.DataFrame, width: int, **options: object) -> str:
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(width))
        patch.setattr("sys.stdout", out)
        print_frame(frame, **options)  # type: ignore[arg-type]
    return out.getvalue()


@given(FRAMES, st.integers(60, 200))
def test_every_number_is_whole_at_any_width(frame: pd.DataFrame, width: int) -> None:
    text = printed(frame, width)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    for _, column in frame.select_dtypes("number").items():
        assert all(f"{value:.6g}" in text.split() for value in column)


def test_a_table_that_is_too_wide_repeats_its_first_columns() -> None:
    frame = pd.DataFrame(
        {"node": ["a", "b"], **{f"quantity_{k}": [0.123456, 0.5] for k in range(9)}}
    )
    text = printed(frame, 60)
    assert text.split().count("node") > 1
    assert text.split().count("0.123456") == 9


def test_an_interval_stays_beside_its_estimate() -> None:
    wide = {f"q{k}": ["0.25"] for k in range(6)}
    frame = pd.DataFrame({"node": ["a"], **wide, "mean": ["0.5"], "95% interval": ["[0.25, 0.75]"]})
    for width in range(30, 90, 5):
        lines = printed(frame, width).splitlines()
        assert any("0.5 " in line and "[0.25, 0.75]" in line for line in lines), width


def test_unknown_numbers_are_null_and_floats_survive(capsys: pytest.CaptureFixture[str]) -> None:
    frame = pd.DataFrame({"x": [0.1, float("nan")], "y": ["α", "b"]})
    assert print_data({"rows": frame}, as_json=True, as_csv=False, name="n")
    told = json.loads(capsys.readouterr().out)
    assert told == {"name": "n", "rows": [{"x": 0.1, "y": "α"}, {"x": None, "y": "b"}]}
    assert print_data({"rows": frame}, as_json=False, as_csv=True)
    again = pd.read_csv(io.StringIO(capsys.readouterr().out))
    pd.testing.assert_frame_equal(again, frame)
    assert not print_data({"rows": frame}, as_json=False, as_csv=False)
