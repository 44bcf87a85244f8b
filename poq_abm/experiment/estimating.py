"""What a plan will take, judged from a few replications played now."""

from __future__ import annotations

import io
import resource
import sys
import time
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from poq_abm.errors import InputError
from poq_abm.experiment.blocks import Block, Span
from poq_abm.experiment.execute import play_block
from poq_abm.experiment.plan import Plan
from poq_abm.experiment.study import Engine, Options

__all__ = ["Estimate", "estimate"]

_PROBES = 8  #: treatments that are tried
_GOLDEN = (5**0.5 - 1) / 2
_REPLICATIONS = 4  #: that are played, or four times as many where one is quick
_QUICK = 0.01  #: seconds
_MOST_ROUNDS = 20_000  #: more are scaled up from as many
_STORED_ROWS = 20_000  #: enough to see what a row takes
_ENTRY = 8_000  #: bytes that a treatment takes in the manifest, as it is written and read


@dataclass(frozen=True)
class Estimate:
    """Time, memory and disk of a run, all approximate."""

    seconds: float
    fastest: float  #: were all treatments as quick as the quickest of those tried
    slowest: float
    memory: float  #: bytes of the parent process
    disk: float  #: bytes


@dataclass(frozen=True)
class _Probe:
    opening: float  #: seconds that a treatment takes besides its replications
    playing: float  #: seconds of one replication
    storing: float  #: seconds that its rows take to be written, and read for a summary
    disk: float  #: bytes of one replication
    memory: float  #: bytes per stored row


def estimate(
    plan: Plan, *, engine: Engine = "compiled", workers: int = 1, planning: float = 0.0
) -> Estimate:
    """Return what ``plan`` will take, with the most replications it may need.

    A few treatments are played for a moment, in this process; other treatments may be slower or
    quicker, and so may the machine be when the run comes. ``planning`` are the seconds that the
    plan took to be made, as it will again in the run.
    """
    count, each = len(plan.treatments), plan.scenario.most_replications
    # Steps of the golden section keep out of step with the axes of a sweep.
    tried = {int(count * (step * _GOLDEN % 1.0)) for step in range(_PROBES)}
    probes = [_probe(plan, number, engine) for number in sorted(tried)]
    # Threads open treatments one at a time, however many there are.
    opening = workers if engine == "agents" else 1
    times = [
        planning
        + count * probe.opening / opening
        + count * each * (probe.playing / workers + probe.storing)
        for probe in probes
    ]
    disk = sum(probe.disk for probe in probes) / len(probes) * count * each
    whole = [Span(number, 0, each) for number in range(count)]
    per_row = max(probe.memory for probe in probes)
    # A worker holds one block, and makes its rows.
    held = per_row * plan.limits(whole).rows * (workers + 1)
    held += count * (each * per_row + _ENTRY)  # the table of replications is read as a whole
    return Estimate(sum(times) / len(times), min(times), max(times), _resident() + held, disk)


def _probe(plan: Plan, number: int, engine: Engine) -> _Probe:
    treatment = plan.treatments[number]
    scenario = plan.study(number).shortened(_MOST_ROUNDS)
    scale = treatment.scenario.rounds / scenario.rounds
    alone = (replace(treatment, scenario=scenario),)
    small = Plan(scenario, alone, plan.profiles, plan.trace)
    rounds: list[Any] = []
    options = Options(engine, rounds.append if plan.trace else None)
    _timed(small, [Span(0, 0, 1)], options)  # compiles, and fills caches
    once, _ = _timed(small, [Span(0, 1, 2)], options)
    count = _REPLICATIONS if once > _QUICK else 4 * _REPLICATIONS
    # The same replications, each as if it were a treatment of its own, and all of one treatment.
    apart, _ = _timed(small, [Span(0, r, r + 1) for r in range(2, 2 + count)], options)
    rounds.clear()
    together, tables = _timed(small, [Span(0, 2 + count, 2 + 2 * count)], options)
    opening = max(apart - together, 0.0) / (count - 1)
    left = [table for table in tables.values() if table.num_rows]
    rows = sum(table.num_rows for table in left)
    disk = sum(_bytes_per_row(table) * table.num_rows for table in left) / count
    if plan.trace:
        disk += _bytes_per_row(pa.concat_tables(rounds)) * treatment.scenario.rounds
    return _Probe(
        opening=opening,
        playing=max(together - opening, 0.0) / count * scale,
        storing=sum(_seconds_per_row(table) * table.num_rows for table in left) / count,
        disk=disk,
        memory=sum(table.nbytes for table in left) / rows,
    )


def _timed(plan: Plan, spans: list[Span], options: Options) -> tuple[float, dict[str, Any]]:
    """Return the seconds that it took to play replications, and the tables they left.

    Raises :class:`InputError` if one fails, as rules of somebody's own may.
    """
    begun = time.perf_counter()
    played = play_block(plan, Block(tuple(spans)), options)
    spent = time.perf_counter() - begun
    if played.failures:
        failure = played.failures[0]
        raise InputError(f"replication {failure.replication}, tried, fails: {failure.error}")
    return spent, played.tables


def _seconds_per_row(table: Any) -> float:
    """Return what a row takes to be written, and to be read for a summary."""
    many = pa.concat_tables([table] * (_STORED_ROWS // table.num_rows + 1))
    stream = io.BytesIO()
    begun = time.perf_counter()
    pq.write_table(many, stream, compression="zstd")
    pq.read_table(stream).to_pandas()
    return (time.perf_counter() - begun) / float(many.num_rows)


def _bytes_per_row(table: Any) -> float:
    """Return what a row adds to a Parquet file, its header and footer apart."""
    half = table.num_rows // 2
    if half == 0:
        return float(_written(table))
    added = _written(table) - _written(table.slice(0, half))
    return added / float(table.num_rows - half)


def _written(table: Any) -> int:
    stream = io.BytesIO()
    pq.write_table(table, stream, compression="zstd")
    return stream.tell()


def _resident() -> float:
    """Return the most memory this process has held so far, in bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(most) if sys.platform == "darwin" else most * 1024.0
