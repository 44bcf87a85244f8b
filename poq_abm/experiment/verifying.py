"""Whether a results folder still holds what was computed: checksums, rows, and replays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from poq_abm.errors import InputError
from poq_abm.experiment.files import recoded
from poq_abm.experiment.harvest import play_chunk
from poq_abm.experiment.manifest import read_manifest
from poq_abm.experiment.plan import Plan
from poq_abm.experiment.receipts import read_receipts
from poq_abm.experiment.recorder import SHARDS
from poq_abm.experiment.spans import Chunk, Coverage, Span
from poq_abm.experiment.store import COMPLETE, FAILED, shard_faults, table_faults
from poq_abm.experiment.tables import TRACES
from poq_abm.scenario import Scenario

__all__ = ["Standing", "plan_of", "standing_of", "verify"]


@dataclass(frozen=True)
class Standing:
    """How far the run in a folder has come."""

    manifest: dict[str, Any]
    played: dict[str, int]  #: replications stored, by treatment
    failures: list[dict[str, Any]]
    shards: int

    @property
    def status(self) -> str:
        """``running``, ``complete`` or ``failed``: finished, but for replications that raised."""
        return str(self.manifest["status"])


def standing_of(folder: Path) -> Standing:
    """Return how far the run in ``folder`` has come, whether or not it is going on."""
    manifest = read_manifest(folder)
    ids = [entry["id"] for entry in manifest["treatments"]]
    receipts, _ = read_receipts(folder / SHARDS)
    coverage = Coverage(span for receipt in receipts for span in receipt.played)
    if manifest["status"] in (COMPLETE, FAILED):
        played = {entry["id"]: entry["replications"] for entry in manifest["treatments"]}
        return Standing(manifest, played, manifest.get("failures", []), len(receipts))
    failures = [
        failure.as_data()
        for receipt in receipts
        for failure in receipt.failures
        if not coverage.overlaps(failure.span)
    ]
    played = {id_: coverage.count(number) for number, id_ in enumerate(ids)}
    return Standing(manifest, played, failures, len(receipts))


def plan_of(folder: Path) -> Plan:
    """Return the plan of the run in ``folder``.

    Raises
    ------
    InputError
        If its profile is not what it was, or cannot be found.
    """
    manifest = read_manifest(folder)
    configuration = manifest["configuration"]
    data = {**configuration["scenario"], "profile": manifest["profile"]}
    plan = Plan.of(Scenario.model_validate(data), trace=configuration["trace"])
    if plan.hash() != manifest["hash"]:
        raise InputError(
            f"{folder}: its scenario no longer gives the same configuration, so it cannot be "
            "replayed; a profile, a behaviour of your own or this package has changed"
        )
    return plan


def verify(
    folder: Path, replays: int, progress: Callable[[int], None] | None = None
) -> Iterator[str]:
    """Yield everything that is wrong with a finished run.

    Tables and shards are compared with their checksums, the tables' rows counted against the plan,
    and ``replays`` replications, drawn at random, played again and compared bit for bit.

    Raises
    ------
    InputError
        If the folder is not that of a finished run, or cannot be replayed.
    """
    manifest = read_manifest(folder)
    if manifest["status"] not in (COMPLETE, FAILED):
        raise InputError(f"{folder} holds an unfinished run; the same `poq run` finishes it")
    damaged = list(table_faults(folder, manifest))
    yield from damaged
    yield from shard_faults(folder, manifest)
    if damaged:
        return
    plan = plan_of(folder)
    yield from _miscounted(folder, plan)
    yield from _replayed(folder, plan, replays, progress)


def _miscounted(folder: Path, plan: Plan) -> Iterator[str]:
    """Yield the tables that lack rows or have too many."""
    manifest = read_manifest(folder)
    played = [entry["replications"] for entry in manifest["treatments"]]
    for name in plan.tables:
        due = sum(count * plan.rows(number)[name] for number, count in enumerate(played))
        rows = pq.ParquetFile(folder / f"{name}.parquet").metadata.num_rows
        if rows != due:
            yield f"{name}.parquet has {rows:,} rows, not {due:,}"


def _replayed(
    folder: Path, plan: Plan, replays: int, progress: Callable[[int], None] | None
) -> Iterator[str]:
    """Yield the replications, of a random sample, that come out otherwise than they are stored."""
    keys = pq.read_table(folder / f"{plan.main}.parquet", columns=["treatment", "replication"])
    numbers = {treatment.id: number for number, treatment in enumerate(plan.treatments)}
    # Not keyed: another verification shall look at other replications.
    chosen = np.random.default_rng().permutation(keys.num_rows)[:replays]
    for row in sorted(chosen.tolist()):
        id_, replication = (keys.column(column)[row].as_py() for column in range(2))
        span = Span(numbers[id_], replication, replication + 1)
        harvest = play_chunk(plan, Chunk((span,)), progress=progress)
        for name in [name for name in plan.tables if name not in (*TRACES, "trust")]:
            stored = _stored(folder, name, id_, replication)
            if not harvest.tables or not _same(stored, harvest.tables[name]):
                yield f"replication {replication} of {id_} is not what a replay gives ({name})"


def _stored(folder: Path, name: str, id_: str, replication: int) -> Any:
    wanted = [("treatment", "=", id_), ("replication", "=", replication)]
    return pq.read_table(folder / f"{name}.parquet", filters=wanted)


def _same(stored: Any, replayed: Any) -> bool:
    """Return whether two tables hold the same bits; missing values are equal to each other."""
    tables = [recoded(pa.table(t.columns, names=t.column_names)) for t in (stored, replayed)]
    frames = [table.to_pandas().astype({"treatment": str}) for table in tables]
    return bool(frames[0].equals(frames[1]))
