"""The results of a run, as DataFrames: in memory or read from a folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow.parquet as pq

from poq_abm.errors import InputError, nearest
from poq_abm.experiment.estimates import CONFIDENCE, SUMMARISED, summarise
from poq_abm.experiment.files import recoded
from poq_abm.experiment.harvest import Failure
from poq_abm.experiment.manifest import Entry, read_manifest
from poq_abm.experiment.plan import Plan
from poq_abm.experiment.receipts import PieceLabel, fault_of
from poq_abm.experiment.store import COMPLETE, FAILED, Store
from poq_abm.experiment.tables import TRACES

if TYPE_CHECKING:
    import xarray

__all__ = ["Results", "read_results", "treatment_frame"]


@dataclass
class Results:
    """The tables of a run; ``poq_abm.experiment.tables`` describes their columns.

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
    """

    scenario: dict[str, Any]
    treatments: pd.DataFrame
    tables: dict[str, Any] = field(repr=False)
    plan: Plan | None = field(default=None, repr=False)
    failures: list[dict[str, Any]] = field(default_factory=list, repr=False)
    precision: pd.DataFrame | None = field(default=None, repr=False)

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
        frame: pd.DataFrame = table.to_pandas()
        return frame

    def summary(self, confidence: float = CONFIDENCE) -> pd.DataFrame:
        """Return mean reward per job, s.d. and interval, per treatment and population group."""
        self._needs_rounds()
        return summarise(self._frame("nodes", list(SUMMARISED)), confidence)

    def query_summary(self, confidence: float = CONFIDENCE, *, every: bool = False) -> pd.DataFrame:
        """Return what verification protocols let through, take and cost, per treatment.

        :func:`poq_abm.experiment.verifications.summarise_queries` describes the columns. ``every``
        asks for every measure there is, not only those that ``poq run`` prints.
        """
        from poq_abm.experiment import verifications  # noqa: PLC0415

        measures = tuple(verifications.MEASURES) if every else verifications.SHOWN
        return verifications.summarise_queries(self.queries, confidence, measures)

    def economy_summary(self, confidence: float = CONFIDENCE) -> pd.DataFrame:
        """Return how economies began and ended, per treatment, group and measure.

        :func:`poq_abm.experiment.economy_summary.summarise_economy` describes the columns.
        """
        from poq_abm.experiment.economy_summary import summarise_economy  # noqa: PLC0415

        return summarise_economy(self.epochs, confidence)

    def to_xarray(self) -> xarray.Dataset:
        """Return nodes and replications as one dataset over treatment, replication and node.

        Raises
        ------
        InputError
            If the package ``xarray`` is missing.
        """
        from poq_abm.experiment.labelled import dataset  # noqa: PLC0415  (an extra)

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
        from poq_abm.experiment.paired import compare  # noqa: PLC0415  (lies to the right)

        for treatment in (a, b):
            if treatment not in set(self.treatments["treatment"]):
                known = nearest(treatment, list(self.treatments["treatment"]))
                raise InputError(f"no treatment {treatment!r}; {known}")
        (left, nodes_a), (right, nodes_b) = self.side(a), self.side(b)
        return compare(left, right, on=on, nodes_a=nodes_a, nodes_b=nodes_b)

    def side(self, treatment: str) -> tuple[pd.DataFrame, pd.DataFrame | None]:
        """Return the rows of one treatment: of the main table, and of its nodes if it has any."""
        main = self.main
        rows = main[main["treatment"] == treatment]
        if "nodes" not in self.tables:
            return rows, None
        nodes = self.nodes
        return rows, nodes[nodes["treatment"] == treatment]

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
                store.open()
                failures = [Failure(**failure) for failure in self.failures]
                store.write(self.tables, failures, self._precision())
        return store.folder

    def _precision(self) -> list[dict[str, Any]] | None:
        """Return the precision reached as plain data; a number there is none of is missing."""
        if self.precision is None:
            return None
        rows = self.precision.astype(object).to_dict("records")
        return [{str(k): None if pd.isna(v) else v for k, v in row.items()} for row in rows]


def read_results(folder: str | os.PathLike[str]) -> Results:
    """Read a results folder; a table is loaded when it is first asked for.

    Raises
    ------
    InputError
        If the folder is not that of a finished run.
    """
    path = Path(folder)
    manifest = read_manifest(path)
    if manifest.get("status") not in (COMPLETE, FAILED):
        raise InputError(f"{path} holds an unfinished run; the same `poq run` finishes it")
    tables: dict[str, Any] = {}
    for name, entry in manifest["files"].items():
        file = path / entry["file"]
        if not file.is_file():
            raise InputError(f"{path} has lost {entry['file']}; the same `poq run` restores it")
        tables[name] = _reader(path, Entry(**entry), manifest["hash"])
    return Results(
        manifest["configuration"]["scenario"],
        treatment_frame([(entry["id"], entry["settings"]) for entry in manifest["treatments"]]),
        tables,
        failures=manifest.get("failures", []),
        precision=pd.DataFrame(manifest["precision"]) if "precision" in manifest else None,
    )


def _reader(folder: Path, entry: Entry, configuration: str) -> Callable[[list[str] | None], Any]:
    """Return what reads a table, after looking, once, whether it is what was written."""
    believed = False

    def read(columns: list[str] | None) -> Any:
        nonlocal believed
        if not believed and (said := fault_of(folder, entry, PieceLabel(configuration, ()))):
            raise InputError(f"{folder}: {said}; the same `poq run` mends it")
        believed = True
        return pq.read_table(folder / entry.file, columns=columns)

    return read


def treatment_frame(settings: list[tuple[str, dict[str, Any]]]) -> pd.DataFrame:
    """Return one row per treatment: its id and what the axes set."""
    return pd.DataFrame([{"treatment": name, **values} for name, values in settings])
