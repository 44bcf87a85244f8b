"""The results folder: what is in it, when it is done, and how a run finishes what is missing.

A folder belongs to one configuration, whose hash stands in ``manifest.json``; a folder of another
configuration is refused. While a run is going on, every job leaves its rows in ``parts/`` together
with a receipt that holds their checksums. A part counts only if its receipt is there and agrees
with it. At the end the parts are joined into ``nodes.parquet``, ``replications.parquet`` and, with
a trace, ``rounds.parquet``, whose checksums go into the manifest, and the status becomes
``complete``.
"""

from __future__ import annotations

import json
import platform
import shutil
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import poq_abm
from poq_abm.errors import InputError
from poq_abm.experiment.files import (
    TableWriter,
    checksum,
    naming_the_folder,
    write_json,
    write_table,
)
from poq_abm.experiment.plan import Job, Plan
from poq_abm.experiment.playing import Engine
from poq_abm.experiment.runner import Progress, play_job
from poq_abm.experiment.streaming import BackgroundWriter
from poq_abm.experiment.tables import NODES, REPLICATIONS, ROUNDS, TRUST
from poq_abm.network.game import Game

__all__ = ["MANIFEST", "Store", "read_manifest"]

MANIFEST = "manifest.json"
SCHEMAS = {"nodes": NODES, "replications": REPLICATIONS, "trust": TRUST, "rounds": ROUNDS}
_LIBRARIES = ("mesa", "numpy", "numba", "pandas", "pyarrow", "scipy", "joblib", "pydantic")


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a results folder.

    Raises
    ------
    InputError
        If the folder has no readable manifest.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{folder} is not a results folder: it has no {MANIFEST}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    if not isinstance(manifest, dict) or "hash" not in manifest:
        raise InputError(f"{path} is not the manifest of a run")
    return manifest


