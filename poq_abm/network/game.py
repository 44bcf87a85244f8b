"""One treatment, ready to play: the scenario and the profile turned into columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.mechanism.aggregation import Aggregation
from poq_abm.mechanism.reference import Reference
from poq_abm.mechanism.schedule import Schedule, thresholds
from poq_abm.network.population import Population, build_population

if TYPE_CHECKING:
    from poq_abm.profile import Profile
    from poq_abm.scenario import Scenario

__all__ = ["Game", "Nodes", "Rules", "Tables", "build_game"]


class Rules(NamedTuple):
    """The mechanism as scalars; enumerations by their number."""

    schedule: int
    committee_size: int
    aggregation: int
    reference: int
    alpha_inference: float
    beta_inference: float
    alpha_evaluator: float
    beta_evaluator: float


class Tables(NamedTuple):
    """What is drawn from: the profile's rows, and where each task's records lie."""

    scores: NDArray[np.float64]  #: (records, models, evaluators), [0, 10]
    truth: NDArray[np.float64]  #: (records, models), [0, 10]
    task_first: NDArray[np.int64]  #: first record of each task in play
    task_size: NDArray[np.int64]  #: number of its records
    task_limits: NDArray[np.uint64]  #: cumulative task shares on the scale of a word


class Nodes(NamedTuple):
    """The population as columns: F inference nodes, then M evaluator nodes."""

    model: NDArray[np.int64]  #: (F,) which inference model a node runs
    evaluator: NDArray[np.int64]  #: (M,) which evaluator model a node runs
    inference_cost: NDArray[np.float64]  #: (F,) in [0, 1]
    evaluator_cost: NDArray[np.float64]  #: (M,) in [0, 1]
    limits: NDArray[np.uint64]  #: (F,) cumulative schedule weights on the scale of a word


@dataclass(frozen=True)
class Game:
    """Everything a round needs besides its key; shared by all replications of a treatment."""

    rules: Rules
    tables: Tables
    nodes: Nodes
    population: Population
    tasks: tuple[str, ...]  #: the tasks in play
    records: tuple[str, ...]  #: all records of the profile


def build_game(scenario: Scenario, profile: Profile) -> Game:
    """Return the game that ``scenario`` describes on ``profile``.

    The scenario must have no sweep and must have passed :func:`poq_abm.scenario.check`.
    """
    population = build_population(scenario, profile)
    shares = scenario.tasks or dict.fromkeys(profile.tasks, 1.0)
    codes = np.array([profile.tasks.index(task) for task in shares], dtype=np.int64)
    return Game(
        rules=_rules(scenario),
        tables=_tables(profile, codes, np.array(list(shares.values()))),
        nodes=_nodes(population, profile),
        population=population,
        tasks=tuple(shares),
        records=profile.records,
    )


def _rules(scenario: Scenario) -> Rules:
    mechanism = scenario.mechanism
    return Rules(
        schedule=int(Schedule[scenario.schedule.upper()]),
        committee_size=mechanism.committee_size,
        aggregation=int(Aggregation[mechanism.aggregation.upper()]),
        reference=int(Reference[mechanism.reference.upper()]),
        alpha_inference=float(mechanism.alpha_inference),
        beta_inference=float(mechanism.beta_inference),
        alpha_evaluator=float(mechanism.alpha_evaluator),
        beta_evaluator=float(mechanism.beta_evaluator),
    )


def _tables(profile: Profile, codes: NDArray[np.int64], shares: NDArray[np.float64]) -> Tables:
    first = np.searchsorted(profile.task_of_record, codes, side="left")
    last = np.searchsorted(profile.task_of_record, codes, side="right")
    return Tables(
        scores=profile.scores,
        truth=profile.truth,
        task_first=first.astype(np.int64),
        task_size=(last - first).astype(np.int64),
        task_limits=thresholds(shares),
    )


def _nodes(population: Population, profile: Profile) -> Nodes:
    inference = population.role_is("inference")
    evaluators = population.role_is("evaluator")
    models = {model: i for i, model in enumerate(profile.models)}
    scorers = {model: i for i, model in enumerate(profile.evaluators)}
    return Nodes(
        model=population.node_values([models.get(g.model, -1) for g in population.groups])[
            inference
        ],
        evaluator=population.node_values([scorers.get(g.model, -1) for g in population.groups])[
            evaluators
        ],
        inference_cost=population.cost[inference],
        evaluator_cost=population.cost[evaluators],
        limits=thresholds(population.weight[inference]),
    )
