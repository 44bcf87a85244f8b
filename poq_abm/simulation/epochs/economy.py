"""One replication of an economy: epochs of compiled rounds, settled and revised in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from poq_abm.compilation import compiled_loop
from poq_abm.random import Purpose, uniform
from poq_abm.rules.adaptation.base import resolve_adaptation
from poq_abm.scenario.schema.economy import MAX_ADAPTATIONS
from poq_abm.simulation.arrivals import ArrivalRate
from poq_abm.simulation.epochs.accounts import Accounts, Fund, Holding
from poq_abm.simulation.epochs.controllers import COEFFICIENTS, Coefficients
from poq_abm.simulation.epochs.economy_population import EconomyPopulation
from poq_abm.simulation.epochs.epoch_rounds import EpochRounds, open_epoch_rounds, play_epoch
from poq_abm.simulation.epochs.epoch_settlement import settle_epoch
from poq_abm.simulation.epochs.payment import points_are_tokens
from poq_abm.simulation.epochs.performance import open_totals
from poq_abm.simulation.epochs.record import EpochRecord
from poq_abm.simulation.histograms import REWARD_CELLS, reward_scale
from poq_abm.simulation.ledger import Column, open_ledger
from poq_abm.simulation.replication_state import Counter, State, open_memory
from poq_abm.simulation.trace import Trace

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from poq_abm.profile import Profile
    from poq_abm.scenario import Scenario
    from poq_abm.scenario.schema.economy import EconomySettings
    from poq_abm.simulation.epochs.epoch_end import EpochEnd
    from poq_abm.simulation.epochs.epoch_rounds import PlayedEpoch
    from poq_abm.simulation.game import Game

__all__ = ["Economy", "settings_of"]


def settings_of(scenario: Scenario) -> EconomySettings:
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
        self.key = (scenario.seed, replication)
        self.population = EconomyPopulation(scenario, game, profile)
        self.accounts = Accounts(self.population.size)
        self.ledger = open_ledger(self.population.size)
        self.coefficients = Coefficients(self.settings, self._first_coefficients())
        self.memory = open_memory(
            game.rules, game.tables, self.population.conduct, *self.key, scenario.rounds
        )
        self._widen_histograms()
        self.rounds_per_epoch = scenario.rounds // self.settings.epochs
        self.clock = ArrivalRate(
            self.settings.demand, self.rounds_per_epoch, self.settings.epoch_hours, *self.key
        )
        inference = self.population.inference
        self.totals = open_totals(inference, self.population.size - inference)
        self.free_at = np.zeros((inference, self.settings.service.capacity))
        self.reputation = np.full(inference, 0.5)
        self.smoothed = np.full(self.population.size, np.nan)  #: profit, as entry and exit see it
        self.releases: dict[int, NDArray[np.float64]] = {}  #: bonds that become free, by epoch
        self.identities = np.zeros(self.population.size - inference)  #: whitewashed so far
        self.rules = [resolve_adaptation(spec) for spec in self.settings.adaptation]
        self.rounds: EpochRounds = open_epoch_rounds(self)
        self.record = EpochRecord(self)
        #: asked after the scenario's rules, for decisions that are made node by node
        self.consult: Callable[[EpochEnd], None] | None = None
        self.epoch, self.halted = 0, -1
        self.served, self.rounds_played = 0, 0
        self._last: PlayedEpoch | None = None
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
                weight = self.game.tables.task_weight.max() if row == 0 else 1.0
                low, high = -highest(beta), highest(alpha) * weight
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
            self._last = None
            self.release()
            self.record.add_empty()
            self.epoch += 1
            return
        self.population.refresh_if_changed()  # somebody may have come or gone between two steps
        played = self._last = play_epoch(self)
        self.served += int(self.totals.served[0])
        self.rounds_played += played.count
        end = settle_epoch(self, played)
        for number, rule in enumerate(self.rules):
            rule.revise(end, self.draw(Purpose.ADAPTATION, number, rule.draws))
        if self.consult is not None:
            self.consult(end)
        self.population.refresh_if_changed()
        self.record.add(end)
        self.accounts.check(self.epoch)
        self.epoch += 1

    def trace(self) -> tuple[NDArray[np.int64], Trace]:
        """Return the rounds of the last epoch and their numbers, without queries that were dropped.

        A number keys the draws of its round: epochs follow one another without a gap where demand
        is constant, and start at multiples of :data:`STRIDE` where it is not.
        """
        count, first = (self._last.count, self._last.first_round) if self._last else (0, 0)
        served = np.flatnonzero(self.rounds.assigned.node[:count] >= 0)
        return first + served, Trace(*(column[served] for column in self.rounds.trace))

    @property
    def paid(self) -> NDArray[np.float64]:
        """Tokens that every node was paid so far, less what audits took back; shape (N,)."""
        if points_are_tokens(self.settings):  # then the ledger has kept tokens, to the bit
            return self.ledger.nodes()[:, Column.REWARD]
        return self.record.pay.reward

    def draw(self, purpose: Purpose, number: int, rows: int) -> NDArray[np.float64]:
        """Return uniforms in (0, 1) of shape (rows, N), keyed by epoch, purpose and number."""
        draws = np.empty((rows, self.population.size))
        if rows:
            _fill(draws, *self.key, int(purpose), self.epoch * MAX_ADAPTATIONS + number)
        return draws

    def _has_quorum(self) -> bool:
        active, first = self.population.active, self.population.inference
        return bool(active[:first].any() and active[first:].sum() >= self.game.rules.committee_size)

    @property
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
