"""Playing the rounds of one epoch: arrivals, assignments, rounds, and what they add up to."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from poq_abm.random import Purpose
from poq_abm.rules.payment.formulas import SCORE_SCALE
from poq_abm.rules.schedule.committee import seat_weights
from poq_abm.rules.schedule.drawing import thresholds
from poq_abm.rules.yuma import YumaTerms
from poq_abm.simulation.arrays import EvaluatorColumn, GameArrays, Nodes, Rules, Tables
from poq_abm.simulation.arrivals import arrive_at_random, arrive_evenly, most_queries
from poq_abm.simulation.batch_counts import clear_counts
from poq_abm.simulation.buffers import open_buffers
from poq_abm.simulation.epochs.accounts import Holding
from poq_abm.simulation.epochs.dispatch import Routing, SchedulerView, dispatch
from poq_abm.simulation.epochs.economy_state import EconomyState, EpochRounds, RoundPlayer
from poq_abm.simulation.epochs.evaluator_weights import (
    EvaluatorWeights,
    mean_scores,
    settle_epoch_by_yuma,
)
from poq_abm.simulation.epochs.performance import (
    EpochTotals,
    Performance,
    ServiceTerms,
    add_rounds,
    clear_totals,
    performance_of,
)
from poq_abm.simulation.ledger import Ledger
from poq_abm.simulation.population import find_active
from poq_abm.simulation.queue import Queue, heavy_tailed
from poq_abm.simulation.replication import Memory, Replication, State, open_trace
from poq_abm.simulation.rounds import check_reports, play_rounds
from poq_abm.simulation.settlement import settle_batch

if TYPE_CHECKING:
    from poq_abm.simulation.game import Game

__all__ = [
    "ROUTINGS",
    "STRIDE",
    "WEIGHTED",
    "CompiledRounds",
    "PlayedEpoch",
    "play_epoch",
    "replay",
]

Array = NDArray[np.float64]

Columns = TypeVar("Columns", bound=tuple[Any, ...])

STRIDE = 2**24  #: round numbers that an epoch owns where its number of queries varies
WEIGHTED = ("trust_softmax", "stake_weighted")  #: drawn by weights that change by epoch
#: schedules that look at more than the node drawn
ROUTINGS = {
    "cheapest": Routing.CHEAPEST,
    "power_of_two": Routing.POWER_OF_TWO,
    "second_score": Routing.SECOND_SCORE,
}


class CompiledRounds:
    """The compiled loop as the player of an economy's rounds; it remembers nothing."""

    def __init__(self, game: Game) -> None:
        self._game = game

    def play(
        self,
        first: int,
        count: int,
        game: GameArrays,
        behaviour: NDArray[np.int64],  # noqa: ARG002  (its columns say what it does)
        kept: Replication,
        rounds: EpochRounds,
    ) -> None:
        """Play ``count`` rounds from the ``first`` on as they were assigned."""
        active, own = find_active(game.conduct), self._game.kernels
        play_rounds(first, first + count, game, kept, active, rounds.trace, own, rounds.assigned)
        check_reports(self._game, kept.memory, kept.buffers)

    def copied(self) -> CompiledRounds:
        """Return itself."""
        return self


class EpochStart(NamedTuple):
    """Where a replication stands before an epoch's first round."""

    ledger: Ledger
    memory: Memory
    player: RoundPlayer
    weights: EvaluatorWeights | None  #: where Yuma pays by them


@dataclass(frozen=True)
class PlayedEpoch:
    """An epoch as it was played."""

    count: int  #: queries that arrived
    first_round: int
    performance: Performance
    cost: Array  #: (N,) mean over its jobs of the cost C that was charged, as reported
    latency_ms: Array  #: (N,) mean latency of the model that a node was paid for, on its machine
    downtime: Array  #: (F,) share of the epoch that a node was down
    worked_s: Array  #: (F,) seconds of service done in the epoch, whenever they were taken on
    game: GameArrays  #: the mechanism and the tables of the epoch
    before: EpochStart | None  #: a copy, where a rule asks for replays


