"""An economy as an environment that agents learn in, by the API of PettingZoo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from poq_abm.errors import InputError, nearest
from poq_abm.rules.behaviour.base import spell
from poq_abm.simulation.epochs.accounts import Holding
from poq_abm.simulation.epochs.economy_model import EconomyModel
from poq_abm.simulation.game import build_game
from poq_abm.simulation.playable import check_playable, profile_of

try:
    from pettingzoo import ParallelEnv
except ModuleNotFoundError:  # the extra `learning`: without it nothing is missing but the spaces
    ParallelEnv = object

if TYPE_CHECKING:
    from poq_abm.profile import Profile
    from poq_abm.scenario import Scenario
    from poq_abm.simulation.epochs.economy import Economy
    from poq_abm.simulation.epochs.epoch_end import EpochEnd

__all__ = ["AWAY", "OBSERVED", "EconomyEnvironment"]

Array = NDArray[np.float64]
Actions = Mapping[str, int]
Spec = Mapping[str, Any]

#: what a node sees before an epoch: name, least, most, meaning
OBSERVED = (
    ("time", 0.0, 1.0, "epochs that are over, as a share of all"),
    ("present", 0.0, 1.0, "1 where the node is in the network, else 0"),
    ("trust", 0.0, np.inf, "weight of an evaluator, reputation (0-1) of an inference node"),
    ("bond", 0.0, np.inf, "tokens"),
    ("jobs", 0.0, 1.0, "share of the last epoch's rounds in which the node took part"),
    ("score", 0.0, 1.0, "mean quality, or closeness, of its jobs in the last epoch; 0 without one"),
    ("profit", -np.inf, np.inf, "tokens in the last epoch"),
)
AWAY = "away"  #: the action of a node that stays out of the network


class EconomyEnvironment(ParallelEnv):
    """An economy in which nodes choose anew in every epoch, for a learner to play.

    A ``ParallelEnv`` of PettingZoo: a step is an epoch, an agent is a node, ``inference_0`` or
    ``evaluator_3`` by its number inside its role. Everything else, nodes without a learner
    included, does as the scenario has it.

    * **Actions** are numbers: which behaviour of :meth:`actions` the node shows in the epoch. These
      are what its role does in the scenario, what ``economy.options`` name, and ``choices``, so
      that an amount to lie by is a choice each. With ``may_leave`` the last is to be :data:`AWAY`.
    * **Rewards** are the profit of the epoch, in tokens. Where all act as they begin, and no rule
      adapts, their sum is that of the economy's own run.
    * **Observations** are the seven numbers of :data:`OBSERVED`.
    * **Episodes** last as long as the scenario and are then truncated. One is a replication:
      ``reset(seed=r)`` plays replication r, whose draws are the same whatever is done; without a
      seed the next one.

    It runs without PettingZoo and Gymnasium, for a learner of one's own; spaces need both.

    Parameters
    ----------
    scenario
        One with an ``economy`` and without a sweep. Its rules of adaptation go on; of a node that
        learns the action counts.
    learners
        Names of the nodes that learn; default: all that are there at first.
    choices
        By role, behaviours that nodes may choose besides: ``{"evaluator": ["boost"]}``.
    may_leave
        Whether nodes may stay out, and come back with a new bond and no history.
    profile
        The profile to draw from; default: the scenario's.

    Examples
    --------
    >>> from poq_abm.scenario import load
    >>> scenario = load("cost_aware_poq", ["economy.epochs=4", "rounds=400"])
    >>> choices = {"evaluator": ["boost"]}
    >>> environment = EconomyEnvironment(scenario, ["evaluator_0"], choices=choices)
    >>> environment.actions("evaluator_0")
    ['honest', 'boost']
    >>> seen, _ = environment.reset(seed=0)
    >>> seen, earned, *_ = environment.step({"evaluator_0": 1})
    >>> [round(float(one), 2) for one in seen["evaluator_0"][:3]]
    [0.25, 1.0, 1.0]
    """

    metadata: Mapping[str, Any] = {"name": "poq_economy_v0", "render_modes": []}
    render_mode = None

    def __init__(
        self,
        scenario: Scenario,
        learners: Sequence[str] | None = None,
        *,
        choices: Mapping[str, Sequence[Spec | str]] | None = None,
        may_leave: bool = False,
        profile: Profile | None = None,
    ) -> None:
        if scenario.economy is None:
            raise InputError(f"{scenario.name} has no economy: nodes that learn need epochs")
        if len(list(scenario.treatments())) > 1:
            raise InputError(f"{scenario.name} has several treatments; an environment takes one")
        for role, specs in (choices or {}).items():
            if role not in ("inference", "evaluator"):
                raise InputError(
                    f"choices of {role!r}; {nearest(role, ['inference', 'evaluator'])}"
                )
            known = getattr(scenario.economy.options, role)
            scenario = scenario.replace({f"economy.options.{role}": [*known, *specs]})
        self.scenario, self.may_leave = scenario, may_leave
        self._profile = profile_of(scenario) if profile is None else profile
        check_playable(scenario, self._profile)
        self._game = build_game(scenario, self._profile)
        self._next = 0  # replication
        self.economy: Economy = self._open(0)
        population = self.economy.population
        first = population.inference
        names = [f"inference_{n}" for n in range(first)]
        names += [f"evaluator_{n}" for n in range(population.size - first)]
        chosen = [n for n, here in zip(names, population.active, strict=True) if here]
        for name in learners or ():
            if name not in names:
                raise InputError(f"no node {name!r}; {nearest(name, names)}")
        self.possible_agents = list(dict.fromkeys(chosen if learners is None else learners))
        if not self.possible_agents:
            raise InputError("nobody learns: name a node or more")
        self.agents: list[str] = []
        self._node = {name: names.index(name) for name in self.possible_agents}
        #: what each role may do, as indices into the population's behaviours
        self._behaviours = {
            role: [n for n, (whose, _) in enumerate(population.behaviours) if whose == role]
            for role in ("inference", "evaluator")
        }
        self._spaces: dict[str, tuple[Any, Any]] = {}
        self._end: EpochEnd | None = None

    # ------------------------------------------------------------------------ what one can do

    def actions(self, agent: str) -> list[str]:
        """Return what a node may do, in words; an action is a place in this list."""
        behaviours = self.economy.population.behaviours
        found = [spell(behaviours[n][1]) for n in self._behaviours[_role(agent)]]
        return [*found, AWAY] if self.may_leave else found

    def first_action(self, agent: str) -> int:
        """Return the action that is what a node does in the scenario."""
        population = self.economy.population
        known = [population.behaviours.index(pair) for pair in population.initial.behaviours]
        doing = known[population.initial.behaviour[self._node[agent]]]
        return self._behaviours[_role(agent)].index(doing)

    def action_space(self, agent: str) -> Any:
        """Return the space of a node's actions: ``Discrete``."""
        return self._space(agent)[0]

    def observation_space(self, agent: str) -> Any:
        """Return the space of what a node sees: ``Box``, seven numbers."""
        return self._space(agent)[1]

    def _space(self, agent: str) -> tuple[Any, Any]:
        if agent not in self._spaces:
            try:
                from gymnasium.spaces import Box, Discrete  # noqa: PLC0415
            except ModuleNotFoundError as error:
                raise InputError(
                    'spaces need Gymnasium and PettingZoo: pip install "poq-abm[learning]"'
                ) from error
            _, low, high, _ = zip(*OBSERVED, strict=True)
            box = Box(np.array(low), np.array(high), dtype=np.float64)
            self._spaces[agent] = (Discrete(len(self.actions(agent))), box)
        return self._spaces[agent]

    # ----------------------------------------------------------------------------- an episode

    def reset(
        self,
        seed: int | None = None,
        options: dict[str, Any] | None = None,  # noqa: ARG002  (of the API)
    ) -> tuple[dict[str, Array], dict[str, dict[str, Any]]]:
        """Begin a replication: number ``seed``, or the one after the last; ``options`` do nothing.

        Returns what every node sees, and an empty note of each.
        """
        replication = self._next if seed is None else int(seed)
        if replication < 0:
            raise InputError(f"a replication is 0 or above, got {replication}")
        self._next = replication + 1
        self.economy, self._end = self._open(replication), None
        self.agents = list(self.possible_agents)
        return self._seen(), {agent: {} for agent in self.agents}

    def step(
        self, actions: Actions
    ) -> tuple[
        dict[str, Array],
        dict[str, float],
        dict[str, bool],
        dict[str, bool],
        dict[str, dict[str, Any]],
    ]:
        """Play an epoch; return what nodes see, their profit, who ended, whether it is over, notes.

        A note says what its node did (``behaviour``) and whether the network has ``halted``.

        Raises
        ------
        InputError
            If the episode is over, a node without an action, or an action that there is not.
        """
        if not self.agents:
            raise InputError("the episode is over: reset() begins another")
        self._act(actions)
        self._end = None
        self.economy.step()
        end, agents = self._end, self.agents
        profit = np.zeros(self.economy.population.size) if end is None else end.profit
        seen = self._seen()
        earned = {agent: float(profit[self._node[agent]]) for agent in agents}
        over = self.economy.finished
        notes: dict[str, dict[str, Any]] = {
            agent: {
                "behaviour": self.actions(agent)[int(actions[agent])],
                "halted": self.economy.halted >= 0,
            }
            for agent in agents
        }
        if over:
            self.agents = []
        return seen, earned, dict.fromkeys(agents, False), dict.fromkeys(agents, over), notes

    def render(self) -> None:
        """Show nothing: an economy has no picture; its tables come from a run."""

    def close(self) -> None:
        """Free nothing: all is in memory."""

    def _open(self, replication: int) -> Economy:
        model = EconomyModel(
            self.scenario, replication=replication, profile=self._profile, game=self._game
        )
        model.economy.consult = self._keep
        return model.economy

    def _keep(self, end: EpochEnd) -> None:
        self._end = end

    def _act(self, actions: Actions) -> None:
        """Let every node that learns do what was chosen for it."""
        population = self.economy.population
        here = np.zeros(population.size, dtype=np.bool_)
        away = np.zeros(population.size, dtype=np.bool_)
        for agent in self.agents:
            known = self._behaviours[_role(agent)]
            if agent not in actions:
                raise InputError(f"no action of {agent}: every node that learns needs one")
            action, node = int(actions[agent]), self._node[agent]
            if not 0 <= action < len(known) + self.may_leave:
                said = ", ".join(f"{n} {name}" for n, name in enumerate(self.actions(agent)))
                raise InputError(f"{agent} has no action {action}; there are {said}")
            if action == len(known):
                away[node] = True
                continue
            here[node] = True
            if population.behaviour[node] != known[action]:
                population.behaviour[node] = known[action]
                population.changed = True
        if self.may_leave:
            self.economy.leave(away)
            self.economy.enter(here)

    def _seen(self) -> dict[str, Array]:
        economy, end = self.economy, self._end
        population, size = economy.population, economy.population.size
        trust = np.concatenate([economy.reputation, economy.memory.trust.mean(axis=1)])
        jobs, score, profit = np.zeros((3, size))
        if end is not None:
            performance = end.played.performance
            jobs = performance.jobs / max(end.played.count, 1)
            judged = np.concatenate([performance.quality, 1.0 - performance.distance])
            score, profit = np.nan_to_num(judged), end.profit
        columns = np.stack(
            [
                np.full(size, economy.epoch / economy.settings.epochs),
                population.active.astype(np.float64),
                trust,
                economy.accounts.nodes[Holding.BOND],
                np.clip(jobs, 0.0, 1.0),
                np.clip(score, 0.0, 1.0),
                profit,
            ],
            axis=1,
        )
        return {agent: columns[self._node[agent]] for agent in self.agents}


def _role(agent: str) -> str:
    return agent.rpartition("_")[0]
