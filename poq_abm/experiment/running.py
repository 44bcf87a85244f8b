"""Running a scenario: into memory, or into a results folder that an interruption cannot hurt."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from poq_abm.experiment.execute import execute
from poq_abm.experiment.executor import Backend, Workers
from poq_abm.experiment.in_memory import BlockPlayer, BlocksInMemory
from poq_abm.experiment.plan import Plan
from poq_abm.experiment.results import Results, read_results
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
    blocks = BlocksInMemory(plan)
    workers = Workers(1 if n_jobs is None else int(n_jobs), backend)
    execute(blocks, BlockPlayer(engine), workers, engine=engine, progress=progress)
    return blocks.results()


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

    ``retry_failed`` plays the blocks again in which a replication raised. ``expect`` is told how
    many rounds are about to be played. A folder of the same configuration with fewer replications
    is taken over, and only the new ones are played.

    Raises
    ------
    InputError
        If the folder holds something else, cannot be written, or another run is working on it.
    """
    workers = workers or Workers()
    store = Store(folder, plan, engine)
    with store.locked():
        if not store.is_complete() or (retry_failed and store.has_failures()):
            store.open(retry_failed=retry_failed)
            begun = time.perf_counter()
            blocks = execute(
                store,
                store.writer,
                workers,
                engine=engine,
                earlier=store.extended,
                progress=progress,
                expect=expect,
            )
            store.finish(blocks, round(time.perf_counter() - begun, 3))
    return read_results(folder)
