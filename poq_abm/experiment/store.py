"""The results folder: what is in it, when it is done, and how a run finishes what is missing.

A folder belongs to one configuration, whose hash stands in ``manifest.json``; a folder of another
configuration is refused, and so is one that another run is working on. Every chunk leaves its rows
as a shard in ``shards/``, with a receipt that holds their checksums; a shard counts only if its
receipt agrees with it. At the end the shards are joined into ``nodes.parquet``,
``replications.parquet`` (and others, by what is played and asked for), whose
checksums go into the manifest. The shards stay (but for a trace's), so that a table or a shard that
is damaged later costs only its own replications; ``shards/`` may be deleted as a whole.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

import poq_abm
from poq_abm.errors import InputError
from poq_abm.experiment.files import TableWriter, naming_the_folder, write_json, write_table
from poq_abm.experiment.harvest import Failure
from poq_abm.experiment.joining import Piece, columns_by_treatment, in_order
from poq_abm.experiment.manifest import MANIFEST, differences, manifest_of, read_manifest
from poq_abm.experiment.plan import Plan
from poq_abm.experiment.playing import Engine
from poq_abm.experiment.receipts import Entry, Receipt, describe, fault_of, read_receipts
from poq_abm.experiment.recorder import SHARDS, Recorder
from poq_abm.experiment.spans import Coverage, Span
from poq_abm.experiment.tables import SCHEMAS, TRACES

__all__ = ["COMPLETE", "FAILED", "LOCK", "Store", "table_faults"]

LOCK = ".lock"
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
        self._shards = folder / SHARDS
        self._metadata = {"poq_abm": poq_abm.__version__, "scenario": plan.scenario.to_yaml()}

    @property
    def recorder(self) -> Recorder:
        """What workers are given to play and store chunks with."""
        return Recorder(self.folder.absolute(), self.engine, self._metadata)

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
            yield
        finally:
            lock.release()

    def open(self) -> None:
        """Create the folder, or take up one that this configuration began; drop broken shards."""
        with naming_the_folder(self.folder):
            self._shards.mkdir(exist_ok=True)
            if not (self.folder / MANIFEST).exists():
                write_json(self.folder / MANIFEST, manifest_of(self.plan, RUNNING, self.engine))
            self._intact = self._intact_tables()
            # The rounds of a finished trace are in its table alone.
            spared = self._intact & set(TRACES)
            receipts, broken = read_receipts(self._shards)
            for path in broken:
                path.unlink()
            for receipt in receipts:
                if any(receipt.faults(self._shards, without=spared)) or not self._fits(receipt):
                    (self._shards / f"{receipt.name}.json").unlink()
                else:
                    self.record(receipt)

    def _intact_tables(self) -> frozenset[str]:
        """Return the tables of a complete run that are as they were written."""
        manifest = read_manifest(self.folder)
        if manifest.get("status") != COMPLETE:
            return frozenset()
        files = {name: Entry(**entry) for name, entry in manifest["files"].items()}
        return frozenset(name for name in files if not fault_of(self.folder, files[name]))

    def _refuse_others(self) -> None:
        """Refuse a folder that holds something else than a run of this configuration."""
        if not self.folder.is_dir() or not any(p.name != LOCK for p in self.folder.iterdir()):
            return
        manifest = read_manifest(self.folder)
        if manifest["hash"] == self.hash:
            return
        lines = differences(manifest.get("configuration", {}), self.plan.configuration())
        shown = "".join(f"\n  {line}" for line in lines[:_DIFFERENCES_SHOWN])
        more = len(lines) - _DIFFERENCES_SHOWN
        rest = f"\n  and {more} more" if more > 0 else ""
        raise InputError(
            f"{self.folder} holds the results of another configuration; name another folder with "
            f"--out. It differs in{shown}{rest}"
        )

    def _fits(self, receipt: Receipt) -> bool:
        """Return whether a receipt is one of this plan, for replications nobody else stored."""
        known = all(span.treatment < len(self.plan.treatments) for span in receipt.spans)
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
        latest = {f.span: f for receipt in self.receipts.values() for f in receipt.failures}
        return [latest[span] for span in sorted(latest) if not self.played.overlaps(span)]

    def missing(self, wanted: Iterable[Span], *, retry: bool = False) -> list[Span]:
        """Return what is not stored of the wanted spans; failed ones too where they are retried."""
        return list((self.played if retry else self._tried).lacking(wanted))

    def values(self, metric: str) -> dict[int, NDArray[np.float64]]:
        """Return a column of ``replications`` by treatment; NaN where a replication raised."""
        receipts = self.receipts.values()
        failed = [failure.span for receipt in receipts for failure in receipt.failures]
        return columns_by_treatment(
            [
                (failed, np.full(len(failed), np.nan)),
                *((receipt.played, self._read(receipt, metric)) for receipt in receipts),
            ]
        )

    def _read(self, receipt: Receipt, metric: str) -> NDArray[np.float64]:
        file = self._shards / receipt.files[self.plan.main].file
        values: NDArray[np.float64] = pq.read_table(file, columns=[metric]).column(0).to_numpy()
        return values

    def has_failures(self) -> bool:
        """Return whether the finished run in the folder has replications that raised."""
        return bool(read_manifest(self.folder).get("failures"))

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
        pieces = in_order([r.played for r in receipts], lambda t: self.plan.rows(t)[name])
        files = [self._shards / receipt.files[name].file for receipt in receipts]
        target = self.folder / f"{name}.parquet"
        if name in TRACES and len(files) == 1 and not self.failures:
            files[0].replace(target)
            return
        with TableWriter(target, SCHEMAS[name], self._metadata) as writer:
            for table in _slices(pieces, files, whole=name not in TRACES):
                writer.write(table)

    def write(self, tables: dict[str, Any]) -> None:
        """Store whole tables and seal the folder."""
        with naming_the_folder(self.folder):
            for name in self.plan.tables:
                write_table(self.folder / f"{name}.parquet", tables[name], self._metadata)
            ids = tables[self.plan.main].column("treatment").cast("string")
            counts = Counter(ids.to_pylist())
            self._seal([counts[treatment.id] for treatment in self.plan.treatments])

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
        write_json(self.folder / MANIFEST, manifest)
        if not failures:  # a retry joins the rounds anew
            for path in self._shards.glob(f"*.{self.plan.traced}.parquet"):
                path.unlink()

    def _counted(self, name: str, counts: list[int]) -> dict[str, Any]:
        """Return the entry of a table, after counting its rows against the plan."""
        entry = describe(self.folder / f"{name}.parquet")
        due = sum(count * self.plan.rows(number)[name] for number, count in enumerate(counts))
        if entry.rows != due:
            raise RuntimeError(f"{entry.file} has {entry.rows} rows, not {due}")
        return entry._asdict()

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
        if not (self.folder / MANIFEST).is_file():
            return False
        manifest = read_manifest(self.folder)
        if manifest["hash"] != self.hash or manifest.get("status") not in (COMPLETE, FAILED):
            return False
        return not any(
            any(faults(self.folder, manifest)) for faults in (table_faults, shard_faults)
        )


def table_faults(folder: Path, manifest: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the tables of a finished run."""
    for entry in manifest.get("files", {}).values():
        if said := fault_of(folder, Entry(**entry)):
            yield said


def shard_faults(folder: Path, manifest: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the shards of a finished run; that all of them are gone is fine."""
    receipts, broken = read_receipts(folder / SHARDS)
    for path in broken:
        yield f"{SHARDS}/{path.name} is no receipt"
    there = {receipt.name for receipt in receipts} | {path.stem for path in broken}
    for name in manifest.get("shards", []) if any((folder / SHARDS).glob("*")) else []:
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
