"""The results of a run, as DataFrames: in memory or read from a folder."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from poq_abm.errors import InputError
from poq_abm.experiment.estimates import CONFIDENCE, summarise
from poq_abm.experiment.plan import Job, Plan
from poq_abm.experiment.playing import Engine
from poq_abm.experiment.runner import Progress, play_job, play_jobs
from poq_abm.experiment.store import Store, read_manifest
from poq_abm.network.game import Game
from poq_abm.profile import Profile
from poq_abm.scenario import Scenario

__all__ = ["Results", "read_results", "run", "run_to_folder"]


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
        The Arrow tables by name.
    """

    scenario: dict[str, Any]
    treatments: pd.DataFrame
    tables: dict[str, Any] = field(repr=False)
    plan: Plan | None = field(default=None, repr=False)

    @property
    def nodes(self) -> pd.DataFrame:
        """One row per treatment x replication x node."""
        return self._frame("nodes")

    @property
    def replications(self) -> pd.DataFrame:
        """One row per treatment x replication."""
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

    def _frame(self, name: str) -> pd.DataFrame:
        table = self.tables[name]
        table = table() if callable(table) else table
        frame: pd.DataFrame = table.unify_dictionaries().to_pandas()
        return frame

    def summary(self, confidence: float = CONFIDENCE) -> pd.DataFrame:
        """Return mean reward per job, s.d. and interval, per treatment and population group."""
        return summarise(self.nodes, confidence)

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
        if not store.is_complete():
            store.open()
            store.write(self.tables)
        return store.folder


def run(
    scenario: Scenario,
    *,
    replications: int | None = None,
    n_jobs: int = 1,
    engine: Engine = "compiled",
    trace: bool = False,
    profile: Profile | None = None,
    progress: Progress | None = None,
) -> Results:
    """Play a scenario with all its treatments and return the results.

    Parameters
    ----------
    scenario
        What :func:`poq_abm.load` returned.
    replications
        Independent repetitions, instead of the scenario's own number.
    n_jobs
        Workers; the results are the same bits for any number.
    engine
        ``compiled`` or ``agents``; the results are the same bits.
    trace
        Keep every round (:attr:`Results.rounds`).
    profile
        A profile to draw from instead of the scenario's own.
    progress
        Told how many rounds were played since it was last called.

    Examples
    --------
    >>> import poq_abm
    >>> results = poq_abm.run(poq_abm.load("cost_aware_poq"), replications=2)
    >>> results.nodes.shape
    (16, 17)
    """
    if replications is not None:
        scenario = scenario.replace({"replications": replications})
    plan = Plan.of(scenario, profile=profile, trace=trace)

    def work(plan: Plan, job: Job, game: Game, progress: Progress | None) -> dict[str, Any]:
        rounds: list[Any] = []
        sink = rounds.append if plan.trace else None
        tables = play_job(plan, job, game, engine, sink, progress)
        return {**tables, "rounds": pa.concat_tables(rounds)} if plan.trace else tables

    parts = list(
        play_jobs(plan, plan.jobs(), work, n_jobs=n_jobs, engine=engine, progress=progress)
    )
    tables = {name: pa.concat_tables([part[name] for part in parts]) for name in parts[0]}
    settings = [(treatment.id, treatment.settings) for treatment in plan.treatments]
    return Results(scenario.resolved(), _treatment_frame(settings), tables, plan)


def run_to_folder(
    plan: Plan,
    folder: Path,
    *,
    n_jobs: int = 1,
    engine: Engine = "compiled",
    progress: Callable[[int], None] | None = None,
) -> Results:
    """Play what ``folder`` lacks of ``plan``, store it there and return all of it."""
    store = Store(folder, plan, engine)
    if not store.is_complete():
        store.open()
        begun = time.perf_counter()
        todo = store.missing()
        for _ in play_jobs(plan, todo, store.play, n_jobs=n_jobs, engine=engine, progress=progress):
            pass
        store.finish(round(time.perf_counter() - begun, 3))
    return read_results(folder)


def read_results(folder: str | os.PathLike[str]) -> Results:
    """Read a results folder; the rounds are loaded only when they are asked for.

    Raises
    ------
    InputError
        If the folder is not that of a complete run.
    """
    path = Path(folder)
    manifest = read_manifest(path)
    if manifest.get("status") != "complete":
        raise InputError(f"{path} holds an unfinished run; the same `poq run` finishes it")
    tables: dict[str, Any] = {}
    for name, entry in manifest["files"].items():
        file = path / entry["file"]
        if not file.is_file():
            raise InputError(f"{path} has lost {entry['file']}; the same `poq run` restores it")
        tables[name] = _later(file) if name == "rounds" else pq.read_table(file)
    settings = [(entry["id"], entry["settings"]) for entry in manifest["treatments"]]
    return Results(manifest["configuration"]["scenario"], _treatment_frame(settings), tables)


def _later(file: Path) -> Callable[[], Any]:
    return lambda: pq.read_table(file)


def _treatment_frame(settings: list[tuple[str, dict[str, Any]]]) -> pd.DataFrame:
    return pd.DataFrame([{"treatment": name, **values} for name, values in settings])
