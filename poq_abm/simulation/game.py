"""One treatment, ready to play: the scenario and the profile turned into columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from poq_abm.errors import InputError
from poq_abm.random import Purpose, uniform
from poq_abm.rules.aggregation import Aggregation, weighs_by_trust
from poq_abm.rules.behaviour.base import Behaviour
from poq_abm.rules.payment.reference import Reference
from poq_abm.rules.payment.rewards import RewardFamily, evaluator_reward, inference_reward
from poq_abm.rules.schedule.drawing import Schedule, thresholds
from poq_abm.rules.trust.updates import TrustReference, TrustUpdate
from poq_abm.simulation.arrays import ActiveBehaviours, Conduct, GameArrays, Nodes, Rules, Tables
from poq_abm.simulation.ledger import MID_SCALE
from poq_abm.simulation.population import (
    Population,
    build_conduct,
    build_population,
    find_active,
    is_plain,
    model_really_run,
    plugins,
    reported_cost,
)

if TYPE_CHECKING:
    from poq_abm.profile import Profile
    from poq_abm.scenario import Scenario
    from poq_abm.scenario.schema.mechanism import Reward

__all__ = ["Game", "build_game", "refuse_report"]

#: what the rules that take a parameter call it in a scenario
_PARAMETERS = {
    Aggregation.TRIMMED_MEAN: "tau",
    Aggregation.WINSORIZED_MEAN: "tau",
    Aggregation.HUBER: "huber_bend",
    Aggregation.MAD_FILTER: "mad_cutoff",
    Aggregation.STAKE_MEDIAN: "kappa",
}
_FAMILY_PARAMETERS = {
    RewardFamily.CONVEX_COST: "exponent",
    RewardFamily.THRESHOLD: "threshold",
}


@dataclass(frozen=True)
class Game:
    """Everything a round needs besides its key; shared by all replications of a treatment."""

    rules: Rules
    tables: Tables
    nodes: Nodes
    conduct: Conduct
    population: Population
    tasks: tuple[str, ...]  #: the tasks in play
    records: tuple[str, ...]  #: all records of the profile
    #: whether everybody is honest and deterministic and nobody's weight matters: the quick loop
    plain: bool
    #: users' own behaviours in play, in the places of ``population.behaviours``
    plugins: tuple[Behaviour | None, ...] = ()

    @cached_property
    def arrays(self) -> GameArrays:
        """The game as compiled functions take it."""
        return GameArrays(self.rules, self.tables, self.nodes, self.conduct)

    @cached_property
    def active(self) -> ActiveBehaviours | None:
        """What evaluators do besides playing honestly; None for the quick loop of a plain game."""
        return None if self.plain else find_active(self.conduct)

    @property
    def needs_agents(self) -> bool:
        """Whether a behaviour in plain Python keeps the compiled engine from playing."""
        own = [plugin for plugin in self.plugins if plugin is not None]
        return len(own) > 1 or any(not plugin.is_compiled() for plugin in own)

    @property
    def compiled_plugin(self) -> Callable[..., float] | None:
        """The one compiled function that the compiled engine is to call, if any."""
        own = [plugin for plugin in self.plugins if plugin is not None]
        return own[0].report if own and not self.needs_agents else None


def refuse_report(game: Game, round_: int, member: int, score: float, made: str = "") -> None:
    """Raise the error of an evaluator that reported what is no score.

    ``member`` counts evaluators from 0; ``made`` names the class of a node that a user made.
    """
    population = game.population
    node = population.inference_count + member
    _, spec = population.behaviours[population.behaviour[node]]
    doing = " ".join(filter(None, [made, str(spec["name"])]))
    raise InputError(
        f"round {round_}: evaluator node {node} ({doing}) reported {score}; a score lies in [0, 10]"
    )


def build_game(scenario: Scenario, profile: Profile) -> Game:
    """Return the game that ``scenario`` describes on ``profile``.

    The scenario must have no sweep and must have passed :func:`poq_abm.scenario.check`.
    """
    population = build_population(scenario, profile)
    shares = scenario.tasks or dict.fromkeys(profile.tasks, 1.0)
    codes = np.array([profile.tasks.index(task) for task in shares], dtype=np.int64)
    conduct = build_conduct(population)
    rules = _rules(scenario)
    learns = rules.trust_update != TrustUpdate.NONE or rules.trust_interval > 0
    contested = scenario.malicious is not None  # also at share 0, so that treatments compare
    return Game(
        rules=rules,
        tables=_tables(scenario, profile, codes, np.array(list(shares.values()))),
        nodes=_nodes(population, profile, rules),
        conduct=conduct,
        population=population,
        tasks=tuple(shares),
        records=profile.records,
        plugins=plugins(population),
        plain=is_plain(conduct) and not (learns or contested or weighs_by_trust(rules.aggregation)),
    )


def _rules(scenario: Scenario) -> Rules:
    mechanism = scenario.mechanism
    aggregation = Aggregation[mechanism.aggregation.upper()]
    parameter = _PARAMETERS.get(aggregation)
    trust = mechanism.trust
    family = RewardFamily[mechanism.reward.family.upper()]
    return Rules(
        # Schedules beyond these look at queues, prices or stakes: the economy's scheduler has them.
        schedule=int(Schedule.__members__.get(scenario.schedule.upper(), Schedule.UNIFORM)),
        committee_size=mechanism.committee_size,
        aggregation=int(aggregation),
        aggregation_parameter=float(getattr(mechanism, parameter)) if parameter else 0.0,
        reference=int(Reference[mechanism.reference.upper()]),
        reward_family=int(family),
        reward_parameter=float(getattr(mechanism.reward, _FAMILY_PARAMETERS.get(family, ""), 0.0)),
        alpha_inference=float(mechanism.alpha_inference),
        beta_inference=float(mechanism.beta_inference),
        alpha_evaluator=float(mechanism.alpha_evaluator),
        beta_evaluator=float(mechanism.beta_evaluator),
        trust_update=int(TrustUpdate[trust.update.upper()]),
        trust_rate=float(trust.rate),
        trust_start=float(trust.start),
        trust_minimum=float(trust.minimum),
        trust_maximum=float(trust.maximum),
        trust_reference=int(TrustReference[trust.reference.upper()]),
        trust_interval=trust.interval,
    )


def _tables(
    scenario: Scenario, profile: Profile, codes: NDArray[np.int64], shares: NDArray[np.float64]
) -> Tables:
    first = np.searchsorted(profile.task_of_record, codes, side="left")
    last = np.searchsorted(profile.task_of_record, codes, side="right")
    trust = scenario.mechanism.trust
    return Tables(
        scores=profile.scores,
        truth=profile.truth,
        task_first=first.astype(np.int64),
        task_size=(last - first).astype(np.int64),
        task_limits=thresholds(shares),
        agreed=profile.scores.mean(axis=2),
        gold=_gold(len(profile.records), trust.gold_share, scenario.seed, _plants(scenario)),
        trust_task=np.arange(codes.size) if trust.per_task else np.zeros(codes.size, np.int64),
        task_weight=_task_weights(scenario.mechanism.reward, [profile.tasks[c] for c in codes]),
    )


def _task_weights(reward: Reward, tasks: list[str]) -> NDArray[np.float64]:
    weighted = reward.family == "task_weighted"
    return np.array([reward.task_weights.get(task, 1.0) if weighted else 1.0 for task in tasks])


def _plants(scenario: Scenario) -> bool:
    """Return whether anything looks at planted benchmarks."""
    economy = scenario.economy
    slashes = economy is not None and economy.stake.slashing.gold is not None
    return slashes or scenario.mechanism.trust.update == "gold"


def _gold(records: int, share: float, seed: int, planted: bool) -> NDArray[np.bool_]:
    """Return which records are planted benchmarks: each with chance ``share``, by its own draw."""
    if not planted:
        return np.zeros(records, dtype=np.bool_)
    draws = [uniform(seed, 0, Purpose.GOLD, record, 0) for record in range(records)]
    return np.array(draws) < share


def _nodes(population: Population, profile: Profile, rules: Rules) -> Nodes:
    inference = population.role_is("inference")
    evaluators = population.role_is("evaluator")
    scorers = {model: i for i, model in enumerate(profile.evaluators)}
    evaluator = population.node_values([scorers.get(g.model, -1) for g in population.groups])
    stake = np.array([group.stake for group in population.groups])[population.group]
    costs, evaluator_costs = reported_cost(population), population.cost[evaluators]
    alpha_f, beta_f = rules.alpha_inference, rules.beta_inference
    alpha_m, beta_m = rules.alpha_evaluator, rules.beta_evaluator
    return Nodes(
        model=model_really_run(population, profile.models),
        evaluator=evaluator[evaluators],
        inference_cost=costs,
        evaluator_cost=evaluator_costs,
        inference_anchor=np.array(
            [inference_reward(alpha_f, beta_f, MID_SCALE, cost) for cost in costs]
        ),
        evaluator_anchor=np.array(
            [evaluator_reward(alpha_m, beta_m, 1.0, cost) for cost in evaluator_costs]
        ),
        limits=thresholds(population.weight[inference]),
        stake=stake[evaluators],
    )
