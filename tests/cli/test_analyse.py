"""``poq analyse``, as a user calls it."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import pandas as pd
import pytest

FEW = ("--rounds", 60, "--replications", 3)


@pytest.fixture
def swept(poq) -> str:
    assert poq("run", "committee_size", *FEW, "--out", "swept").code == 0
    return "swept"


def read(outcome) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(outcome.out))


def said(outcome) -> str:
    return " ".join((outcome.out + outcome.err).split())


@pytest.mark.parametrize("table", ["rewards", "lorenz", "alignment", "explain"])
def test_tables_are_printed_for_readers_and_as_csv(poq, swept: str, table: str) -> None:
    shown = poq("analyse", table, swept, "--role", "inference")
    assert shown.code == 0
    rows = read(poq("analyse", table, swept, "--role", "inference", "--csv"))
    assert len(shown.out.splitlines()) == len(rows) + 1
    assert set(rows["treatment"]) == {f"committee_size={k}" for k in (1, 2, 3)}


def test_the_ledger_still_sums_after_a_trip_through_csv(poq, swept: str) -> None:
    rows = read(poq("analyse", "explain", swept, "--csv"))
    parts = rows[["quality", "closeness", "cost", "remainder"]].to_numpy().tolist()
    assert [math.fsum(row) for row in parts] == rows["reward_total"].tolist()


def test_a_difference_is_explained(poq, swept: str) -> None:
    ids = ("--treatment", "committee_size=1", "--against", "committee_size=3")
    rows = read(poq("analyse", "difference", swept, *ids, "--group", "ce_minilm", "--csv"))
    assert rows["component"].tolist()[-2:] == ["remainder", "reward_total"]


def test_quality_takes_one_treatment(poq, swept: str) -> None:
    rows = read(poq("analyse", "quality", swept, "--treatment", "committee_size=1", "--csv"))
    assert rows["efficient"].sum() >= 1
    assert "3 treatments; name one" in said(poq("analyse", "quality", swept))


def test_a_partial_run_is_analysed_and_said_to_be_partial(poq, swept: str, tmp_path: Path) -> None:
    path = tmp_path / swept / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "status": "running"}))
    done = poq("analyse", "rewards", swept, "--csv")
    assert len(read(done)) == 3 * 2 * 12  # treatments, roles, statistics
    assert done.err.startswith("note: partial: 9 of 9 replications are stored")


def test_one_replication_has_no_interval_and_that_is_said(poq) -> None:
    poq("run", "cost_aware_poq", "--rounds", 50, "--replications", 1, "--out", "one")
    done = poq("analyse", "rewards", "one", "--csv")
    assert read(done)[["low", "high"]].isna().all(axis=None)
    assert "note: one replication: no interval can be given" in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rewardz", "swept"), "did you mean 'rewards'"),
        (("rewards",), "needs a results folder"),
        (("rewards", "."), "is not a results folder"),
        (("rewards", "swept", "--group", "ce_mini"), "did you mean 'ce_minilm'"),
        (("rewards", "swept", "--by", "rol"), "did you mean 'role'"),
        (("rewards", "swept", "--amount", "total"), "no amount 'total'"),
        (("rewards", "swept", "--treatment", "committee_size=4"), "did you mean 'committee_size"),
        (("difference", "swept"), "needs two treatments"),
        (("difference", "swept", "--treatment", "x", "--against", "y"), "no treatment 'x'"),
    ],
)
def test_a_users_mistake_is_a_message(poq, swept: str, arguments, message: str) -> None:
    done = poq("analyse", *arguments)
    assert done.code == 2
    assert message in said(done)
    assert "Traceback" not in done.err


def test_tables_can_be_listed(poq) -> None:
    assert "alignment" in poq("analyse", "list").out
