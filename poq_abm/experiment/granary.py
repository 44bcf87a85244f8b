"""What a run keeps in memory until it is whole."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from poq_abm.experiment.harvest import Harvest, play_chunk, played_of, span_of
from poq_abm.experiment.joining import columns_by_treatment, in_order
from poq_abm.experiment.plan import Plan
from poq_abm.experiment.results import Results, treatment_frame
from poq_abm.experiment.schemas import SCHEMAS
from poq_abm.experiment.spans import Chunk, Coverage, Span
from poq_abm.experiment.stages import precision_of, target_of
from poq_abm.experiment.study import Engine, Progress

__all__ = ["Gather", "Granary"]


@dataclass(frozen=True)
class Gather:
    """Plays a chunk into memory; crosses to worker processes."""

    engine: Engine

    def __call__(
        self, plan: Plan, chunk: Chunk, progress: Progress | None = None
    ) -> tuple[Chunk, Harvest]:
        """Play one chunk."""
        rounds: list[Any] = []
        sink = rounds.append if plan.trace else None
        harvest = play_chunk(plan, chunk, self.engine, sink, progress)
        if plan.trace:
            whole = [] if harvest.failures else rounds
            table = pa.concat_tables([SCHEMAS[plan.traced].empty_table(), *whole])
            harvest = harvest._replace(tables={**harvest.tables, plan.traced: table})
        return chunk, harvest


@dataclass
class Granary:
    """The harvests of a run's chunks, and what they cover."""

    plan: Plan
    _held: list[tuple[list[Span], Harvest]] = field(default_factory=list)
    _played: Coverage = field(default_factory=Coverage)
    _tried: Coverage = field(default_factory=Coverage)

    def record(self, outcome: tuple[Chunk, Harvest]) -> None:
        """Take in the harvest of a chunk."""
        chunk, harvest = outcome
        played = played_of(chunk.spans, harvest.failures)
        self._held.append((played, harvest))
        self._played.update(played)
        self._tried.update(chunk.spans)

    def missing(self, wanted: Iterable[Span], *, retry: bool = False) -> list[Span]:
        """Return what was not tried yet of the wanted spans, or not played where one retries."""
        return list((self._played if retry else self._tried).lacking(wanted))

    def values(self, metric: str) -> dict[int, NDArray[np.float64]]:
        """Return a column of the plan's main table by treatment; NaN where a replication raised."""
        failed = [span_of(failure) for _, harvest in self._held for failure in harvest.failures]
        return columns_by_treatment(
            [
                (failed, np.full(len(failed), np.nan)),
                *(
                    (spans, harvest.tables[self.plan.main].column(metric).to_numpy())
                    for spans, harvest in self._held
                ),
            ]
        )

    def results(self) -> Results:
        """Return the results of all that is held."""
        plan = self.plan
        failures = [f.as_data() for _, harvest in self._held for f in harvest.failures]
        if failures:
            warnings.warn(
                f"{len(failures)} replications raised and are left out; see Results.failures",
                stacklevel=3,
            )
        target = target_of(plan)
        return Results(
            plan.scenario.resolved(),
            treatment_frame([(treatment.id, treatment.settings) for treatment in plan.treatments]),
            {name: self._table(name) for name in plan.tables},
            plan,
            sorted(failures, key=lambda failure: (failure["treatment"], failure["replication"])),
            pd.DataFrame(precision_of(plan, self.values(target.metric))) if target else None,
        )

    def _table(self, name: str) -> Any:
        pieces = in_order([spans for spans, _ in self._held], lambda t: self.plan.rows(t)[name])
        counted = name not in self.plan.uncounted
        tables = [
            self._held[chunk][1].tables[name].slice(first, rows if counted else None)
            for chunk, first, rows in pieces
        ]
        return pa.concat_tables([SCHEMAS[name].empty_table(), *tables])
