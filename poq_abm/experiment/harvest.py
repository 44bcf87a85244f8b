"""Playing a chunk: its replications one after the other, their rows made all at once.

A replication that raises is recorded with its traceback and seed, and the others go on. An
:class:`~poq_abm.errors.InputError` is a user's mistake, which the others would repeat; it stops the
run.
"""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from poq_abm.errors import InputError
from poq_abm.experiment.adversaries import adversary_measures
from poq_abm.experiment.distributions import REWARD_QUANTILES, distribution_measures
from poq_abm.experiment.economies import (
    account_table,
    economy_measures,
    epoch_table,
    kept_of,
    names_of,
    no_measures,
    play_economy,
)
from poq_abm.experiment.keeping import Kept
from poq_abm.experiment.plan import Plan
from poq_abm.experiment.playing import (
    Engine,
    TraceSink,
    many_at_once,
    play_plain,
    play_replication,
)
from poq_abm.experiment.spans import Chunk, Coverage, Span
from poq_abm.experiment.tables import (
    SCHEMAS,
    TRACES,
    node_table,
    replication_table,
    trust_table,
)
from poq_abm.experiment.twins import TWIN_MEASURES, Outcome, is_honest
from poq_abm.experiment.verifications import QueryPlayer
from poq_abm.scenario import Scenario
from poq_abm.simulation.arrays import EvaluatorColumn
from poq_abm.simulation.buffers import ReplicationKey
from poq_abm.simulation.epochs.payment import points_are_tokens
from poq_abm.simulation.game import Game
from poq_abm.simulation.histograms import MEASURES
from poq_abm.simulation.ledger import NodeSum
from poq_abm.simulation.replication import open_memory
from poq_abm.simulation.settlement import Settled, settled_by_round

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
        rows, failed = _play_span(plan, span, engine, sink, progress)
        failures += failed
        for name, table in rows.items():
            parts[name].append(table)
        seconds.append(round(time.perf_counter() - begun, 6))
    tables = {
        name: pa.concat_tables(tables) if tables else SCHEMAS[name].empty_table()
        for name, tables in parts.items()
    }
    return Harvest(tables, tuple(failures), tuple(seconds))


def _play_span(
    plan: Plan, span: Span, engine: Engine, sink: TraceSink | None, progress: Progress | None
) -> tuple[dict[str, Any], list[Failure]]:
    """Play a span and return its rows, table by table, and the replications that raised."""
    scenario = plan.treatments[span.treatment].scenario
    if scenario.verification is not None:
        return _play_queries(plan, span, engine, sink, progress)
    game = plan.game(span.treatment)
    if scenario.economy is not None:
        kept, failures = _play_economies(plan, span, game, progress)
    else:
        kept, failures = _play_rounds(plan, span, game, engine, sink, progress)
    return _rows(plan, span.treatment, game, kept) if kept.count else {}, failures


def _play_queries(
    plan: Plan, span: Span, engine: Engine, sink: TraceSink | None, progress: Progress | None
) -> tuple[dict[str, Any], list[Failure]]:
    treatment = plan.treatments[span.treatment]
    player = QueryPlayer(treatment, plan.profile(span.treatment), engine)
    failures = []
    for replication in range(span.first, span.last):
        try:
            player.play(replication, sink, progress)
        except InputError:
            raise
        except Exception as error:
            failures.append(_failure(span, replication, treatment.scenario, error))
    return {"queries": player.table()}, failures


def _play_rounds(
    plan: Plan,
    span: Span,
    game: Game,
    engine: Engine,
    sink: TraceSink | None,
    progress: Progress | None,
) -> tuple[Kept, list[Failure]]:
    treatment = plan.treatments[span.treatment]
    scenario = treatment.scenario
    profile = plan.profile(span.treatment)
    twin = None if is_honest(game.conduct) else plan.twins.of(scenario, profile)
    if twin is None and many_at_once(scenario, game, engine, sink):
        return _play_plain(scenario, game, span, progress), []
    kept, failures = Kept(span.last - span.first), []
    first = game.population.inference_count
    malicious = game.conduct.evaluators[:, EvaluatorColumn.MALICIOUS] == 1.0
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
            outcome = Outcome.of(ledger, scenario.rounds, first)
            drift = outcome.against(twin.outcome(replication) if twin else outcome, malicious)
        except InputError:
            raise
        except Exception as error:
            failures.append(_failure(span, replication, scenario, error))
            continue
        measures = {**distribution_measures(memory), **no_measures()}
        kept.add(replication, ledger, memory, **drift, **measures)
    return kept, failures


