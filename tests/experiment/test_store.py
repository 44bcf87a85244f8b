"""The results folder: refused, finished, verified, never overwritten."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal

import poq_abm
from poq_abm.errors import InputError
from poq_abm.experiment import files, store
from poq_abm.experiment.plan import Plan
from poq_abm.experiment.results import run_to_folder
from poq_abm.experiment.streaming import BackgroundWriter
from poq_abm.scenario import Scenario


@pytest.fixture
def swept(small: Scenario) -> Scenario:
    return small.replace({"sweep": {"mechanism.committee_size": [1, 2, 3]}})


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.parquet")}


def test_a_finished_folder_holds_tables_and_manifest(small: Scenario, tmp_path: Path) -> None:
    run_to_folder(Plan.of(small, trace=True), tmp_path / "run")
    assert listing(tmp_path / "run") == [
        "manifest.json",
        "nodes.parquet",
        "replications.parquet",
        "rounds.parquet",
    ]
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["status"] == "complete"
    assert manifest["files"]["rounds"]["rows"] == 3 * 200
    assert manifest["configuration"]["scenario"] == small.resolved()
    assert manifest["versions"]["python"]


@pytest.mark.parametrize("trace", [False, True])
def test_workers_leave_the_same_bytes(swept: Scenario, tmp_path: Path, trace: bool) -> None:
    plan = Plan.of(swept, trace=trace)
    run_to_folder(plan, tmp_path / "one", n_jobs=1)
    run_to_folder(plan, tmp_path / "two", n_jobs=2)
    run_to_folder(plan, tmp_path / "agents", n_jobs=2, engine="agents")
    assert contents(tmp_path / "one") == contents(tmp_path / "two") == contents(tmp_path / "agents")


def test_tables_need_none_of_our_code(small: Scenario, tmp_path: Path) -> None:
    run_to_folder(Plan.of(small), tmp_path)
    schema = pq.read_schema(tmp_path / "nodes.parquet")
    assert schema.field("latency_ms").metadata[b"unit"] == b"ms"
    assert pa.types.is_dictionary(schema.field("model").type)
    assert b"committee_size: 3" in schema.metadata[b"scenario"]


def test_a_finished_run_is_not_played_again(
    small: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run_to_folder(Plan.of(small), tmp_path)

    def never(*_: Any) -> None:
        raise AssertionError("played again")

    monkeypatch.setattr(store, "play_job", never)
    again = run_to_folder(Plan.of(small), tmp_path)
    assert_frame_equal(first.nodes, again.nodes, check_exact=True)


@pytest.mark.parametrize("damage", ["delete", "truncate", "alter"])
def test_a_damaged_table_is_noticed_and_restored(
    small: Scenario, tmp_path: Path, damage: str
) -> None:
    run_to_folder(Plan.of(small), tmp_path)
    whole = contents(tmp_path)
    victim = tmp_path / "nodes.parquet"
    data = bytearray(victim.read_bytes())
    if damage == "delete":
        victim.unlink()
    elif damage == "truncate":
        victim.write_bytes(data[:-10])
    else:
        data[len(data) // 2] ^= 1
        victim.write_bytes(data)
    run_to_folder(Plan.of(small), tmp_path)
    assert contents(tmp_path) == whole


def test_an_interrupted_run_finishes_only_what_is_missing(
    swept: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_to_folder(Plan.of(swept), tmp_path / "whole")
    played: list[int] = []
    play_job = store.play_job

    def counting(plan: Plan, job: Any, *rest: Any) -> Any:
        if job.number == 2 and len(played) == 2:
            raise KeyboardInterrupt
        played.append(job.number)
        return play_job(plan, job, *rest)

    monkeypatch.setattr(store, "play_job", counting)
    with pytest.raises(KeyboardInterrupt):
        run_to_folder(Plan.of(swept), tmp_path / "run")
    with pytest.raises(InputError, match="unfinished"):
        poq_abm.read_results(tmp_path / "run")
    played.append(-1)
    run_to_folder(Plan.of(swept), tmp_path / "run")
    assert played == [0, 1, -1, 2]
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")


def test_another_configuration_is_refused_and_left_alone(small: Scenario, tmp_path: Path) -> None:
    run_to_folder(Plan.of(small), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(InputError, match="another configuration"):
        run_to_folder(Plan.of(small.replace({"seed": 9})), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_folder_of_something_else_is_refused(small: Scenario, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="not a results folder"):
        run_to_folder(Plan.of(small), tmp_path)
    assert listing(tmp_path) == ["thesis.txt"]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_a_broken_manifest_is_named(small: Scenario, tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(InputError, match="manifest"):
        poq_abm.read_results(tmp_path)


def test_a_path_that_cannot_be_a_folder(small: Scenario, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write results"):
        run_to_folder(Plan.of(small), tmp_path / "file" / "run")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(small: Scenario, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="cannot write results"):
        run_to_folder(Plan.of(small), tmp_path / "run")


def full_disk(*_: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("trace", [False, True])
def test_a_full_disk_is_a_message_and_leaves_no_scraps(
    small: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trace: bool
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(files.TableWriter, "write", full_disk)
        with pytest.raises(InputError, match="No space left on device"):
            run_to_folder(Plan.of(small, trace=trace), tmp_path / "run")
    assert not list((tmp_path / "run").rglob("*.parquet*"))
    run_to_folder(Plan.of(small, trace=trace), tmp_path / "run")
    assert poq_abm.read_results(tmp_path / "run").nodes.shape == (24, 17)


def test_files_are_whole_or_absent(tmp_path: Path) -> None:
    target = tmp_path / "table.json"
    with pytest.raises(RuntimeError), files.written(target) as aside:
        aside.write_text("half")
        raise RuntimeError
    assert listing(tmp_path) == []


class _Failing:
    def __init__(self, after: int) -> None:
        self.left = after

    def write(self, _: Any) -> None:
        self.left -= 1
        if self.left < 0:
            full_disk()


def test_a_failing_writer_is_heard_of(request: pytest.FixtureRequest) -> None:
    def keep_writing(sink: Callable[[Any], None]) -> None:
        for table in range(100):
            sink(table)

    with (
        pytest.raises(OSError, match="No space"),
        BackgroundWriter(_Failing(after=3)) as background,  # type: ignore[arg-type]
    ):
        keep_writing(background.write)
    assert not any(thread.name == "trace-writer" for thread in threading.enumerate())
