"""Running a scenario: into memory, or into a results folder that an interruption cannot hurt."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from poq_abm.experiment.blocks import Block
from poq_abm.experiment.execute import columns_by_treatment, execute, in_order, play_block, without
from poq_abm.experiment.executor import Backend, Workers
from poq_abm.experiment.plan import Plan
from poq_abm.experiment.results import Results, read_results, treatment_frame
from poq_abm.experiment.schemas import SCHEMAS
from poq_abm.experiment.stopping import precision_of
from poq_abm.experiment.store import Store
from poq_abm.experiment.study import Engine, Options, Played, Progress
from poq_abm.profile import Profile
from poq_abm.scenario import Scenario, load

__all__ = ["BlockPlayer", "BlocksInMemory", "run", "run_to_folder"]


@dataclass(frozen=True)
class BlockPlayer:
    """Plays a block into memory; crosses to worker processes."""

    engine: Engine = "compiled"
    wanted: frozenset[str] | None = None  #: columns of the main table that alone are read

    def __call__(
        self, plan: Plan, block: Block, progress: Progress | None = None
    ) -> tuple[Block, Played]:
        """Play one block."""
        rounds: list[Any] = []
        sink = rounds.append if plan.trace else None
        played = play_block(plan, block, Options(self.engine, sink, progress, wanted=self.wanted))
        if plan.trace:
            trace = pa.concat_tables([SCHEMAS[plan.traced].empty_table(), *rounds])
            tables = {**played.tables, plan.traced: without(trace, plan, played.failures)}
            played = played._replace(tables=tables)
        return block, played


@dataclass
class BlocksInMemory:
    """The blocks of a run that were played so far."""

    plan: Plan
    _held: dict[str, tuple[Block, Played]] = field(default_factory=dict)

    def lacks(self, block: Block) -> bool:
        """Return whether a block was not played yet."""
        return block.name not in self._held

    def record(self, outcome: tuple[Block, Played]) -> None:
        """Take in a block that was played."""
        self._held[outcome[0].name] = outcome

    def values(self, metric: str) -> dict[int, NDArray[np.float64]]:
        """Return a column of the plan's main table by treatment; NaN where a replication raised."""
        held = self._held.values()
        columns = [played.tables[self.plan.main].column(metric).to_numpy() for _, played in held]
        spans = [span for block, _ in held for span in block.spans]
        failures = [failure for _, played in held for failure in played.failures]
        return columns_by_treatment(spans, failures, np.concatenate([np.empty(0), *columns]))

    def results(self) -> Results:
        """Return the results of all that is held."""
        plan, held = self.plan, [self._held[name] for name in sorted(self._held)]
        failures = [failure.as_data() for _, played in held for failure in played.failures]
        if failures:
            warnings.warn(
                f"{len(failures)} replications raised and are left out; see Results.failures",
                stacklevel=3,
            )
        spans = [span for block, _ in held for span in block.spans]
        ids = [treatment.id for treatment in plan.treatments]
        tables = {
            name: in_order(
                pa.concat_tables(
                    [SCHEMAS[name].empty_table(), *(played.tables[name] for _, played in held)]
                ),
                spans,
                ids,
            )
            for name in plan.tables
        }
        target = plan.target
        return Results(
            plan.scenario.resolved(),
            treatment_frame([(treatment.id, treatment.settings) for treatment in plan.treatments]),
            tables,
            plan,
            sorted(failures, key=lambda failure: (failure["treatment"], failure["replication"])),
            pd.DataFrame(precision_of(plan, self.values(target.metric))) if target else None,
            plan.fewest_records,
        )


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
