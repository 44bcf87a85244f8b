"""The results folder: refused, finished, verified, never overwritten."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal

import poq_abm
from poq_abm.errors import InputError
from poq_abm.experiment import block_files, files, plan, store
from poq_abm.experiment.blocks import Span
from poq_abm.experiment.executor import Workers
from poq_abm.experiment.files import BackgroundWriter
from poq_abm.experiment.plan import Plan
from poq_abm.experiment.running import run_to_folder
from poq_abm.experiment.schemas import SCHEMAS
from poq_abm.experiment.verifying import verify
from poq_abm.scenario import Scenario


@pytest.fixture
def swept(small: Scenario) -> Scenario:
    return small.replace({"sweep": {"mechanism.committee_size": [1, 2, 3]}})


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def contents(folder: Path) -> dict[str, bytes]:
    files = folder.glob("*.parquet/*.parquet")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_finished_folder_holds_tables_and_manifest(small: Scenario, tmp_path: Path) -> None:
    run_to_folder(Plan.of(small, trace=True), tmp_path / "run")
    assert listing(tmp_path / "run") == [
        ".lock",
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
    work = Plan.of(swept, trace=trace)
    run_to_folder(work, tmp_path / "one", workers=Workers(1))
    run_to_folder(work, tmp_path / "two", workers=Workers(2))
    run_to_folder(work, tmp_path / "agents", workers=Workers(2), engine="agents")
    assert contents(tmp_path / "one") == contents(tmp_path / "two") == contents(tmp_path / "agents")


def test_tables_need_none_of_our_code(small: Scenario, tmp_path: Path) -> None:
    run_to_folder(Plan.of(small), tmp_path)
    (block,) = (tmp_path / "nodes.parquet").iterdir()
    schema = pq.read_schema(block)
    assert schema.field("latency_ms").metadata[b"unit"] == b"ms"
    assert pa.types.is_dictionary(schema.field("model").type)
    assert b"committee_size: 3" in schema.metadata[b"scenario"]
    assert len(pd.read_parquet(tmp_path / "nodes.parquet")) == 24


def test_a_finished_run_is_not_played_again(
    small: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run_to_folder(Plan.of(small), tmp_path)

    def never(*_: Any) -> None:
        raise AssertionError("played again")

    monkeypatch.setattr(block_files, "play_block", never)
    again = run_to_folder(Plan.of(small), tmp_path)
    assert_frame_equal(first.nodes, again.nodes, check_exact=True)


@pytest.mark.parametrize("damage", ["delete", "truncate", "alter"])
def test_a_damaged_block_is_noticed_and_restored(
    small: Scenario, tmp_path: Path, damage: str
) -> None:
    run_to_folder(Plan.of(small), tmp_path)
    whole = contents(tmp_path)
    (victim,) = (tmp_path / "nodes.parquet").iterdir()
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
    monkeypatch.setattr(plan, "MOST_ROUNDS", 3 * swept.rounds)
    run_to_folder(Plan.of(swept), tmp_path / "whole")
    played: list[int | str] = []
    play_block = block_files.play_block

    def counting(plan: Plan, block: Any, *rest: Any) -> Any:
        if len(played) == 2:
            raise KeyboardInterrupt
        played.append(block.spans[0].treatment)
        return play_block(plan, block, *rest)

    monkeypatch.setattr(block_files, "play_block", counting)
    with pytest.raises(KeyboardInterrupt):
        run_to_folder(Plan.of(swept), tmp_path / "run")
    with pytest.raises(InputError, match="unfinished"):
        poq_abm.read_results(tmp_path / "run")
    played.append("resumed")
    run_to_folder(Plan.of(swept), tmp_path / "run")
    assert played == [0, 1, "resumed", 2]
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_another_configuration_is_refused_and_left_alone(small: Scenario, tmp_path: Path) -> None:
    run_to_folder(Plan.of(small), tmp_path)
    before = everything(tmp_path)
    changed = small.replace({"seed": 9, "mechanism.beta_inference": 0.5})
    with pytest.raises(InputError, match="another configuration") as refused:
        run_to_folder(Plan.of(changed), tmp_path)
    assert everything(tmp_path) == before
    assert str(refused.value).splitlines()[1:] == [
        "  seed: 1 there, 9 now",
        "  mechanism.beta_inference: 0.3 there, 0.5 now",
    ]


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


def test_a_file_is_no_results_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path, said in (("file", "it is a file"), ("absent", r"it has no manifest\.json")):
        with pytest.raises(InputError, match=f"is not a results folder: {said}"):
            poq_abm.read_results(tmp_path / path)


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
    assert not [path for path in (tmp_path / "run").rglob("*.parquet*") if path.is_file()]
    run_to_folder(Plan.of(small, trace=trace), tmp_path / "run")
    assert poq_abm.read_results(tmp_path / "run").nodes.shape == (24, len(SCHEMAS["nodes"]))


def killed(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


BEGINNINGS: dict[str, Callable[[Path], Any]] = {
    "nothing": lambda folder: None,
    "the lock": lambda folder: (folder / ".lock").touch(),
    "no blocks": lambda folder: (folder / "nodes.parquet").mkdir(),
    "a place for drafts": lambda folder: (folder / ".run-1a").mkdir(parents=True),
    "half a manifest": lambda folder: (folder / ".manifest.json.7.part").write_text('{"ha'),
}


@pytest.mark.parametrize("left", BEGINNINGS)
def test_a_run_adopts_what_it_made_before_its_manifest(
    small: Scenario, tmp_path: Path, left: str
) -> None:
    BEGINNINGS[left](tmp_path)
    run_to_folder(Plan.of(small), tmp_path)
    assert listing(tmp_path) == [
        ".lock",
        "manifest.json",
        "nodes.parquet",
        "replications.parquet",
    ]


@pytest.mark.parametrize("stop", [full_disk, killed])
def test_what_stops_before_the_first_manifest_can_be_taken_up(
    small: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: Callable[..., None]
) -> None:
    for module, name in ((store, "write_json"), (Path, "mkdir"), (store.Store, "open")):
        with monkeypatch.context() as broken:
            broken.setattr(module, name, lambda *_, **__: stop())
            with pytest.raises((InputError, KeyboardInterrupt, OSError)):
                run_to_folder(Plan.of(small), tmp_path / "run")
    run_to_folder(Plan.of(small), tmp_path / "run")
    assert poq_abm.read_results(tmp_path / "run").nodes.shape[0] == 24


class _KillError(BaseException):
    """What stands for SIGKILL: from then on this process does nothing to the disk any more."""


def kill_after(survived: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let so many operations on files come to pass, and none after; return what was done."""
    done: list[str] = []
    places: list[tuple[Any, str]] = [
        *((Path, name) for name in ("mkdir", "replace", "unlink", "rename", "write_text")),
        (store.shutil, "rmtree"),
        (files.pq.ParquetWriter, "write_table"),
        (files.os, "fsync"),
    ]
    for owner, name in places:
        monkeypatch.setattr(owner, name, _limited(getattr(owner, name), done, survived))
    return done


