"""Rounds as a study: plain replications, each compared with its honest twin."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.experiment.round_tables import (
    EVALUATOR_QUANTILES,
    INFERENCE_QUANTILES,
    adversary_measures,
    distribution_measures,
    replication_rows,
    rounds_table,
    trust_rows,
)
from poq_abm.experiment.schemas import ECONOMY_MEASURES
from poq_abm.experiment.study import Engine, Options, Played, Study, TraceSink
from poq_abm.experiment.twins import AGAINST_TWIN, Outcome, Twin, Twins
from poq_abm.profile import Profile
from poq_abm.rules.payment import Counted
from poq_abm.scenario import Scenario
from poq_abm.simulation.arrays import EvaluatorColumn, InferenceColumn
from poq_abm.simulation.buffers import Buffers, open_buffers
from poq_abm.simulation.game import Game, build_game
from poq_abm.simulation.histograms import MEASURES
from poq_abm.simulation.ledger import BLOCK_ROUNDS, Ledger, NodeSum
from poq_abm.simulation.node_table import node_rows
from poq_abm.simulation.replication import (
    Memory,
    ReplicationSums,
    Trace,
    open_replication,
    open_sums,
    open_trace,
)
from poq_abm.simulation.settlement import Settled, settle_batch, settled_by_round
from poq_abm.simulation.stages import Stages, open_stages, play, play_replications_of

__all__ = ["ReplicationArrays", "RoundStudy", "many_at_once", "play_many", "play_replication"]

QUIET_STRETCH = 64 * BLOCK_ROUNDS  # rounds between two signs of life; about a fifth of a second
AGENTS_STRETCH = 2**12
TRACED_STRETCH = 2 * BLOCK_ROUNDS  # rounds of a trace held in memory at once

_OF_ECONOMIES = tuple(name for name, _, _ in ECONOMY_MEASURES)


class Scratch(NamedTuple):
    """What the replications of a game, one after the other, write over."""

    buffers: Buffers
    stages: Stages | None

    @classmethod
    def of(cls, game: Game) -> Scratch:
        """Return scratch space for a game; that of a short replication costs half its time."""
        return cls(open_buffers(game.arrays.rules, game.arrays.nodes), open_stages(game))


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
    def of_sums(
        cls, sums: ReplicationSums, against_twin: dict[str, NDArray[np.float64]], weights: int
    ) -> ReplicationArrays:
        """Return those of :func:`play_many`, with what replications came to against their twins."""
        count = len(sums.numbers)
        made, missing = cls(count), np.full(count, math.nan)
        made._arrays = {
            "replication": sums.numbers,
            "sums": sums.nodes,
            "network": sums.network,
            "counters": sums.counters,
            "trust_log": sums.trust_log,
        }
        made.measures = {
            **against_twin,
            **dict(zip(MEASURES, sums.measures.T, strict=True)),
            **dict.fromkeys(_OF_ECONOMIES, missing),
        }
        made.count, made.weights = count, weights
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
        """Return why a measure is missing: what it takes is not played here."""
        if (by_batch := self._of_a_batch(measure)) is not None:
            return by_batch
        return "is measured in economies only" if measure in _OF_ECONOMIES else None

    def _of_a_batch(self, measure: str) -> str | None:
        """Return why a quantile of rewards is missing, if those it is of are paid by batch."""
        mechanism, who = self.scenario.mechanism, ""
        if measure in EVALUATOR_QUANTILES:
            paid = mechanism.rule("evaluator_reward")[0].counted != Counted.NOTHING
            who = "evaluators" if paid else ""
        elif measure in INFERENCE_QUANTILES and mechanism.reward.rule("family")[0].by_batch:
            who = "inference nodes"
        return (
            f"is missing where {who} are paid for a batch of rounds, not for each" if who else None
        )

    def play(
        self, treatment: str, profile: Profile, first: int, last: int, options: Options
    ) -> Played:
        """Play replications beside their honest twins, short ones many at a time."""
        scenario = self.scenario
        game = build_game(scenario, profile, options.populations)
        compares = options.wanted is None or not options.wanted.isdisjoint(AGAINST_TWIN)
        twin = self._twin(game, profile, options) if compares else None
        inference = game.population.inference_count
        malicious = game.conduct.evaluators[:, EvaluatorColumn.MALICIOUS] == 1.0
        if many_at_once(scenario, game, options.engine, options.sink):
            sums, weights = play_many(scenario, game, first, last, options.progress)
            against = dict.fromkeys(AGAINST_TWIN, np.full(last - first, math.nan))
            if compares:
                outcomes = Outcome.of_many(sums, scenario.rounds, inference)
                others = outcomes if twin is None else twin.outcomes(first, last)
                against = _compared(outcomes, others, malicious)
            arrays = ReplicationArrays.of_sums(sums, against, weights)
            return Played(self._tables(treatment, game, arrays, options.wanted))
        arrays = ReplicationArrays(last - first)
        scratch = Scratch.of(game)

        def play(replication: int) -> None:
            ledger, memory = play_replication(
                scenario,
                game,
                replication,
                engine=options.engine,
                sink=options.sink,
                treatment=treatment,
                progress=options.progress,
                scratch=scratch,
            )
            outcome = Outcome.of(ledger, scenario.rounds, inference)
            other = twin.outcomes(replication, replication + 1)[0] if twin else outcome
            missing = dict.fromkeys((*AGAINST_TWIN, *_OF_ECONOMIES), math.nan)
            drift = outcome.against(other, malicious) if compares else {}
            measures = {**missing, **drift, **distribution_measures(game, memory)}
            arrays.add(replication, ledger, memory, measures)

        failures = self._failures(first, last, play)
        return Played(self._tables(treatment, game, arrays, options.wanted), failures)

    def honest(self) -> Scenario:
        """Return the scenario with every node honest and all else as it is."""
        honest = {"behaviour": {"name": "honest"}}
        people = self.scenario.population
        population = people.model_copy(
            update={
                "inference": tuple(group.model_copy(update=honest) for group in people.inference),
                "evaluators": tuple(group.model_copy(update=honest) for group in people.evaluators),
            }
        )
        update = {"population": population, "malicious": None}
        return self.scenario.model_copy(update=update)

    def _twin(self, game: Game, profile: Profile, options: Options) -> Twin | None:
        """Return the honest twin; nothing where nobody deviates or can come to.

        Noise and bias of honest nodes do not count.
        """
        evaluators, inference = game.conduct
        if not (
            evaluators[:, EvaluatorColumn.MALICIOUS].any()
            or inference[:, InferenceColumn.DEVIATES].any()
            or self._can_come_to_deviate()
        ):
            return None
        return (options.twins or Twins()).of(self.honest(), profile, self._outcomes)

    def _can_come_to_deviate(self) -> bool:
        """Return whether a node that is honest at first may choose not to be."""
        return False

    @staticmethod
    def _outcomes(
        scenario: Scenario, game: Game, _: Profile, first: int, last: int
    ) -> list[Outcome]:
        """Play replications and return what each is compared by."""
        inference = game.population.inference_count
        if many_at_once(scenario, game, "compiled", None):
            sums, _weights = play_many(scenario, game, first, last)
            return Outcome.of_many(sums, scenario.rounds, inference)
        ledgers = (play_replication(scenario, game, number)[0] for number in range(first, last))
        return [Outcome.of(ledger, scenario.rounds, inference) for ledger in ledgers]

    def _tables(
        self,
        treatment: str,
        game: Game,
        arrays: ReplicationArrays,
        wanted: frozenset[str] | None = None,
    ) -> dict[str, Any]:
        """Return the rows of replications, table by table; no table without a replication.

        The main table alone where only some of its columns are wanted.
        """
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
        if wanted is not None:
            return {"replications": network}
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


def play_replication(
    scenario: Scenario,
    game: Game,
    replication: int,
    *,
    engine: Engine = "compiled",
    sink: TraceSink | None = None,
    treatment: str = "base",
    progress: Callable[[int], None] | None = None,
    scratch: Scratch | None = None,
) -> tuple[Ledger, Memory]:
    """Play all rounds of one replication and return its ledger and what is remembered.

    The rounds are played in stretches, so that memory stays flat, a trace can be written as it
    comes and an interrupt is noticed. ``progress`` is told how many rounds were played since it was
    last called. ``scratch`` is that of a replication of the game that is over.
    """
    stretch = TRACED_STRETCH if sink else QUIET_STRETCH
    stretch = min(stretch, AGENTS_STRETCH) if engine == "agents" else stretch
    ledger, memory, play_on = _engine(scenario, game, replication, engine, scratch)
    for first, last in _stretches(scenario.rounds, stretch):
        trace = open_trace(last - first, game.rules.committee_size) if sink else None
        play_on(first, last, trace)
        if sink and trace is not None:
            sink(rounds_table(game, trace, np.arange(first, last), treatment, replication))
        if progress:
            progress(last - first)
    return ledger, memory


def play_many(
    scenario: Scenario,
    game: Game,
    first: int,
    last: int,
    progress: Callable[[int], None] | None = None,
) -> tuple[ReplicationSums, int]:
    """Play replications ``first`` to ``last - 1``; return what they leave, and how many weights.

    The same bits as one by one; for :func:`many_at_once`. The number is that of trust weights.
    """
    scratch = Scratch.of(game)
    kept = open_replication(game.arrays, scenario.seed, first, scenario.rounds, scratch.buffers)
    sums = open_sums(first, last, kept)
    step = max(1, QUIET_STRETCH // scenario.rounds)
    for start in range(0, last - first, step):
        some = sums.between(start, start + step)
        play_replications_of(scenario.rounds, game, kept, some, scratch.stages)
        if progress:
            progress(len(some.numbers) * scenario.rounds)
    return sums, kept.memory.trust.size


def many_at_once(scenario: Scenario, game: Game, engine: Engine, sink: TraceSink | None) -> bool:
    """Return whether replications can be played by :func:`play_many`.

    They are short, leave no trace, are not paid by batch, and need no function of one's own.
    """
    by_batch = game.rules.counted != Counted.NOTHING or game.rules.counts_answers
    short = scenario.rounds <= QUIET_STRETCH and not by_batch
    own = game.needs_agents or game.kernels is not None
    return engine == "compiled" and sink is None and short and not own


def _compared(
    outcomes: Sequence[Outcome], twins: Sequence[Outcome], malicious: NDArray[np.bool_]
) -> dict[str, NDArray[np.float64]]:
    """Return the measures of outcomes against those of their twins."""
    found = [one.against(other, malicious) for one, other in zip(outcomes, twins, strict=True)]
    return {name: np.array([one[name] for one in found]) for name in AGAINST_TWIN}


def _stretches(rounds: int, stretch: int) -> Iterator[tuple[int, int]]:
    for first in range(0, rounds, stretch):
        yield first, min(rounds, first + stretch)


def _engine(
    scenario: Scenario, game: Game, replication: int, engine: Engine, scratch: Scratch | None
) -> tuple[Ledger, Memory, Callable[[int, int, Trace | None], None]]:
    if engine == "agents" or game.needs_agents:
        # Mesa takes over a second to import and the compiled engine does without it.
        from poq_abm.simulation.model import PoQModel  # noqa: PLC0415

        model = PoQModel(scenario, replication=replication, game=game)
        return model.ledger, model.memory, lambda _, last, trace: model.run_agents(last, trace)
    buffers, stages = scratch or Scratch.of(game)
    kept = open_replication(game.arrays, scenario.seed, replication, scenario.rounds, buffers)

    def play_on(first: int, last: int, trace: Trace | None) -> None:
        play(first, last, game, kept, stages, trace)
        if last == scenario.rounds:
            settle_batch(game, game.arrays, kept.ledger, kept.memory)

    return kept.ledger, kept.memory, play_on
