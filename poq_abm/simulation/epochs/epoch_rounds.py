"""Playing the rounds of one epoch: arrivals, assigned, rounds, takings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from poq_abm.random import Purpose
from poq_abm.rules.schedule.committee import seat_weights
from poq_abm.rules.schedule.drawing import thresholds
from poq_abm.simulation.arrays import Assignments, Conduct, GameArrays, Nodes, Rules, Tables
from poq_abm.simulation.arrivals import arrive_at_random, arrive_evenly, most_queries
from poq_abm.simulation.buffers import Buffers, open_buffers
from poq_abm.simulation.epochs.dispatch import dispatch
from poq_abm.simulation.epochs.double_entry import Holding
from poq_abm.simulation.epochs.epoch_arrays import (
    Floor,
    Queries,
    Routing,
    Takings,
    open_orders,
    open_queries,
)
from poq_abm.simulation.epochs.epoch_draws import node_uniforms
from poq_abm.simulation.epochs.epoch_sums import begin_epoch, settle
from poq_abm.simulation.epochs.outcome import Outcome, outcome_of
from poq_abm.simulation.histograms import Histograms
from poq_abm.simulation.ledger import Ledger
from poq_abm.simulation.population import find_active
from poq_abm.simulation.queue import Queue, ServiceTime, heavy_tailed
from poq_abm.simulation.replication import Memory, Replication, State, Trace, open_trace
from poq_abm.simulation.rounds import check_reports, play_rounds

if TYPE_CHECKING:
    from poq_abm.simulation.epochs.economy import Economy

__all__ = ["ROUTINGS", "STRIDE", "WEIGHTED", "Play", "Played", "open_play", "play_epoch", "replay"]

Array = NDArray[np.float64]

Columns = TypeVar("Columns", Ledger, Memory, Histograms)

STRIDE = 2**24  #: round numbers that an epoch owns where its number of queries varies
WEIGHTED = ("trust_softmax", "stake_weighted")  #: drawn by weights that change by epoch
#: schedules that look at more than the node drawn
ROUTINGS = {"cheapest": Routing.CHEAPEST, "power_of_two": Routing.POWER_OF_TWO}


@dataclass
class Play:
    """Scratch space and settings of the rounds of an economy, used epoch after epoch."""

    law: ServiceTime  #: of the time that a job takes
    routing: Routing
    assigned: Assignments
    queries: Queries
    trace: Trace
    play_desk: Buffers
    orders_desk: Buffers
    members: int  #: evaluators for whom ``orders_desk`` was opened


@dataclass(frozen=True)
class Played:
    """An epoch as it was played."""

    count: int  #: queries that arrived
    first_round: int
    outcome: Outcome
    cost: Array  #: (N,) mean over its jobs of the cost C that was charged, as reported
    latency_ms: Array  #: (N,) mean latency of the model that a node was paid for, on its machine
    downtime: Array  #: (F,) share of the epoch that a node was down
    worked_s: Array  #: (F,) seconds of service done in the epoch, whenever they were taken on
    rules: Rules
    tables: Tables
    before: tuple[Ledger, Memory] | None  #: copies from before the first round, for replays


def open_play(economy: Economy) -> Play:
    """Return what the rounds of an economy need."""
    game, latency = economy.game, economy.settings.latency
    size = game.rules.committee_size
    return Play(
        law=heavy_tailed(
            latency.distribution, latency.sigma, latency.tail_share, latency.tail_index
        ),
        routing=ROUTINGS.get(economy.scenario.schedule, Routing.DRAWN),
        assigned=open_orders(0, size),
        queries=open_queries(0),
        trace=open_trace(0, size),
        play_desk=open_buffers(game.rules, game.nodes),
        orders_desk=open_buffers(game.rules, game.nodes),
        members=game.nodes.evaluator.size,
    )


def play_epoch(economy: Economy) -> Played:
    """Play the rounds of the epoch that has come."""
    play, roster, game = economy.play, economy.roster, economy.game
    values = economy.coefficients.now(economy.epoch)
    rules = game.rules._replace(
        alpha_inference=values["alpha_inference"],
        beta_inference=values["beta_inference"],
        alpha_evaluator=values["alpha_evaluator"],
        beta_evaluator=values["beta_evaluator"],
    )
    tables = _tables_now(economy)
    first = _first_round(economy)
    count = _arrive(economy, first, values["fee"])
    downtime, down_from, down_until = _outages(economy)
    floor = _floor(economy, down_from, down_until)
    queued = economy.free_at.sum(axis=1)
    present = _present(economy, floor)
    begin_epoch(economy.takings)
    played_game = GameArrays(rules, tables, roster.nodes, roster.conduct)
    dispatch(
        first, count, economy.key, play.law, played_game._replace(nodes=present),
        play.orders_desk, floor, play.assigned, play.queries,
    )  # fmt: skip
    keeps = any(rule.replays for rule in economy.rules)
    before = (_copied(economy.ledger), _copied(economy.memory)) if keeps else None
    sums, acted = economy.ledger.nodes(), economy.memory.state[:, State.ACTED].copy()
    _rounds(economy, first, count, played_game, economy.ledger, economy.memory)
    check_reports(game, economy.memory, play.play_desk)
    _settle(economy, count, tables, economy.takings)
    economy.free_at -= 3600.0 * economy.hours
    np.maximum(economy.free_at, 0.0, out=economy.free_at)
    acted = economy.memory.state[:, State.ACTED] - acted
    outcome = outcome_of(economy.ledger.nodes() - sums, acted, roster.inference, economy.takings)
    worked = queued + economy.takings.busy_s - economy.free_at.sum(axis=1)
    cost, latency = _cost(economy, count, outcome.jobs), roster.latency_ms.copy()
    return Played(count, first, outcome, cost, latency, downtime, worked, rules, tables, before)


def replay(
    economy: Economy, played: Played, nodes: Nodes, conduct: Conduct, takings: Takings
) -> Outcome:
    """Return what the same assignments would have brought, had nodes behaved otherwise."""
    assert played.before is not None, "no rule of this economy replays"
    ledger, memory = _copied(played.before[0]), _copied(played.before[1])
    sums, acted = ledger.nodes(), memory.state[:, State.ACTED].copy()
    begin_epoch(takings)
    replayed = GameArrays(played.rules, played.tables, nodes, conduct)
    _rounds(economy, played.first_round, played.count, replayed, ledger, memory)
    _settle(economy, played.count, played.tables, takings)
    acted = memory.state[:, State.ACTED] - acted
    return outcome_of(ledger.nodes() - sums, acted, economy.roster.inference, takings)


def _copied(part: Columns) -> Columns:
    copies: Any = (
        _copied(array) if isinstance(array, Histograms) else array.copy() for array in part
    )
    return type(part)(*copies)


def _rounds(
    economy: Economy, first: int, count: int, game: GameArrays, ledger: Ledger, memory: Memory
) -> None:
    play, own = economy.play, economy.game.kernels
    kept = Replication(economy.key, play.play_desk, ledger, memory)
    active = find_active(game.conduct)
    play_rounds(first, first + count, game, kept, active, play.trace, own, play.assigned)


def _settle(economy: Economy, count: int, tables: Tables, takings: Takings) -> None:
    play, settings = economy.play, economy.settings
    service = economy.roster.service_s[: economy.roster.inference]
    settle(
        count,
        float(service.min()),
        float(settings.payment.latency_penalty),
        float(settings.stake.slashing.gold_tolerance),
        tables,
        economy.roster.inference,
        play.assigned,
        play.queries,
        play.trace,
        takings,
    )


def _cost(economy: Economy, count: int, jobs: Array) -> Array:
    """Return the mean of the costs that every node's jobs were charged, as it reported them."""
    nodes, assigned = economy.roster.nodes, economy.play.assigned
    cost = np.concatenate([nodes.inference_cost, nodes.evaluator_cost])
    if not _charges_realised(economy):
        return cost
    first = economy.roster.inference
    node, factor = assigned.node[:count], assigned.cost_factor[:count]
    served = node >= 0
    factors = np.bincount(node[served], factor[served], minlength=first)
    cost[:first] *= np.divide(factors, jobs[:first], out=np.ones(first), where=jobs[:first] > 0.0)
    return cost


