"""The economy as a Mesa model: one epoch a step, and one agent for every node that can decide.

Rounds stay in the compiled loop; a node's state lives in the economy's columns, of which an agent
is a named view. Users subclass :class:`EconomicNode` and override :meth:`EconomicNode.decide`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import mesa
import numpy as np
from numpy.typing import NDArray

from poq_abm.errors import InputError
from poq_abm.simulation.epochs.accounts import Holding
from poq_abm.simulation.epochs.economy import Economy
from poq_abm.simulation.game import build_game
from poq_abm.simulation.playable import check_playable, profile_of

if TYPE_CHECKING:
    from poq_abm.profile import Profile
    from poq_abm.scenario import Scenario
    from poq_abm.simulation.epochs.epoch_end import EpochEnd

__all__ = ["EconomicNode", "EconomyModel"]


class EconomicNode(mesa.Agent):
    """A node at the end of an epoch; ``index`` is its id, unique across roles.

    Life-cycle: after every epoch in which it was there, :meth:`decide` is called once, in the order
    of ids; what it decides holds from the next epoch on. An agent that is not there has no say.
    """

    model: EconomyModel

    def __init__(self, model: EconomyModel, index: int) -> None:
        super().__init__(model)
        self.index = index

    @property
    def active(self) -> bool:
        """Whether the node is there."""
        return bool(self.model.economy.population.active[self.index])

    @property
    def role(self) -> str:
        """``inference`` or ``evaluator``."""
        return "inference" if self.index < self.model.economy.population.inference else "evaluator"

    @property
    def behaviour(self) -> str:
        """Name of what the node does."""
        population = self.model.economy.population
        return str(population.behaviours[population.behaviour[self.index]][1]["name"])

    @property
    def stake(self) -> float:
        """The node's bond, in tokens."""
        return float(self.model.economy.accounts.nodes[Holding.BOND, self.index])

    @property
    def wallet(self) -> float:
        """What the node holds, in tokens."""
        return float(self.model.economy.accounts.nodes[Holding.WALLET, self.index])

    def decide(self, end: EpochEnd) -> None:
        """Decide by what the epoch brought; as it stands, leave that to the scenario's rules."""

    def leave(self) -> None:
        """Go; the bond becomes free after the unbonding delay."""
        self.model.economy.leave(self._alone())

    def enter(self) -> None:
        """Come in, with a bond."""
        self.model.economy.enter(self._alone())

    def _alone(self) -> NDArray[np.bool_]:
        alone: NDArray[np.bool_] = np.arange(self.model.economy.population.size) == self.index
        return alone


class EconomyModel(mesa.Model):
    """One replication of an economy; :meth:`step` is an epoch.

    Mesa's own random generator never touches a result: every draw is keyed. The model ends with the
    scenario's epochs: ``running`` is False from then on, and another :meth:`step` raises
    :class:`~poq_abm.errors.InputError`.

    Parameters
    ----------
    scenario
        A scenario with an ``economy`` and without a sweep (or a treatment's scenario).
    replication
        Which independent repetition to play, from 0.
    profile
        The profile to draw from; the scenario's own by default.
    node_class
        What every node is; a subclass may decide.

    Examples
    --------
    >>> from poq_abm.scenario import load
    >>> model = EconomyModel(load("cost_aware_poq", ["economy.epochs=10"]))
    >>> model.step()
    >>> model.nodes[0].role, model.economy.epoch
    ('inference', 1)
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        replication: int = 0,
        profile: Profile | None = None,
        node_class: type[EconomicNode] = EconomicNode,
    ) -> None:
        super().__init__(rng=0)  # Mesa's generator never touches a result
        profile = profile_of(scenario) if profile is None else profile
        check_playable(scenario, profile)
        game = build_game(scenario, profile)
        self.economy = Economy(scenario, game, profile, replication)
        self.nodes = [node_class(self, index) for index in range(self.economy.population.size)]
        if node_class.decide is not EconomicNode.decide:
            self.economy.consult = self._ask_nodes

    def step(self) -> None:
        """Play one epoch, settle it, and let nodes decide.

        Raises
        ------
        InputError
            If all epochs of the scenario were played.
        """
        if self.economy.finished:
            epochs = self.economy.settings.epochs
            raise InputError(
                f"epoch {epochs + 1}: the scenario ends after {epochs} epochs; give it more epochs"
            )
        self.economy.step()
        self.running = not self.economy.finished

    def run_model(self) -> None:
        """Play all epochs that are left; Mesa's name for :meth:`run`."""
        self.run()

    def run(self) -> None:
        """Play all epochs that are left."""
        while not self.economy.finished:
            self.step()

    def _ask_nodes(self, end: EpochEnd) -> None:
        for index in np.flatnonzero(end.active):
            self.nodes[index].decide(end)
