"""The network as a Mesa model: one object to step, inspect and subclass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mesa
import numpy as np

from poq_abm.errors import InputError
from poq_abm.limits import MAX_REPLICATIONS, MAX_ROUNDS
from poq_abm.simulation.agents import EvaluatorNode, InferenceNode, Round, Scheduler, write_round
from poq_abm.simulation.game import Game, build_game
from poq_abm.simulation.ledger import BLOCK_ROUNDS, Ledger, fold
from poq_abm.simulation.node_table import NODES, node_rows
from poq_abm.simulation.replication import Memory, Replication, Trace, open_replication
from poq_abm.simulation.settlement import settle_batch, settled_by_round
from poq_abm.simulation.stages import open_stages, play
from poq_abm.simulation.table_columns import table

if TYPE_CHECKING:
    import pandas as pd

    from poq_abm.profile import Profile
    from poq_abm.scenario import Scenario

__all__ = ["PoQModel"]


class PoQModel(mesa.Model):
    """One replication of one treatment, played by Mesa agents or by the compiled loop.

    :meth:`step` plays one round agent by agent; :meth:`run` plays the rest, in the compiled loop as
    long as every node is one of the stock classes. Both leave the same bits in the ledger, so they
    can be mixed freely. Mesa's own random generator is never used: every draw is keyed.

    The model ends with the scenario's rounds: ``running`` is False from then on, which ends Mesa's
    ``run_model()`` and ``batch_run``, and another :meth:`step` raises
    :class:`~poq_abm.errors.InputError`. A longer model is one of a scenario with more rounds.

    Parameters
    ----------
    scenario
        A scenario without a sweep (or a treatment's scenario).
    replication
        Which independent repetition to play, from 0.
    profile
        The profile to draw from; the scenario's own by default.
    game
        What :func:`poq_abm.simulation.game.build_game` made of them, where it is at hand already.
    inference_class, evaluator_class
        Subclasses of the stock nodes; they are played agent by agent.

    Examples
    --------
    >>> import poq_abm
    >>> model = PoQModel(poq_abm.load("cost_aware_poq").replace({"rounds": 100}))
    >>> model.step()
    >>> model.run()
    >>> model.rounds_played, sum(node.jobs for node in model.inference_nodes)
    (100, 100)
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        replication: int = 0,
        profile: Profile | None = None,
        game: Game | None = None,
        inference_class: type[InferenceNode] = InferenceNode,
        evaluator_class: type[EvaluatorNode] = EvaluatorNode,
    ) -> None:
        super().__init__(rng=0)  # Mesa's generator never touches a result
        if not 0 <= replication < MAX_REPLICATIONS:
            raise InputError(
                f"replication {replication}: must be at least 0 and below {MAX_REPLICATIONS}"
            )
        self.game = _prepare(scenario, profile) if game is None else game
        self.rounds = scenario.rounds
        self.kept: Replication = open_replication(
            self.game.arrays, scenario.seed, replication, self.rounds
        )
        self._stages = open_stages(self.game)
        self.rounds_played = 0
        self.last_round: Round | None = None
        self.compiled = (
            inference_class is InferenceNode
            and evaluator_class is EvaluatorNode
            and type(self).step is PoQModel.step
            and not self.game.needs_agents
        )
        first = self.game.population.inference_count
        self.inference_nodes = [inference_class(self, index) for index in range(first)]
        self.evaluator_nodes = [
            evaluator_class(self, index) for index in range(first, self.game.population.size)
        ]
        self.scheduler = Scheduler(self)

    @property
    def key(self) -> int:
        """Seed of the scenario, by which all draws are keyed."""
        return self.kept.key.seed

    @property
    def replication(self) -> int:
        """Which independent repetition this is, from 0."""
        return self.kept.key.replication

    @property
    def ledger(self) -> Ledger:
        """Accounts of the nodes and of the network."""
        return self.kept.ledger

    @property
    def memory(self) -> Memory:
        """What evaluators remember: their trust, what they have seen; and what was counted."""
        self.scheduler.count()
        return self.kept.memory

    def step(self) -> None:
        """Play one round, agent by agent.

        Raises
        ------
        InputError
            If all rounds of the scenario were played.
        """
        self._check_end(self.rounds_played + 1)
        self.last_round = self.scheduler.step()
        self.rounds_played += 1
        if self.rounds_played % BLOCK_ROUNDS == 0:
            fold(self.ledger)
        self._settle_at_end()
        self.running = self.rounds_played < self.rounds

    def run_model(self) -> None:
        """Play to the end of the scenario, as :meth:`run` does; Mesa's name for it."""
        self.run()

    def run(self, until: int | None = None, trace: Trace | None = None) -> None:
        """Play on to round ``until`` (by default to the end); ``trace`` receives the rounds played.

        Compiled as long as every node is one of the stock classes and ``step`` is not overridden,
        else agent by agent. The compiled loop leaves no :attr:`last_round`.

        Raises
        ------
        InputError
            If ``until`` lies beyond the scenario's rounds.
        """
        until = self.rounds if until is None else until
        if until >= MAX_ROUNDS:
            raise InputError(f"round {until}: rounds are numbered below {MAX_ROUNDS}")
        self._check_end(until)
        if self.compiled:
            self._run_compiled(until, trace)
        else:
            self.run_agents(until, trace)
        self.running = self.rounds_played < self.rounds

    def run_agents(self, until: int, trace: Trace | None = None) -> None:
        """Play on to round ``until`` agent by agent, whatever the node classes.

        Raises
        ------
        InputError
            If ``until`` lies beyond the scenario's rounds, or a step plays no round: in Mesa 3.5 a
            model whose step once raised has no next step.
        """
        self._check_end(until)
        first = self.rounds_played
        while self.rounds_played < until:
            played = self.rounds_played
            self.step()
            if self.rounds_played == played:
                raise InputError(f"round {played}: this model no longer steps; make a new one")
            if trace is not None and self.last_round is not None:
                write_round(trace, self.last_round.round - first, self.last_round)
        self.scheduler.count()

    def _check_end(self, until: int) -> None:
        """Refuse to play on: what a replication remembers has room for the scenario's rounds."""
        if until > self.rounds:
            raise InputError(
                f"round {until}: the scenario ends after {self.rounds} rounds; give it more rounds"
            )

    def _run_compiled(self, until: int, trace: Trace | None) -> None:
        first, self.rounds_played = self.rounds_played, max(self.rounds_played, until)
        self.last_round = None
        self.scheduler.forget_draws()
        play(first, until, self.game, self.kept, self._stages, trace)
        if self.rounds_played > first:
            self._settle_at_end()

    def _settle_at_end(self) -> None:
        """Pay what is paid when the rounds of the scenario have been played."""
        if self.rounds_played == self.rounds:
            settle_batch(self.game, self.game.arrays, self.ledger, self.memory)

    def node_table(self) -> pd.DataFrame:
        """Return what every node did and earned so far; columns as in ``Results.nodes``."""
        replication = np.array([self.replication], np.int32)
        sums = self.ledger.nodes()[None]
        settled = settled_by_round(self.game, sums)
        rows = node_rows(self.game, sums, settled, "base", replication)
        frame: pd.DataFrame = table(NODES, [rows]).to_pandas()
        return frame


def _prepare(scenario: Scenario, profile: Profile | None) -> Game:
    from poq_abm.simulation.playable import (  # noqa: PLC0415  (not needed where a game is given)
        check_playable,
        profile_of,
    )

    profile = profile_of(scenario) if profile is None else profile
    check_playable(scenario, profile)
    return build_game(scenario, profile)
