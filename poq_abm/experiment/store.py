"""The results folder: what is in it, when it is done, and how a run finishes what is missing.

A folder belongs to one configuration, whose hash stands in ``manifest.json`` and in every piece
beside it; a folder of another configuration is refused, and so is one that another run is working
on. Every chunk leaves its rows as a shard in ``shards/``, with a receipt that holds their
checksums; a shard counts only if its receipt is of this configuration and agrees with it. At the
end the shards are joined into ``nodes.parquet``,
``replications.parquet`` (and others, by what is played and asked for), whose
checksums go into the manifest. The shards stay (but for a trace's), so that a table or a shard that
is damaged later costs only its own replications; ``shards/`` may be deleted as a whole.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

import poq_abm
from poq_abm.errors import InputError
from poq_abm.experiment.files import (
    SCRAP,
    TableWriter,
    naming_the_folder,
    write_json,
    write_table,
)
from poq_abm.experiment.harvest import span_of
from poq_abm.experiment.joining import Piece, columns_by_treatment, in_order
from poq_abm.experiment.manifest import (
    MANIFEST,
    Entry,
    Inspected,
    differences,
    inspect_manifest,
    manifest_of,
)
from poq_abm.experiment.plan import Plan
from poq_abm.experiment.receipts import PieceLabel, Receipt, describe, fault_of, read_receipts
from poq_abm.experiment.recorder import SHARDS, Recorder
from poq_abm.experiment.schemas import SCHEMAS, TRACES
from poq_abm.experiment.sealing import sealed
from poq_abm.experiment.spans import Coverage, Span
from poq_abm.experiment.study import Engine, Failure

__all__ = ["COMPLETE", "FAILED", "LOCK", "Store", "against_plan", "shard_faults", "table_faults"]

LOCK = ".lock"
_ASIDE, _GONE = ".run-", ".gone-"  # folders of drafts: of one run, and of runs that are over
COMPLETE, FAILED, RUNNING = "complete", "failed", "running"
_DIFFERENCES_SHOWN = 12


class Store:
    """One results folder, opened for one plan.

    Life-cycle: :meth:`locked` keeps others out; :meth:`open` takes the folder or refuses it and
    reads its receipts; :meth:`record` adds those of new chunks; :meth:`finish` joins the shards.
    """

    def __init__(self, folder: Path, plan: Plan, engine: Engine = "compiled") -> None:
        self.folder = folder
        self.plan = plan
        self.engine: Engine = engine
        self.hash = plan.hash()
        self.receipts: dict[str, Receipt] = {}
        self.played = Coverage()
        self._tried = Coverage()
        self._intact: frozenset[str] = frozenset()
        self._raised: tuple[Failure, ...] = ()  # of results that come from memory
        self._shards = folder / SHARDS
        self._aside = self._shards / f"{_ASIDE}{uuid.uuid4().hex[:12]}"
        self._metadata = {"poq_abm": poq_abm.__version__, "scenario": plan.scenario.to_yaml()}

    @property
    def recorder(self) -> Recorder:
        """What workers are given to play and store chunks with."""
        return Recorder(
            self.folder.absolute(), self.engine, self.hash, self._metadata, self._aside.absolute()
        )

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
        for folder in (self.folder, self._shards):
            for path in folder.glob(f".*.[0-9]*{SCRAP}"):
                path.unlink()
        for path in self._shards.glob(f"{_ASIDE}*"):
            gone = path.with_name(f"{_GONE}{uuid.uuid4().hex[:12]}")
            path.rename(gone)  # at once, while a worker may still be writing into it
        for path in self._shards.glob(f"{_GONE}*"):
            shutil.rmtree(path, ignore_errors=True)

    def open(self) -> None:
        """Create the folder, or take up one that this configuration began; drop broken shards."""
        with naming_the_folder(self.folder):
            self._aside.mkdir(parents=True, exist_ok=True)
            manifest = self._manifest()
            self._intact = self._intact_tables(manifest)
            if manifest.faults:
                running = sealed(manifest_of(self.plan, RUNNING, self.engine))
                write_json(self.folder / MANIFEST, running)
            # The rounds of a finished trace are in its table alone.
            spared = self._intact & set(TRACES)
            receipts, broken = read_receipts(self._shards, self.hash)
            for path in broken:
                path.unlink()
            for receipt in receipts:
                if any(receipt.faults(self._shards, without=spared)) or not self._fits(receipt):
                    (self._shards / f"{receipt.name}.json").unlink()
                else:
                    self.record(receipt)
            self._drop_unclaimed()
            if not self.receipts and self._intact == set(self.plan.tables):
                self._count_tables()

    def _manifest(self) -> Inspected:
        """Return the manifest that is there, held against the plan; one without keys if none is."""
        found = self._inspected()
        return found._replace(faults={**found.faults, **dict(against_plan(found.data, self.plan))})

    def _inspected(self) -> Inspected:
        try:
            return inspect_manifest(self.folder)
        except InputError as error:
            return Inspected({}, {"": str(error)})

    def _intact_tables(self, manifest: Inspected) -> frozenset[str]:
        """Return the tables of a complete run that are as they were written."""
        sound = manifest.sound
        if sound.get("status") != COMPLETE or "files" not in sound:
            return frozenset()
        files = {name: Entry(**entry) for name, entry in sound["files"].items()}
        mine = PieceLabel(self.hash, ())
        return frozenset(n for n in files if not fault_of(self.folder, files[n], mine))

    def _count_tables(self) -> None:
        """Take note of what whole tables hold, where their shards were deleted."""
        label = PieceLabel.of(self.folder / f"{self.plan.main}.parquet")
        spans = label.spans if label else ()
        self.played.update(spans)
        self._tried.update(spans)

    def _drop_unclaimed(self) -> None:
        """Remove shards that no receipt vouches for."""
        claimed = {entry.file for r in self.receipts.values() for entry in r.files.values()}
        for path in self._shards.glob("t*r*-t*r*.*.parquet"):
            if path.name not in claimed:
                path.unlink()

    def _refuse_others(self) -> None:
        """Refuse a folder that holds something else than a run of this configuration."""
        if not self.folder.is_dir() or not self._holds_more_than_scraps():
            return
        manifest = self._inspected()
        if self.hash in manifest.hashes:
            return
        if manifest.faults and manifest.foreign_version is None:
            if self._pieces_are_mine():
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
        for path in self.folder.iterdir():
            if path.name == SHARDS and path.is_dir():
                if not all(p.name.startswith(".") for p in path.iterdir()):
                    return True
            elif path.name != LOCK and not path.name.startswith(f".{MANIFEST}."):
                return True
        return False

    def _pieces_are_mine(self) -> bool:
        """Return whether the tables, or failing these the shards, say that they are of this run."""
        labels = {PieceLabel.of(path) for path in self.folder.glob("*.parquet")}
        labels = labels or {PieceLabel.of(path) for path in self._shards.glob("*.parquet")}
        return self.hash in {label.configuration for label in labels if label} and not any(
            label is not None and label.configuration != self.hash for label in labels
        )

    def _fits(self, receipt: Receipt) -> bool:
        """Return whether a receipt is one of this plan, for replications nobody else stored."""
        most = self.plan.scenario.most_replications
        known = all(s.treatment < len(self.plan.treatments) for s in receipt.spans)
        known = known and all(span.last <= most for span in receipt.spans)
        mine = set(receipt.files) == set(self.plan.tables)
        return known and mine and not any(self.played.overlaps(s) for s in receipt.played)

    def record(self, receipt: Receipt) -> None:
        """Take note of a chunk that is stored."""
        self.receipts[receipt.name] = receipt
        self.played.update(receipt.played)
        self._tried.update(receipt.spans)

    @property
    def failures(self) -> list[Failure]:
        """The replications that raised and were not played again since, in their order."""
        latest = {span_of(f): f for receipt in self.receipts.values() for f in receipt.failures}
        latest.update((span_of(failure), failure) for failure in self._raised)
        return [latest[span] for span in sorted(latest) if not self.played.overlaps(span)]

    def missing(self, wanted: Iterable[Span], *, retry: bool = False) -> list[Span]:
        """Return what is not stored of the wanted spans; failed ones too where they are retried."""
        return list((self.played if retry else self._tried).lacking(wanted))

    def values(self, metric: str) -> dict[int, NDArray[np.float64]]:
        """Return a column of ``replications`` by treatment; NaN where a replication raised."""
        receipts = self.receipts.values()
        if not receipts:
            return columns_by_treatment(self._of_tables(metric))
        failed = [span_of(failure) for receipt in receipts for failure in receipt.failures]
        return columns_by_treatment(
            [
                (failed, np.full(len(failed), np.nan)),
                *((receipt.played, self._read(receipt, metric)) for receipt in receipts),
            ]
        )

    def _of_tables(self, metric: str) -> Iterator[tuple[list[Span], NDArray[np.float64]]]:
        """Yield a column of the whole main table with its replications, if those are counted."""
        if spans := self.played.spans():
            table = pq.read_table(self.folder / f"{self.plan.main}.parquet", columns=[metric])
            yield spans, table.column(0).to_numpy()

    def _read(self, receipt: Receipt, metric: str) -> NDArray[np.float64]:
        file = self._shards / receipt.files[self.plan.main].file
        values: NDArray[np.float64] = pq.read_table(file, columns=[metric]).column(0).to_numpy()
        return values

    def has_failures(self) -> bool:
        """Return whether the finished run in the folder has replications that raised."""
        return bool(self._manifest().sound.get("failures"))

    def finish(self, seconds: float, precision: list[dict[str, Any]] | None = None) -> None:
        """Join the shards into the tables and seal the folder."""
        with naming_the_folder(self.folder):
            for name in self.plan.tables:
                if name not in self._intact:
                    self._join(name)
            counts = [self.played.count(number) for number in range(len(self.plan.treatments))]
            self._seal(counts, seconds, precision)

    def _join(self, name: str) -> None:
        """Join one table; only one shard and one group of rows are in memory at a time."""
        receipts = list(self.receipts.values())
        for receipt in receipts:  # somebody else may have been at them since they were written
            if said := fault_of(self._shards, receipt.files[name], receipt.label):
                raise InputError(f"{self._shards}: {said}; the same `poq run` mends it")
        pieces = in_order([r.played for r in receipts], lambda t: self.plan.rows(t)[name])
        files = [self._shards / receipt.files[name].file for receipt in receipts]
        target = self.folder / f"{name}.parquet"
        if name in TRACES and len(files) == 1 and not self.failures:
            files[0].replace(target)
            return
        with TableWriter(target, SCHEMAS[name], self._labelled()) as writer:
            for table in _slices(pieces, files, whole=name not in TRACES):
                writer.write(table)

    def _labelled(self) -> dict[str, str]:
        """Return the metadata of a whole table."""
        return {**self._metadata, **PieceLabel(self.hash, tuple(self.played.spans())).metadata()}

    def write(
        self,
        tables: dict[str, Any],
        failures: Sequence[Failure] = (),
        precision: list[dict[str, Any]] | None = None,
    ) -> None:
        """Store whole tables and seal the folder."""
        self.played = Coverage(self._spans(tables[self.plan.main]))
        self._raised = tuple(failures)
        with naming_the_folder(self.folder):
            for name in self.plan.tables:
                write_table(self.folder / f"{name}.parquet", tables[name], self._labelled())
            counts = [self.played.count(number) for number in range(len(self.plan.treatments))]
            self._seal(counts, precision=precision)

    def _spans(self, main: Any) -> Iterator[Span]:
        """Yield the replications that the main table has a row of."""
        numbers = {treatment.id: number for number, treatment in enumerate(self.plan.treatments)}
        ids = main.column("treatment").cast("string").to_pylist()
        for id_, replication in zip(ids, main.column("replication").to_pylist(), strict=True):
            yield Span(numbers[id_], replication, replication + 1)

    def _seal(
        self,
        counts: list[int],
        seconds: float | None = None,
        precision: list[dict[str, Any]] | None = None,
    ) -> None:
        """Write the final manifest, which makes the run count as done."""
        failures = self.failures
        manifest = manifest_of(self.plan, FAILED if failures else COMPLETE, self.engine)
        manifest["seconds"] = seconds
        manifest["treatments"] = self._treatments(manifest["treatments"], counts)
        manifest["shards"] = sorted(self.receipts)
        manifest["failures"] = [failure.as_data() for failure in failures]
        if precision is not None:
            manifest["precision"] = precision
        manifest["files"] = {name: self._counted(name, counts) for name in self.plan.tables}
        write_json(self.folder / MANIFEST, sealed(manifest))
        if not failures:  # a retry joins the rounds anew
            self._drop_trace_shards()

    def _drop_trace_shards(self) -> None:
        for path in self._shards.glob(f"*.{self.plan.traced}.parquet"):
            path.unlink()

    def _counted(self, name: str, counts: list[int]) -> dict[str, Any]:
        """Return the entry of a table, after counting its rows against the plan."""
        entry = describe(self.folder / f"{name}.parquet")
        due = sum(count * self.plan.rows(number)[name] for number, count in enumerate(counts))
        if name not in self.plan.uncounted and entry.rows != due:
            raise RuntimeError(f"{entry.file} has {entry.rows} rows, not {due}")
        return entry.model_dump()

    def _treatments(self, entries: list[dict[str, Any]], counts: list[int]) -> list[dict[str, Any]]:
        """Return the manifest's treatments with what was played of each, and in what time."""
        seconds = np.zeros(len(entries))
        for receipt in self.receipts.values():
            for span, spent in zip(receipt.spans, receipt.seconds, strict=True):
                seconds[span.treatment] += spent
        failed = {failure.treatment for failure in self.failures}
        return [
            {
                **entry,
                "replications": counts[number],
                "status": FAILED if number in failed else COMPLETE,
                "seconds": round(float(seconds[number]), 3) if self.receipts else None,
            }
            for number, entry in enumerate(entries)
        ]

    def is_complete(self) -> bool:
        """Return whether tables and shards are all there and agree with their checksums."""
        manifest = self._manifest()
        if manifest.faults or manifest.data["status"] not in (COMPLETE, FAILED):
            return False
        if any(any(faults(self.folder, manifest.data)) for faults in (table_faults, shard_faults)):
            return False
        if manifest.data["status"] == COMPLETE:  # a kill may have come before
            self._drop_trace_shards()
        return True


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
    for entry in manifest["files"].values():
        if said := fault_of(folder, Entry(**entry), PieceLabel(manifest["hash"], ())):
            yield said
            continue
        label = PieceLabel.of(folder / entry["file"])
        there = Counter[int]()
        for treatment, first, last in label.spans if label else ():
            there[treatment] += last - first
        if there != Counter(dict(enumerate(t["replications"] for t in manifest["treatments"]))):
            yield f"{entry['file']} is of other replications than {MANIFEST} says"


