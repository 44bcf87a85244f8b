"""The results folder: what is in it, when it is done, and how a run finishes what is missing.

A folder belongs to one configuration, whose hash stands in ``manifest.json`` and in every block
(:mod:`~poq_abm.experiment.block_files`); a folder of another configuration is refused, and so is
one that another run is working on. The blocks of each table lie in the table's folder. A run plays
the blocks that are not there, or not whole, and seals the folder with a manifest that names them
all. A run of the same configuration with more replications takes the folder over: its blocks stay,
and new ones are added.
"""

from __future__ import annotations

import contextlib
import functools
import json
import shutil
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from poq_abm.errors import InputError
from poq_abm.experiment.block_files import (
    BlockLabel,
    BlockWriter,
    StoredBlock,
    block_fault,
    read_blocks,
    rows_of,
    table_folder,
)
from poq_abm.experiment.blocks import Block
from poq_abm.experiment.execute import columns_by_treatment, execute
from poq_abm.experiment.executor import Workers
from poq_abm.experiment.files import SCRAP, naming_the_folder, write_json
from poq_abm.experiment.manifest import (
    COMPLETE,
    FAILED,
    MANIFEST,
    RUNNING,
    Inspected,
    differences,
    inspect_manifest,
    manifest_of,
    sealed,
)
from poq_abm.experiment.plan import Plan, played_hash
from poq_abm.experiment.schemas import SCHEMAS, TRACES
from poq_abm.experiment.stopping import precision_of
from poq_abm.experiment.study import Engine, Failure, Options, Played
from poq_abm.scenario.yaml_text import to_yaml

__all__ = ["LOCK", "Store", "against_plan", "from_memory", "table_faults"]

LOCK = ".lock"
_ASIDE, _GONE = ".run-", ".gone-"  # folders of drafts: of one run, and of runs that are over
_DIFFERENCES_SHOWN = 12


