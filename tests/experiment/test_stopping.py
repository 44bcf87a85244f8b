"""Running until precise enough."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import poq_abm
from poq_abm.experiment import block_files
from poq_abm.experiment.executor import Workers
from poq_abm.experiment.plan import Plan
from poq_abm.experiment.precision import looks
from poq_abm.experiment.running import run_to_folder
from poq_abm.scenario import Scenario, ScenarioError, load

TARGET = {
    "until": {"metric": "inference_reward_mean", "half_width": 0.012},
    "at_least": 10,
    "at_most": 120,
}


def contents(folder: Path) -> dict[str, bytes]:
    files = folder.glob("*.parquet/*.parquet")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def precise() -> Scenario:
    return load("cost_aware_poq").replace(
        {
            "replications": TARGET,
            "sweep": {"mechanism.committee_size": [1, 3], "rounds": [60, 900]},
        }
    )


def test_each_treatment_plays_until_it_is_precise(precise: Scenario) -> None:
    results = poq_abm.run(precise)
    counts = results.replications.groupby("treatment", observed=True).size()
    assert results.precision is not None
    reached = results.precision.set_index("treatment")
    assert counts.to_dict() == reached["replications"].to_dict()
    assert set(counts) <= set(looks(10, 120))
    assert (reached["state"] == "reached").all()
    assert (reached["half_width"] <= 0.012).all()
    long, short = (counts[[f"rounds={n}" in name for name in counts.index]] for n in (900, 60))
    assert long.max() < short.min(), "longer replications vary less"


def test_workers_and_interruptions_do_not_move_the_stop(
    precise: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run_to_folder(Plan.of(precise), tmp_path / "whole", workers=Workers(2))
    play_block = block_files.play_block
    played: list[int] = []

    def failing(*arguments: Any) -> Any:
        played.append(1)
        if len(played) in (2, 4, 5):
            raise KeyboardInterrupt
        return play_block(*arguments)

    monkeypatch.setattr(block_files, "play_block", failing)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            run_to_folder(Plan.of(precise), tmp_path / "run")
    again = run_to_folder(Plan.of(precise), tmp_path / "run")
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")
    assert whole.precision is not None
    assert again.precision is not None
    assert again.precision.equals(whole.precision)


def test_a_budget_that_is_spent_is_reported(precise: Scenario, tmp_path: Path) -> None:
    target = {**TARGET, "at_most": 15}
    target["until"] = {"metric": "correlation", "relative": 1e-4, "half_width": None}
    results = run_to_folder(Plan.of(precise.replace({"replications": target})), tmp_path)
    assert results.precision is not None
    assert set(results.precision["state"]) == {"spent"}
    assert set(results.precision["replications"]) == {15}
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert {entry["replications"] for entry in manifest["treatments"]} == {15}


def test_a_measure_that_nobody_has_is_undefined_and_stops(precise: Scenario) -> None:
    target = {**TARGET, "until": {"metric": "reward_gap", "half_width": 0.1}}
    results = poq_abm.run(precise.replace({"replications": target}))
    assert results.precision is not None
    assert set(results.precision["state"]) == {"undefined"}
    assert set(results.precision["replications"]) == {10}


def test_a_misspelt_measure_names_the_nearest(precise: Scenario) -> None:
    target = {**TARGET, "until": {"metric": "reward_gpa", "half_width": 0.1}}
    with pytest.raises(ScenarioError, match="reward_gap"):
        Plan.of(precise.replace({"replications": target}))


AGAINST = {
    "until": {"metric": "bias", "against": {"mechanism.aggregation": "mean"}, "half_width": 0.04},
    "at_least": 5,
    "at_most": 60,
}


@pytest.fixture(scope="module")
def paired() -> Scenario:
    rules = ["mean", "median", "huber"]
    sweep = {"mechanism.aggregation": rules, "mechanism.committee_size": [2, 3]}
    return load("cost_aware_poq").replace({"rounds": 200, "replications": AGAINST, "sweep": sweep})


def test_a_difference_is_known_well_enough_and_its_baseline_as_often(paired: Scenario) -> None:
    results = poq_abm.run(paired)
    assert results.precision is not None
    reached = results.precision.set_index("treatment")
    counts = results.replications.groupby("treatment", observed=True).size()
    for size in (2, 3):
        baseline = f"aggregation=mean,committee_size={size}"
        assert baseline not in reached.index, "nothing to compare it with"
        ids = [f"aggregation={rule},committee_size={size}" for rule in ("median", "huber")]
        assert counts[baseline] == max(counts[id_] for id_ in ids)
        for id_ in ids:
            row = reached.loc[id_]
            found = results.compare(baseline, id_, on=["bias"]).iloc[0]
            assert row["state"] == "reached"
            assert row["used"] == counts[id_] == found["replications"]
            assert row["mean"] == pytest.approx(found["difference"], abs=1e-12)
            assert row["low"] <= found["low"] <= found["high"] <= row["high"]
    # Two scores have one middle: by construction, nothing is left to know.
    assert reached.loc["aggregation=median,committee_size=2", "half_width"] == 0.0
    alone = {**AGAINST, "until": {"metric": "bias", "half_width": 0.04, "against": None}}
    unpaired = poq_abm.run(paired.replace({"replications": alone})).replications
    assert len(unpaired) > len(results.replications), "matching is worth replications"


def test_a_difference_stops_where_it_would_have_without_an_interruption(
    paired: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run_to_folder(Plan.of(paired), tmp_path / "whole", workers=Workers(2))
    play_block = block_files.play_block
    played: list[int] = []

    def failing(*arguments: Any) -> Any:
        played.append(1)
        if len(played) in (2, 4):
            raise KeyboardInterrupt
        return play_block(*arguments)

    monkeypatch.setattr(block_files, "play_block", failing)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run_to_folder(Plan.of(paired), tmp_path / "run")
    again = run_to_folder(Plan.of(paired), tmp_path / "run")
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")
    assert whole.precision is not None
    assert whole.precision.equals(again.precision)


@pytest.mark.parametrize(
    ("against", "said"),
    [
        ({"mechanism.aggregatoin": "mean"}, "is no axis of the sweep.*mechanism.aggregation"),
        ({"rounds": 200}, "is no axis of the sweep"),
        ({"mechanism.aggregation": "maen"}, "takes no value 'maen'.*mean"),
    ],
)
def test_a_baseline_that_is_no_treatment_is_refused(paired: Scenario, against, said) -> None:
    asked = paired.replace({"replications.until.against": None})
    with pytest.raises(ScenarioError, match=said):
        Plan.of(asked.replace({"replications": {"until": {"against": against}}}))


def test_a_treatment_without_its_baseline_is_named(paired: Scenario) -> None:
    axes = {"mechanism.aggregation": ["mean", "median"], "mechanism.committee_size": [2, 3]}
    zipped = paired.replace({"sweep": None}).replace({"sweep": {"zip": axes}})
    with pytest.raises(ScenarioError, match="without a baseline"):
        Plan.of(zipped)
