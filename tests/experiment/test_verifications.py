"""Verification protocols through the results store: rows, bytes, interruptions, refusals."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal

import poq_abm
from poq_abm.errors import InputError
from poq_abm.experiment import plan as planning
from poq_abm.experiment import query_study
from poq_abm.experiment.estimates import POSITIVE, mean_interval, share_interval
from poq_abm.experiment.executor import Workers
from poq_abm.experiment.plan import Plan
from poq_abm.experiment.query_study import MEASURES, SHOWN, gaps_of, summarise_queries
from poq_abm.experiment.running import run_to_folder
from poq_abm.experiment.verifying import verify
from poq_abm.scenario import Scenario, ScenarioError, load
from poq_abm.simulation.queries import query_replication

QUERIES = 300
SWEPT = {
    "rounds": QUERIES,
    "replications": 5,
    "verification": {"adversaries": {"enclaves": "broken"}, "otr": {"proof_rate": 0.2}},
    "sweep": {
        "verification.protocol": ["poq", "tee", "otr"],
        "verification.adversaries.byzantine_share": [0.0, 0.1],
    },
}


@pytest.fixture(scope="module")
def swept() -> Scenario:
    return load("cost_aware_poq").replace(SWEPT)


def stored(folder: Path) -> dict[str, bytes]:
    files = folder.glob("*.parquet/*.parquet")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def reference(swept: Scenario, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("reference")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "MOST_ROUNDS", QUERIES)
        run_to_folder(Plan.of(swept), folder)
    return stored(folder)


@pytest.mark.parametrize(
    ("jobs", "backend"), [(2, "threading"), (8, "threading"), (1, "loky"), (2, "loky")]
)
def test_workers_and_backends_leave_the_same_bytes(
    swept: Scenario, reference: dict[str, bytes], tmp_path: Path, jobs: int, backend: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(planning, "MOST_ROUNDS", QUERIES)
    run_to_folder(Plan.of(swept), tmp_path, workers=Workers(jobs, backend))
    assert stored(tmp_path) == reference


def test_a_run_leaves_queries_and_nothing_of_rounds(reference: dict[str, bytes]) -> None:
    assert {name.split("/")[0] for name in reference} == {"queries.parquet"}


@pytest.mark.parametrize("replications_per_block", [1, 3, 100])
def test_what_is_stored_is_what_was_played(
    swept: Scenario, tmp_path: Path, replications_per_block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "MOST_ROUNDS", QUERIES * replications_per_block)
    plan = Plan.of(swept)
    read = run_to_folder(plan, tmp_path)
    played = poq_abm.run(swept)
    assert_frame_equal(read.queries, played.queries)
    assert_frame_equal(read.main, read.queries)
    assert len(read.queries) == len(plan.treatments) * 5
    assert (read.queries["queries"] == QUERIES).all()
    saved = poq_abm.read_results(played.save(tmp_path / "saved"))
    assert_frame_equal(saved.queries, read.queries)
    for table in ("nodes", "replications"):
        with pytest.raises(InputError, match="they have queries"):
            getattr(read, table)
    with pytest.raises(InputError, match="give the scenario a verification"):
        _ = poq_abm.run(load("cost_aware_poq", ["rounds=5", "replications=1"])).queries


def test_treatments_share_their_luck() -> None:
    """Where nobody cheats, a protocol without checks takes as long as a trusted operator."""
    calm = load("cost_aware_poq").replace(
        {
            "rounds": QUERIES,
            "replications": 5,
            "verification.adversaries": {"rational_share": 0.0, "byzantine_share": 0.0},
            "sweep": {"verification.protocol": ["centralised", "none"]},
        }
    )
    results = poq_abm.run(calm)
    moved = results.compare("protocol=centralised", "protocol=none", on=["provisional_mean_s"])
    assert moved["difference"].item() == 0.0
    assert moved["unit"].item() == "s"


def test_an_interrupted_run_is_taken_up(
    swept: Scenario, reference: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "MOST_ROUNDS", QUERIES)
    done = itertools.count()
    original = query_study.play_queries

    def interrupted(*arguments: Any, **options: Any) -> Any:
        if next(done) == 7:
            raise KeyboardInterrupt
        return original(*arguments, **options)

    monkeypatch.setattr(query_study, "play_queries", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_to_folder(Plan.of(swept), tmp_path)
    kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "queries.parquet").iterdir()}
    assert len(kept) == 7
    run_to_folder(Plan.of(swept), tmp_path)
    assert stored(tmp_path) == reference
    now = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "queries.parquet").iterdir()}
    assert {name: now[name] for name in kept} == kept, "what was stored is not played again"
    assert next(done) == 5 * 6 + 1, "one was played twice: the one that was interrupted"


def test_a_trace_has_a_row_for_every_query_and_changes_nothing(
    swept: Scenario, reference: dict[str, bytes], tmp_path: Path
) -> None:
    plan = Plan.of(swept, trace=True)
    results = run_to_folder(plan, tmp_path, workers=Workers(2))
    assert {name.split("/")[0] for name in stored(tmp_path)} == {
        "queries.parquet",
        "query_trace.parquet",
    }
    trace = pq.read_table(tmp_path / "query_trace.parquet").to_pandas()
    assert len(trace) == plan.rounds == 6 * 5 * QUERIES
    keys = ["treatment", "replication"]
    by_replication = trace.groupby(keys, observed=True, sort=False)
    wide = results.queries.set_index(keys)
    for column, measure in (("stands", "dishonest_stands"), ("proved", "proved_share"),
                            ("cost_usd", "total_usd")):  # fmt: skip
        np.testing.assert_allclose(by_replication[column].mean(), wide[measure], rtol=1e-12)
    assert list(verify(tmp_path, 3)) == []
    plain = poq_abm.run(swept).queries
    assert_frame_equal(results.queries, plain)


def test_verify_finds_what_a_replay_does_not_give(
    swept: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_to_folder(Plan.of(swept), tmp_path)
    assert list(verify(tmp_path, 4)) == []
    original = query_replication.play_queries

    def other(*arguments: Any, **options: Any) -> dict[str, float]:
        return {**original(*arguments, **options), "total_usd": 1.0}

    monkeypatch.setattr(query_study, "play_queries", other)
    faults = list(verify(tmp_path, 4))
    assert len(faults) == 4
    assert all("(queries)" in fault for fault in faults)


def test_a_precision_target_stops_on_a_measure_of_queries(swept: Scenario) -> None:
    until = {"metric": "provisional_mean_s", "half_width": 1.0}
    asked = {"until": until, "at_least": 4, "at_most": 60}
    results = poq_abm.run(swept.replace({"replications": asked}))
    assert results.precision is not None
    assert set(results.precision["state"]) <= {"reached", "spent"}
    reached = results.precision[results.precision["state"] == "reached"]
    assert len(reached)
    assert (reached["half_width"] <= 1.0).all()
    counts = results.queries["treatment"].astype(str).value_counts().to_dict()
    assert results.precision.set_index("treatment")["replications"].to_dict() == counts


def test_a_precision_target_on_what_is_not_measured_names_the_nearest(swept: Scenario) -> None:
    until = {"metric": "dishonest_stand", "half_width": 0.05}
    with pytest.raises(ScenarioError, match="did you mean 'dishonest_stands'"):
        Plan.of(swept.replace({"replications": {"until": until}}))


@pytest.mark.parametrize("trace", [False, True])
def test_what_raises_is_recorded_and_can_be_retried(
    swept: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trace: bool
) -> None:
    moody = {"bad": True}
    original = query_study.play_queries

    def sometimes(market: Any, replication: int, **options: Any) -> Any:
        if moody["bad"] and replication in (1, 4) and market.protocol.name == "tee":
            raise ZeroDivisionError("not in the mood")
        return original(market, replication, **options)

    monkeypatch.setattr(query_study, "play_queries", sometimes)
    plan = Plan.of(swept, trace=trace)
    results = run_to_folder(plan, tmp_path / "run")
    assert len(results.queries) == 6 * 5 - 4
    assert [(f["replication"], f["seed"]) for f in results.failures] == [(1, 1), (4, 1)] * 2
    assert "not in the mood" in results.failures[0]["traceback"]
    moody["bad"] = False
    assert run_to_folder(plan, tmp_path / "run", retry_failed=True).failures == []
    run_to_folder(plan, tmp_path / "fresh")
    assert stored(tmp_path / "run") == stored(tmp_path / "fresh")


def test_a_mistake_of_the_user_stops_the_run(
    swept: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any, **__: Any) -> Any:
        raise InputError("no such thing")

    monkeypatch.setattr(query_study.QueryStudy, "play", refused)
    with pytest.raises(InputError, match="no such thing"):
        poq_abm.run(swept)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "some treatments have it": (
        {"sweep": {"verification": [None, {"protocol": "otr"}]}},
        "sweep: 1 of 2 treatments",
    ),
    "an economy besides": ({"economy": {"epochs": 2}}, "economy: .* not both"),
    "malicious evaluators": (
        {"malicious": {"share": 0.5, "behaviour": "boost"}},
        "malicious: does nothing here: without a committee",
    ),
    "nodes that deviate": (
        {"population.inference.1.behaviour": "freeload"},
        r"population.inference.1.behaviour: 'freeload' .*verification.adversaries",
    ),
    "too few nodes": (
        {"sweep": {}, "verification.protocol": "redundancy",
         "verification.redundancy.providers": 6},
        "verification.protocol: 'redundancy' needs 6 inference nodes, got 5",
    ),
    "an unknown model": (
        {"verification.adversaries.downgrade.model": "tinylama"},
        "downgrade.model: .*did you mean 'tinylama_1_1b'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_played_is_refused_where_it_stands(swept: Scenario, case: str) -> None:
    changes, said = REFUSED[case]
    with pytest.raises(ScenarioError, match=said):
        Plan.of(swept.replace(changes))


def test_a_summary_is_the_share_or_the_mean_over_replications(swept: Scenario) -> None:
    results = poq_abm.run(swept)
    summary = results.query_summary()
    assert list(summary["measure"].unique()) == list(SHOWN)
    every = results.query_summary(every=True)
    assert list(every["measure"].unique()) == list(MEASURES)
    rows = every[every["treatment"] == "protocol=otr,byzantine_share=0.1"].set_index("measure")
    values = results.side("protocol=otr,byzantine_share=0.1")[0]
    mean, _, low, high = mean_interval(values["total_usd"], within=POSITIVE)
    row = rows.loc["total_usd"]
    assert (row["mean"], row["low"], row["high"], row["unit"]) == (mean, low, high, "USD per query")
    for measure, trials in (
        ("dishonest_share", "queries"),
        ("detected_share", "dishonest_queries"),
        ("cheating_share", "rational_queries"),
    ):
        counted = values[trials].to_numpy(np.float64)
        share, low, high = share_interval(values[measure] * counted, counted, clustered=False)
        row = rows.loc[measure]
        found = (row["mean"], row["low"], row["high"])
        assert found == pytest.approx((share, low, high), nan_ok=True)


def test_no_share_has_an_interval_without_a_width_or_outside_its_range(swept: Scenario) -> None:
    every = poq_abm.run(swept).query_summary(every=True)
    for row in every[every["unit"] == "0-1"].dropna().to_dict("records"):
        assert 0.0 <= row["low"] <= row["mean"] <= row["high"] <= 1.0, row
        assert row["low"] < row["high"], row


def queries_of(stands: list[float], *, drawn: bool) -> pd.DataFrame:
    """Return rows of as many replications of 2,000 queries, under enclaves drawn or not."""
    return pd.DataFrame(
        {
            "treatment": "tee",
            "queries": 2_000,
            "enclaves_drawn": drawn,
            "dishonest_stands": stands,
        }
    )


def test_what_a_whole_replication_shares_counts_once() -> None:
    """A vendor broken in one of twenty: 3.74% in the long run, and neither below 0 nor certain."""
    (row,) = summarise_queries(
        queries_of([0.0] * 19 + [0.57], drawn=True), measures=("dishonest_stands",)
    ).itertuples()
    assert row.mean == pytest.approx(0.0285)
    assert 0.0 < row.low < 0.0374 < row.high < 0.25
    assert (row.occurred, row.replications) == (1, 20)


@pytest.mark.parametrize(("drawn", "upper"), [(True, 9.2e-3), (False, 4.7e-6)])
def test_nothing_seen_is_not_nothing(drawn: bool, upper: float) -> None:
    """0 of 400 replications whose enclaves were drawn leaves .026% possible; 800,000 queries that
    share nothing leave less."""
    seen = queries_of([0.0] * 400, drawn=drawn)
    (row,) = summarise_queries(seen, measures=("dishonest_stands",)).itertuples()
    assert (row.mean, row.low, row.occurred) == (0.0, 0.0, 0)
    assert row.high == pytest.approx(upper, rel=0.02)


def test_a_measure_that_is_missing_everywhere_has_no_mean(swept: Scenario) -> None:
    queries = poq_abm.run(swept).queries
    only = queries[queries["treatment"] == "protocol=tee,byzantine_share=0"]
    summary = summarise_queries(only, measures=("consensus_mean",))
    assert np.isnan(summary["mean"].item())
    assert summary["replications"].item() == 0
    assert summarise_queries(only.iloc[:0]).columns.tolist() == summary.columns.tolist()


def test_security_failures_are_counted_by_treatment(swept: Scenario) -> None:
    nobody = swept.replace({"verification.watchers.count": 0})
    (said, count), = gaps_of(nobody.treatments()).items()  # fmt: skip
    assert "no honest watcher: otr" in said
    assert count == 2
    assert gaps_of(swept.treatments()) == {}
