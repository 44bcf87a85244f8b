"""Results: the same bits whoever plays, whole tables, and their way to disk and back."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pandas.testing import assert_frame_equal

import poq_abm
from poq_abm.errors import InputError
from poq_abm.experiment import results as results_module
from poq_abm.experiment import schemas, verifying
from poq_abm.experiment.execute import play_block
from poq_abm.experiment.plan import Plan
from poq_abm.experiment.round_study import TRACED_STRETCH
from poq_abm.experiment.running import run_to_folder
from poq_abm.scenario import Scenario, load

NODE_COLUMNS = [
    "treatment",
    "replication",
    "node",
    "role",
    "group",
    "model",
    "hardware",
    "behaviour",
    "presence",
    "jobs",
    "reward_total",
    "reward_mean",
    "reward_sd",
    "points_total",
    "points_mean",
    "points_sd",
    "consensus_mean",
    "truth_mean",
    "closeness_mean",
    "cost",
    "latency_ms",
    "latency_source",
]
ROUND_COLUMNS = [
    "treatment",
    "replication",
    "round",
    "record",
    "task",
    "node",
    "committee",
    "scores",
    "consensus",
    "truth",
    "inference_reward",
    "evaluator_rewards",
]


@pytest.mark.parametrize("n_jobs", [2, 8])
@pytest.mark.parametrize("engine", ["compiled", "agents"])
def test_workers_and_engines_leave_the_same_bits(small: Scenario, n_jobs: int, engine: str) -> None:
    scenario = small.replace({"sweep": {"mechanism.committee_size": [1, 3]}})
    one = poq_abm.run(scenario)
    many = poq_abm.run(scenario, n_jobs=n_jobs, engine=engine)
    assert_frame_equal(one.nodes, many.nodes, check_exact=True)
    assert_frame_equal(one.replications, many.replications, check_exact=True)


def test_run_takes_a_name_a_path_a_mapping_and_what_was_loaded(tmp_path: Path) -> None:
    base = {"rounds": np.int64(20), "replications": 2}
    sweep = {"mechanism.committee_size": range(1, 4, 2), "mechanism.alpha_inference": (1.0,)}
    path = tmp_path / "mine.yaml"
    path.write_text(load("cost_aware_poq").replace({**base, "sweep": sweep}).to_yaml())
    mapping = {"name": "cost_aware_poq", "extends": "cost_aware_poq", **base, "sweep": sweep}
    found = [poq_abm.run(source).nodes for source in (path, str(path), load(path), mapping)]
    for nodes in found[1:]:
        assert_frame_equal(nodes, found[0])
    named = poq_abm.run("cost_aware_poq", replications=1)
    assert named.scenario == load("cost_aware_poq", ["replications=1"]).resolved()


def test_columns_are_those_of_the_contract(small: Scenario) -> None:
    results = poq_abm.run(small, trace=True)
    assert list(results.nodes) == NODE_COLUMNS
    assert list(results.rounds) == ROUND_COLUMNS
    assert len(results.nodes) == 3 * 8
    assert len(results.replications) == 3
    assert len(results.rounds) == 3 * 200


def test_node_rows_add_up_to_the_trace(small: Scenario) -> None:
    results = poq_abm.run(small.replace({"mechanism.committee_size": 2}), trace=True)
    rounds = results.rounds
    paid = rounds.groupby(["replication", "node"])["inference_reward"].agg(["sum", "mean", "std"])
    members = rounds.explode(["committee", "scores", "evaluator_rewards"]).astype(
        {"committee": int, "evaluator_rewards": float}
    )
    seats = members.groupby(["replication", "committee"])["evaluator_rewards"].agg(
        ["sum", "mean", "std"]
    )
    nodes = results.nodes.set_index(["replication", "node"]).sort_index()
    expected = pd.concat([paid, seats]).sort_index()
    for column, of_trace in (
        ("reward_total", "sum"),
        ("reward_mean", "mean"),
        ("reward_sd", "std"),
    ):
        # Sums of at most 200 doubles near 1: rounding stays below 1e-12.
        np.testing.assert_allclose(nodes[column], expected[of_trace], rtol=1e-12, atol=1e-12)


def test_replication_rows_agree_with_the_trace(small: Scenario) -> None:
    results = poq_abm.run(small, trace=True)
    row = results.replications.iloc[1]
    rounds = results.rounds.query("replication == 1")
    error = rounds["consensus"] - rounds["truth"]
    expected = {
        "rounds": 200,
        "inference_reward_mean": rounds["inference_reward"].mean(),
        "evaluator_reward_mean": np.concatenate(rounds["evaluator_rewards"].to_list()).mean(),
        "consensus_mean": rounds["consensus"].mean(),
        "truth_mean": rounds["truth"].mean(),
        "correlation": rounds["consensus"].corr(rounds["truth"]),
        "mean_absolute_error": error.abs().mean(),
        "bias": error.mean(),
    }
    for name, value in expected.items():
        assert row[name] == pytest.approx(value, rel=1e-11), name


def test_total_over_many_rounds_is_the_traces_sum() -> None:
    rounds = 2 * TRACED_STRETCH + 1234
    results = poq_abm.run(
        load("cost_aware_poq", [f"rounds={rounds}", "replications=1"]), trace=True
    )
    trace = results.rounds
    for node, total in results.nodes[["node", "reward_total"]].itertuples(index=False):
        exact = math.fsum(trace.loc[trace["node"] == node, "inference_reward"])
        if node < 5:
            assert total == pytest.approx(exact, rel=1e-12)
    assert trace["round"].tolist() == list(range(rounds))


def test_one_evaluator_alone_always_earns_the_most(small: Scenario) -> None:
    nodes = poq_abm.run(small.replace({"mechanism.committee_size": 1})).nodes
    evaluators = nodes[(nodes["role"] == "evaluator") & (nodes["jobs"] > 1)]
    assert (evaluators["closeness_mean"] == 1.0).all()
    assert (evaluators["reward_sd"] < 1e-9).all()


def test_summary_has_one_row_per_group_and_an_interval(small: Scenario) -> None:
    summary = poq_abm.run(small).summary()
    assert len(summary) == 8
    assert (summary["reward_low"] < summary["reward_mean"]).all()
    alone = poq_abm.run(small, replications=1).summary()
    assert alone["reward_low"].isna().all()


def test_a_consensus_that_never_varies_has_no_correlation(small: Scenario) -> None:
    from poq_abm.profile import Profile, load_profile

    published = load_profile("published")
    flat = np.full_like(published.scores, 5.0)
    profile = Profile(**{**vars(published), "scores": flat, "content_hash": "flat"})
    assert poq_abm.run(small, profile=profile).replications["correlation"].isna().all()


def test_save_and_read_back(small: Scenario, tmp_path: Path) -> None:
    results = poq_abm.run(small, trace=True)
    folder = results.save(tmp_path / "run")
    again = poq_abm.read_results(folder)
    assert_frame_equal(results.nodes, again.nodes, check_exact=True)
    assert_frame_equal(results.replications, again.replications, check_exact=True)
    assert_frame_equal(results.rounds, again.rounds, check_exact=True)
    assert results.save(folder) == folder, "saving the same results again changes nothing"
    with pytest.raises(InputError, match="copy that folder"):
        again.save(tmp_path / "elsewhere")


@pytest.mark.parametrize("rows", [1, 20, 10**6])
def test_parts_of_a_table_are_the_whole_cut_between_replications(
    small: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(results_module, "ROWS_PER_BATCH", rows)
    swept = small.replace({"sweep": {"mechanism.committee_size": [1, 3]}})
    played = poq_abm.run(swept)
    for results in (played, poq_abm.read_results(played.save(tmp_path / "run"))):
        parts = [part.astype({"treatment": str}) for part in results.batches("nodes", ["jobs"])]
        whole = played.nodes[["treatment", "replication", "jobs"]].astype({"treatment": str})
        assert_frame_equal(pd.concat(parts, ignore_index=True), whole)
        seen = [key for part in parts for key, _ in part.groupby(["treatment", "replication"])]
        assert len(seen) == len(set(seen)) == 2 * 3
        (one,) = {
            str(name)
            for part in results.batches("nodes", ["jobs"], ["committee_size=3"])
            for name in part["treatment"].unique()
        }
        assert one == "committee_size=3"
        assert_frame_equal(results.summary(), played.summary(), check_exact=True)


def test_a_column_that_is_younger_than_a_run_is_missing_in_it(
    small: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_to_folder(Plan.of(small), tmp_path / "run")
    before = results_module.read_results(tmp_path / "run").replications
    wider = schemas.REPLICATIONS.append(schemas.column("young", pa.float64(), "", "since today"))
    monkeypatch.setitem(schemas.SCHEMAS, "replications", wider)
    read = results_module.read_results(tmp_path / "run")
    assert read.replications["young"].isna().all()
    assert_frame_equal(read.replications.drop(columns="young"), before)
    (batch,) = read.batches("replications", ["young", "bias"])
    assert batch["young"].isna().all() and batch["bias"].tolist() == before["bias"].tolist()


def test_a_run_that_is_older_than_a_column_is_what_a_replay_gives(
    small: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_to_folder(Plan.of(small), tmp_path / "run")

    def younger(*arguments: Any, **options: Any) -> Any:
        played = play_block(*arguments, **options)
        table = played.tables["replications"]
        played.tables["replications"] = table.append_column("young", pa.array([1.0] * len(table)))
        return played

    monkeypatch.setattr(verifying, "play_block", younger)
    assert list(verifying.verify(tmp_path / "run", 2)) == []


def test_parts_of_a_run_of_several_stages_are_in_order(small: Scenario, tmp_path: Path) -> None:
    swept = small.replace({"sweep": {"mechanism.committee_size": [1, 3]}})
    folder = tmp_path / "run"
    for replications in (2, 5):
        run_to_folder(Plan.of(swept.replace({"replications": replications})), folder)
    parts = pd.concat(poq_abm.read_results(folder).batches("nodes", ["node"]))
    keys = list(zip(parts["treatment"].astype(str), parts["replication"], parts["node"],
                    strict=True))  # fmt: skip
    assert keys == sorted(keys)
    assert len(keys) == 2 * 5 * 8


def test_rounds_without_a_trace_say_how_to_get_one(small: Scenario) -> None:
    with pytest.raises(InputError, match="--trace"):
        _ = poq_abm.run(small).rounds


def test_treatments_list_their_settings(small: Scenario) -> None:
    results = poq_abm.run(small.replace({"sweep": {"mechanism.committee_size": [1, 3]}}))
    assert results.treatments["treatment"].tolist() == ["committee_size=1", "committee_size=3"]
    assert results.treatments["mechanism.committee_size"].tolist() == [1, 3]


def test_progress_hears_of_every_round(small: Scenario) -> None:
    heard: list[int] = []
    poq_abm.run(small, progress=heard.append)
    assert sum(heard) == 3 * 200
