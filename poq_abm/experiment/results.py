"""The results of a run, as DataFrames: in memory or read from a folder."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from poq_abm.errors import InputError, nearest
from poq_abm.experiment.block_files import (
    BlockLabel,
    block_fault,
    read_blocks,
    table_folder,
)
from poq_abm.experiment.blocks import Span
from poq_abm.experiment.calibration_error import rewards_by_replication, widen
from poq_abm.experiment.estimates import CONFIDENCE, SUMMARISED, summarise
from poq_abm.experiment.execute import in_order
from poq_abm.experiment.files import recoded
from poq_abm.experiment.labels import attributes, dataset, told
from poq_abm.experiment.manifest import COMPLETE, FAILED, read_manifest
from poq_abm.experiment.plan import Plan, played_hash
from poq_abm.experiment.schemas import (
    RESAMPLED,
    SCHEMAS,
    TRACES,
    ranges_of,
)
from poq_abm.experiment.store import Store
from poq_abm.experiment.study import Failure

if TYPE_CHECKING:
    import xarray

    from poq_abm.experiment.paired import SideTables

__all__ = ["Results", "read_results", "treatment_frame"]

_KEYS = ("treatment", "replication")
MOST_SHOWN = 6  #: treatments that a notebook shows of a sweep
ROWS_PER_BATCH = 2**19  #: of a table that is read piece by piece; some tens of megabytes


@dataclass
class Results:
    """The tables of a run; ``poq_abm.experiment.schemas`` describes their columns.

    ``attrs`` of a DataFrame bear the name of the scenario and the units of its columns. A notebook
    shows results by themselves: estimates with their intervals.

    Attributes
    ----------
    scenario
        The resolved scenario, as plain data.
    treatments
        One row per treatment: its id and one column per swept field.
    tables
        The Arrow tables by name, or functions that read them.
    failures
        The replications that raised, each with its treatment, number, seed and traceback.
    precision
        The precision reached by every treatment, where the scenario asks for one.
    fewest_records
        The fewest records of a task in play, where replications were played on resampled profiles
        too.
    """

    scenario: dict[str, Any]
    treatments: pd.DataFrame
    tables: dict[str, Any] = field(repr=False)
    plan: Plan | None = field(default=None, repr=False)
    failures: list[dict[str, Any]] = field(default_factory=list, repr=False)
    precision: pd.DataFrame | None = field(default=None, repr=False)
    fewest_records: int | None = field(default=None, repr=False)

    @property
    def nodes(self) -> pd.DataFrame:
        """One row per treatment x replication x node."""
        self._needs_rounds()
        return self._frame("nodes")

    @property
    def replications(self) -> pd.DataFrame:
        """One row per treatment x replication."""
        self._needs_rounds()
        return self._frame("replications")

    @property
    def rounds(self) -> pd.DataFrame:
        """One row per round; only where a trace was asked for."""
        if "rounds" not in self.tables:
            raise InputError("these results have no trace; run again with trace=True (--trace)")
        return self._frame("rounds")

    @property
    def trust(self) -> pd.DataFrame:
        """Trust trajectories; only where ``mechanism.trust.interval`` asks for them."""
        if "trust" not in self.tables:
            raise InputError("these results have no trust log; set mechanism.trust.interval")
        return self._frame("trust")

    def _needs_rounds(self) -> None:
        if "queries" in self.tables:
            raise InputError(
                "these results are of verification protocols: they have queries, and no rounds or "
                "rewards of nodes; see `poq analyse queries` and `poq compare --in`"
            )

    @property
    def queries(self) -> pd.DataFrame:
        """One row per treatment x replication of verification protocols."""
        if "queries" not in self.tables:
            raise InputError("these results are of rounds; give the scenario a verification")
        return self._frame("queries")

    @property
    def main(self) -> pd.DataFrame:
        """The table of one row per treatment x replication: replications, or queries."""
        return self._frame("queries" if "queries" in self.tables else "replications")

    @property
    def epochs(self) -> pd.DataFrame:
        """One row per epoch and group, and one for the network; only of economies."""
        return self._of_economies("epochs")

    @property
    def accounts(self) -> pd.DataFrame:
        """What every node earned, paid and holds, over all epochs; only of economies."""
        return self._of_economies("accounts")

    def _of_economies(self, name: str) -> pd.DataFrame:
        if name not in self.tables:
            raise InputError("these results are of no economy; give the scenario an economy")
        return self._frame(name)

    def _frame(self, name: str, columns: list[str] | None = None) -> pd.DataFrame:
        table = self.tables[name]
        table = table(columns) if callable(table) else table
        table = table.select(columns) if columns else table
        table = table.unify_dictionaries() if name in TRACES else recoded(table)
        return self._labelled(table.to_pandas(), name)

    def _labelled(self, frame: pd.DataFrame, table: str = "") -> pd.DataFrame:
        frame.attrs |= attributes(str(self.scenario.get("name", "")), frame.columns, table)
        return frame

    def _repr_html_(self) -> str:
        """Return what a notebook shows: what was played, and estimates with their intervals."""
        shown = [str(name) for name in self.treatments["treatment"][:MOST_SHOWN]]
        found = self.overview(treatments=shown if len(shown) < len(self.treatments) else None)
        named = {"treatment": ""} if len(self.treatments) > 1 else {}
        rows = [
            {**{key: str(row[key]) for key in named}, **told(row)}
            for row in found.to_dict("records")
        ]
        left_out = len(self.treatments) - len(shown)
        more = f"<p>{left_out:,} more treatments: <code>Results.overview()</code></p>"
        return "".join(
            [
                f"<p><b>{escape(str(self.scenario.get('name', 'results')))}</b>: ",
                f"{len(self.treatments):,} treatment{'s' * (len(self.treatments) > 1)}; ",
                f"tables {', '.join(map(escape, self.tables))}</p>",
                pd.DataFrame(rows).to_html(index=False, border=0, na_rep="-"),
                more if left_out else "",
            ]
        )

    def overview(
        self, confidence: float = CONFIDENCE, treatments: Collection[str] | None = None
    ) -> pd.DataFrame:
        """Return the summary of what was played: of queries, of an economy, or of rewards."""
        if "queries" in self.tables:
            return self.query_summary(confidence, treatments)
        if "epochs" in self.tables:
            return self.economy_summary(confidence, treatments)
        return self.summary(confidence, treatments)

    def batches(
        self, name: str, columns: Sequence[str], treatments: Collection[str] | None = None
    ) -> Iterator[pd.DataFrame]:
        """Yield some columns of a table, some hundred thousand rows at a time, replications whole.

        Rows come in their order, with their treatment and replication. ``treatments`` leaves out
        the others. What is taken of one replication at a time needs no more memory for a run of any
        length.
        """
        names = list(dict.fromkeys([*_KEYS, *columns]))
        table = self.tables[name]
        if isinstance(table, StoredTable):
            pieces = table.pieces(names, treatments)
        else:
            pieces = _rows_of_some(iter([table.select(names)]), treatments)
        for piece in _whole_replications(pieces):
            yield piece.to_pandas()

    def _some(self, name: str, treatments: Collection[str] | None) -> pd.DataFrame:
        """Return the rows of some treatments, or of all; the blocks of others are not read."""
        return pd.concat(self.batches(name, SCHEMAS[name].names, treatments))

    def summary(
        self, confidence: float = CONFIDENCE, treatments: Collection[str] | None = None
    ) -> pd.DataFrame:
        """Return mean reward per job, s.d. and interval, per treatment and population group.

        ``treatments`` leaves out the others.
        """
        self._needs_rounds()
        found = summarise(self.batches("nodes", SUMMARISED, treatments), confidence)
        if self.fewest_records is None:
            return self._labelled(found)
        names = ("nodes", f"{RESAMPLED}nodes")
        sides = tuple(
            rewards_by_replication(self.batches(name, SUMMARISED, treatments)) for name in names
        )
        ends = ("reward_mean", "reward_low", "reward_high")
        return self._labelled(widen(found, sides, ends, self.fewest_records, confidence))

    def query_summary(
        self,
        confidence: float = CONFIDENCE,
        treatments: Collection[str] | None = None,
        *,
        every: bool = False,
    ) -> pd.DataFrame:
        """Return what verification protocols let through, take and cost, per treatment.

        :func:`poq_abm.experiment.query_study.summarise_queries` describes the columns.
        ``treatments`` leaves out the others; ``every`` asks for every measure there is, not only
        those that ``poq run`` prints.
        """
        from poq_abm.experiment import query_study  # noqa: PLC0415

        measures = tuple(query_study.MEASURES) if every else query_study.SHOWN
        queries = self.queries if treatments is None else self._some("queries", treatments)
        found = query_study.summarise_queries(queries, confidence, measures)
        if self.fewest_records is None:
            return self._labelled(found)
        again = self._some(f"{RESAMPLED}queries", treatments)
        sides = tuple(query_study.by_replication(part, measures) for part in (queries, again))
        ends, ranges = ("mean", "low", "high"), ranges_of(found)
        return self._labelled(widen(found, sides, ends, self.fewest_records, confidence, ranges))

    def economy_summary(
        self, confidence: float = CONFIDENCE, treatments: Collection[str] | None = None
    ) -> pd.DataFrame:
        """Return how economies began and ended, per treatment, group and measure.

        :func:`poq_abm.experiment.economy_study.summarise_economy` describes the columns.
        ``treatments`` leaves out the others.
        """
        from poq_abm.experiment import economy_study  # noqa: PLC0415

        epochs = self.epochs if treatments is None else self._some("epochs", treatments)
        records = self.fewest_records
        again = None if records is None else self._some(f"{RESAMPLED}epochs", treatments)
        found = economy_study.summarise_economy(epochs, confidence, again, records or 0)
        return self._labelled(found)

    def to_xarray(self) -> xarray.Dataset:
        """Return nodes and replications as one dataset over treatment, replication and node.

        Raises
        ------
        InputError
            If the package ``xarray`` is missing.
        """
        labelled: xarray.Dataset = dataset(self.treatments, self.replications, self.nodes)
        return labelled

    def compare(self, a: str, b: str, on: list[str] | None = None) -> pd.DataFrame:
        """Return the paired differences, treatment ``b`` minus treatment ``a``, with intervals.

        :func:`poq_abm.experiment.paired.compare` describes the columns.

        Raises
        ------
        InputError
            If there is no such treatment or no such measure.
        """
        from poq_abm.experiment.paired import compare_sides  # noqa: PLC0415  (lies to the right)

        for treatment in (a, b):
            if treatment not in set(self.treatments["treatment"]):
                known = nearest(treatment, list(self.treatments["treatment"]))
                raise InputError(f"no treatment {treatment!r}; {known}")
        return compare_sides(self.side(a), self.side(b), on)

    def side(self, treatment: str) -> SideTables:
        """Return the rows of one treatment: of the main table, and of its nodes if it has any."""
        from poq_abm.experiment.paired import SideTables  # noqa: PLC0415

        names = "queries" if "queries" in self.tables else "replications", "nodes"
        main, nodes, again, nodes_again = (
            self._some(name, [treatment]) if name in self.tables else None
            for name in (*names, *(f"{RESAMPLED}{name}" for name in names))
        )
        assert main is not None
        return SideTables(main, nodes, again, nodes_again, self.fewest_records)

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Store the results in ``folder``, as ``poq run`` does; return the folder.

        Raises
        ------
        InputError
            If the folder holds another configuration or cannot be written, or if these results were
            read from a folder and are stored already.
        """
        if self.plan is None:
            raise InputError("these results were read from a folder; copy that folder instead")
        store = Store(Path(folder), self.plan)
        with store.locked():
            if not store.is_complete():
                store.save(self.tables, [Failure(**failure) for failure in self.failures])
        return store.folder