class Store:
    """One results folder, opened for one plan.

    Life-cycle: :meth:`locked` keeps others out; :meth:`open` takes the folder or refuses it and
    looks which blocks are there; :meth:`record` adds new ones; :meth:`finish` seals the folder.
    """

    def __init__(self, folder: Path, plan: Plan, engine: Engine = "compiled") -> None:
        self.folder = folder
        self.plan = plan
        self.engine: Engine = engine
        self.hash = plan.hash()
        self.played_hash = plan.played_hash()
        self.extended: list[int] = []  #: replications that shorter runs of the folder ended with
        self._blocks: dict[str, StoredBlock] = {}
        self._aside = folder / f"{_ASIDE}{uuid.uuid4().hex[:12]}"

    @property
    def writer(self) -> BlockWriter:
        """What workers are given to play and store blocks with."""
        scenario = self.plan.scenario
        played = {k: v for k, v in scenario.resolved().items() if k != "replications"}
        text = to_yaml(played, scenario.question)
        metadata = {"poq_abm": version("poq-abm"), "scenario": text}
        folder, aside = self.folder.absolute(), self._aside.absolute()
        return BlockWriter(folder, self.engine, self.played_hash, metadata, aside)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs out of the folder for the time of the block; a dead run keeps nobody out.

        Raises
        ------
        InputError
            If another run is working on the folder, or it cannot be written.
        """
        with naming_the_folder(self.folder):
            self._refuse_others()
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(self.folder / LOCK, blocking=False)
            try:
                lock.acquire()
            except filelock.Timeout:
                raise InputError(
                    f"another run is working on {self.folder}; wait for it, or name another "
                    "folder with --out"
                ) from None
        try:
            with naming_the_folder(self.folder):
                self._refuse_others()  # one may have come and gone since
                self._clear_scraps()
            try:
                yield
            finally:
                shutil.rmtree(self._aside, ignore_errors=True)
        finally:
            lock.release()

    def _clear_scraps(self) -> None:
        """Remove what runs left that were killed, and with it the way in for their workers."""
        for path in self.folder.glob(f".*.[0-9]*{SCRAP}"):
            path.unlink()
        for path in self.folder.glob(f"{_ASIDE}*"):
            gone = path.with_name(f"{_GONE}{uuid.uuid4().hex[:12]}")
            path.rename(gone)  # at once, while a worker may still be writing into it
        for path in self.folder.glob(f"{_GONE}*"):
            shutil.rmtree(path, ignore_errors=True)

    def open(self, *, retry_failed: bool = False) -> None:
        """Create the folder, or take up one that this configuration began; drop broken blocks.

        ``retry_failed`` drops those as well in which a replication raised.
        """
        with naming_the_folder(self.folder):
            self._aside.mkdir(parents=True, exist_ok=True)
            for table in self.plan.tables:
                (self.folder / table_folder(table)).mkdir(exist_ok=True)
            self.extended = self._ended_before(self._inspected()) or []
            if self._manifest().faults:
                running = manifest_of(self.plan, RUNNING, self.engine, self.extended)
                write_json(self.folder / MANIFEST, sealed(running))
            blocks, broken = read_blocks(self.folder, self.plan.tables, self.played_hash)
            for file in broken:
                (self.folder / file).unlink()
            for block in blocks:
                if retry_failed and block.label.failures:
                    self._drop(block)
                else:
                    self.record(block)

    def _drop(self, block: StoredBlock) -> None:
        for table, file in block.files.items():
            (self.folder / table_folder(table) / file).unlink()

    def _manifest(self) -> Inspected:
        """Return the manifest that is there, held against the plan; one without keys if none is."""
        found = self._inspected()
        return found._replace(faults={**found.faults, **dict(against_plan(found.data, self.plan))})

    def _inspected(self) -> Inspected:
        try:
            return inspect_manifest(self.folder)
        except InputError as error:
            return Inspected({}, {"": str(error)})

    def _ended_before(self, manifest: Inspected) -> list[int] | None:
        """Return at how many replications shorter runs ended, if the folder is of such a run.

        That is one of the same configuration, but for a smaller number of replications. None where
        it is not; nothing where the manifest cannot be trusted.
        """
        sound, asked = manifest.sound, self.plan.scenario.replications
        there: dict[str, Any] = sound.get("configuration", {})
        before: list[int] = sound.get("extended", [])
        if sound.get("hash") == self.hash:
            return before
        count = there.get("scenario", {}).get("replications")
        if not (isinstance(asked, int) and isinstance(count, int) and count < asked):
            return None
        return [*before, count] if played_hash(there) == self.played_hash else None

    def _refuse_others(self) -> None:
        """Refuse a folder that holds something else than a run of this configuration."""
        if not self.folder.is_dir() or not self._holds_more_than_scraps():
            return
        manifest = self._inspected()
        if self.hash in manifest.hashes or self._ended_before(manifest) is not None:
            return
        if manifest.faults and manifest.foreign_version is None:
            if self._blocks_are_mine():
                return
            said = next(iter(manifest.faults.values()))
            raise InputError(f"{said}; name another folder than {self.folder} with --out")
        lines = differences(manifest.data.get("configuration", {}), self.plan.configuration())
        shown = "".join(f"\n  {line}" for line in lines[:_DIFFERENCES_SHOWN])
        more = len(lines) - _DIFFERENCES_SHOWN
        rest = f"\n  and {more} more" if more > 0 else ""
        raise InputError(
            f"{self.folder} holds the results of another configuration; name another folder with "
            f"--out. It differs in{shown}{rest}"
        )

    def _holds_more_than_scraps(self) -> bool:
        """Return whether there is anything but what a run makes before it has a manifest."""
        empty = {table_folder(table) for table in SCHEMAS}
        for path in self.folder.iterdir():
            if path.name in empty and path.is_dir():
                if any(path.iterdir()):
                    return True
            elif path.name != LOCK and not path.name.startswith((f".{MANIFEST}.", _ASIDE, _GONE)):
                return True
        return False

    def _blocks_are_mine(self) -> bool:
        """Return whether the blocks that are there say that they are of this run, all of them."""
        labels = {BlockLabel.of(path) for path in self.folder.glob("*.parquet/[!.]*")}
        return {label.configuration for label in labels if label} == {self.played_hash}

    def lacks(self, block: Block) -> bool:
        """Return whether a block is not stored."""
        stored = self._blocks.get(block.name)
        return stored is None or stored.label.spans != block.spans

    def record(self, block: StoredBlock) -> None:
        """Take note of a block that is stored."""
        self._blocks[block.name] = block

    def values(self, metric: str) -> dict[int, NDArray[np.float64]]:
        """Return a column of the main table by treatment; NaN where a replication raised."""
        main = self.plan.main
        return measured(self.folder, main, list(self._blocks.values()), metric)

    @property
    def failures(self) -> list[Failure]:
        """The replications that raised, in their order."""
        raised = [failure for block in self._blocks.values() for failure in block.label.failures]
        return sorted(raised, key=lambda failure: (failure.treatment, failure.replication))

    def has_failures(self) -> bool:
        """Return whether the finished run in the folder has replications that raised."""
        return bool(self._manifest().sound.get("failures"))

    def finish(self, blocks: Sequence[Block], seconds: float | None = None) -> None:
        """Seal the folder, which has all of these blocks; others that were there go.

        Without blocks to keep, a run was cut otherwise before its manifest was lost.
        """
        with naming_the_folder(self.folder):
            names = {block.name for block in blocks}
            for name in [name for name in self._blocks if name not in names]:
                self._drop(self._blocks.pop(name))
            failures = self.failures
            status = FAILED if failures else COMPLETE
            manifest = manifest_of(self.plan, status, self.engine, self.extended)
            failed = {failure.treatment for failure in failures}
            counts = self._counts()
            manifest["seconds"] = seconds
            manifest["treatments"] = [
                {
                    **entry,
                    "replications": counts[number],
                    "status": FAILED if number in failed else COMPLETE,
                }
                for number, entry in enumerate(manifest["treatments"])
            ]
            manifest["failures"] = [failure.as_data() for failure in failures]
            if target := self.plan.target:
                manifest["precision"] = precision_of(self.plan, self.values(target.metric))
            manifest["files"] = {name: self._entry(name) for name in self.plan.tables}
            write_json(self.folder / MANIFEST, sealed(manifest))

    def _counts(self) -> list[int]:
        """Return how many replications of each treatment left rows."""
        counts = [0] * len(self.plan.treatments)
        for block in self._blocks.values():
            for span in block.label.spans:
                counts[span.treatment] += span.size
        for failure in self.failures:
            counts[failure.treatment] -= 1
        return counts

    def _entry(self, table: str) -> dict[str, Any]:
        """Return the manifest's entry of a table."""
        files = [self._blocks[name].files[table] for name in sorted(self._blocks)]
        folder = self.folder / table_folder(table)
        rows = sum(pq.read_metadata(folder / file).num_rows for file in files)
        return {"file": table_folder(table), "rows": rows, "blocks": files}

    def is_complete(self) -> bool:
        """Return whether the tables are all there and agree with their checksums."""
        manifest = self._manifest()
        if manifest.faults or manifest.data["status"] not in (COMPLETE, FAILED):
            return False
        return not any(table_faults(self.folder, manifest.data))

    def save(self, tables: dict[str, Any], failures: Sequence[Failure]) -> None:
        """Store a run that was played in memory, in the blocks of the same run in a folder."""
        self.open()
        writer = replace(self.writer, play=functools.partial(from_memory, tables, failures))
        self.finish(execute(self, writer, Workers(), engine=self.engine, earlier=self.extended))


