"""Executing a plan: its blocks, stage by stage, until no more replications are wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from poq_abm.experiment.blocks import Block, Span
from poq_abm.experiment.calibration_error import SHARING
from poq_abm.experiment.executor import Workers, map_blocks
from poq_abm.experiment.plan import Plan
from poq_abm.experiment.schemas import RESAMPLED, SCHEMAS, TRACES
from poq_abm.experiment.stopping import next_counts
from poq_abm.experiment.study import Engine, Failure, Options, Played, Progress
from poq_abm.profile.resampled import resampled_profile
from poq_abm.simulation.table_columns import table

__all__ = ["Holder", "columns_by_treatment", "execute", "in_order", "play_block", "without"]


def play_block(plan: Plan, block: Block, options: Options | None = None) -> Played:
    """Play the replications of a block one after the other; make their rows all at once.

    A replication that raises leaves rows in a trace alone; whoever keeps one takes them out.
    """
    options = (options or Options())._replace(twins=plan.twins, populations=plan.populations)
    parts: dict[str, list[Any]] = {name: [] for name in plan.tables if name not in TRACES}
    failures: list[Failure] = []
    for span in block.spans:
        number, first, last = span
        treatment, profile = plan.treatments[number], plan.profile(number)
        played = plan.study(number).play(treatment.id, profile, first, last, options)
        again = _resampled(plan, span, options) if plan.scenario.resample_profile else ()
        for one in (played, *again):
            failures += [replace(failure, treatment=number) for failure in one.failures]
            for name, rows in one.tables.items():
                if name in parts:
                    parts[name].append(rows)
    tables = {name: table(SCHEMAS[name], rows) for name, rows in parts.items()}
    if plan.scenario.resample_profile and failures:
        failures = list({(one.treatment, one.replication): one for one in failures[::-1]}.values())
        failures.sort(key=lambda one: (one.treatment, one.replication))
        tables = {name: without(rows, plan, failures) for name, rows in tables.items()}
    return Played(tables, tuple(failures))


def _resampled(plan: Plan, span: Span, options: Options) -> Iterator[Played]:
    """Yield what replications come to on resampled profiles, those that share one together."""
    number, first, last = span
    treatment, study, profile = plan.treatments[number], plan.study(number), plan.profile(number)
    options = options._replace(sink=None, twins=None, populations=None)
    for start in range(first - first % SHARING, last, SHARING):
        other = resampled_profile(profile, plan.scenario.seed, start // SHARING)
        ends = max(first, start), min(last, start + SHARING)
        played = study.play(treatment.id, other, *ends, options)
        yield Played(
            {f"{RESAMPLED}{name}": rows for name, rows in played.tables.items()}, played.failures
        )


def without(rows: Any, plan: Plan, failures: Sequence[Failure]) -> Any:
    """Return rows without those of replications that raised before all of them were whole."""
    for failure in failures:
        id_ = plan.treatments[failure.treatment].id
        mine = pc.equal(rows.column("treatment").cast(pa.string()), id_)
        raised = pc.and_(mine, pc.equal(rows.column("replication"), failure.replication))
        rows = rows.filter(pc.invert(raised))
    return rows


class Holder(Protocol):
    """What keeps the outcomes of blocks, in memory or in a folder."""

    plan: Plan

    def lacks(self, block: Block) -> bool:
        """Return whether a block is not held yet."""

    def values(self, metric: str) -> dict[int, NDArray[np.float64]]:
        """Return a measure of all replications held, by treatment; NaN where one raised."""

    def record(self, outcome: Any) -> None:
        """Take in the outcome of a block."""


def execute(
    holder: Holder,
    work: Callable[[Plan, Block, Progress | None], Any],
    workers: Workers,
    *,
    engine: Engine = "compiled",
    earlier: Sequence[int] = (),
    progress: Progress | None = None,
    expect: Callable[[int], None] | None = None,
) -> list[Block]:
    """Play what a holder lacks and return all blocks of the run, stage by stage.

    Stage and blocks follow from the plan and from the values of the stages before, so that a run
    that was interrupted goes on, and stops, where it would have without. ``earlier`` holds the
    numbers of replications at which shorter runs of the same folder ended: their blocks stay.
    """
    plan = holder.plan
    metric = None if plan.target is None else plan.target.metric
    counts = [0] * len(plan.treatments)
    blocks: list[Block] = []
    while True:
        values: Mapping[int, NDArray[np.float64]] = holder.values(metric) if metric else {}
        seen = {number: values[number][: counts[number]] for number in values}
        more = next_counts(plan, counts, seen, earlier)
        stage = plan.blocks(
            Span(number, *ends)
            for number, ends in enumerate(zip(counts, more, strict=True))
            if ends[0] < ends[1]
        )
        if not stage:
            return blocks
        blocks += stage
        missing = [block for block in stage if holder.lacks(block)]
        if expect and missing:
            expect(sum(plan.rounds_of(span) for block in missing for span in block.spans))
        for outcome in map_blocks(plan, missing, work, workers, engine=engine, progress=progress):
            holder.record(outcome)
        counts = more


def columns_by_treatment(
    spans: Sequence[Span], failures: Sequence[Failure], values: NDArray[np.float64]
) -> dict[int, NDArray[np.float64]]:
    """Return the values of blocks by treatment and replication; NaN where one raised.

    ``values`` has one entry for each replication of the spans that did not raise, in their order.

    >>> columns_by_treatment([Span(0, 1, 3)], [], np.array([5.0, 6.0]))[0].tolist()
    [nan, 5.0, 6.0]
    """
    raised = {(failure.treatment, failure.replication) for failure in failures}
    last = {span.treatment: 0 for span in spans}
    for span in spans:
        last[span.treatment] = max(last[span.treatment], span.last)
    columns = {number: np.full(size, np.nan) for number, size in last.items()}
    at = 0
    for number, first, end in spans:
        here = [r for r in range(first, end) if (number, r) not in raised]
        columns[number][here] = values[at : at + len(here)]
        at += len(here)
    return columns


def in_order(rows: Any, spans: Sequence[Span], treatments: Sequence[str]) -> Any:
    """Return the rows of blocks in the order of treatment and replication.

    They lie so already unless there were several stages.
    """
    if list(spans) == sorted(spans):
        return rows
    place = {id_: number for number, id_ in enumerate(treatments)}
    ids = rows.column("treatment").cast(pa.string()).to_pylist()
    keys = (rows.column("replication").to_numpy(), [place[id_] for id_ in ids])
    return rows.take(pa.array(np.lexsort(keys)))  # which is stable