def _play_economies(
    plan: Plan, span: Span, game: Game, progress: Progress | None
) -> tuple[Kept, list[Failure]]:
    """Play a span of economies; where somebody deviates, they have no honest twin."""
    scenario, profile = plan.treatments[span.treatment].scenario, plan.profile(span.treatment)
    kept, failures = Kept(span.last - span.first), []
    honest = is_honest(game.conduct)
    for replication in range(span.first, span.last):
        try:
            economy = play_economy(scenario, game, profile, replication, progress)
        except InputError:
            raise
        except Exception as error:
            failures.append(_failure(span, replication, scenario, error))
            continue
        drift = dict.fromkeys(TWIN_MEASURES, 0.0 if honest else math.nan)
        drift["reward_gap"] = math.nan
        measures = {**distribution_measures(economy.memory), **economy_measures(economy)}
        if not points_are_tokens(economy.settings):
            # Counted were points, whose price in tokens moves from epoch to epoch.
            measures |= dict.fromkeys(REWARD_QUANTILES, math.nan)
        extras = kept_of(economy)
        kept.add(replication, economy.ledger, economy.memory, **drift, **measures, **extras)
        kept.names = names_of(economy)
    return kept, failures


def _failure(span: Span, replication: int, scenario: Scenario, error: Exception) -> Failure:
    said, trail = f"{type(error).__name__}: {error}", traceback.format_exc()
    return Failure(span.treatment, replication, scenario.seed, said, trail)


def _play_plain(scenario: Scenario, game: Game, span: Span, progress: Progress | None) -> Kept:
    """Play a span of a plain game in which nobody deviates; each replication is its own twin."""
    sums, network, measures = play_plain(scenario, game, span.first, span.last, progress)
    memory = open_memory(game.arrays, ReplicationKey(scenario.seed, 0), scenario.rounds)
    paid = sums[..., NodeSum.REWARD].sum(axis=1) > 0.0
    kept = Kept(span.last - span.first)
    kept.columns = {
        "replication": np.arange(span.first, span.last, dtype=np.int32),
        "sums": sums,
        "network": network,
        "counters": np.tile(memory.counters, (len(sums), 1)),
        "trust_log": np.tile(memory.trust_log, (len(sums), 1, 1, 1)),
        "consensus_drift": np.zeros(len(sums)),
        "payout_inflation": np.where(paid, 0.0, math.nan),
        "reward_gap": np.full(len(sums), math.nan),
        **dict(zip(MEASURES, measures.T, strict=True)),
        **{name: np.full(len(sums), value) for name, value in no_measures().items()},
    }
    kept.count, kept.weights = len(sums), memory.trust.size
    return kept


def _rows(plan: Plan, treatment: int, game: Game, kept: Kept) -> dict[str, Any]:
    """Return the rows of replications of one treatment, table by table."""
    id_, scenario = plan.treatments[treatment].id, plan.treatments[treatment].scenario
    replications, sums = kept["replication"], kept["sums"]
    economies = scenario.economy is not None
    if economies:
        settled = Settled(*np.moveaxis(kept["settled"], 1, 0))
    else:
        settled = settled_by_round(game, sums)
    paid = sums.copy()
    paid[..., NodeSum.REWARD] = settled.reward  # whatever is said of rewards is said of tokens
    rounds = kept["served"] if economies else np.full(len(replications), scenario.rounds)
    measures = {
        **adversary_measures(game, paid, kept["counters"], kept.weights, rounds),
        **kept.measures(),
    }
    tables = {
        "nodes": node_table(game, sums, settled, id_, replications),
        "replications": replication_table(
            game, sums, settled, kept["network"], measures, rounds, id_, replications
        ),
    }
    if plan.logs_trust:
        tables["trust"] = trust_table(game, kept["trust_log"], id_, replications)
    if economies:
        groups, network = kept["epoch_groups"], kept["epoch_network"]
        tables["epochs"] = epoch_table(game, groups, network, id_, replications)
        tables["accounts"] = account_table(
            game, kept["accounts"], kept["final"], kept.names, id_, replications
        )
    return tables
