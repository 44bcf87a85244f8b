"""A run in memory: its blocks, and what they come to."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from poq_abm.experiment.block_files import without
from poq_abm.experiment.blocks import Block
from poq_abm.experiment.execute import columns_by_treatment, in_order, play_block
from poq_abm.experiment.plan import Plan
from poq_abm.experiment.results import Results, treatment_frame
from poq_abm.experiment.schemas import SCHEMAS
from poq_abm.experiment.stopping import precision_of
from poq_abm.experiment.study import Engine, Options, Played, Progress

__all__ = ["BlockPlayer", "BlocksInMemory"]


@dataclass(frozen=True)
class BlockPlayer:
    """Plays a block into memory; crosses to worker processes."""

    engine: Engine = "compiled"

    def __call__(
        self, plan: Plan, block: Block, progress: Progress | None = None
    ) -> tuple[Block, Played]:
        """Play one block."""
        rounds: list[Any] = []
        sink = rounds.append if plan.trace else None
        played = play_block(plan, block, Options(self.engine, sink, progress))
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
        )
