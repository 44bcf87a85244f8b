"""Playing a chunk: its replications one after the other, their rows made all at once."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, NamedTuple

import pyarrow as pa

from poq_abm.experiment.plan import Plan
from poq_abm.experiment.schemas import SCHEMAS, TRACES
from poq_abm.experiment.spans import Chunk, Coverage, Span
from poq_abm.experiment.study import Engine, Failure, Options, Progress, TraceSink

__all__ = ["Harvest", "play_chunk", "played_of"]


def played_of(spans: Iterable[Span], failures: Iterable[Failure]) -> list[Span]:
    """Return spans without the replications that raised: those that left rows."""
    return list(Coverage(span_of(failure) for failure in failures).lacking(spans))


def span_of(failure: Failure) -> Span:
    """Return the replication that raised, as a span of one."""
    return Span(failure.treatment, failure.replication, failure.replication + 1)


class Harvest(NamedTuple):
    """What a chunk leaves: rows by table, and the replications that raised."""

    tables: dict[str, Any]
    failures: tuple[Failure, ...]
    seconds: tuple[float, ...]  #: of each span


def play_chunk(
    plan: Plan,
    chunk: Chunk,
    engine: Engine = "compiled",
    sink: TraceSink | None = None,
    progress: Progress | None = None,
) -> Harvest:
    """Play the replications of a chunk and return their rows, table by table."""
    parts: dict[str, list[Any]] = {name: [] for name in plan.tables if name not in TRACES}
    failures: list[Failure] = []
    seconds: list[float] = []
    for span in chunk.spans:
        begun = time.perf_counter()
        treatment, profile = plan.treatments[span.treatment], plan.profile(span.treatment)
        options = Options(engine, sink, progress, plan.twins)
        played = plan.study(span.treatment).play(
            treatment.id, profile, span.first, span.last, options
        )
        failures += [replace(one, treatment=span.treatment) for one in played.failures]
        for name, table in played.tables.items():
            parts[name].append(table)
        seconds.append(round(time.perf_counter() - begun, 6))
    tables = {
        name: pa.concat_tables(tables) if tables else SCHEMAS[name].empty_table()
        for name, tables in parts.items()
    }
    return Harvest(tables, tuple(failures), tuple(seconds))
