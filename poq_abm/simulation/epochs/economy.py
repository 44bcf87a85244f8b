"""One replication of an economy: epochs of compiled rounds, settled and revised in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from poq_abm.random import Purpose
from poq_abm.rules.adaptation.base import resolve_adaptation
from poq_abm.simulation.arrivals import Clock
from poq_abm.simulation.buffers import ReplicationKey
from poq_abm.simulation.epochs.controllers import COEFFICIENTS, Coefficients
from poq_abm.simulation.epochs.double_entry import Books, Fund, Holding
from poq_abm.simulation.epochs.epoch_arrays import open_takings
from poq_abm.simulation.epochs.epoch_draws import node_uniforms
from poq_abm.simulation.epochs.epoch_rounds import Play, open_play, play_epoch
from poq_abm.simulation.epochs.epoch_settlement import close_epoch
from poq_abm.simulation.epochs.record import Record
from poq_abm.simulation.epochs.roster import Roster
from poq_abm.simulation.histograms import REWARD_CELLS, reward_scale
from poq_abm.simulation.ledger import open_ledger
from poq_abm.simulation.replication import Counter, State, open_memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from poq_abm.profile import Profile
    from poq_abm.scenario import Scenario
    from poq_abm.scenario.schema.economy import Economy as Settings
    from poq_abm.simulation.epochs.epoch_end import EpochEnd
from poq_abm.simulation.game import Game

__all__ = ["Economy", "settings_of"]


def settings_of(scenario: Scenario) -> Settings:
    """Return the section ``economy`` of a scenario that has one."""
    assert scenario.economy is not None, "this scenario has no economy"
    return scenario.economy


class Economy:
    """The state of a replication between epochs.

    Life-cycle: :meth:`step` plays, settles and revises one epoch, until :attr:`finished`. Where too
    few are left to form a committee or to answer, the network halts: the epochs that remain are
    empty, and :attr:`halted` is the first of them.

    >>> from poq_abm.simulation.game import build_game
    >>> from poq_abm.profile import load_profile
    >>> from poq_abm.scenario import load
    >>> scenario, profile = load("cost_aware_poq", ["economy.epochs=10"]), load_profile("published")
    >>> economy = Economy(scenario, build_game(scenario, profile), profile, replication=0)
    >>> economy.run()
    >>> economy.epoch, int(economy.served)
    (10, 5000)
    """

    def __init__(
        self, scenario: Scenario, game: Game, profile: Profile, replication: int = 0
    ) -> None:
        self.scenario, self.game, self.replication = scenario, game, replication
        self.settings = settings_of(scenario)
        self.key = ReplicationKey(scenario.seed, replication)
        self.roster = Roster(scenario, game, profile)
        self.books = Books(self.roster.size)
        self.ledger = open_ledger(self.roster.size)
        self.coefficients = Coefficients(self.settings, self._first_coefficients())
        self.memory = open_memory(
            game.arrays._replace(conduct=self.roster.conduct), self.key, scenario.rounds
        )
        self._widen_histograms()
        self.rounds_per_epoch = scenario.rounds // self.settings.epochs
        self.clock = Clock(
            self.settings.demand, self.rounds_per_epoch, self.settings.epoch_hours, *self.key
        )
        inference = self.roster.inference
        self.takings = open_takings(inference, self.roster.size - inference)
        self.free_at = np.zeros((inference, self.settings.service.capacity))
        self.reputation = np.full(inference, 0.5)
        self.smoothed = np.full(self.roster.size, np.nan)  #: profit, as entry and exit see it
        self.releases: dict[int, NDArray[np.float64]] = {}  #: bonds that become free, by epoch
        self.identities = np.zeros(self.roster.size - inference)  #: whitewashed so far
        self.rules = [resolve_adaptation(spec) for spec in self.settings.adaptation]
        self.play: Play = open_play(self)
        self.record = Record(self)
        #: asked after the scenario's rules, for decisions that are made node by node
        self.consult: Callable[[EpochEnd], None] | None = None
        self.epoch, self.halted = 0, -1
        self.served, self.rounds_played = 0, 0
        self.bond(self.roster.active)
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
    def finished(self) -> bool:
        """Whether all epochs were played."""
        return self.epoch >= self.settings.epochs

    @property
    def hours(self) -> float:
        """Length of an epoch in hours."""
        return self.settings.epoch_hours

    def run(self) -> None:
        """Play all epochs that are left."""
        while not self.finished:
            self.step()

    def step(self) -> None:
        """Play one epoch, settle it, and let nodes decide."""
        if self.halted < 0 and not self._has_quorum():
            self.halted = self.epoch
        if self.halted >= 0:
            self.release()
            self.record.add_empty()
            self.epoch += 1
            return
        self.roster.refresh_if_changed()  # somebody may have come or gone between two steps
        played = play_epoch(self)
        self.served += int(self.takings.served[0])
        self.rounds_played += played.count
        end = close_epoch(self, played)
        for number, rule in enumerate(self.rules):
            draws = node_uniforms(self, Purpose.ADAPTATION, number, rule.draws)
            rule.revise(end, draws)
        if self.consult is not None:
            self.consult(end)
        self.roster.refresh_if_changed()
        self.record.add(end)
        self.books.check(self.epoch)
        self.epoch += 1

    def _has_quorum(self) -> bool:
        active, first = self.roster.active, self.roster.inference
        return bool(active[:first].any() and active[first:].sum() >= self.game.rules.committee_size)

    @property
    def bond_due(self) -> NDArray[np.float64]:
        """The bond that each node has to put up, in tokens, shape (N,)."""
        groups = self.game.population.groups
        factor = np.array([group.stake for group in groups])[self.game.population.group]
        return self.settings.stake.bond * factor

    def bond(self, nodes: NDArray[np.bool_]) -> None:
        """Let nodes put up their bonds, from outside."""
        self.books.move(Fund.OUTSIDE, Holding.BOND, np.where(nodes, self.bond_due, 0.0))

    def enter(self, nodes: NDArray[np.bool_]) -> None:
        """Let nodes that are not there come in, with a bond and no history; shape (N,)."""
        nodes = nodes & ~self.roster.active
        if not nodes.any():
            return
        self.roster.active |= nodes
        self.roster.changed = True  # the cheapest honest report may be another
        self.bond(nodes)
        self.smoothed[nodes] = np.nan
        first = self.roster.inference
        self.reputation[nodes[:first]] = 0.5
        self.free_at[nodes[:first]] = 0.0
        memory, evaluators = self.memory, nodes[first:]
        memory.trust[evaluators] = self.game.rules.trust_start
        memory.state[evaluators, State.SEEN] = memory.state[evaluators, State.JOBS] = 0.0
        self._count_saturated()

    def leave(self, nodes: NDArray[np.bool_]) -> None:
        """Let nodes go; their bonds become free after the unbonding delay."""
        nodes = nodes & self.roster.active
        if nodes.any():
            self.roster.active &= ~nodes
            self.roster.changed = True
            self.roster.part(nodes)
            self.unbond(np.where(nodes, self.books.nodes[Holding.BOND], 0.0))
            self._count_saturated()

    @property
    def saturated(self) -> NDArray[np.bool_]:
        """Which weights lie at w_max, of the evaluators that are there."""
        members = self.roster.active[self.roster.inference :]
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
            self.books.move(Holding.BOND, Holding.WALLET, amounts)
            return
        self.books.move(Holding.BOND, Holding.UNBONDING, amounts)
        due = self.epoch + delay
        self.releases[due] = self.releases.get(due, 0.0) + amounts

    def release(self) -> None:
        """Pay out the bonds that become free now."""
        amounts = self.releases.pop(self.epoch, None)
        if amounts is not None:
            self.books.move(Holding.UNBONDING, Holding.WALLET, amounts)
