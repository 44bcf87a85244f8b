"""Altered manifests, flipped bits, blocks of other runs: named, and mended."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import poq_abm
from poq_abm.analysis.stored_run import open_results
from poq_abm.errors import InputError
from poq_abm.experiment import block_files
from poq_abm.experiment import plan as plans
from poq_abm.experiment.files import checksum
from poq_abm.experiment.manifest import read_manifest
from poq_abm.experiment.plan import Plan
from poq_abm.experiment.running import run_to_folder
from poq_abm.experiment.verifying import status_of, verify
from poq_abm.report.page import report_page
from poq_abm.scenario import Scenario, load
from tests.conftest import Poq, interrupt, rewrite_manifest

SETTINGS = ["rounds=20", "replications=4", "sweep={mechanism.beta_inference: [0.1, 0.2]}"]


@pytest.fixture(autouse=True)
def many_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut blocks of two replications."""
    monkeypatch.setattr(plans, "MOST_ROUNDS", 40)


@pytest.fixture
def scenario() -> Scenario:
    return load("cost_aware_poq", SETTINGS)


@pytest.fixture
def folder(scenario: Scenario, tmp_path: Path) -> Path:
    run_to_folder(Plan.of(scenario), tmp_path / "run")
    return tmp_path / "run"


def tables(folder: Path) -> dict[str, bytes]:
    files = folder.glob("*.parquet/*.parquet")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


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
    status_of,
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
def test_a_manifest_is_mended_from_the_blocks_alone(
    scenario: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, until: bool
) -> None:
    """Nothing need be played again."""
    target = {"metric": "correlation", "half_width": 0.5}
    precision = {"at_least": 3, "at_most": 6, "until": target}
    work = Plan.of(scenario.replace({"replications": precision}) if until else scenario)
    folder = tmp_path / "run"
    run_to_folder(work, folder)
    path, whole = folder / "manifest.json", tables(folder)
    written = json.loads(path.read_text())
    path.write_text(json.dumps({**written, "name": "another", "precision": None}))

    def never(*_: Any) -> None:
        raise AssertionError("played again")

    monkeypatch.setattr(block_files, "play_block", never)
    run_to_folder(work, folder)
    mended = json.loads(path.read_text())
    assert faults(folder) == []
    assert tables(folder) == whole
    for key in ("name", "files", "configuration", "status", "precision" if until else "hash"):
        assert mended[key] == written[key]


def relabelled(path: Path, **said: str) -> None:
    """Write a block's file anew, under the name that its bytes give, with another label."""
    table = pq.read_table(path)
    metadata = {**table.schema.metadata, **{k.encode(): v.encode() for k, v in said.items()}}
    pq.write_table(table.replace_schema_metadata(metadata), path)
    block = path.name.split(".")[0]
    path.rename(path.with_name(f"{block}.{checksum(path)[:16]}.parquet"))


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"replications": "[[0, 0, 2]]"}, "is of other replications"),
        ({"replications": "[]"}, "is of other replications"),
        ({"replications": "{"}, "is of another configuration"),
        ({"configuration": "ab"}, "is of another configuration"),
    ],
)
def test_a_block_must_agree_with_its_name(
    folder: Path, scenario: Scenario, said: dict[str, str], fault: str
) -> None:
    """Even where its checksum is that of its bytes."""
    whole = tables(folder)
    relabelled(sorted((folder / "nodes.parquet").iterdir())[1], **said)
    assert any(fault in found for found in faults(folder))
    run_to_folder(Plan.of(scenario), folder)
    assert tables(folder) == whole


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
    for path in other.glob("*.parquet/t00000r0000000-*"):
        shutil.copy(path, folder / path.parent.name)
    if finished:
        said = faults(folder)
        assert len(said) == 2
        assert all("is of another configuration" in fault for fault in said)
    else:
        interrupt(folder)
    run_to_folder(Plan.of(scenario), folder)
    assert tables(folder) == whole
    assert faults(folder) == []


def test_a_table_of_another_run_is_refused_even_with_its_checksum(
    folder: Path, scenario: Scenario, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    run_to_folder(Plan.of(scenario.replace({"seed": 2})), other)
    shutil.rmtree(folder / "nodes.parquet")
    shutil.copytree(other / "nodes.parquet", folder / "nodes.parquet")
    entry = json.loads((other / "manifest.json").read_text())["files"]["nodes"]
    files = json.loads((folder / "manifest.json").read_text())["files"]
    rewrite_manifest(folder, files={**files, "nodes": entry})
    assert [fault.partition(" ")[2] for fault in faults(folder)] == [
        "is of another configuration"
    ] * 4
    with pytest.raises(InputError, match=r"nodes\.parquet/.* is of another configuration"):
        _ = poq_abm.read_results(folder).nodes


def test_no_flipped_bit_gives_other_numbers(folder: Path, scenario: Scenario) -> None:
    path = sorted((folder / "nodes.parquet").iterdir())[1]
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
            f"nodes.parquet/{path.name} is not what was written: its checksum differs",
        ]
    run_to_folder(Plan.of(scenario), folder)
    assert path.read_bytes() == whole


def test_a_table_is_looked_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    monkeypatch.setattr(
        block_files, "checksum", lambda p: looked.append(p.parent.name) or checksum(p)
    )
    results = poq_abm.read_results(folder)
    for _ in range(3):
        _ = results.nodes, results.summary(), results.replications
    assert looked == ["nodes.parquet"] * 4 + ["replications.parquet"] * 4


def test_damage_is_one_line_in_every_verb_that_reads(poq: Poq, folder: Path) -> None:
    path = sorted((folder / "nodes.parquet").iterdir())[0]
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
            f"run: nodes.parquet/{path.name} is not what was written: its checksum differs; the "
            "same `poq run` mends it"
        )
    assert not list(folder.glob("*.html"))


def test_a_run_of_the_previous_version_is_refused_in_a_line_that_names_it(
    poq: Poq, folder: Path
) -> None:
    """Its tables were single files, and its numbers had another meaning here and there."""
    configuration = {**read_manifest(folder)["configuration"], "results_version": 4}
    older = {"configuration": configuration, "hash": plans.configuration_hash(configuration)}
    rewrite_manifest(folder, **older)
    for verb in (("report", "run"), ("plot", "ecdf", "run"), ("analyse", "rewards", "run")):
        told = poq(*verb)
        assert told.code == 2, verb
        assert told.err.splitlines()[-1] == (
            "run holds results in version 4 of the format, and this is version 5: play them again"
        )


def test_reports_of_the_same_run_are_refused_where_the_manifest_is_damaged(folder: Path) -> None:
    (folder / "manifest.json").write_text("{")
    with pytest.raises(InputError, match=r"manifest\.json cannot be read"):
        report_page(folder)
