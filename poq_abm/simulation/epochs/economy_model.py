"""The economy as a Mesa model: one epoch a step, and one agent for every node that can decide.

A node's state lives in the economy's columns, of which an agent is a named view. Users subclass
:class:`EconomicNode` and override :meth:`EconomicNode.decide`. Rounds stay in the compiled loop,
unless agents are to play them: those of :mod:`poq_abm.simulation.agents`, to the same bits.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import mesa
import numpy as np
from numpy.typing import NDArray

from poq_abm.errors import InputError
from poq_abm.rules.behaviour.base import resolve
from poq_abm.simulation.agents import EvaluatorNode, InferenceNode, write_round
from poq_abm.simulation.arrays import GameArrays
from poq_abm.simulation.epochs.accounts import Holding
from poq_abm.simulation.epochs.economy import Economy
from poq_abm.simulation.epochs.economy_state import EpochRounds
from poq_abm.simulation.game import Game, build_game
from poq_abm.simulation.ledger import BLOCK_ROUNDS, fold
from poq_abm.simulation.model import PoQModel
from poq_abm.simulation.playable import check_playable, profile_of
from poq_abm.simulation.replication import Replication

if TYPE_CHECKING:
    from poq_abm.profile import Profile
    from poq_abm.scenario import Scenario
    from poq_abm.simulation.epochs.epoch_end import EpochEnd

__all__ = ["AgentRounds", "EconomicNode", "EconomyModel"]


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


class AgentRounds:
    """The agents of a :class:`~poq_abm.simulation.model.PoQModel` as players of an epoch's rounds.

    Evaluators keep what their own behaviour remembers for as long as they show it.
    """

    def __init__(self, model: PoQModel) -> None:
        self.model = model
        self._game = model.game
        self._behaviour = np.full(model.game.population.size, -1)
        self._own: list[Any] = [None] * len(model.evaluator_nodes)
        #: of every behaviour in play, users' own report if it has one; set once they are known
        self.plugins: list[Any] = []

    def play(
        self,
        first: int,
        count: int,
        game: GameArrays,
        behaviour: NDArray[np.int64],
        kept: Replication,
        rounds: EpochRounds,
    ) -> None:
        """Play ``count`` rounds from the ``first`` on as they were assigned, agent by agent."""
        model, assigned, trace = self.model, rounds.assigned, rounds.trace
        model.game = replace(self._game, **game._asdict(), plain=False)
        model.kept = kept
        self._take_up(behaviour)
        model.scheduler.assign(assigned, first)
        for row in range(count):
            model.rounds_played = first + row
            if assigned.node[row] < 0:  # nobody plays a query that was dropped
                trace.node[row] = -1
            else:
                write_round(trace, row, model.scheduler.step())
            if (first + row + 1) % BLOCK_ROUNDS == 0:
                fold(kept.ledger)
        model.scheduler.count()

    def copied(self) -> AgentRounds:
        """Return a player of the same agents, to whom their own behaviour happens apart."""
        made = copy.copy(self)
        made._behaviour = self._behaviour.copy()
        made._own = [copy.deepcopy(own) for own in self._own]
        return made

    def _take_up(self, behaviour: NDArray[np.int64]) -> None:
        """Let every agent run what it runs, at its cost, and behave as it does in this epoch."""
        model, first = self.model, len(self.model.inference_nodes)
        for node in model.inference_nodes:
            node.refresh()
        for evaluator in model.evaluator_nodes:
            number, shown = evaluator.number, int(behaviour[first + evaluator.number])
            if shown != self._behaviour[first + number]:
                self._own[number] = copy.copy(self.plugins[shown])
            evaluator.plugin = self._own[number]
            evaluator.refresh()
        self._behaviour[:] = behaviour


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
    game
        What :func:`poq_abm.simulation.game.build_game` made of them, where it is at hand already.
    node_class
        What every node is at the end of an epoch; a subclass may decide.
    inference_class, evaluator_class
        What nodes are within rounds: agents, which then play them. By default the compiled loop
        does, unless a behaviour in plain Python needs them.
    by_agents
        Whether agents play the rounds in any case; the numbers stay as they are, to the bit.

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
        game: Game | None = None,
        node_class: type[EconomicNode] = EconomicNode,
        inference_class: type[InferenceNode] = InferenceNode,
        evaluator_class: type[EvaluatorNode] = EvaluatorNode,
        by_agents: bool = False,
    ) -> None:
        super().__init__(rng=0)  # Mesa's generator never touches a result
        profile = profile_of(scenario) if profile is None else profile
        if game is None:
            check_playable(scenario, profile)
            game = build_game(scenario, profile)
        stock = (inference_class, evaluator_class) == (InferenceNode, EvaluatorNode)
        player: AgentRounds | None = None
        if by_agents or game.needs_agents or not stock:
            player = AgentRounds(
                PoQModel(
                    scenario,
                    replication=replication,
                    game=game,
                    inference_class=inference_class,
                    evaluator_class=evaluator_class,
                )
            )
        self.economy = Economy(scenario, game, profile, replication, player)
        if player is not None:
            behaviours = self.economy.population.behaviours
            player.plugins = [resolve(role, spec).get("plugin") for role, spec in behaviours]
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