def play_epoch(economy: EconomyState, player: RoundPlayer | None = None) -> PlayedEpoch:
    """Play the rounds of the epoch that has come; by default in the compiled loop."""
    population, totals = economy.population, economy.totals
    player = CompiledRounds(economy.game) if player is None else player
    values = economy.coefficients.now(economy.epoch)
    game = _game_now(economy, values)
    first = _first_round(economy)
    count = _arrive(economy, first, values["fee"])
    downtime, down_from, down_until = _outages(economy)
    view = _view(economy, game, down_from, down_until)
    queued = economy.free_at.sum(axis=1)
    _dispatch(economy, first, count, game, view)
    start = EpochStart(economy.ledger, economy.memory, player, _weights_now(economy))
    replays = any(rule.replays for rule in economy.rules)
    before = _copy_of(start) if replays else None
    behaviour = population.behaviour
    performance = _play(economy, (first, count), game, behaviour, start, economy.rounds, totals)
    economy.weights = performance.weights
    economy.free_at -= 3600.0 * economy.hours
    np.maximum(economy.free_at, 0.0, out=economy.free_at)
    return PlayedEpoch(
        count=count,
        first_round=first,
        performance=performance,
        cost=_cost(economy, count, performance.jobs),
        latency_ms=population.latency_ms.copy(),
        downtime=downtime,
        worked_s=queued + totals.busy_s - economy.free_at.sum(axis=1),
        game=game,
        before=before,
    )


def replay(
    economy: EconomyState,
    played: PlayedEpoch,
    changed: GameArrays,
    behaviour: NDArray[np.int64],
    totals: EpochTotals,
) -> Performance:
    """Return what the same assignments would have brought, had nodes behaved otherwise."""
    assert played.before is not None, "no rule of this economy replays"
    again, rounds = _copy_of(played.before), economy.rounds
    aside = replace(rounds, trace=open_trace(played.count, changed.rules.committee_size))
    span = (played.first_round, played.count)
    return _play(economy, span, changed, behaviour, again, aside, totals)


def _play(
    economy: EconomyState,
    span: tuple[int, int],
    game: GameArrays,
    behaviour: NDArray[np.int64],
    start: EpochStart,
    rounds: EpochRounds,
    totals: EpochTotals,
) -> Performance:
    """Play rounds as they were assigned, from where a replication stands; add them up.

    ``span`` is the number of the first of them, and how many there are.
    """
    ledger, memory, player, weights = start
    first, count = span
    sums, acted = ledger.nodes(), memory.state[:, State.ACTED].copy()
    kept = Replication(economy.key, rounds.play_buffers, ledger, memory)
    clear_totals(totals)
    clear_counts(memory.counts)
    player.play(first, count, game, behaviour, kept, rounds)
    settle_batch(economy.game, game, ledger, memory, sums)
    add_rounds(
        count, _terms(economy), game.tables, rounds.assigned, rounds.queries, rounds.trace, totals
    )
    acted = memory.state[:, State.ACTED] - acted
    performance = performance_of(ledger.nodes() - sums, acted, economy.population.inference, totals)
    if weights is None:
        return performance
    terms = economy.settings.payment.yuma
    scores = mean_scores(count, rounds.assigned, rounds.trace, weights.scores)
    copies = (game.conduct.evaluators[:, EvaluatorColumn.SEEN] > 0.0) & (acted > 0.0)
    shares, then = settle_epoch_by_yuma(
        weights, scores, copies, YumaTerms(**terms.model_dump(exclude={"reveal_delay"})),
        terms.reveal_delay,
    )  # fmt: skip
    return performance._replace(claims=shares, weights=then)


def _weights_now(economy: EconomyState) -> EvaluatorWeights | None:
    """Return what Yuma goes on from, with the stakes of the epoch that begins."""
    if economy.weights is None:
        return None
    active, first = economy.population.active, economy.population.inference
    known = active & ~np.isnan(economy.smoothed)  # who just came has no history
    if economy.settings.stake.bond > 0.0:
        stake = economy.accounts.nodes[Holding.BOND][first:]
    else:
        stake = economy.game.nodes.stake
    stake = np.where(active[first:], np.maximum(stake, 0.0), 0.0)
    weights = economy.weights.among(stake, known[first:], known[:first])
    return weights._replace(present=active[:first].copy())


