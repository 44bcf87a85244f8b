"""Rounds as a study: plain replications, each compared with its honest twin."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poq_abm.experiment.round_replication import many_at_once, play_plain, play_replication
from poq_abm.experiment.round_tables import (
    adversary_measures,
    distribution_measures,
    replication_rows,
    trust_rows,
)
from poq_abm.experiment.schemas import ECONOMY_MEASURES
from poq_abm.experiment.study import Options, Played, Study
from poq_abm.experiment.twins import Outcome, Twins, is_honest
from poq_abm.profile import Profile
from poq_abm.simulation.arrays import EvaluatorColumn
from poq_abm.simulation.buffers import ReplicationKey
from poq_abm.simulation.game import Game, build_game
from poq_abm.simulation.histograms import MEASURES
from poq_abm.simulation.ledger import Ledger, NodeSum
from poq_abm.simulation.node_table import node_rows
from poq_abm.simulation.replication import Memory, open_memory
from poq_abm.simulation.settlement import Settled, settled_by_round

__all__ = ["ReplicationArrays", "RoundStudy"]

_OF_ECONOMIES = tuple(name for name, _, _ in ECONOMY_MEASURES)


class ReplicationArrays:
    """What is kept of replications until their rows are made: a few arrays, a row for each.

    Small objects for each replication would stay in memory, and rows of one by one cost more.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._arrays: dict[str, NDArray[Any]] = {}
        self.measures: dict[str, NDArray[np.float64]] = {}  #: columns of ``replications``
        self.count = 0
        self.weights = 0  #: number of trust weights, the same in every replication

    def add(
        self,
        replication: int,
        ledger: Ledger,
        memory: Memory,
        measures: dict[str, float],
        **more: Any,
    ) -> None:
        """Copy what is needed of a replication that was played."""
        values = {
            "replication": np.int32(replication),
            "sums": ledger.nodes(),
            "network": ledger.network(),
            "counters": memory.counters,
            "trust_log": memory.trust_log,
            **more,
        }
        for arrays, given in ((self._arrays, values), (self.measures, measures)):
            for name, value in given.items():
                if name not in arrays:
                    array = np.asarray(value)
                    arrays[name] = np.empty((self._most, *array.shape), array.dtype)
                arrays[name][self.count] = value
        self.weights = memory.trust.size
        self.count += 1

    @classmethod
    def of_plain(
        cls,
        first: int,
        sums: NDArray[np.float64],
        network: NDArray[np.float64],
        measures: NDArray[np.float64],
        memory: Memory,
    ) -> ReplicationArrays:
        """Return those of :func:`play_plain`, in which nobody deviates; each is its own twin."""
        made = cls(len(sums))
        paid = sums[..., NodeSum.REWARD].sum(axis=1) > 0.0
        made._arrays = {
            "replication": np.arange(first, first + len(sums), dtype=np.int32),
            "sums": sums,
            "network": network,
            "counters": np.tile(memory.counters, (len(sums), 1)),
            "trust_log": np.tile(memory.trust_log, (len(sums), 1, 1, 1)),
        }
        made.measures = {
            "consensus_drift": np.zeros(len(sums)),
            "payout_inflation": np.where(paid, 0.0, math.nan),
            "reward_gap": np.full(len(sums), math.nan),
            **dict(zip(MEASURES, measures.T, strict=True)),
            **{name: np.full(len(sums), math.nan) for name in _OF_ECONOMIES},
        }
        made.count, made.weights = len(sums), memory.trust.size
        return made

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return one value for each replication."""
        return self._arrays[name][: self.count]


class RoundStudy(Study):
    """Rounds of the mechanism, one like the other."""

    def rows(self, profile: Profile) -> dict[str, int]:
        """Return the tables of a plain run: nodes, replications, and trust where it is logged."""
        people, trust = self.scenario.population, self.scenario.mechanism.trust
        rows = {"nodes": people.inference_nodes + people.evaluator_nodes, "replications": 1}
        if trust.interval:
            columns = len(self.scenario.tasks or profile.tasks) if trust.per_task else 1
            entries = self.scenario.rounds // trust.interval
            rows["trust"] = entries * people.evaluator_nodes * columns
        return rows

    def why_missing(self, measure: str) -> str | None:
        """Return why a measure is missing: only an economy has it."""
        return "is measured in economies only" if measure in _OF_ECONOMIES else None

    def play(
        self, treatment: str, profile: Profile, first: int, last: int, options: Options
    ) -> Played:
        """Play replications, plain ones many at a time and others beside their honest twins."""
        scenario = self.scenario
        game = build_game(scenario, profile, options.populations)
        honest = is_honest(scenario, game.conduct)
        if honest and many_at_once(scenario, game, options.engine, options.sink):
            found = play_plain(scenario, game, first, last, options.progress)
            memory = open_memory(game.arrays, ReplicationKey(scenario.seed, 0), scenario.rounds)
            arrays = ReplicationArrays.of_plain(first, *found, memory)
            return Played(self._tables(treatment, game, arrays))
        twin = None if honest else (options.twins or Twins()).of(scenario, profile)
        arrays = ReplicationArrays(last - first)
        inference = game.population.inference_count
        malicious = game.conduct.evaluators[:, EvaluatorColumn.MALICIOUS] == 1.0

        def play(replication: int) -> None:
            ledger, memory = play_replication(
                scenario,
                game,
                replication,
                engine=options.engine,
                sink=options.sink,
                treatment=treatment,
                progress=options.progress,
            )
            outcome = Outcome.of(ledger, scenario.rounds, inference)
            drift = outcome.against(twin.outcome(replication) if twin else outcome, malicious)
            missing = dict.fromkeys(_OF_ECONOMIES, math.nan)
            measures = {**drift, **distribution_measures(memory), **missing}
            arrays.add(replication, ledger, memory, measures)

        failures = self._failures(first, last, play)
        return Played(self._tables(treatment, game, arrays), failures)

    def _tables(self, treatment: str, game: Game, arrays: ReplicationArrays) -> dict[str, Any]:
        """Return the rows of replications, table by table; no table without a replication."""
        if not arrays.count:
            return {}
        replications, sums = arrays["replication"], arrays["sums"]
        settled, rounds = self._settled(game, arrays), self._rounds(arrays)
        paid = sums.copy()
        paid[..., NodeSum.REWARD] = settled.reward  # whatever is said of rewards is said of tokens
        measures = {
            **adversary_measures(game, paid, arrays["counters"], arrays.weights, rounds),
            **{name: values[: arrays.count] for name, values in arrays.measures.items()},
        }
        network = replication_rows(
            game, sums, settled, arrays["network"], measures, rounds, treatment, replications
        )
        tables = {
            "nodes": node_rows(game, sums, settled, treatment, replications),
            "replications": network,
        }
        if game.rules.trust_interval:
            tables["trust"] = trust_rows(game, arrays["trust_log"], treatment, replications)
        return tables

    def _settled(self, game: Game, arrays: ReplicationArrays, /) -> Settled:
        """Return what points came to."""
        return settled_by_round(game, arrays["sums"])

    def _rounds(self, arrays: ReplicationArrays) -> NDArray[np.int64]:
        """Return how many rounds every replication had."""
        return np.full(arrays.count, self.scenario.rounds)
