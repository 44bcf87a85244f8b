"""Folders as users have them: whole, interrupted, or no run at all."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import poq_abm
from poq_abm.analysis.stored_run import open_results, scenarios_of, select, thin_notes
from poq_abm.errors import InputError
from poq_abm.experiment.manifest import read_manifest
from poq_abm.experiment.plan import Plan
from poq_abm.experiment.running import run_to_folder
from poq_abm.scenario import load
from tests.conftest import interrupt, rewrite_manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    scenario = load("committee_size", ["rounds=60", "replications=4"])
    run_to_folder(Plan.of(scenario), tmp_path / "run")
    return tmp_path / "run"


def stop_early(folder: Path) -> None:
    """Leave the folder as a run leaves it that is stopped before its end."""
    interrupt(folder)


def test_of_a_whole_run_only_what_it_cannot_tell_is_noted(folder: Path) -> None:
    opened = open_results(folder)
    assert opened.name == "committee_size"
    assert [note.split(":")[0] for note in opened.notes] == ["in committee_size=1"], "K = 1"
    assert len(opened.results.nodes) == 3 * 4 * 8


def test_comparisons_on_too_few_records_are_noted(tmp_path: Path) -> None:
    settings = ["rounds=30", "replications=2", "mechanism.evaluator_reward=dmi"]
    results = poq_abm.run(load("cost_aware_poq", [*settings, "mechanism.minimum_shared=30"]))
    assert thin_notes(results.replications) == []
    few = load("extractive_baselines", [*settings, "mechanism.committee_size=2"])
    opened = open_results(poq_abm.run(few).save(tmp_path / "run"))
    pairs = opened.results.replications["thin_comparisons"].mean()
    assert opened.notes == (
        f"{pairs:,.3g} comparisons a replication, at most, rested on fewer records than "
        "minimum_shared, and count for the neutral pay",
    )


def test_a_partial_run_is_read_and_said_to_be_partial(folder: Path) -> None:
    whole = open_results(folder).results
    expected = {name: getattr(whole, name) for name in ("nodes", "replications")}
    stop_early(folder)
    opened = open_results(folder)
    note, _ = opened.notes
    assert note.startswith("partial: 12 of 12 replications are stored, of 3 of 3 treatments")
    for name, table in expected.items():
        found = getattr(opened.results, name)
        pd.testing.assert_frame_equal(found, table, check_categorical=False)


def test_a_damaged_block_of_a_partial_run_is_left_out(folder: Path) -> None:
    stop_early(folder)
    for block in (folder / "nodes.parquet").iterdir():
        block.write_bytes(b"damaged")
    with pytest.raises(InputError, match="has not stored anything yet"):
        open_results(folder)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no manifest\.json"):
        open_results(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        open_results(tmp_path / "absent")


def test_a_single_replication_is_noted(tmp_path: Path) -> None:
    results = poq_abm.run(load("cost_aware_poq", ["rounds=20"]), replications=1)
    opened = open_results(results.save(tmp_path / "one"))
    assert opened.notes == ("one replication: no interval can be given",)


def test_the_scenarios_of_a_stored_run_are_those_that_were_played(folder: Path) -> None:
    scenarios = scenarios_of(open_results(folder).results)
    assert [s.mechanism.committee_size for s in scenarios.values()] == [1, 2, 3]


def test_an_empty_group_is_answered_with_the_nearest(folder: Path) -> None:
    with pytest.raises(InputError, match="no rows with group 'ce_miniln'; did you mean"):
        select(open_results(folder).results.nodes, group="ce_miniln")


def test_a_run_of_which_nothing_is_left_is_refused(folder: Path) -> None:
    files = read_manifest(folder)["files"]
    files["replications"] |= {"rows": 0, "blocks": []}
    rewrite_manifest(folder, files=files)
    with pytest.raises(InputError, match="holds no replication"):
        open_results(folder)
