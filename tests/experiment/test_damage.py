"""Altered manifests and receipts, flipped bits, pieces of other runs: named, and mended."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import poq_abm
from poq_abm.analysis.stored_run import open_results
from poq_abm.errors import InputError
from poq_abm.experiment import plan as plans
from poq_abm.experiment import recorder
from poq_abm.experiment.plan import Plan
from poq_abm.experiment.running import run_to_folder
from poq_abm.experiment.sealing import DIGESTS, sealed
from poq_abm.experiment.verifying import standing_of, verify
from poq_abm.report.page import report_page
from poq_abm.scenario import Scenario, load
from tests.conftest import Poq, rewrite_manifest

SETTINGS = ["rounds=20", "replications=4", "sweep={mechanism.beta_inference: [0.1, 0.2]}"]


@pytest.fixture(autouse=True)
def many_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut chunks of two replications."""
    monkeypatch.setitem(plans.MOST_ROUNDS, "compiled", 40)


@pytest.fixture
def scenario() -> Scenario:
    return load("cost_aware_poq", SETTINGS)


@pytest.fixture
def folder(scenario: Scenario, tmp_path: Path) -> Path:
    run_to_folder(Plan.of(scenario), tmp_path / "run")
    return tmp_path / "run"


def tables(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.parquet")}


def faults(folder: Path) -> list[str]:
    return list(verify(folder, 0))


def nested(depth: int) -> Any:
    value: Any = "garbage"
    for _ in range(depth):
        value = {"a": [value]}
    return value


VALUES: list[Any] = [
    *(None, "", "x" * 1000, "\ud800", True, 0, -1, 2**70, 10**400, 1.5, float("nan")),
    *([], {}, [[]], {"": {}}, nested(20), nested(100)),
]


def mutations(data: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Yield a file's content as it was but for one key, and garbage."""
    for key, written in data.items():
        yield key, json.dumps({k: v for k, v in data.items() if k != key}).encode()
        for value in VALUES:
            if value != written or type(value) is not type(written):
                yield key, json.dumps({**data, key: value}).encode()
        if isinstance(written, list | dict) and written:
            for spoilt in _inside(written):
                yield key, json.dumps({**data, key: spoilt}).encode()
    yield "extra", json.dumps({**data, "extra": 1}).encode()
    text = json.dumps(data).encode()
    for content in (
        b"",
        text[: len(text) // 2],
        text.replace(b"a", b"\xff", 1),
        b"[" * 100_000,
        b"1" * 10_000,
        b"[]",
        b"null",
        text.decode().encode("utf-16"),
    ):
        yield "", content


def _inside(value: Any) -> Iterator[Any]:
    """Yield a list or a mapping with one of its members dropped, doubled, swapped or replaced."""
    if isinstance(value, list):
        yield value[:-1]
        yield [*value, value[-1]]
        if value[::-1] != value:
            yield value[::-1]
        yield [*value[:-1], None]
    else:
        key = next(iter(value))
        yield {k: v for k, v in value.items() if k != key}
        yield {**value, key: {"nested": [None]}}


READERS: list[Callable[[Path], Any]] = [
    standing_of,
    faults,
    lambda folder: poq_abm.read_results(folder).nodes,
    lambda folder: open_results(folder).results.replications,
]


def test_an_altered_manifest_is_named_never_believed_and_mended(
    folder: Path, scenario: Scenario
) -> None:
    path, whole, work = folder / "manifest.json", tables(folder), Plan.of(scenario)
    written = path.read_bytes()
    for number, (key, content) in enumerate(mutations(json.loads(written))):
        path.write_bytes(content)
        said = faults(folder)
        assert said, (key, content[:200])
        assert "manifest.json" in said[0]
        assert key in said[0] or "nested too deeply" in said[0], (key, said)
        for read in READERS:
            if read is not faults:
                with pytest.raises(InputError) as refused:
                    read(folder)
                assert "\n" not in str(refused.value)
        if number % 12 == 0 or not key:
            run_to_folder(work, folder)
            assert tables(folder) == whole
            assert faults(folder) == []
            assert json.loads(path.read_text())["treatments"] == json.loads(written)["treatments"]


@pytest.mark.parametrize("until", [False, True])
def test_a_manifest_is_mended_from_the_tables_alone(
    scenario: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, until: bool
) -> None:
    """Shards may be deleted; what they were joined into need not be played again."""
    target = {"metric": "correlation", "half_width": 0.5}
    precision = {"at_least": 3, "at_most": 6, "until": target}
    work = Plan.of(scenario.replace({"replications": precision}) if until else scenario)
    folder = tmp_path / "run"
    run_to_folder(work, folder)
    path, whole = folder / "manifest.json", tables(folder)
    written = json.loads(path.read_text())
    shutil.rmtree(folder / "shards")
    path.write_text(json.dumps({**written, "name": "another", "precision": None}))

    def never(*_: Any) -> None:
        raise AssertionError("played again")

    monkeypatch.setattr(recorder, "play_chunk", never)
    run_to_folder(work, folder)
    mended = json.loads(path.read_text())
    assert faults(folder) == []
    assert tables(folder) == whole
    for key in ("name", "files", "configuration", "status", "precision" if until else "hash"):
        assert mended[key] == written[key]


def test_an_altered_receipt_is_named_and_its_chunk_alone_is_played_again(
    folder: Path, scenario: Scenario
) -> None:
    whole, work = tables(folder), Plan.of(scenario)
    path = sorted((folder / "shards").glob("*.json"))[1]
    others = {p: p.stat().st_mtime_ns for p in (folder / "shards").glob("*.json") if p != path}
    written = path.read_bytes()
    for number, (key, content) in enumerate(mutations(json.loads(written))):
        path.write_bytes(content)
        said = faults(folder)
        assert said, (key, content[:200])
        assert path.name in said[0], said
        assert key in said[0] or "nested too deeply" in said[0], (key, said)
        if number % 12 == 0 or not key:
            for read in READERS:
                read(folder)  # the tables are as they were
            (folder / "nodes.parquet").unlink()
            run_to_folder(work, folder)
            assert tables(folder) == whole
            assert faults(folder) == []
    assert {p: p.stat().st_mtime_ns for p in others} == others


def test_a_receipt_that_was_sealed_again_must_agree_with_its_name_and_files(folder: Path) -> None:
    first, second = sorted((folder / "shards").glob("*.json"))[:2]
    data = json.loads(second.read_text())
    data.pop(DIGESTS)
    data["spans"] = json.loads(first.read_text())["spans"]
    second.write_text(json.dumps(sealed(data)))
    assert "it is that of t0r0-t0r1" in faults(folder)[0]


def test_a_sealed_manifest_is_held_against_its_plan(folder: Path, scenario: Scenario) -> None:
    """As somebody would alter it who knows how it is sealed."""
    whole = tables(folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    first, second = manifest["treatments"]
    swapped = [{**first, "id": second["id"]}, {**second, "id": first["id"]}]
    halved = [{**entry, "replications": 2} for entry in manifest["treatments"]]
    configuration = {**manifest["configuration"], "trace": True}
    for key, value, said in (
        ("treatments", swapped, "`treatments` are not those of the plan"),
        ("treatments", [second, first], "`treatments` are not those of the plan"),
        ("treatments", [first], "is of other replications"),
        ("treatments", halved, "is of other replications"),
        ("profiles", {"other": "0" * 64}, "`profiles` is not what the plan gives"),
        ("seed", 7, "`seed` is not that of the configuration"),
        ("hash", "0" * 64, "`hash` is not that of the configuration"),
        ("configuration", configuration, "`hash` is not that of the configuration"),
        ("files", {"nodes": {**manifest["files"]["nodes"], "file": "../nodes.parquet"}}, "files"),
    ):
        rewrite_manifest(folder, **{key: value})
        assert any(said in fault for fault in faults(folder)), (key, faults(folder))
        run_to_folder(Plan.of(scenario), folder)
        assert faults(folder) == []
        assert tables(folder) == whole


def test_half_of_the_replications_is_not_the_whole(scenario: Scenario, tmp_path: Path) -> None:
    """Consistent in itself, and less than the plan wants."""
    results = poq_abm.run(scenario)
    for name, table in results.tables.items():
        few = pa.array([r < 2 for r in table.column("replication").to_pylist()])
        results.tables[name] = table.filter(few)
    results.save(tmp_path / "run")
    assert any("replications 2 to 3" in fault for fault in faults(tmp_path / "run"))


@pytest.mark.parametrize("finished", [True, False])
def test_rows_of_another_run_are_refused_named_and_replaced(
    folder: Path, scenario: Scenario, tmp_path: Path, finished: bool
) -> None:
    other = tmp_path / "other"
    whole = tables(folder)
    run_to_folder(Plan.of(scenario.replace({"seed": 2})), other)
    for path in sorted((other / "shards").glob("t0r0-*")):
        shutil.copy(path, folder / "shards")
    if not finished:
        (folder / "nodes.parquet").unlink()
    said = faults(folder)
    assert "shards/t0r0-t0r1.json is of another configuration" in said
    run_to_folder(Plan.of(scenario), folder)
    assert tables(folder) == whole
    assert faults(folder) == []


def test_a_table_of_another_run_is_refused_even_with_its_checksum(
    folder: Path, scenario: Scenario, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    run_to_folder(Plan.of(scenario.replace({"seed": 2})), other)
    shutil.copy(other / "nodes.parquet", folder)
    entry = json.loads((other / "manifest.json").read_text())["files"]["nodes"]
    files = json.loads((folder / "manifest.json").read_text())["files"]
    rewrite_manifest(folder, files={**files, "nodes": entry})
    assert faults(folder) == ["nodes.parquet is of another configuration"]
    with pytest.raises(InputError, match=r"nodes\.parquet is of another configuration"):
        _ = poq_abm.read_results(folder).nodes


def test_no_flipped_bit_gives_other_numbers(folder: Path, scenario: Scenario) -> None:
    path = folder / "nodes.parquet"
    whole = path.read_bytes()
    dice = random.Random(5)
    for _ in range(100):
        data = bytearray(whole)
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        path.write_bytes(data)
        for read in READERS[2:]:
            if read is READERS[2]:
                with pytest.raises(InputError, match="its checksum differs; the same `poq run`"):
                    read(folder)
        assert faults(folder) == [
            "nodes.parquet is not what was written: its checksum differs",
        ]
    run_to_folder(Plan.of(scenario), folder)
    assert path.read_bytes() == whole


def test_a_table_is_looked_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from poq_abm.experiment import receipts

    looked: list[str] = []
    checksum = receipts.checksum
    monkeypatch.setattr(receipts, "checksum", lambda p: looked.append(p.name) or checksum(p))
    results = poq_abm.read_results(folder)
    for _ in range(3):
        _ = results.nodes, results.summary(), results.replications
    assert looked == ["nodes.parquet", "replications.parquet"]


def test_damage_is_one_line_in_every_verb_that_reads(poq: Poq, folder: Path) -> None:
    path = folder / "nodes.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    sides = ("beta_inference=0.1", "beta_inference=0.2")
    for verb in (
        ("report", "run"),
        ("plot", "ecdf", "run", "--treatment", sides[0]),
        ("compare", *sides, "--in", "run"),
        ("analyse", "rewards", "run"),
    ):
        told = poq(*verb)
        assert told.code == 2, verb
        assert told.err.splitlines()[-1] == (
            "run: nodes.parquet is not what was written: its checksum differs; the same `poq run` "
            "mends it"
        )
    assert not list(folder.glob("*.html"))


def test_reports_of_the_same_run_are_refused_where_the_manifest_is_damaged(folder: Path) -> None:
    (folder / "manifest.json").write_text("{")
    with pytest.raises(InputError, match=r"manifest\.json cannot be read"):
        report_page(folder)
