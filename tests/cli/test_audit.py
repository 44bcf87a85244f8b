"""``poq audit``, as a user calls it."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest

pytestmark = pytest.mark.usefixtures("shipped_rules")

FEW = ("--rounds", 200, "--replications", 3)
EVALUATORS = ("--role", "evaluator")


def said(outcome) -> str:
    return " ".join((outcome.out + outcome.err).split())


def test_verdicts_are_said_and_what_was_left_out(poq) -> None:
    done = poq("audit", "cost_aware_poq", *EVALUATORS, "--rounds", 200, "--replications", 10)
    assert done.code == 0
    assert "Cheapest profitable deviation of evaluator nodes: " in done.out
    assert "21 deviations, 10 matched replications; verdicts hold together at 95%" in said(done)
    assert "mechanism.beta_evaluator changes nothing from 0 to 2" in said(done)
    assert "acted" in said(done)
    assert "left out: evaluator sleeper: watches trust" in done.out


def test_every_table_asked_for_is_written(poq, tmp_path: Path) -> None:
    done = poq(
        "audit", "cost_aware_poq", *FEW, *EVALUATORS, "--behaviour", "copycat",
        "--behaviour", "{name: boost, b: 1.0}", "--break-even", "mechanism.beta_evaluator=0:1",
        "--frontier", "--breakdown", "--out", "tables",
    )  # fmt: skip
    assert done.code == 0
    written = {path.stem: pd.read_csv(path) for path in (tmp_path / "tables").glob("*.csv")}
    assert set(written) == {"gains", "break_even", "frontier", "breakdown"}
    assert len(written["gains"]) == 6
    assert len(written["breakdown"]) == 9
    assert "mechanism.beta_evaluator changes nothing from 0 to 1" in said(done)


def test_csv_is_the_table_and_nothing_else(poq) -> None:
    done = poq("audit", "cost_aware_poq", *FEW, "--behaviour", "freeload", "--csv")
    table = pd.read_csv(io.StringIO(done.out))
    assert table["role"].tolist() == ["inference"] * 5
    assert (table["verdict"] == "loses").all()


def test_one_treatment_of_a_sweep_is_audited(poq) -> None:
    done = poq("audit", "committee_size", *FEW, "--behaviour", "boost", "--csv",
               "--treatment", "committee_size=1")  # fmt: skip
    assert (pd.read_csv(io.StringIO(done.out))["gain"] == 0.0).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("committee_size",), "3 treatments; audit one: --treatment"),
        (("committee_size", "--treatment", "committee_size=2x"), "did you mean"),
        (("cost_aware_poq", "--role", "evaluater"), "did you mean 'evaluator'"),
        (("cost_aware_poq", "--behaviour", "bost"), "did you mean 'boost'"),
        (("cost_aware_poq", "--behaviour", "{b: 3}"), "write a name"),
        (("cost_aware_poq", "--break-even", "mechanism.tau"), "write PATH=LOW:HIGH"),
        (("cost_aware_poq", "--share", 2), "share must lie in"),
        (("cost_aware_poq", "--epsilon", -1), "epsilon must be above 0"),
        (("cost_aware_poq", "--csv", "--frontier"), "--frontier does nothing with --csv"),
    ],
)
def test_a_users_mistake_is_a_message(poq, arguments, message: str) -> None:
    done = poq("audit", *arguments)
    assert done.code == 2
    assert message in said(done)
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("mechanism.beta_evaluatr=0:1", "did you mean 'beta_evaluator'"),
        ("mechanism.committee_size=1:3", "no continuous number; sweep it instead"),
        ("rounds=1:3", "decides what is drawn"),
        ("mechanism.tau=1:0", "is empty"),
    ],
)
def test_what_cannot_break_even_is_refused(poq, field: str, message: str) -> None:
    done = poq("audit", "cost_aware_poq", *FEW, "--behaviour", "copycat", "--break-even", field)
    assert done.code == 2
    assert message in said(done)


ECONOMY = """
extends: cost_aware_poq
rounds: 300
replications: 4
economy:
  epochs: 3
  stake: {bond: 20.0, slashing: {deviation: 0.2, rate: 0.5}}
  adaptation: [{name: imitation, role: evaluator, rate: 0.5, temperature: 1.0}]
"""


def test_an_economy_is_audited_in_profit_per_epoch(poq, tmp_path: Path) -> None:
    (tmp_path / "bonds.yaml").write_text(ECONOMY)
    done = poq(
        "audit", "bonds.yaml", *EVALUATORS, "--behaviour", "copycat", "--frontier",
        "--break-even", "economy.stake.slashing.rate=0:1", "--out", "tables",
    )  # fmt: skip
    assert done.code == 0
    assert "gain in profit per node and epoch" in said(done)
    assert "Adaptation is left out (imitation)" in said(done)
    gains = pd.read_csv(tmp_path / "tables" / "gains.csv")
    assert set(gains["per"]) == {"epoch"}
    assert set(gains["bonds"]) == {20.0}
    assert "cost_per_epoch" in pd.read_csv(tmp_path / "tables" / "frontier.csv")
