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


class _Played(NamedTuple):
    """What is kept of one replication until the rows are made."""

    replication: int
    sums: NDArray[np.float64]
    network: NDArray[np.float64]
    counters: NDArray[np.int64]
    weights: int
    measures: dict[str, float]
    trust_log: NDArray[np.float64]


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
        played, failed = _play_span(plan, span, game, engine, sink, progress)
        failures += failed
        if played:
            for name, table in _rows(plan, span.treatment, game, played).items():
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
) -> tuple[list[_Played], list[Failure]]:
    treatment = plan.treatments[span.treatment]
    scenario = treatment.scenario
    profile = plan.profile(span.treatment)
    twin = None if is_honest(game.conduct) else plan.twins.of(scenario, profile)
    played, failures = [], []
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
        measures = {**drift, **distribution_measures(game, memory)}
        sums, network = ledger.nodes(), ledger.network()
        kept = (memory.counters, memory.trust.size, measures, memory.trust_log)
        played.append(_Played(replication, sums, network, *kept))
    return played, failures


def _rows(plan: Plan, treatment: int, game: Game, played: list[_Played]) -> dict[str, Any]:
    """Return the rows of replications of one treatment, table by table."""
    id_, rounds = plan.treatments[treatment].id, plan.treatments[treatment].scenario.rounds
    replications = np.array([one.replication for one in played], np.int32)
    sums = np.stack([one.sums for one in played])
    network = np.stack([one.network for one in played])
    counters = np.stack([one.counters for one in played])
    measures = {
        **adversary_measures(game, sums, counters, played[0].weights, rounds),
        **{name: np.array([one.measures[name] for one in played]) for name in played[0].measures},
    }
    tables = {
        "nodes": node_table(game, sums, id_, replications),
        "replications": replication_table(game, sums, network, measures, rounds, id_, replications),
    }
    if plan.logs_trust:
        logs = np.stack([one.trust_log for one in played])
        tables["trust"] = trust_table(game, logs, id_, replications)
    return tables