def _charges_realised(economy: Economy) -> bool:
    return economy.settings.latency.charged == "realised"


def _first_round(economy: Economy) -> int:
    constant = economy.settings.demand.is_constant
    return economy.epoch * (economy.rounds_per_epoch if constant else STRIDE)


def _arrive(economy: Economy, first: int, fee: float) -> int:
    """Let the queries of an epoch arrive; return how many there are."""
    play, seconds = economy.play, 3600.0 * economy.hours
    first_fee = economy.settings.payment.fee
    ratio = fee / first_fee if first_fee > 0.0 else 1.0
    if economy.settings.demand.arrivals == "fixed":
        wanted = economy.rounds_per_epoch * economy.clock.scale(economy.epoch, ratio)
        count = min(round(wanted), STRIDE)
        _make_room(play, count)
        arrive_evenly(play.queries.arrival, count, seconds)
        return count
    expected = economy.clock.expected(economy.epoch, ratio)
    _make_room(play, min(most_queries(expected.queries), STRIDE))
    return arrive_at_random(play.queries.arrival, *expected, seconds, *economy.key, first)


def _make_room(play: Play, count: int) -> None:
    if play.assigned.node.size < count:
        size = play.assigned.committee.shape[1]
        play.assigned, play.queries = open_orders(count, size), open_queries(count)
        play.trace = open_trace(count, size)


