"""Whether a results folder still holds what was computed: checksums, rows, and replays."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from poq_abm.errors import InputError
from poq_abm.experiment.block_files import read_blocks, table_folder
from poq_abm.experiment.blocks import Block, Span
from poq_abm.experiment.execute import play_block
from poq_abm.experiment.files import recoded
from poq_abm.experiment.manifest import (
    COMPLETE,
    FAILED,
    Inspected,
    inspect_manifest,
    read_manifest,
)
from poq_abm.experiment.plan import Plan, played_hash
from poq_abm.experiment.results import Results, read_results
from poq_abm.experiment.schemas import SCHEMAS, TRACES
from poq_abm.experiment.stopping import final_counts
from poq_abm.experiment.store import against_plan, measured, table_faults
from poq_abm.experiment.study import Options
from poq_abm.scenario import Scenario

__all__ = ["RunStatus", "plan_of", "status_of", "verify"]


@dataclass(frozen=True)
class RunStatus:
    """How far the run in a folder has come."""

    manifest: dict[str, Any]
    played: dict[str, int]  #: replications stored, by treatment
    failures: list[dict[str, Any]]
    blocks: int

    @property
    def status(self) -> str:
        """``running``, ``complete`` or ``failed``: finished, but for replications that raised."""
        return str(self.manifest["status"])


def status_of(folder: Path) -> RunStatus:
    """Return how far the run in ``folder`` has come, whether or not it is going on."""
    manifest = read_manifest(folder)
    tables = [name for name in SCHEMAS if (folder / table_folder(name)).is_dir()]
    hash_ = played_hash(manifest["configuration"])
    blocks, _ = read_blocks(folder, tables, hash_, checked=False)
    if manifest["status"] in (COMPLETE, FAILED):
        played = {entry["id"]: entry["replications"] for entry in manifest["treatments"]}
        return RunStatus(manifest, played, manifest["failures"], len(blocks))
    counts = [0] * len(manifest["treatments"])
    for block in blocks:
        for span in block.label.spans:
            counts[span.treatment] += span.size
        for failure in block.label.failures:
            counts[failure.treatment] -= 1
    failures = [failure.as_data() for block in blocks for failure in block.label.failures]
    ids = [entry["id"] for entry in manifest["treatments"]]
    return RunStatus(manifest, dict(zip(ids, counts, strict=True)), failures, len(blocks))


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

    The manifest is held against itself and against the plan, blocks against their checksums and
    what they must be of, rows counted against the plan, and ``replays`` replications, drawn at
    random, played again and compared bit for bit.

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
    blocks, _ = read_blocks(folder, plan.tables, plan.played_hash(), checked=False)
    there = _keys(read_results(folder), plan)
    tried = there | {(f["treatment"], f["replication"]) for f in manifest["failures"]}
    values = measured(folder, plan.main, blocks, plan.target.metric) if plan.target else {}
    for number, count in enumerate(final_counts(plan, values)):
        lost = [r for r in range(count) if (number, r) not in tried]
        for first, last in _runs(lost):
            id_ = plan.treatments[number].id
            yield f"replications {first} to {last} of {id_} are missing"
    for name in [name for name in plan.tables if name not in plan.uncounted]:
        due = sum(plan.rows(number)[name] for number, _ in there)
        rows = manifest["files"][name]["rows"]
        if rows != due:
            yield f"{table_folder(name)} has {rows:,} rows, not {due:,}"


def _keys(results: Results, plan: Plan) -> set[tuple[int, int]]:
    """Return the treatments and replications that the main table has rows of."""
    numbers = {treatment.id: number for number, treatment in enumerate(plan.treatments)}
    main = results.main
    treatments = (numbers[str(id_)] for id_ in main["treatment"])
    return set(zip(treatments, main["replication"].tolist(), strict=True))


def _runs(numbers: list[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and last of consecutive numbers.

    >>> list(_runs([2, 3, 4, 7]))
    [(2, 4), (7, 7)]
    """
    for _, group in itertools.groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        run = [number for _, number in group]
        yield run[0], run[-1]


def _replayed(
    folder: Path, plan: Plan, replays: int, progress: Callable[[int], None] | None
) -> Iterator[str]:
    """Yield the replications, of a random sample, that come out otherwise than they are stored."""
    keys = sorted(_keys(read_results(folder), plan))
    blocks, _ = read_blocks(folder, plan.tables, plan.played_hash(), checked=False)
    held = {
        (span.treatment, replication): one.files
        for one in blocks
        for span in one.label.spans
        for replication in range(span.first, span.last)
    }
    # Not keyed: another verification shall look at other replications.
    chosen = np.random.default_rng().permutation(len(keys))[:replays]
    for row in sorted(chosen.tolist()):
        number, replication = keys[row]
        id_ = plan.treatments[number].id
        block = Block((Span(number, replication, replication + 1),))
        played = play_block(plan, block, Options(progress=progress))
        for name in [name for name in plan.tables if name not in (*TRACES, "trust")]:
            path = folder / table_folder(name) / held[keys[row]][name]
            stored = _stored(path, id_, replication)
            if played.failures or not _same(stored, played.tables[name]):
                yield f"replication {replication} of {id_} is not what a replay gives ({name})"


def _stored(path: Path, id_: str, replication: int) -> Any:
    wanted = [("treatment", "=", id_), ("replication", "=", replication)]
    return pq.read_table(path, filters=wanted)


def _same(stored: Any, replayed: Any) -> bool:
    """Return whether two tables hold the same bits; missing values are equal to each other.

    Columns that are younger than what is stored have nothing to be compared with.
    """
    replayed = replayed.select([n for n in replayed.column_names if n in stored.column_names])
    tables = [recoded(pa.table(t.columns, names=t.column_names)) for t in (stored, replayed)]
    frames = [table.to_pandas().astype({"treatment": str}) for table in tables]
    return bool(frames[0].equals(frames[1]))
