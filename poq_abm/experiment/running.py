"""Running a scenario: into memory, or into a results folder that an interruption cannot hurt."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from poq_abm.experiment.granary import Gather, Granary
from poq_abm.experiment.plan import Plan
from poq_abm.experiment.results import Results, read_results
from poq_abm.experiment.runner import Backend, Workers, play_chunks
from poq_abm.experiment.spans import Chunk, Span
from poq_abm.experiment.stages import precision_of, target_of, wanted
from poq_abm.experiment.store import Store
from poq_abm.experiment.study import Engine, Progress
from poq_abm.profile import Profile
from poq_abm.scenario import Scenario, load

__all__ = ["run", "run_to_folder"]


def run(
    scenario: Scenario | str | Path | Mapping[str, Any],
    *,
    replications: int | None = None,
    n_jobs: int | None = 1,
    engine: Engine = "compiled",
    trace: bool = False,
    profile: Profile | None = None,
    progress: Progress | None = None,
    backend: Backend | None = None,
) -> Results:
    """Play a scenario with all its treatments and return the results.

    Parameters
    ----------
    scenario
        What :func:`poq_abm.load` returned, or what it takes: a name, a path or a mapping.
    replications
        Independent repetitions, instead of the scenario's own number.
    n_jobs
        Workers, 1 where nothing is given; the results are the same bits for any number.
    engine
        ``compiled`` or ``agents``; the results are the same bits.
    trace
        Keep every round (:attr:`Results.rounds`).
    profile
        A profile to draw from instead of the scenario's own.
    progress
        Told how many rounds were played since it was last called.
    backend
        ``threading`` or ``loky``; default: threads for the compiled engine, else processes.

    Examples
    --------
    >>> import poq_abm
    >>> results = poq_abm.run(poq_abm.load("cost_aware_poq"), replications=2)
    >>> results.nodes.shape
    (16, 22)
    """
    if not isinstance(scenario, Scenario):
        scenario = load(scenario)
    if replications is not None:
        scenario = scenario.replace({"replications": replications})
    plan = Plan.of(scenario, profile=profile, trace=trace)
    granary = Granary(plan)
    _fill(
        granary,
        Gather(engine),
        Workers(1 if n_jobs is None else int(n_jobs), backend),
        engine,
        progress,
    )
    return granary.results()


def run_to_folder(
    plan: Plan,
    folder: Path,
    *,
    workers: Workers | None = None,
    engine: Engine = "compiled",
    retry_failed: bool = False,
    progress: Progress | None = None,
    expect: Callable[[int], None] | None = None,
) -> Results:
    """Play what ``folder`` lacks of ``plan``, store it there and return all of it.

    ``retry_failed`` plays the replications again that raised. ``expect`` is told how many rounds
    are about to be played.

    Raises
    ------
    InputError
        If the folder holds something else, cannot be written, or another run is working on it.
    """
    workers = workers or Workers()
    store = Store(folder, plan, engine)
    with store.locked():
        if not store.is_complete() or (retry_failed and store.has_failures()):
            store.open()
            begun = time.perf_counter()
            _fill(store, store.recorder, workers, engine, progress, expect, retry=retry_failed)
            target = target_of(plan)
            precision = precision_of(plan, store.values(target.metric)) if target else None
            store.finish(round(time.perf_counter() - begun, 3), precision)
    return read_results(folder)


class Holder(Protocol):
    """What keeps the outcomes of chunks, in memory or in a folder."""

    plan: Plan

    def missing(self, wanted: list[Span], *, retry: bool = False) -> list[Span]:
        """Return what is not held of the wanted spans."""

    def values(self, metric: str) -> dict[int, NDArray[np.float64]]:
        """Return a measure of all replications held, by treatment."""

    def record(self, outcome: Any) -> None:
        """Take in the outcome of a chunk."""


def _fill(
    holder: Holder,
    work: Callable[[Plan, Chunk, Progress | None], Any],
    workers: Workers,
    engine: Engine,
    progress: Progress | None = None,
    expect: Callable[[int], None] | None = None,
    *,
    retry: bool = False,
) -> None:
    """Play what a holder lacks, stage by stage until nothing more is wanted."""
    plan = holder.plan
    target = target_of(plan)
    while True:
        values = holder.values(target.metric) if target else {}
        missing = holder.missing(wanted(plan, values), retry=retry)
        if not missing:
            return
        if expect:
            expect(sum(plan.rounds_of(span) for span in missing))
        chunks = plan.chunks(missing, engine=engine, workers=workers.count)
        for _, outcome in play_chunks(
            plan, chunks, work, workers, engine=engine, progress=progress
        ):
            holder.record(outcome)
        retry = False  # once is enough
