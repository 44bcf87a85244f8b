"""What a plan will take, judged from a few replications played now."""

from __future__ import annotations

import io
import resource
import sys
import time
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from poq_abm.experiment.blocks import Block, Span
from poq_abm.experiment.execute import play_block
from poq_abm.experiment.plan import MOST_ROWS, Plan
from poq_abm.experiment.study import Engine, Options

__all__ = ["Estimate", "estimate"]

_PROBES = 8  #: treatments that are tried
_GOLDEN = (5**0.5 - 1) / 2
_REPLICATIONS = 4
_MOST_ROUNDS = 20_000  #: more are scaled up from as many


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
    seconds: float  #: of one replication
    disk: float  #: bytes of one replication
    memory: float  #: bytes per stored row


def estimate(plan: Plan, *, engine: Engine = "compiled", workers: int = 1) -> Estimate:
    """Return what ``plan`` will take, with the most replications it may need.

    A few treatments are played for a moment, in this process; other treatments may be slower or
    quicker, and so may the machine be when the run comes.
    """
    count = len(plan.treatments)
    # Steps of the golden section keep out of step with the axes of a sweep.
    tried = {int(count * (step * _GOLDEN % 1.0)) for step in range(_PROBES)}
    probes = [_probe(plan, number, engine) for number in sorted(tried)]
    replications = count * plan.scenario.most_replications
    times = [probe.seconds * replications / workers for probe in probes]
    disk = sum(probe.disk for probe in probes) / len(probes) * replications
    per_row = max(probe.memory for probe in probes)
    held = per_row * MOST_ROWS * (workers + 1)  # a worker holds one block, and makes its rows
    return Estimate(sum(times) / len(times), min(times), max(times), _resident() + held, disk)


def _probe(plan: Plan, number: int, engine: Engine) -> _Probe:
    treatment = plan.treatments[number]
    asked = treatment.scenario.rounds
    scenario = plan.study(number).shortened(_MOST_ROUNDS)
    scale = asked / scenario.rounds
    small = Plan(
        scenario, (type(treatment)(treatment.id, treatment.settings, scenario),), plan.profiles,
        plan.trace,
    )  # fmt: skip
    rounds: list[Any] = []
    sink = rounds.append if plan.trace else None
    options = Options(engine, sink)
    play_block(small, Block((Span(0, 0, 1),)), options)  # compiles, and fills caches
    begun = time.perf_counter()
    tables = play_block(small, Block((Span(0, 1, 1 + _REPLICATIONS),)), options).tables
    seconds = (time.perf_counter() - begun) / _REPLICATIONS * scale
    stored = sum(_bytes_per_row(table) * table.num_rows for table in tables.values())
    disk = stored / _REPLICATIONS
    if plan.trace:
        disk += _bytes_per_row(pa.concat_tables(rounds)) * asked
    rows = sum(table.num_rows for table in tables.values())
    return _Probe(seconds, disk, sum(table.nbytes for table in tables.values()) / rows)


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