def read_results(folder: str | os.PathLike[str], *, partial: bool = False) -> Results:
    """Read a results folder; a table is loaded when it is first asked for.

    ``partial`` reads an unfinished run too: those of its blocks whose files are whole.

    Raises
    ------
    InputError
        If the folder is not that of a finished run, or one that has not stored anything yet.
    """
    path = Path(folder)
    manifest = read_manifest(path)
    whole = manifest.get("status") in (COMPLETE, FAILED)
    failures: list[dict[str, Any]] = manifest.get("failures", [])
    if whole:
        files = {name: entry["blocks"] for name, entry in manifest["files"].items()}
    elif partial:
        files, failures = _whole_blocks(path, manifest)
    else:
        raise InputError(f"{path} holds an unfinished run; the same `poq run` finishes it")
    for name in files:
        if not (path / table_folder(name)).is_dir():
            said = f"has lost {table_folder(name)}; the same `poq run` restores it"
            raise InputError(f"{path} {said}")
    configuration = played_hash(manifest["configuration"])
    ids = [entry["id"] for entry in manifest["treatments"]]
    return Results(
        manifest["configuration"]["scenario"],
        treatment_frame([(entry["id"], entry["settings"]) for entry in manifest["treatments"]]),
        {name: StoredTable(path, name, files[name], configuration, ids) for name in files},
        failures=failures,
        precision=pd.DataFrame(manifest["precision"]) if "precision" in manifest else None,
        fewest_records=manifest["configuration"].get("fewest_records"),
    )