def _game_now(economy: EconomyState, values: dict[str, float]) -> GameArrays:
    """Return the game at the coefficients and the task mix of the epoch, as nodes play it."""
    rules = economy.game.rules._replace(
        alpha_inference=values["alpha_inference"],
        beta_inference=values["beta_inference"],
        alpha_evaluator=values["alpha_evaluator"],
        beta_evaluator=values["beta_evaluator"],
    )
    population = economy.population
    return GameArrays(rules, _tables_now(economy), population.nodes, population.conduct)


def _dispatch(
    economy: EconomyState, first: int, count: int, game: GameArrays, view: SchedulerView
) -> None:
    """Assign the queries that arrived; the draws see only the nodes that are there."""
    rounds = economy.rounds
    there = game._replace(nodes=_present(economy, view))
    dispatch(
        first, count, economy.key, there, rounds.dispatch_buffers, view, rounds.assigned,
        rounds.queries,
    )  # fmt: skip


def _copy_of(start: EpochStart) -> EpochStart:
    ledger, memory, player, weights = start
    return EpochStart(_copied(ledger), _copied(memory), player.copied(), weights)


def _copied(part: Columns) -> Columns:
    copies = (_copied(array) if isinstance(array, tuple) else array.copy() for array in part)
    kind: Any = type(part)
    copied: Columns = kind(*copies)
    return copied


def _terms(economy: EconomyState) -> ServiceTerms:
    settings, first = economy.settings, economy.population.inference
    return ServiceTerms(
        quickest_s=float(economy.population.service_s[:first].min()),
        latency_penalty=float(settings.payment.latency_penalty),
        gold_tolerance=float(settings.stake.slashing.gold_tolerance),
        evaluators_from=first,
    )


def _cost(economy: EconomyState, count: int, jobs: Array) -> Array:
    """Return the mean of the costs that every node's jobs were charged.

    As it reported them; where the schedule sets the pay, as they are.
    """
    nodes, assigned = economy.population.nodes, economy.rounds.assigned
    cost = np.concatenate([nodes.inference_cost, nodes.evaluator_cost])
    if economy.game.rules.sets_pay:
        cost = economy.population.true_cost.copy()
    if not _charges_realised(economy):
        return cost
    first = economy.population.inference
    node, factor = assigned.node[:count], assigned.cost_factor[:count]
    served = node >= 0
    factors = np.bincount(node[served], factor[served], minlength=first)
    cost[:first] *= np.divide(factors, jobs[:first], out=np.ones(first), where=jobs[:first] > 0.0)
    return cost


def _charges_realised(economy: EconomyState) -> bool:
    return economy.settings.latency.charged == "realised"


def _first_round(economy: EconomyState) -> int:
    constant = economy.settings.demand.is_constant
    return economy.epoch * (economy.rounds_per_epoch if constant else STRIDE)


def _arrive(economy: EconomyState, first: int, fee: float) -> int:
    """Let the queries of an epoch arrive; return how many there are."""
    rounds, seconds = economy.rounds, 3600.0 * economy.hours
    first_fee = economy.settings.payment.fee
    ratio = fee / first_fee if first_fee > 0.0 else 1.0
    if economy.settings.demand.arrivals == "fixed":
        wanted = economy.rounds_per_epoch * economy.arrivals.scale(economy.epoch, ratio)
        count = min(round(wanted), STRIDE)
        rounds.make_room(count)
        arrive_evenly(rounds.queries.arrival, count, seconds)
        return count
    expected = economy.arrivals.expected(economy.epoch, ratio)
    rounds.make_room(min(most_queries(expected.queries), STRIDE))
    return arrive_at_random(rounds.queries.arrival, *expected, seconds, *economy.key, first)


def _tables_now(economy: EconomyState) -> Tables:
    """Return the tables with the task mix of the epoch, which may drift."""
    tables, end = economy.game.tables, economy.settings.demand.tasks_end
    if end is None:
        return tables
    tasks = economy.game.tasks
    start = economy.scenario.tasks or dict.fromkeys(tasks, 1.0 / len(tasks))
    progress = economy.epoch / max(1, economy.settings.epochs - 1)
    shares = [start[task] + progress * (end.get(task, 0.0) - start[task]) for task in tasks]
    return tables._replace(task_limits=thresholds(shares))


