"""Whether a results folder still holds what was computed: checksums, rows, and replays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from poq_abm.errors import InputError
from poq_abm.experiment.files import recoded
from poq_abm.experiment.harvest import play_chunk, span_of
from poq_abm.experiment.joining import columns_by_treatment
from poq_abm.experiment.manifest import Inspected, inspect_manifest, read_manifest
from poq_abm.experiment.plan import Plan
from poq_abm.experiment.receipts import PieceLabel, read_receipts
from poq_abm.experiment.recorder import SHARDS
from poq_abm.experiment.schemas import TRACES
from poq_abm.experiment.spans import Chunk, Coverage, Span
from poq_abm.experiment.stages import target_of, wanted
from poq_abm.experiment.store import COMPLETE, FAILED, against_plan, shard_faults, table_faults
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
    receipts, _ = read_receipts(folder / SHARDS, manifest["hash"])
    receipts = [r for r in receipts if all(span.treatment < len(ids) for span in r.spans)]
    coverage = Coverage(span for receipt in receipts for span in receipt.played)
    if manifest["status"] in (COMPLETE, FAILED):
        played = {entry["id"]: entry["replications"] for entry in manifest["treatments"]}
        return Standing(manifest, played, manifest.get("failures", []), len(receipts))
    failures = [
        failure.as_data()
        for receipt in receipts
        for failure in receipt.failures
        if not coverage.overlaps(span_of(failure))
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

    The manifest is held against itself and against the plan, tables and shards against their
    checksums and what they must be of, the tables' rows counted against the plan, and ``replays``
    replications, drawn at random, played again and compared bit for bit.

    Raises
    ------
    InputError
        If the folder is not that of a finished run, or cannot be replayed.
    """
    inspected = inspect_manifest(folder)
    if inspected.faults and inspected.foreign_version is None and _is_ours(inspected):
        yield from inspected.faults.values()
        return
    manifest = read_manifest(folder)
    if manifest["status"] not in (COMPLETE, FAILED):
        raise InputError(f"{folder} holds an unfinished run; the same `poq run` finishes it")
    damaged = list(table_faults(folder, manifest))
    yield from damaged
    yield from shard_faults(folder, manifest)
    if damaged:
        return
    plan = plan_of(folder)
    yield from dict(against_plan(manifest, plan)).values()
    yield from _miscounted(folder, manifest, plan)
    yield from _replayed(folder, plan, replays, progress)


def _is_ours(inspected: Inspected) -> bool:
    """Return whether a faulty manifest was one of a run, and not some other program's."""
    return not inspected.data or bool({"hash", "configuration"} & set(inspected.data))


def _miscounted(folder: Path, manifest: dict[str, Any], plan: Plan) -> Iterator[str]:
    """Yield what is missing of the replications that the plan wants, and of their rows."""
    main = folder / f"{plan.main}.parquet"
    label = PieceLabel.of(main)
    played = Coverage(label.spans if label else ())
    raised = [
        Span(f["treatment"], f["replication"], f["replication"] + 1) for f in manifest["failures"]
    ]
    tried = Coverage([*played.spans(), *raised])
    for span in tried.lacking(wanted(plan, _measured(main, plan, played, raised))):
        id_ = plan.treatments[span.treatment].id
        yield f"replications {span.first} to {span.last - 1} of {id_} are missing"
    for name in [name for name in plan.tables if name not in plan.uncounted]:
        counts = enumerate(t["replications"] for t in manifest["treatments"])
        due = sum(count * plan.rows(number)[name] for number, count in counts)
        rows = pq.ParquetFile(folder / f"{name}.parquet").metadata.num_rows
        if rows != due:
            yield f"{name}.parquet has {rows:,} rows, not {due:,}"


def _measured(
    main: Path, plan: Plan, played: Coverage, raised: list[Span]
) -> dict[int, NDArray[np.float64]]:
    """Return by treatment what a precision target looks at; nothing where there is none."""
    target = target_of(plan)
    if target is None:
        return {}
    values = pq.read_table(main, columns=[target.metric]).column(0).to_numpy()
    return columns_by_treatment([(raised, np.full(len(raised), np.nan)), (played.spans(), values)])


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
