"""One replication of an economy: epochs of rounds, settled and revised in between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from poq_abm.random import Purpose
from poq_abm.simulation.epochs.economy_state import EconomyState, RoundPlayer
from poq_abm.simulation.epochs.epoch_rounds import CompiledRounds, PlayedEpoch, play_epoch
from poq_abm.simulation.epochs.epoch_settlement import settle_epoch
from poq_abm.simulation.epochs.payment import points_are_tokens
from poq_abm.simulation.epochs.record import EpochRecord
from poq_abm.simulation.replication import Trace
from poq_abm.simulation.settlement import Settled

if TYPE_CHECKING:
    from collections.abc import Callable

    from poq_abm.profile import Profile
    from poq_abm.scenario import Scenario
    from poq_abm.simulation.epochs.epoch_end import EpochEnd
    from poq_abm.simulation.game import Game

__all__ = ["Economy"]


class Economy(EconomyState):
    """A replication of an economy.

    Life-cycle: :meth:`step` plays, settles and revises one epoch, until :attr:`finished`. Where too
    few are left to form a committee or to answer, the network halts: the epochs that remain are
    empty, and :attr:`halted` is the first of them. ``player`` plays the rounds, by default the
    compiled loop.

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
        self,
        scenario: Scenario,
        game: Game,
        profile: Profile,
        replication: int = 0,
        player: RoundPlayer | None = None,
    ) -> None:
        super().__init__(scenario, game, profile, replication)
        self.player = CompiledRounds(game) if player is None else player
        self.record = EpochRecord(self)
        #: asked after the scenario's rules, for decisions that are made node by node
        self.consult: Callable[[EpochEnd], None] | None = None
        self.halted = -1
        self.served, self.rounds_played = 0, 0
        self._last: PlayedEpoch | None = None

    @property
    def finished(self) -> bool:
        """Whether all epochs were played."""
        return self.epoch >= self.settings.epochs

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
        played = self._last = play_epoch(self, self.player)
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
        columns: Any = (column[served] for column in self.rounds.trace)
        return first + served, Trace(*columns)

    @property
    def settled(self) -> Settled:
        """What points have come to in tokens so far; arrays of shape (N,)."""
        presence = self.record.sums["epochs"] / self.settings.epochs
        exact = points_are_tokens(self.settings)
        return self.record.pay.settled(presence, self.ledger.nodes() if exact else None)

    def _has_quorum(self) -> bool:
        active, first = self.population.active, self.population.inference
        return bool(active[:first].any() and active[first:].sum() >= self.game.rules.committee_size)
