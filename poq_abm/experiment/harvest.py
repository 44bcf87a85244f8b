"""Playing a chunk: its replications one after the other, their rows made all at once.

A replication that raises is recorded with its traceback and seed, and the others go on. An
:class:`~poq_abm.errors.InputError` is a user's mistake, which the others would repeat; it stops the
run.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from poq_abm.errors import InputError
from poq_abm.experiment.adversaries import adversary_measures
from poq_abm.experiment.distributions import distribution_measures
from poq_abm.experiment.plan import Plan
from poq_abm.experiment.playing import Engine, TraceSink, play_replication
from poq_abm.experiment.spans import Chunk, Coverage, Span
from poq_abm.experiment.tables import SCHEMAS, node_table, replication_table, trust_table
from poq_abm.experiment.twins import Outcome, is_honest
from poq_abm.network.game import Game
from poq_abm.network.ledger import Ledger
from poq_abm.network.memory import Memory

__all__ = ["Failure", "Harvest", "Progress", "play_chunk", "played_of"]

Progress = Callable[[int], None]  #: is told how many rounds were played since it was last called


@dataclass(frozen=True)
class Failure:
    """A replication that raised, and all that is needed to see it again."""

    treatment: int
    replication: int
    seed: int
    error: str
    traceback: str

    @property
    def span(self) -> Span:
        """The replication, as a span of one."""
        return Span(self.treatment, self.replication, self.replication + 1)

    def as_data(self) -> dict[str, Any]:
        """Return the failure as plain data."""
        return asdict(self)


def played_of(spans: Iterable[Span], failures: Iterable[Failure]) -> list[Span]:
    """Return spans without the replications that raised: those that left rows."""
    return list(Coverage(failure.span for failure in failures).lacking(spans))


class Harvest(NamedTuple):
    """What a chunk leaves: rows by table, and the replications that raised."""

    tables: dict[str, Any]
    failures: tuple[Failure, ...]
    seconds: tuple[float, ...]  #: of each span


class _Kept:
    """What is kept of the replications of a span until their rows are made: a few large arrays."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._columns: dict[str, NDArray[Any]] = {}
        self.count = 0
        self.weights = 0  #: number of trust weights, the same in every replication

    def add(self, replication: int, ledger: Ledger, memory: Memory, **measures: float) -> None:
        """Copy what is needed of a replication that was played."""
        values = {
            "replication": np.int32(replication),
            "sums": ledger.nodes(),
            "network": ledger.network(),
            "counters": memory.counters,
            "trust_log": memory.trust_log,
            **measures,
        }
        for name, value in values.items():
            if name not in self._columns:
                array = np.asarray(value)
                self._columns[name] = np.empty((self._most, *array.shape), array.dtype)
            self._columns[name][self.count] = value
        self.weights = memory.trust.size
        self.count += 1

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return one value for each replication."""
        return self._columns[name][: self.count]

    def measures(self) -> dict[str, NDArray[np.float64]]:
        """Return what was measured besides the accounts."""
        own = ("replication", "sums", "network", "counters", "trust_log")
        return {name: self[name] for name in self._columns if name not in own}


def play_chunk(
    plan: Plan,
    chunk: Chunk,
    engine: Engine = "compiled",
    sink: TraceSink | None = None,
    progress: Progress | None = None,
) -> Harvest:
    """Play the replications of a chunk and return their rows, table by table."""
    parts: dict[str, list[Any]] = {name: [] for name in plan.tables if name != "rounds"}
    failures: list[Failure] = []
    seconds: list[float] = []
    for span in chunk.spans:
        begun = time.perf_counter()
        game = plan.game(span.treatment)
        kept, failed = _play_span(plan, span, game, engine, sink, progress)
        failures += failed
        if kept.count:
            for name, table in _rows(plan, span.treatment, game, kept).items():
                parts[name].append(table)
        seconds.append(round(time.perf_counter() - begun, 6))
    tables = {
        name: pa.concat_tables(tables) if tables else SCHEMAS[name].empty_table()
        for name, tables in parts.items()
    }
    return Harvest(tables, tuple(failures), tuple(seconds))


def _play_span(
    plan: Plan,
    span: Span,
    game: Game,
    engine: Engine,
    sink: TraceSink | None,
    progress: Progress | None,
) -> tuple[_Kept, list[Failure]]:
    treatment = plan.treatments[span.treatment]
    scenario = treatment.scenario
    profile = plan.profile(span.treatment)
    twin = None if is_honest(game.conduct) else plan.twins.of(scenario, profile)
    kept, failures = _Kept(span.last - span.first), []
    for replication in range(span.first, span.last):
        try:
            ledger, memory = play_replication(
                scenario,
                game,
                replication,
                engine=engine,
                sink=sink,
                treatment=treatment.id,
                progress=progress,
            )
            outcome = Outcome.of(ledger, scenario.rounds)
            drift = outcome.against(twin.outcome(replication) if twin else outcome)
        except InputError:
            raise
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
            trail = traceback.format_exc()
            failures.append(Failure(span.treatment, replication, scenario.seed, said, trail))
            continue
        kept.add(replication, ledger, memory, **drift, **distribution_measures(game, memory))
    return kept, failures


def _rows(plan: Plan, treatment: int, game: Game, kept: _Kept) -> dict[str, Any]:
    """Return the rows of replications of one treatment, table by table."""
    id_, rounds = plan.treatments[treatment].id, plan.treatments[treatment].scenario.rounds
    replications, sums = kept["replication"], kept["sums"]
    measures = {
        **adversary_measures(game, sums, kept["counters"], kept.weights, rounds),
        **kept.measures(),
    }
    tables = {
        "nodes": node_table(game, sums, id_, replications),
        "replications": replication_table(
            game, sums, kept["network"], measures, rounds, id_, replications
        ),
    }
    if plan.logs_trust:
        tables["trust"] = trust_table(game, kept["trust_log"], id_, replications)
    return tables