def from_memory(
    tables: dict[str, Any],
    failures: Sequence[Failure],
    plan: Plan,
    block: Block,
    options: Options,
) -> Played:
    """Return the rows of a block from whole tables, in place of playing it."""
    ids = [treatment.id for treatment in plan.treatments]
    rows = {name: rows_of(tables[name], block.spans, ids) for name in plan.tables}
    if options.sink:
        options.sink(rows[plan.traced])
    mine = [
        failure
        for failure in failures
        for number, first, last in block.spans
        if failure.treatment == number and first <= failure.replication < last
    ]
    kept = {name: table for name, table in rows.items() if name not in TRACES}
    return Played(kept, tuple(mine))


def measured(
    folder: Path, main: str, blocks: Sequence[StoredBlock], metric: str
) -> dict[int, NDArray[np.float64]]:
    """Return a column of the main table by treatment; NaN where a replication raised."""
    files = [folder / table_folder(main) / block.files[main] for block in blocks]
    columns = [pq.read_table(file, columns=[metric]).column(0).to_numpy() for file in files]
    spans = [span for block in blocks for span in block.label.spans]
    failures = [failure for block in blocks for failure in block.label.failures]
    return columns_by_treatment(spans, failures, np.concatenate([np.empty(0), *columns]))


def against_plan(manifest: dict[str, Any], plan: Plan) -> Iterator[tuple[str, str]]:
    """Yield the keys of a manifest that are not what its plan gives, and what to say of each."""
    due = json.loads(json.dumps(manifest_of(plan, RUNNING, "")))
    for key in ("hash", "name", "configuration", "profiles", "seed"):
        if manifest.get(key) != due[key]:
            yield key, f"{MANIFEST}: `{key}` is not what the plan gives"
    try:
        there = [(entry["id"], entry["settings"]) for entry in manifest["treatments"]]
    except (KeyError, TypeError):
        there = []
    if there != [(entry["id"], entry["settings"]) for entry in due["treatments"]]:
        yield "treatments", f"{MANIFEST}: `treatments` are not those of the plan"


def table_faults(folder: Path, manifest: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the tables of a finished run."""
    mine = played_hash(manifest["configuration"])
    for name, entry in manifest["files"].items():
        faults = [block_fault(folder, name, file, mine) for file in entry["blocks"]]
        for path in sorted((folder / table_folder(name)).glob("[!.]*")):
            if path.name not in entry["blocks"]:
                said = block_fault(folder, name, path.name, mine)
                faults.append(said or f"{table_folder(name)}/{path.name} is not in {MANIFEST}")
        found = [said for said in faults if said]
        yield from found or _miscounted(folder, name, manifest)


def _miscounted(folder: Path, name: str, manifest: dict[str, Any]) -> Iterator[str]:
    """Yield that a table is of other replications than the manifest says, if it is."""
    counts = Counter[int]()
    for file in manifest["files"][name]["blocks"]:
        label = BlockLabel.of(folder / table_folder(name) / file)
        for span in label.spans if label else ():
            counts[span.treatment] += span.size
    for failure in manifest["failures"]:
        counts[failure["treatment"]] -= 1
    if counts != Counter(dict(enumerate(t["replications"] for t in manifest["treatments"]))):
        yield f"{table_folder(name)} is of other replications than {MANIFEST} says"