class Store:
    """One results folder, opened for one plan.

    Life-cycle: :meth:`open` takes the folder or refuses it; :meth:`missing` says what is left to
    play; :meth:`play` plays and stores a job; :meth:`finish` joins the parts.
    """

    def __init__(self, folder: Path, plan: Plan, engine: Engine = "compiled") -> None:
        self.folder = folder
        self.plan = plan
        self.engine: Engine = engine
        self.hash = plan.hash()
        self._scenario = plan.scenario.to_yaml()
        self._parts = folder / "parts"

    @property
    def tables(self) -> list[str]:
        """Names of the tables this run stores."""
        kept = {"rounds": self.plan.trace, "trust": self.plan.logs_trust}
        return [name for name in SCHEMAS if kept.get(name, True)]

    def open(self) -> None:
        """Create the folder, or take up one that this configuration began.

        Raises
        ------
        InputError
            If the folder holds something else, or cannot be written.
        """
        with naming_the_folder(self.folder):
            if self.folder.is_dir() and any(self.folder.iterdir()):
                self._must_be_ours()
            self._parts.mkdir(parents=True, exist_ok=True)
            if not (self.folder / MANIFEST).exists():
                write_json(self.folder / MANIFEST, self._manifest("running"))

    def _must_be_ours(self) -> None:
        found = read_manifest(self.folder)["hash"]
        if found != self.hash:
            raise InputError(
                f"{self.folder} holds the results of another configuration "
                f"({found[:10]}, not {self.hash[:10]}); name another folder with --out"
            )

    def is_complete(self) -> bool:
        """Return whether every table is there and agrees with its checksum in the manifest."""
        if not (self.folder / MANIFEST).is_file():
            return False
        manifest = read_manifest(self.folder)
        if manifest["hash"] != self.hash or manifest.get("status") != "complete":
            return False
        return all(_agrees(self.folder, manifest["files"].get(name)) for name in self.tables)

    def missing(self) -> list[Job]:
        """Return the jobs without a valid part."""
        return [job for job in self.plan.jobs() if not self._has(job)]

    def _has(self, job: Job) -> bool:
        try:
            receipt = json.loads(self._receipt(job).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return all(_agrees(self._parts, receipt.get(name)) for name in self.tables)

    def _receipt(self, job: Job) -> Path:
        return self._parts / f"{job.number:06}.json"

    def play(self, plan: Plan, job: Job, game: Game, progress: Progress | None) -> int:
        """Play a job and store its rows; return the job's number."""
        with naming_the_folder(self.folder):
            paths = {name: self._parts / f"{job.number:06}.{name}.parquet" for name in self.tables}
            if plan.trace:
                with (
                    TableWriter(paths["rounds"], ROUNDS, self._metadata()) as writer,
                    BackgroundWriter(writer) as sink,
                ):
                    tables = play_job(plan, job, game, self.engine, sink.write, progress)
            else:
                tables = play_job(plan, job, game, self.engine, None, progress)
            for name, table in tables.items():
                write_table(paths[name], table, self._metadata(), flush=False)
            receipt = {name: _entry(path) for name, path in paths.items()}
            write_json(self._receipt(job), receipt, flush=False)
        return job.number

    def finish(self, seconds: float) -> None:
        """Join the parts into the tables and seal the folder."""
        with naming_the_folder(self.folder):
            jobs = list(self.plan.jobs())
            for name in self.tables:
                parts = [self._parts / f"{job.number:06}.{name}.parquet" for job in jobs]
                _join(parts, self._table(name), SCHEMAS[name], self._metadata())
            self._seal(seconds)

    def write(self, tables: dict[str, Any]) -> None:
        """Store whole tables and seal the folder."""
        with naming_the_folder(self.folder):
            for name in self.tables:
                write_table(self._table(name), tables[name], self._metadata())
            self._seal(None)

    def _table(self, name: str) -> Path:
        return self.folder / f"{name}.parquet"

    def _seal(self, seconds: float | None) -> None:
        """Write the final manifest, which makes the run count as done, and remove the parts."""
        manifest = self._manifest("complete")
        manifest["seconds"] = seconds
        manifest["files"] = {name: _entry(self._table(name)) for name in self.tables}
        write_json(self.folder / MANIFEST, manifest)
        shutil.rmtree(self._parts)

    def _metadata(self) -> dict[str, str]:
        return {"poq_abm": poq_abm.__version__, "scenario": self._scenario}

    def _manifest(self, status: str) -> dict[str, Any]:
        scenario = self.plan.scenario
        return {
            "status": status,
            "hash": self.hash,
            "name": scenario.name,
            "question": scenario.question,
            "written": datetime.now(UTC).isoformat(timespec="seconds"),
            "configuration": self.plan.configuration(),
            "treatments": [
                {"id": treatment.id, "settings": treatment.settings}
                for treatment in self.plan.treatments
            ],
            "profiles": {
                profile.name: profile.content_hash for profile in self.plan.profiles.values()
            },
            "seed": scenario.seed,
            "engine": self.engine,
            "versions": {
                "poq_abm": poq_abm.__version__,
                "python": platform.python_version(),
                "platform": platform.platform(),
                **{library: version(library) for library in _LIBRARIES},
            },
        }


def _entry(path: Path) -> dict[str, Any]:
    rows = pq.ParquetFile(path).metadata.num_rows
    return {"file": path.name, "sha256": checksum(path), "rows": rows}


def _agrees(folder: Path, entry: Any) -> bool:
    if not isinstance(entry, dict):
        return False
    path = folder / str(entry.get("file"))
    return path.is_file() and checksum(path) == entry.get("sha256")


def _join(parts: list[Path], target: Path, schema: Any, metadata: dict[str, str]) -> None:
    """Join the parts of a table row group by row group, so that memory stays flat."""
    if len(parts) == 1:
        parts[0].replace(target)
        return
    with TableWriter(target, schema, metadata) as writer:
        if schema is ROUNDS:
            for part in parts:
                file = pq.ParquetFile(part)
                for group in range(file.num_row_groups):
                    writer.write(file.read_row_group(group))
        else:
            tables = [pq.read_table(part) for part in parts]
            writer.write(pa.concat_tables(tables).unify_dictionaries())