def _whole_blocks(
    folder: Path, manifest: dict[str, Any]
) -> tuple[dict[str, list[str]], list[dict[str, Any]]]:
    """Return the files of the blocks of an unfinished run by table, and what raised in them."""
    tables = [name for name in SCHEMAS if (folder / table_folder(name)).is_dir()]
    blocks, _ = read_blocks(folder, tables, played_hash(manifest["configuration"]))
    if not blocks:
        raise InputError(f"{folder} holds a run that has not stored anything yet")
    files = {name: [block.files[name] for block in blocks] for name in tables}
    return files, [failure.as_data() for block in blocks for failure in block.label.failures]


@dataclass
class StoredTable:
    """A table in a folder, which is read when it is asked for.

    Before the first row, its files are looked at, whether they are what was written.
    """

    folder: Path
    name: str
    files: list[str]
    configuration: str  #: hash of what was played
    treatments: list[str]

    def __call__(self, columns: list[str] | None = None) -> Any:
        """Return the rows in the order of treatment and replication."""
        wanted = list(dict.fromkeys([*(columns or SCHEMAS[self.name].names), *_KEYS]))
        tables = [piece for path in self._paths for piece in self._stored(path, wanted)]
        table = pa.concat_tables([SCHEMAS[self.name].empty_table().select(wanted), *tables])
        ordered = in_order(table, self._spans, self.treatments)
        return ordered.select(columns or SCHEMAS[self.name].names)

    def pieces(self, columns: list[str], treatments: Collection[str] | None) -> Iterator[Any]:
        """Yield the rows of some treatments, or of all, in their order, a row group at a time.

        Those of a run of several stages lie across its files, and come all at once.
        """
        if self._spans == sorted(self._spans):
            return _rows_of_some(self._groups(columns, treatments), treatments)
        return _rows_of_some(iter([self(columns)]), treatments)

    def _groups(self, columns: list[str], treatments: Collection[str] | None) -> Iterator[Any]:
        yield SCHEMAS[self.name].empty_table().select(columns)
        for path, label in zip(self._paths, self._labels, strict=True):
            held = {self.treatments[span.treatment] for span in label.spans}
            if treatments is not None and held.isdisjoint(treatments):
                continue
            yield from self._stored(path, columns)

    def _stored(self, path: Path, columns: list[str]) -> Iterator[Any]:
        """Yield the row groups of a file; columns that are younger than it are missing there."""
        with pq.ParquetFile(path) as file:
            there = set(file.schema_arrow.names)
            for group in range(file.num_row_groups):
                rows = file.read_row_group(group, columns=[c for c in columns if c in there])
                for name in columns:
                    if name not in there:
                        field = SCHEMAS[self.name].field(name)
                        rows = rows.append_column(field, pa.nulls(rows.num_rows, field.type))
                yield rows.select(columns)

    @cached_property
    def _paths(self) -> list[Path]:
        for file in self.files:
            if said := block_fault(self.folder, self.name, file, self.configuration):
                raise InputError(f"{self.folder}: {said}; the same `poq run` mends it")
        return [self.folder / table_folder(self.name) / file for file in self.files]

    @cached_property
    def _labels(self) -> list[BlockLabel]:
        return [label for path in self._paths if (label := BlockLabel.of(path)) is not None]

    @property
    def _spans(self) -> list[Span]:
        return [span for label in self._labels for span in label.spans]


