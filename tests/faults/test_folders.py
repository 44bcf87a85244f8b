"""What can happen to a results folder: a second run, an edit, damage, a full disk."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
from pandas.testing import assert_frame_equal

import poq_abm
from poq_abm.experiment import plan
from poq_abm.experiment.plan import Plan
from poq_abm.experiment.running import run_to_folder
from poq_abm.scenario import load
from tests.conftest import Poq
from tests.faults.conftest import Launch, blocks, finished, tables, wait_until

SETTINGS = ("--set", "rounds=500", "--set", "replications=12")


@pytest.fixture
def many_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut blocks of three replications."""
    monkeypatch.setattr(plan, "MOST_ROUNDS", 1500)


@pytest.mark.slow
def test_a_second_run_on_the_folder_is_refused(launch: Launch, tmp_path: Path) -> None:
    command = ("run", "cost_aware_poq", "--rounds", 2_000_000, "--replications", 60, "--out", "run")
    first = launch(*command)
    wait_until(lambda: len(blocks(tmp_path / "run")) >= 1)
    code, _, err = finished(launch(*command))
    assert code == 2
    assert err.splitlines()[-1].startswith("another run is working on run")
    assert first.poll() is None, "the first goes on"


def test_an_edited_scenario_is_refused_field_by_field(poq: Poq, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("extends: cost_aware_poq\nrounds: 300\nreplications: 3\n")
    assert poq("run", file, "--out", "run").code == 0
    before = tables(tmp_path / "run")
    file.write_text(
        "extends: cost_aware_poq\nrounds: 400\nreplications: 3\nmechanism: {committee_size: 2}\n"
    )
    refused = poq("run", file, "--out", "run")
    assert refused.code == 2
    assert "rounds: 300 there, 400 now" in refused.err
    assert "mechanism.committee_size: 3 there, 2 now" in refused.err
    assert tables(tmp_path / "run") == before


@pytest.mark.parametrize("table", ["nodes", "replications"])
@pytest.mark.parametrize("damage", ["truncated", "altered", "deleted"])
def test_a_damaged_block_is_named_and_it_alone_is_played_again(
    poq: Poq, tmp_path: Path, many_blocks: None, damage: str, table: str
) -> None:
    command = ("run", "cost_aware_poq", *SETTINGS, "--out", "run")
    assert poq(*command).code == 0
    whole, written = tables(tmp_path / "run"), blocks(tmp_path / "run")
    assert len(written) == 4
    victim = sorted((tmp_path / "run" / f"{table}.parquet").iterdir())[1]
    spoil(victim, damage)
    found = poq("verify", "run")
    assert found.code == 1
    assert f"{table}.parquet/{victim.name}" in found.out
    assert poq(*command).code == 0
    again = blocks(tmp_path / "run")
    changed = [name for name in again if again[name] != written[name]]
    assert [name.split(".")[0] for name in changed] == [victim.name.split(".")[0]]
    assert tables(tmp_path / "run") == whole
    assert poq("verify", "run").code == 0


def test_a_block_that_is_gone_from_every_table_is_named_and_played_again(
    poq: Poq, tmp_path: Path, many_blocks: None
) -> None:
    command = ("run", "cost_aware_poq", *SETTINGS, "--out", "run")
    assert poq(*command).code == 0
    whole, written = tables(tmp_path / "run"), blocks(tmp_path / "run")
    gone = sorted(written)[2]
    for path in (tmp_path / "run").glob(f"*.parquet/{gone.split('.')[0]}.*"):
        path.unlink()
    found = poq("verify", "run")
    assert (found.code, f"replications.parquet/{gone} is missing" in found.out) == (1, True)
    assert poq(*command).code == 0
    again = blocks(tmp_path / "run")
    assert [name for name in again if again[name] != written[name]] == [gone]
    assert tables(tmp_path / "run") == whole
    assert poq("verify", "run").code == 0


def test_more_replications_play_only_the_new_ones(
    poq: Poq, tmp_path: Path, many_blocks: None
) -> None:
    """Blocks of the shorter run stay as they are; others are added, after a kill too."""
    assert poq("run", "cost_aware_poq", *SETTINGS, "--out", "run").code == 0
    short, written = tables(tmp_path / "run"), blocks(tmp_path / "run")
    longer = ("run", "cost_aware_poq", *SETTINGS[:3], "replications=20", "--out")
    for _ in range(2):
        assert poq(*longer, "run").code == 0
        now, again = tables(tmp_path / "run"), blocks(tmp_path / "run")
        assert {name: now[name] for name in short} == short
        assert {name: again[name] for name in written} == written
        assert len(again) == 4 + 3, "replications 12 to 19, three to a block"
        assert poq("verify", "run").code == 0
        victim = sorted((tmp_path / "run" / "nodes.parquet").iterdir())[-1]
        spoil(victim, "deleted")
    assert poq(*longer, "run").code == 0
    assert poq(*longer, "fresh").code == 0
    for name in ("nodes", "replications"):
        frames = [getattr(poq_abm.read_results(tmp_path / f), name) for f in ("run", "fresh")]
        assert_frame_equal(*frames, check_exact=True)
    refused = poq("run", "cost_aware_poq", *SETTINGS, "--out", "run")
    assert (refused.code, "replications: 20 there, 12 now" in refused.err) == (2, True)


def spoil(path: Path, damage: str) -> None:
    data = bytearray(path.read_bytes())
    if damage == "deleted":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(data[: len(data) // 2])
    else:
        data[len(data) // 2] ^= 1
        path.write_bytes(data)


@pytest.mark.slow
def test_a_disk_that_is_full_stops_the_run_and_loses_nothing(
    launch: Launch, tmp_path: Path
) -> None:
    """A limit on the size of files stands for the disk, which only root could fill."""

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))

    command = ("run", "cost_aware_poq", "--rounds", 100, "--replications", 4000, "--out", "run")
    code, _, err = finished(launch(*command, preexec_fn=small_files))
    assert code == 2
    assert "cannot write results to" in err
    assert "Traceback" not in err
    assert not list((tmp_path / "run").rglob(".*.part"))
    assert finished(launch(*command))[0] == 0
    scenario = load("cost_aware_poq", ["rounds=100", "replications=4000"])
    run_to_folder(Plan.of(scenario), tmp_path / "whole")
    assert tables(tmp_path / "run") == tables(tmp_path / "whole")


def test_tampering_that_keeps_the_checksums_is_found_by_replay(
    poq: Poq,
    tmp_path: Path,
) -> None:
    scenario = load("cost_aware_poq", ["rounds=100", "replications=3"])
    results = poq_abm.run(scenario)
    column = results.tables["nodes"].column_names.index("reward_total")
    nodes = results.tables["nodes"]
    raised = [value.as_py() + 1e-12 for value in nodes.column(column)]
    field = nodes.schema.field(column)
    import pyarrow as pa

    results.tables["nodes"] = nodes.set_column(column, field, pa.array(raised))
    results.save(tmp_path / "run")
    found = poq("verify", "run", "--replications", 3)
    assert found.code == 1
    assert found.out.count("is not what a replay gives (nodes)") == 3