def shard_faults(folder: Path, manifest: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the shards of a finished run; that all of them are gone is fine."""
    receipts, broken = read_receipts(folder / SHARDS, manifest["hash"])
    for path, said in broken.items():
        yield f"{SHARDS}/{path.name} {said}"
    there = {receipt.name for receipt in receipts} | {path.stem for path in broken}
    for name in manifest["shards"] if any((folder / SHARDS).glob("[!.]*")) else []:
        if name not in there:
            yield f"{SHARDS}/{name}.json is missing"
    for receipt in receipts:
        for said in receipt.faults(folder / SHARDS, without=frozenset(TRACES)):
            yield f"{SHARDS}/{said}"


def _slices(pieces: Iterable[Piece], files: list[Path], *, whole: bool) -> Iterator[Any]:
    """Yield the rows of the pieces; a file that is not read ``whole`` is one piece by itself."""
    at, table = -1, None
    for chunk, first, rows in pieces:
        if not whole:
            yield from _groups(files[chunk])
            continue
        if chunk != at or table is None:
            at, table = chunk, pq.read_table(files[chunk])
        yield table.slice(first, rows)


def _groups(path: Path) -> Iterator[Any]:
    file = pq.ParquetFile(path)
    for group in range(file.num_row_groups):
        yield file.read_row_group(group)