def _limited(do: Callable[..., Any], done: list[str], survived: int) -> Callable[..., Any]:
    def limited(*given: Any, **more: Any) -> Any:
        if len(done) >= survived:
            raise _KillError
        done.append(do.__name__)
        return do(*given, **more)

    return limited


@pytest.mark.slow
@pytest.mark.parametrize("trace", [False, True])
def test_a_kill_at_any_operation_on_a_file_costs_nothing_but_time(
    small: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trace: bool
) -> None:
    monkeypatch.setattr(plan, "MOST_ROUNDS", 2 * small.rounds)
    monkeypatch.setattr(plan, "MOST_ROUNDS_TRACED", 2 * small.rounds)
    work = Plan.of(small, trace=trace)
    run_to_folder(work, tmp_path / "whole")
    whole, names = contents(tmp_path / "whole"), listing(tmp_path / "whole")
    survived, killed = 0, True
    while killed:
        folder = tmp_path / str(survived)
        with monkeypatch.context() as dying:
            kill_after(survived, dying)
            try:
                run_to_folder(work, folder)
                killed = False
            except _KillError:
                killed = True
        run_to_folder(work, folder)
        assert contents(folder) == whole, survived
        assert listing(folder) == names, survived
        assert not list(folder.rglob("*.part")), survived
        survived += 1
    assert survived > 20