def _outages(economy: EconomyState) -> tuple[Array, Array, Array]:
    """Return each inference node's share of the epoch down, and from when until when."""
    latency, seconds = economy.settings.latency, 3600.0 * economy.hours
    inference = economy.population.inference
    if latency.outage_probability == 0.0:
        never = np.full(inference, math.inf)
        return np.zeros(inference), never, never
    draws = economy.draw(Purpose.OUTAGE, 0, 2)[:, :inference]
    down = draws[0] < latency.outage_probability
    length = latency.outage_share * seconds
    start = np.where(down, draws[1] * (seconds - length), math.inf)
    return np.where(down, latency.outage_share, 0.0), start, start + length


def _view(
    economy: EconomyState, game: GameArrays, down_from: Array, down_until: Array
) -> SchedulerView:
    population, latency = economy.population, economy.settings.latency
    first = population.inference
    active = np.flatnonzero(population.active[:first])
    members = np.flatnonzero(population.active[first:])
    by_cost = active[np.argsort(population.nodes.inference_cost[active], kind="stable")]
    patience = economy.settings.service.patience_s
    worth, asked, borne = _scores(economy, game.rules)
    return SchedulerView(
        routing=int(ROUTINGS.get(economy.scenario.schedule, Routing.DRAWN)),
        active=active,
        members=members,
        by_weight=economy.settings.stake.sampling != "uniform",
        seats=seat_weights(_seats(economy, members)),
        by_cost=by_cost,
        worth=worth,
        asked=asked,
        borne=borne,
        law=heavy_tailed(
            latency.distribution, latency.sigma, latency.tail_share, latency.tail_index
        ),
        service_s=population.service_s[:first],
        queue=Queue(economy.free_at, down_from, down_until),
        patience_s=math.inf if patience is None else float(patience),
        charges_realised=_charges_realised(economy),
    )


def _scores(economy: EconomyState, rules: Rules) -> tuple[Array, Array, Array]:
    """Return what answers are worth, by task and node, what nodes ask, and what it costs them.

    All are empty where nobody asks.

    A node is known by the model that it is paid for, whatever it really runs.
    """
    if not rules.sets_pay:
        return np.empty((0, 0)), np.empty(0), np.empty(0)
    tables, population = economy.game.tables, economy.population
    spans = zip(tables.task_first.tolist(), tables.task_size.tolist(), strict=True)
    known = [tables.agreed[first : first + size].mean(axis=0) for first, size in spans]
    quality = np.stack(known)[:, population.model] / SCORE_SCALE
    asked = rules.beta_inference * population.nodes.inference_cost
    borne = rules.beta_inference * population.true_cost[: population.inference]
    return rules.alpha_inference * quality, asked, borne


def _seats(economy: EconomyState, members: NDArray[np.int64]) -> Array:
    """Return the weights that seats in a committee go by; of nobody where they go by none."""
    sampling = economy.settings.stake.sampling
    if sampling == "stake":
        bonds: Array = economy.accounts.nodes[Holding.BOND][economy.population.inference :]
        return bonds[members]
    if sampling == "trust":
        weights: Array = economy.memory.trust[members].mean(axis=1)
        return weights
    return np.ones(1)


def _weights(values: Array) -> NDArray[np.uint64]:
    """Return cumulative weights; where nobody has any, all have the same."""
    return thresholds(values if values.max() > 0.0 else np.ones_like(values))


def _present(economy: EconomyState, view: SchedulerView) -> Nodes:
    """Return the nodes as the draws see them: only those that are there."""
    population, rounds, game = economy.population, economy.rounds, economy.game
    if view.members.size != rounds.members:
        evaluators = population.nodes.evaluator[view.members]
        rounds.dispatch_buffers = open_buffers(
            game.rules, game.nodes._replace(evaluator=evaluators)
        )
        rounds.members = view.members.size
    return population.nodes._replace(
        limits=_limits(economy, view.active), evaluator=population.nodes.evaluator[view.members]
    )


def _limits(economy: EconomyState, active: NDArray[np.int64]) -> NDArray[np.uint64]:
    name = economy.scenario.schedule
    if name == "trust_softmax":
        temperature = economy.settings.service.temperature
        reputation = economy.reputation[active]
        scaled = ((reputation - reputation.max()) / temperature).tolist()
        return thresholds([math.exp(x) for x in scaled])  # NumPy's differs between processors
    if name == "stake_weighted":
        return _weights(economy.accounts.nodes[Holding.BOND][active])
    return thresholds(economy.game.population.weight[active])
