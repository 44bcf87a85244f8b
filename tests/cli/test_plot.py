"""``poq plot``, as a user calls it."""

from __future__ import annotations

from pathlib import Path

import pytest

from poq_abm.analysis.questions import figures

KINDS = figures()

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::PendingDeprecationWarning"
)


def said(outcome) -> str:
    return " ".join((outcome.out + outcome.err).split())


def test_a_picture_lies_in_the_folder_of_its_run(poq, tmp_path: Path) -> None:
    poq("run", "cost_aware_poq", "--rounds", 50, "--replications", 2, "--out", "run")
    done = poq("plot", "ecdf", "run")
    assert done.out.split() == ["run/ecdf.svg", "run/ecdf.png"]
    assert all((tmp_path / path).stat().st_size > 5000 for path in done.out.split())


def test_format_and_place_can_be_chosen(poq, tmp_path: Path) -> None:
    done = poq("plot", "figure4", "published", "--format", "pdf", "--out", "pictures/four")
    assert done.code == 0
    assert (tmp_path / "pictures" / "four.pdf").read_bytes().startswith(b"%PDF")


def test_kinds_can_be_listed(poq) -> None:
    lines = poq("plot", "list").out.splitlines()
    assert [line.split()[0] for line in lines] == list(KINDS)


OPTIONS = {"treatment", "against", "role", "group", "by", "metric", "x", "y", "where"}


@pytest.mark.parametrize("kind", KINDS)
def test_an_option_that_a_kind_does_not_heed_is_refused(poq, kind: str) -> None:
    """What is declared is heeded: tests/analysis/test_questions.py watches each being drawn."""
    for option in OPTIONS - set(KINDS[kind].takes):
        done = poq("plot", kind, "published", f"--{option}", "a=b")
        assert done.code == 2
        assert f"--{option} does nothing in `poq plot {kind}`" in said(done)
        able = [name for name, one in KINDS.items() if option in one.takes]
        assert ", ".join(able) in said(done)


def test_every_declared_option_is_one_of_plots() -> None:
    assert {name for kind in KINDS.values() for name in kind.takes} == OPTIONS


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("figure6", "published", "--treatment", "base"), "does nothing for a profile"),
        (("ecdff", "x"), "did you mean 'ecdf'"),
        (("ecdf",), "needs a results folder"),
        (("ecdf", "."), "is not a results folder"),
        (("ecdf", "absent"), "no such folder"),
        (("heatmap", ".", "--where", "share"), "write AXIS=VALUE"),
    ],
)
def test_a_users_mistake_is_a_message(poq, arguments, message: str) -> None:
    done = poq("plot", *arguments)
    assert done.code == 2
    assert message in said(done)