def test_a_folder_without_its_manifest_is_known_by_its_pieces(
    small: Scenario, tmp_path: Path
) -> None:
    run_to_folder(Plan.of(small), tmp_path)
    whole = contents(tmp_path)
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(InputError, match="not a results folder"):
        run_to_folder(Plan.of(small.replace({"seed": 2})), tmp_path)
    assert contents(tmp_path) == whole
    run_to_folder(Plan.of(small), tmp_path)
    assert contents(tmp_path) == whole


def test_the_next_run_clears_what_a_killed_one_left(small: Scenario, tmp_path: Path) -> None:
    run_to_folder(Plan.of(small), tmp_path)
    whole = listing(tmp_path)
    scraps = [
        *(tmp_path / ".manifest.json.7.part", tmp_path / ".report.html.7.part"),
        tmp_path / ".run-1a" / ".t00000r0000000-t00000r0000002.nodes.7.part",
    ]
    for scrap in scraps:
        scrap.parent.mkdir(exist_ok=True)
        scrap.write_bytes(b"half")
    run_to_folder(
        Plan.of(small), tmp_path
    )  # a finished run is not played, and cleared all the same
    assert listing(tmp_path) == whole


def test_a_block_that_is_not_in_every_table_is_cleared(small: Scenario, tmp_path: Path) -> None:
    """As a kill leaves it between the files of a block, and as whoever copies files may."""
    run_to_folder(Plan.of(small), tmp_path)
    whole = contents(tmp_path)
    name = "t00000r0000000-t00000r0000001.0123456789abcdef.parquet"
    (tmp_path / "nodes.parquet" / name).write_bytes(b"half of a block")
    (block,) = (tmp_path / "replications.parquet").iterdir()
    block.unlink()
    run_to_folder(Plan.of(small), tmp_path)
    assert contents(tmp_path) == whole


def test_a_worker_that_outlives_its_run_has_nowhere_to_write(
    small: Scenario, tmp_path: Path
) -> None:
    """Neither into the same folder nor into one that has taken its place."""
    work = Plan.of(small)
    first = store.Store(tmp_path / "run", work)
    with first.locked():
        first.open()
        orphan = first.writer
    (block,) = work.blocks([Span(0, 0, 3)])
    run_to_folder(Plan.of(small.replace({"seed": 2})), tmp_path / "other")
    (tmp_path / "run").rename(tmp_path / "gone")
    (tmp_path / "other").rename(tmp_path / "run")
    for folder in ("run", "gone"):
        before = everything(tmp_path / folder)
        with pytest.raises(InputError, match="cannot write results"):
            orphan(work, block)
        assert everything(tmp_path / folder) == before


def test_what_raised_and_how_precise_it_is_is_stored_with_results_from_memory(
    small: Scenario, tmp_path: Path
) -> None:
    until = {"metric": "correlation", "half_width": 0.5}
    precision = {"at_least": 3, "at_most": 6, "until": until}
    results = poq_abm.run(small.replace({"replications": precision}))
    stored = poq_abm.read_results(results.save(tmp_path / "run"))
    assert results.precision is not None
    assert stored.precision is not None
    assert_frame_equal(stored.precision, results.precision, check_dtype=False)
    assert list(verify(tmp_path / "run", 1)) == []

    failure = {"treatment": 0, "replication": 1, "seed": 1, "error": "E", "traceback": "T"}
    other = poq_abm.run(small)
    other.failures.append(failure)
    kept = pa.array([r != 1 for r in other.tables["nodes"].column("replication").to_pylist()])
    other.tables["nodes"] = other.tables["nodes"].filter(kept)
    kept = pa.array(
        [r != 1 for r in other.tables["replications"].column("replication").to_pylist()]
    )
    other.tables["replications"] = other.tables["replications"].filter(kept)
    assert poq_abm.read_results(other.save(tmp_path / "raised")).failures == [failure]
    assert list(verify(tmp_path / "raised", 1)) == []


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
