"""``poq analyse``, as a user calls it."""

from __future__ import annotations

import io
import math
from pathlib import Path

import pandas as pd
import pytest

from poq_abm.analysis.questions import tables
from tests.conftest import interrupt

TABLES = tables()
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
    assert set(shown.out.split()) >= set(rows["treatment"])
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
    interrupt(tmp_path / swept)
    done = poq("analyse", "rewards", swept, "--csv")
    assert len(read(done)) == 3 * 2 * 12  # treatments, roles, statistics
    assert done.err.startswith("note: partial: 9 of 9 replications are stored")


def test_one_replication_has_no_interval_and_that_is_said(poq) -> None:
    poq("run", "cost_aware_poq", "--rounds", 50, "--replications", 1, "--out", "one")
    done = poq("analyse", "rewards", "one", "--csv")
    assert read(done)[["low", "high"]].isna().all(axis=None)
    assert "note: one replication: no interval can be given" in done.err


ECONOMY = """
extends: cost_aware_poq
rounds: 60
replications: 3
economy: {epochs: 3, stake: {bond: 5.0, capital_rate: 0.1}}
sweep: {economy.stake.bond: [5.0, 10.0]}
"""


@pytest.fixture
def economy(poq, tmp_path: Path) -> str:
    (tmp_path / "bonds.yaml").write_text(ECONOMY)
    assert poq("run", "bonds.yaml", "--out", "bonds").code == 0
    return "bonds"


def test_an_economys_profits_are_explained(poq, economy: str) -> None:
    rows = read(poq("analyse", "explain", economy, "--csv"))
    first = list(rows).index("jobs") + 1
    parts = rows.iloc[:, first:-1].to_numpy().tolist()
    assert [math.fsum(row) for row in parts] == rows["profit"].tolist()
    # 3 epochs at 10 % of a bond of 5 and of 10 tokens
    assert sorted(rows["capital"].round(12).unique()) == [-3.0, -1.5]
    ids = [f"bond={bond}" for bond in ("5", "10")]
    moved = read(poq("analyse", "difference", economy, "--treatment", ids[0], "--against", ids[1],
                     "--csv"))  # fmt: skip
    capital = moved[moved["component"] == "capital"]
    assert capital["difference"].to_numpy() == pytest.approx(-1.5)


def test_an_economys_tokens_are_distributed_over_operators(poq, economy: str) -> None:
    asked = ("--amount", "reward", "--over", "operators", "--csv")
    rows = read(poq("analyse", "rewards", economy, *asked))
    assert set(rows.loc[rows["statistic"] == "nakamoto", "unit"]) == {"operators"}
    assert "reward_total is a column of the table nodes" in said(
        poq("analyse", "rewards", economy, "--over", "operators")
    )


def test_profits_need_an_economy(poq, swept: str) -> None:
    done = poq("analyse", "rewards", swept, "--amount", "profit")
    assert done.code == 2
    assert "of no economy" in said(done)


def test_a_run_of_verification_protocols_is_told_apart(poq) -> None:
    few = ("--replications", 2, "--rounds", 50)
    assert poq("run", "otr_watchers", *few, "--out", "otr").code == 0
    done = poq("analyse", "rewards", "otr")
    assert done.code == 2
    assert "is a run of verification protocols" in said(done)
    assert "Traceback" not in done.err


OPTIONS = {"treatment", "against", "role", "group", "by", "amount", "over"}
#: a value of each option that moves the table
MOVES = {
    "treatment": "committee_size=2", "role": "evaluator", "group": "ce_minilm", "by": "group",
    "amount": "reward_mean",
}  # fmt: skip


def test_every_declared_option_is_one_of_analyses() -> None:
    assert {name for one in TABLES.values() for name in one.takes} == OPTIONS


@pytest.mark.parametrize("table", TABLES)
def test_an_option_that_a_table_does_not_heed_is_refused(poq, table: str) -> None:
    for option in OPTIONS - set(TABLES[table].takes):
        done = poq("analyse", table, "nowhere", f"--{option}", "x")
        assert done.code == 2
        assert f"--{option} does nothing in `poq analyse {table}`" in said(done)
        assert ", ".join(t for t, one in TABLES.items() if option in one.takes) in said(done)


@pytest.mark.parametrize("table", ["rewards", "lorenz", "alignment", "explain", "quality"])
def test_an_option_that_a_table_heeds_moves_it(poq, swept: str, table: str) -> None:
    first = {"treatment": "committee_size=1"} if table == "quality" else {}
    if table == "quality":
        moves = {"treatment": "committee_size=2", "group": "phi3_mini_4k"}
    else:
        moves = {name: MOVES[name] for name in TABLES[table].takes if name in MOVES}

    def shown(**options: str) -> str:
        flat = [part for name, value in options.items() for part in (f"--{name}", value)]
        done = poq("analyse", table, swept, "--csv", *flat)
        assert done.code == 0, done.err
        return done.out

    usual = shown(**first)
    for name, value in moves.items():
        if (table, name) == ("alignment", "group"):
            continue  # of inference nodes unless a role is named
        assert shown(**(first | {name: value})) != usual, name


def test_evaluators_that_cannot_disagree_are_named(poq, swept: str) -> None:
    done = poq("analyse", "rewards", swept, "--csv")
    assert "note: in committee_size=1: K = 1: each evaluator is compared with itself" in said(done)


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