def _rows_of_some(pieces: Iterator[Any], treatments: Collection[str] | None) -> Iterator[Any]:
    if treatments is None:
        return pieces
    wanted = pa.array(list(treatments), pa.string())
    return (piece.filter(pc.is_in(_coded(piece).dictionary, wanted).take(_coded(piece).indices))
            for piece in pieces)  # fmt: skip


def _coded(rows: Any) -> Any:
    """Return the treatment of every row as one dictionary and codes into it."""
    column = rows.column("treatment").combine_chunks()
    return column if pa.types.is_dictionary(column.type) else column.dictionary_encode()


def _whole_replications(pieces: Iterator[Any]) -> Iterator[Any]:
    """Yield the rows of pieces, about :data:`ROWS_PER_BATCH` at a time, cut between replications.

    >>> ones = pa.table({"treatment": ["a"] * 3, "replication": [0, 0, 1]})
    >>> [part.num_rows for part in _whole_replications(iter([ones, ones.slice(2)]))]
    [4]
    """
    held: list[Any] = []
    for piece in pieces:
        held.append(piece)
        if sum(one.num_rows for one in held) < ROWS_PER_BATCH:
            continue
        rows = pa.concat_tables(held).unify_dictionaries()
        last = _last_replication(rows)
        if last:
            yield rows.slice(0, last)
        held = [rows.slice(last)]
    if held:
        yield pa.concat_tables(held).unify_dictionaries()


def _last_replication(rows: Any) -> int:
    """Return at which row the last replication begins."""
    treatment, replication = _coded(rows).indices.to_numpy(), rows.column("replication").to_numpy()
    starts = np.flatnonzero((np.diff(treatment) != 0) | (np.diff(replication) != 0)) + 1
    return int(starts[-1]) if starts.size else 0


def treatment_frame(settings: list[tuple[str, dict[str, Any]]]) -> pd.DataFrame:
    """Return one row per treatment: its id and what the axes set."""
    return pd.DataFrame([{"treatment": name, **values} for name, values in settings])
