"""``poq calibrate import``: scales that are told, asked for, and shown with the profile."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Poq

MIXED = """record,model,truth,cosine,points
a,m1,8.0,0.81,8.1
a,m2,3.0,0.42,2.9
b,m1,6.5,0.70,6.2
b,m2,2.0,0.35,1.8
"""
COLUMNS = ("--record", "record", "--model", "model", "--truth", "truth")


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    (tmp_path / "scores.csv").write_text(MIXED)
    return tmp_path / "scores.csv"


def test_evaluators_on_different_scales_are_told_apart(
    poq: Poq, scores: Path, tmp_path: Path
) -> None:
    out = tmp_path / "mine"
    made = poq(
        "calibrate", "import", scores, *COLUMNS, "--evaluators", "cosine,points", "--out", out
    )
    assert made.code == 0
    shown = " ".join(poq("profile", "show", out, "--resamples", 20).out.split())
    for sentence in (
        "Scale of cosine (column 'cosine'): 0:1, inferred, for values in [0.35, 0.81]; "
        "points of 10 are 10 x value.",
        "Scale of points (column 'points'): 0:10, inferred, for values in [1.8, 8.1]; "
        "points of 10 are the values as they are.",
    ):
        assert sentence in " ".join(made.out.split())
        assert sentence in shown
    assert " 7.35 " in shown  # the consensus of m1: the mean of 8.1, 8.1, 7.0 and 6.2


def test_a_scale_that_is_stated_is_kept(poq: Poq, scores: Path, tmp_path: Path) -> None:
    out, scale = tmp_path / "mine", ("--scale", "cosine=-1:1", "--scale", "points=per_task")
    names = ("--evaluators", "cosine,points")
    made = poq("calibrate", "import", scores, *COLUMNS, *names, *scale, "--out", out)
    assert made.code == 0
    told = " ".join(made.out.split())
    assert "(column 'cosine'): -1:1, stated" in told
    assert "points of 10 are 10 x (value + 1) / 2." in told
    assert "Scores of points: by minimum and maximum, all [1.8, 8.1] to [0, 10]." in told


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (("0.42", "-0.42"), (), "State the scale with --scale cosine=LOW:HIGH"),
        (("0.42", "-0.42"), ("--scale", "cosine=0:1"), "1 of its values are not, such as -0.42"),
        (("8.0", "-1"), (), "--missing -1"),
        (("8.0", "-1"), ("--missing", "-1"), "--incomplete drop leaves them out"),
        (("8.0", "oops"), (), "scores.csv: line 2: column 'truth' holds 'oops'"),
        (("", ""), ("--scale", "cosin=0:1"), "did you mean 'cosine'"),
        (("", ""), ("--incomplete", "dorp"), "did you mean 'drop'"),
    ],
)
def test_what_is_not_clear_is_asked(
    poq: Poq,
    scores: Path,
    tmp_path: Path,
    change: tuple[str, str],
    options: tuple[str, ...],
    message: str,
) -> None:
    scores.write_text(MIXED.replace(*change))
    out = tmp_path / "mine"
    names = ("--evaluators", "cosine,points")
    refused = poq("calibrate", "import", scores, *COLUMNS, *names, *options, "--out", out)
    assert refused.code == 2
    assert message in refused.err
    assert "Traceback" not in refused.err
    assert not out.exists()


def test_columns_that_nobody_names_are_asked_for(poq: Poq, scores: Path, tmp_path: Path) -> None:
    refused = poq("calibrate", "import", scores, "--out", tmp_path / "mine")
    assert refused.code == 2
    assert "with --record, --model, --evaluators; there are 'file'" in refused.err
