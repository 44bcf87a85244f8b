"""Verification protocols on the command line: every verb, and every mistake."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import Poq

SMALL = ("--rounds", 200, "--replications", 3)
BASE = """rounds: 200
replications: 3
extends: cost_aware_poq
"""
NOBODY = BASE + "verification: {protocol: opml, watchers: {count: 0}}\n"


@pytest.fixture
def run(poq: Poq) -> Poq:
    """A stored run of three protocols in the folder ``run``."""
    assert poq("run", "hybrid_poq_otr", *SMALL, "--out", "run").code == 0
    return poq


def test_run_prints_what_a_newcomer_can_read(poq: Poq, tmp_path: Path) -> None:
    done = poq("run", "hybrid_poq_otr", *SMALL, "--trace", "--out", "run")
    assert done.code == 0
    said = " ".join(done.out.split())
    assert "hybrid_poq_otr: 3 x 200 queries; estimate ± half of its 95% interval" in said
    assert "dishonest and paid: share of queries whose dishonest answer is paid for" in said
    assert "protocol=poq+otr" in said
    assert {path.name for path in (tmp_path / "run").glob("*.parquet")} == {
        "queries.parquet",
        "query_trace.parquet",
    }


def test_a_narrow_terminal_cuts_no_figure(poq: Poq, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = poq("run", "hybrid_poq_otr", *SMALL, "--out", "run")
    assert "…" not in done.out
    assert max(map(len, done.out.splitlines())) <= 80
    assert "queries" in done.out


def test_agents_who_sign_and_dispute_write_the_same_table(poq: Poq, tmp_path: Path) -> None:
    few = ("--rounds", 40, "--replications", 2, "--trace")
    for engine in ("compiled", "agents"):
        done = poq("run", "hybrid_poq_otr", *few, "--engine", engine, "--out", engine)
        assert done.code == 0, done.err
    for table in ("queries", "query_trace"):
        one, other = (pd.read_parquet(tmp_path / e / f"{table}.parquet")
                      for e in ("compiled", "agents"))  # fmt: skip
        pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_plan_counts_queries(poq: Poq) -> None:
    done = poq("plan", "verification_trilemma")
    assert done.code == 0
    assert "10 treatments, 20 replications each" in done.out
    assert "4,000,000 queries in all" in done.out
    assert (
        "Security failure: nothing is checked: every dishonest answer stands (1 of 10" in done.out
    )


@pytest.mark.parametrize("verb", ["validate", "plan", "show", "run"])
def test_nobody_watching_is_allowed_and_said(poq: Poq, tmp_path: Path, verb: str) -> None:
    (tmp_path / "nobody.yaml").write_text(NOBODY)
    done = poq(verb, "nobody.yaml")
    assert done.code == 0
    assert "Security failure: no honest watcher: opml is unprotected" in done.out


def test_show_writes_every_figure_out(poq: Poq) -> None:
    shown = poq("show", "verification_trilemma").out
    assert "proof_rate: 0.01" in shown
    assert "latency_share: 0.5" in shown


def test_status_and_verify(run: Poq) -> None:
    assert "hybrid_poq_otr: complete" in run("status", "run").out
    done = run("verify", "run", "--replications", 2)
    assert (done.code, "2 replications played again gave the same bits" in done.out) == (0, True)


def test_compare_two_treatments_with_units(run: Poq) -> None:
    sides = ("protocol=poq", "protocol=otr", "--in", "run")
    done = run(
        "compare", *sides, "--metric", "dishonest_stands", "--metric", "economic_p50_s", "--csv"
    )
    assert done.code == 0
    table = pd.read_csv(io.StringIO(done.out)).set_index("metric")
    assert table["unit"].to_dict() == {"dishonest_stands": "0-1", "economic_p50_s": "s"}
    assert table.loc["economic_p50_s", "difference"] > 3000.0
    assert table.loc["dishonest_stands", "difference"] < -0.9
    assert "pos" in run("compare", *sides).out, "posting_usd, among all the others"


def test_compare_two_scenarios(poq: Poq) -> None:
    alone = ("--set", "verification.protocol=otr")
    done = poq("compare", "cost_aware_poq", "many_nodes", *alone, *SMALL, "--metric", "total_usd")
    assert done.code == 0
    assert "USD per query" in done.out


def test_compare_refuses_what_is_not_measured_before_anything_is_played(run: Poq) -> None:
    sides = ("protocol=poq", "protocol=otr", "--in", "run")
    done = run("compare", *sides, "--metric", "dishonest_stand")
    assert done.code == 2
    assert "did you mean 'dishonest_stands'?" in done.err
    assert run("compare", *sides, "--metric", "correlation").code == 2


def test_compare_refuses_rounds_against_queries(poq: Poq, tmp_path: Path) -> None:
    (tmp_path / "nobody.yaml").write_text(NOBODY)
    done = poq("compare", "cost_aware_poq", "nobody.yaml", *SMALL)
    assert done.code == 2
    assert "share no measure" in done.err


@pytest.mark.parametrize("kind", ["trilemma", "forest"])
def test_a_run_is_drawn(run: Poq, tmp_path: Path, kind: str) -> None:
    assert run("run", "verification_trilemma", *SMALL, "--out", "ten").code == 0
    done = run("plot", kind, "ten" if kind == "trilemma" else "run", "--format", "svg")
    assert done.code == 0, done.err
    assert next(tmp_path.rglob(f"{kind}.svg")).stat().st_size > 10_000


def test_a_heat_map_takes_a_measure_of_queries(poq: Poq, tmp_path: Path) -> None:
    assert poq("run", "otr_watchers", "--rounds", 50, "--replications", 2, "--out", "run").code == 0
    done = poq("plot", "heatmap", "run", "--metric", "cheating_share", "--format", "svg")
    assert done.code == 0, done.err
    assert (tmp_path / "run" / "heatmap.svg").is_file()
    told = poq("plot", "heatmap", "run", "--metric", "cheating_shar")
    assert (told.code, "did you mean 'cheating_share'" in told.err) == (2, True)
    assert poq("plot", "trilemma", "run").code == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("analyse", "rewards", "run"), "what fits it: axes, cascade, composite, queries"),
        (
            ("plot", "ecdf", "run", "--treatment", "protocol=poq"),
            "is a run of verification protocols; what fits it",
        ),
        (("audit", "hybrid_poq_otr"), "cheating_share"),
        (("analyse", "queries", "run", "--treatment", "protocol=otrr"), "protocol=otr"),
    ],
)
def test_what_makes_no_sense_of_queries_says_so(run: Poq, arguments, said: str) -> None:
    done = run(*arguments)
    assert done.code == 2
    assert said in done.err


def test_analyse_gives_every_measure(run: Poq) -> None:
    done = run("analyse", "queries", "run", "--treatment", "protocol=otr", "--csv")
    table = pd.read_csv(io.StringIO(done.out)).set_index("measure")
    assert done.code == 0
    assert table.loc["honest_watchers", "mean"] == 5.0
    assert table.loc["capital_locked_usd", "unit"] == "USD"


def test_sensitivity_of_a_measure_of_queries(poq: Poq) -> None:
    pytest.importorskip("SALib")
    done = poq(
        *("sensitivity", "cost_aware_poq", "--rounds", 50, "--replications", 2, "--samples", 2),
        *("--set", "verification.protocol=otr", "--metric", "total_usd", "--csv"),
        *("--field", "verification.otr.proof_rate=0.01:0.5"),
        *("--field", "verification.watchers.count=0:9"),
    )
    assert done.code == 0, done.err
    table = pd.read_csv(io.StringIO(done.out)).set_index(["index", "field"])["estimate"]
    assert table["mu_star", "verification.otr.proof_rate"] > 0.0


BAD = {
    "a probability above one": ("{otr: {proof_rate: 1.5}}", "otr.proof_rate: ", "at most 1"),
    "a probability below zero": (
        "{watchers: {check_probability: -1}}", "watchers.check_probability: ", "at least 0",
    ),
    "a word for a probability": (
        "{watchers: {check_probability: equilbrium}}",
        "watchers.check_probability: ", "did you mean 'equilibrium'?",
    ),
    "a window shorter than a bisection": (
        "{otr: {window_s: 5}}",
        "verification.otr: ", "otr.window_s = 5 s is shorter than one bisection",
    ),
    "a bond below the bounty": (
        "{economics: {stake_usd: 0.5}}", "economics: ", "the bond is below the bounty",
    ),
    "an unknown protocol": ("{protocol: orr}", "protocol: ", "did you mean 'otr'?"),
    "an unknown parameter": (
        "{otr: {proofrate: 0.1}}", "proofrate: ", "did you mean 'proof_rate'?",
    ),
    "an unknown section": ("{wachers: {}}", "wachers: ", "did you mean 'watchers'?"),
    "an unknown parameter of a vendor": (
        "{adversaries: {vendors: {a: {patch_day: 3}}}}",
        "vendors.a.patch_day: ", "did you mean 'patch_days'?",
    ),
    "vendors that are not everybody's": (
        "{adversaries: {vendors: {a: {share: 0.5}}}}", "vendors: ", "sum to",
    ),
    "an unknown way to cheat": (
        "{adversaries: {actions: [downgrad]}}", "actions.0: ", "did you mean 'downgrade'?",
    ),
    "no way to cheat": ("{adversaries: {actions: []}}", "actions: ", "at least one"),
    "more adversaries than nodes": (
        "{adversaries: {byzantine_share: 0.3}}", "adversaries: ", "more than all nodes",
    ),
    "no section": ("3", "verification: ", "mapping"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("verb", ["run", "validate"])
def test_a_bad_verification_is_explained_where_it_stands(
    poq: Poq, tmp_path: Path, verb: str, case: str
) -> None:
    section, place, said = BAD[case]
    (tmp_path / "bad.yaml").write_text(f"{BASE}verification: {section}\n")
    done = poq(verb, "bad.yaml")
    assert done.code == 2
    (line,) = done.err.splitlines()
    assert line.startswith("bad.yaml:4: verification")
    assert place in line
    assert said in line
    assert [path.name for path in tmp_path.iterdir()] == ["bad.yaml"], "nothing is written"


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("verification.otr.window_s=5", "shorter than one bisection"),
        ("verification.otr.window=60", "did you mean 'window_s'?"),
        ("verification.adversaries.vendors.vendor_a.share=2", "at most 1"),
        ("verification.adversaries.vendors.vendor_a.shar=0.6", "did you mean 'share'?"),
        ("verification.protocol.otr=1", "single value"),
        ("sweep.verification.protocol=[otr, orr]", "did you mean 'otr'?"),
        ("population.inference.0.behaviour=freeload", "verification.adversaries"),
    ],
)
def test_a_bad_setting_is_explained(poq: Poq, tmp_path: Path, setting: str, said: str) -> None:
    done = poq("run", "verification_trilemma", *SMALL, "--set", setting)
    assert done.code == 2
    assert said in done.err
    assert setting.partition(".")[0].partition("=")[0] in done.err
    assert not list(tmp_path.iterdir())


def test_a_good_setting_reaches_a_vendor_and_a_window(poq: Poq) -> None:
    settings = ("--set", "verification.otr.window_s=90", "--set", "sweep={}",
                "--set", "verification.adversaries.enclaves=stationary",
                "--set", "verification.adversaries.vendors={only: {patch_days: 3.0}}")  # fmt: skip
    shown = poq("show", "otr_watchers", *settings)
    assert shown.code == 0, shown.err
    assert "patch_days: 3.0" in shown.out
    assert "share: 1.0" in shown.out