def _tables_now(economy: Economy) -> Tables:
    """Return the tables with the task mix of the epoch, which may drift."""
    tables, end = economy.game.tables, economy.settings.demand.tasks_end
    if end is None:
        return tables
    tasks = economy.game.tasks
    start = economy.scenario.tasks or dict.fromkeys(tasks, 1.0 / len(tasks))
    progress = economy.epoch / max(1, economy.settings.epochs - 1)
    shares = [start[task] + progress * (end.get(task, 0.0) - start[task]) for task in tasks]
    return tables._replace(task_limits=thresholds(shares))


def _outages(economy: Economy) -> tuple[Array, Array, Array]:
    """Return each inference node's share of the epoch down, and from when until when."""
    latency, seconds = economy.settings.latency, 3600.0 * economy.hours
    inference = economy.roster.inference
    if latency.outage_probability == 0.0:
        never = np.full(inference, math.inf)
        return np.zeros(inference), never, never
    draws = node_uniforms(economy, Purpose.OUTAGE, 0, 2)[:, :inference]
    down = draws[0] < latency.outage_probability
    length = latency.outage_share * seconds
    start = np.where(down, draws[1] * (seconds - length), math.inf)
    return np.where(down, latency.outage_share, 0.0), start, start + length


def _floor(economy: Economy, down_from: Array, down_until: Array) -> Floor:
    roster, play = economy.roster, economy.play
    first = roster.inference
    active = np.flatnonzero(roster.active[:first])
    members = np.flatnonzero(roster.active[first:])
    by_cost = active[np.argsort(roster.nodes.inference_cost[active], kind="stable")]
    patience = economy.settings.service.patience_s
    return Floor(
        routing=int(play.routing),
        active=active,
        members=members,
        by_weight=economy.settings.stake.sampling != "uniform",
        seats=seat_weights(_seats(economy, members)),
        by_cost=by_cost,
        service_s=roster.service_s[:first],
        queue=Queue(economy.free_at, down_from, down_until),
        patience_s=math.inf if patience is None else float(patience),
        charges_realised=_charges_realised(economy),
    )


def _seats(economy: Economy, members: NDArray[np.int64]) -> Array:
    """Return the weights that seats in a committee go by; of nobody where they go by none."""
    sampling = economy.settings.stake.sampling
    if sampling == "stake":
        bonds: Array = economy.books.nodes[Holding.BOND][economy.roster.inference :]
        return bonds[members]
    if sampling == "trust":
        weights: Array = economy.memory.trust[members].mean(axis=1)
        return weights
    return np.ones(1)


def _weights(values: Array) -> NDArray[np.uint64]:
    """Return cumulative weights; where nobody has any, all have the same."""
    return thresholds(values if values.max() > 0.0 else np.ones_like(values))


def _present(economy: Economy, floor: Floor) -> Nodes:
    """Return the nodes as the draws see them: only those that are there."""
    roster, play, game = economy.roster, economy.play, economy.game
    if floor.members.size != play.members:
        evaluators = roster.nodes.evaluator[floor.members]
        play.orders_desk = open_buffers(game.rules, game.nodes._replace(evaluator=evaluators))
        play.members = floor.members.size
    return roster.nodes._replace(
        limits=_limits(economy, floor.active), evaluator=roster.nodes.evaluator[floor.members]
    )


def _limits(economy: Economy, active: NDArray[np.int64]) -> NDArray[np.uint64]:
    name = economy.scenario.schedule
    if name == "trust_softmax":
        temperature = economy.settings.service.temperature
        reputation = economy.reputation[active]
        scaled = ((reputation - reputation.max()) / temperature).tolist()
        return thresholds([math.exp(x) for x in scaled])  # NumPy's differs between processors
    if name == "stake_weighted":
        return _weights(economy.books.nodes[Holding.BOND][active])
    return thresholds(economy.game.population.weight[active])
