"""The state of an economy between epochs: who is there, who holds what, what is remembered."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from poq_abm.compilation import compiled_loop
from poq_abm.random import Purpose, uniform
from poq_abm.rules.adaptation.base import resolve_adaptation
from poq_abm.scenario.schema.economy import MAX_ADAPTATIONS
from poq_abm.simulation.arrays import Assignments, GameArrays
from poq_abm.simulation.arrivals import ArrivalRate
from poq_abm.simulation.buffers import Buffers, ReplicationKey, open_buffers
from poq_abm.simulation.epochs.accounts import Accounts, Fund, Holding
from poq_abm.simulation.epochs.controllers import COEFFICIENTS, Coefficients
from poq_abm.simulation.epochs.dispatch import Queries, open_assignments, open_queries
from poq_abm.simulation.epochs.economy_population import EconomyPopulation
from poq_abm.simulation.epochs.evaluator_weights import open_weights
from poq_abm.simulation.epochs.performance import open_totals
from poq_abm.simulation.histograms import REWARD_CELLS, reward_scale
from poq_abm.simulation.ledger import open_ledger
from poq_abm.simulation.replication import (
    Counter,
    Replication,
    State,
    Trace,
    open_memory,
    open_trace,
)

if TYPE_CHECKING:
    from poq_abm.profile import Profile
    from poq_abm.scenario import Scenario
    from poq_abm.scenario.schema.economy import EconomySettings
    from poq_abm.simulation.game import Game

__all__ = ["EconomyState", "EpochRounds", "RoundPlayer", "settings_of"]


def settings_of(scenario: Scenario) -> EconomySettings:
    """Return the section ``economy`` of a scenario that has one."""
    assert scenario.economy is not None, "this scenario has no economy"
    return scenario.economy


@dataclass
class EpochRounds:
    """The rounds of an epoch and scratch space for them, written over epoch after epoch."""

    assigned: Assignments
    queries: Queries
    trace: Trace
    play_buffers: Buffers
    dispatch_buffers: Buffers
    members: int  #: evaluators for whom ``dispatch_buffers`` was opened

    @classmethod
    def of(cls, game: Game) -> EpochRounds:
        """Return those of a game, with room for no round."""
        size, buffers = game.rules.committee_size, open_buffers(game.rules, game.nodes)
        return cls(
            assigned=open_assignments(0, size),
            queries=open_queries(0),
            trace=open_trace(0, size),
            play_buffers=buffers,
            dispatch_buffers=open_buffers(game.rules, game.nodes),
            members=game.nodes.evaluator.size,
        )

    def make_room(self, count: int) -> None:
        """Have room for so many queries at least."""
        if self.assigned.node.size < count:
            size = self.assigned.committee.shape[1]
            self.assigned, self.queries = open_assignments(count, size), open_queries(count)
            self.trace = open_trace(count, size)


class RoundPlayer(Protocol):
    """Who plays the rounds of an epoch as they were assigned: the compiled loop, or agents."""

    def play(
        self,
        first: int,
        count: int,
        game: GameArrays,
        behaviour: NDArray[np.int64],
        kept: Replication,
        rounds: EpochRounds,
    ) -> None:
        """Play ``count`` rounds from the ``first`` on; ``behaviour`` is what each node does."""

    def copied(self) -> RoundPlayer:
        """Return a player that goes on from here, whatever this one does."""


class EconomyState:
    """The state of a replication between epochs.

    Nodes come and go by :meth:`enter` and :meth:`leave`, which move their bonds.
    """

    def __init__(
        self, scenario: Scenario, game: Game, profile: Profile, replication: int = 0
    ) -> None:
        self.scenario, self.game, self.replication = scenario, game, replication
        self.settings = settings_of(scenario)
        self.key = ReplicationKey(scenario.seed, replication)
        self.population = EconomyPopulation(scenario, game, profile)
        self.accounts = Accounts(self.population.size)
        self.ledger = open_ledger(self.population.size)
        self.coefficients = Coefficients(self.settings, self._first_coefficients())
        self.memory = open_memory(
            game.arrays._replace(conduct=self.population.conduct), self.key, scenario.rounds
        )
        self._widen_histograms()
        self.rounds_per_epoch = scenario.rounds // self.settings.epochs
        self.arrivals = ArrivalRate(
            self.settings.demand, self.rounds_per_epoch, self.settings.epoch_hours, *self.key
        )
        inference = self.population.inference
        self.totals = open_totals(inference, self.population.size - inference)
        self.free_at = np.zeros((inference, self.settings.service.capacity))
        self.reputation = np.full(inference, 0.5)
        self.smoothed = np.full(self.population.size, np.nan)  #: profit, as entry and exit see it
        self.releases: dict[int, NDArray[np.float64]] = {}  #: bonds that become free, by epoch
        self.rules = [resolve_adaptation(spec) for spec in self.settings.adaptation]
        self.identities = np.zeros(self.population.size - inference)  #: whitewashed so far
        self.rounds = EpochRounds.of(game)
        self.weights = (
            open_weights(self.population.size - inference, inference)
            if self.settings.payment.scheme == "yuma"
            else None
        )
        self.epoch = 0
        self.bond(self.population.active)
        self._count_saturated()

    def _first_coefficients(self) -> dict[str, float]:
        rules = self.game.rules
        fee = self.settings.payment.fee
        return {name: getattr(rules, name, fee) for name in COEFFICIENTS}

    def _widen_histograms(self) -> None:
        """Let the reward histograms reach as far as coefficients can move."""
        highest, rules = self.coefficients.highest, self.game.rules
        histograms = self.memory.histograms
        for row, role in enumerate(("inference", "evaluator")):
            alpha, beta = f"alpha_{role}", f"beta_{role}"
            if highest(alpha) != getattr(rules, alpha) or highest(beta) != getattr(rules, beta):
                low, high = self.game.pay_range(role, highest(alpha), highest(beta))
                histograms.ranges[row] = low, high
                histograms.scales[row] = reward_scale(REWARD_CELLS, low, high)

    @property
    def hours(self) -> float:
        """Length of an epoch in hours."""
        return self.settings.epoch_hours

    def draw(self, purpose: Purpose, number: int, rows: int) -> NDArray[np.float64]:
        """Return uniforms in (0, 1) of shape (rows, N), keyed by epoch, purpose and number."""
        draws = np.empty((rows, self.population.size))
        if rows:
            _fill(draws, *self.key, int(purpose), self.epoch * MAX_ADAPTATIONS + number)
        return draws

    @cached_property
    def bond_due(self) -> NDArray[np.float64]:
        """The bond that each node has to put up, in tokens, shape (N,)."""
        groups = self.game.population.groups
        factor = np.array([group.stake for group in groups])[self.game.population.group]
        return self.settings.stake.bond * factor

    def bond(self, nodes: NDArray[np.bool_]) -> None:
        """Let nodes put up their bonds, from outside."""
        self.accounts.move(Fund.OUTSIDE, Holding.BOND, np.where(nodes, self.bond_due, 0.0))

    def enter(self, nodes: NDArray[np.bool_]) -> None:
        """Let nodes that are not there come in, with a bond and no history; shape (N,)."""
        nodes = nodes & ~self.population.active
        if not nodes.any():
            return
        self.population.active |= nodes
        self.population.changed = True  # the cheapest honest report may be another
        self.bond(nodes)
        self.smoothed[nodes] = np.nan
        first = self.population.inference
        self.reputation[nodes[:first]] = 0.5
        self.free_at[nodes[:first]] = 0.0
        memory, evaluators = self.memory, nodes[first:]
        memory.trust[evaluators] = self.game.rules.trust_start
        memory.state[evaluators, State.SEEN] = memory.state[evaluators, State.JOBS] = 0.0
        self._count_saturated()

    def leave(self, nodes: NDArray[np.bool_]) -> None:
        """Let nodes go; their bonds become free after the unbonding delay."""
        nodes = nodes & self.population.active
        if nodes.any():
            self.population.active &= ~nodes
            self.population.changed = True
            self.population.part(nodes)
            self.unbond(np.where(nodes, self.accounts.nodes[Holding.BOND], 0.0))
            self._count_saturated()

    @property
    def saturated(self) -> NDArray[np.bool_]:
        """Which weights lie at w_max, of the evaluators that are there."""
        members = self.population.active[self.population.inference :]
        found: NDArray[np.bool_] = self.memory.trust[members] >= self.game.rules.trust_maximum
        return found

    def _count_saturated(self) -> None:
        """Count the weights at w_max anew; those of free rows keep nobody from saturation."""
        free = self.memory.trust.size - self.saturated.size
        self.memory.counters[Counter.SATURATED] = self.saturated.sum() + free

    def unbond(self, amounts: NDArray[np.float64]) -> None:
        """Begin to free parts of bonds, in tokens, shape (N,)."""
        delay = self.settings.stake.unbonding_epochs
        if delay == 0:
            self.accounts.move(Holding.BOND, Holding.WALLET, amounts)
            return
        self.accounts.move(Holding.BOND, Holding.UNBONDING, amounts)
        due = self.epoch + delay
        self.releases[due] = self.releases.get(due, 0.0) + amounts

    def release(self) -> None:
        """Pay out the bonds that become free now."""
        amounts = self.releases.pop(self.epoch, None)
        if amounts is not None:
            self.accounts.move(Holding.UNBONDING, Holding.WALLET, amounts)


@compiled_loop
def _fill(
    draws: NDArray[np.float64], seed: int, replication: int, purpose: int, round_: int
) -> None:
    for row in range(draws.shape[0]):
        for node in range(draws.shape[1]):
            slot = row * draws.shape[1] + node
            draws[row, node] = uniform(seed, replication, purpose, round_, slot)
