"""What running its model costs a node, beside what its reward charges it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from poq_abm.profile import Profile
from poq_abm.profile.latencies import latency_of
from poq_abm.rules.behaviour.base import is_lazy
from poq_abm.scenario import Scenario
from poq_abm.simulation.arrays import EvaluatorColumn
from poq_abm.simulation.population import NodeGroup, NodePopulation, build_population

__all__ = ["cost_run"]


def cost_run(scenario: Scenario, profile: Profile) -> NDArray[np.float64]:
    """Return the cost C of what every node really runs for a job, shape (F + M,).

    A reward charges the cost of the model a node names. Who runs it pays as much; who runs another
    pays for that, on the same scale (which may leave [0, 1]); who is lazy pays nothing. An
    evaluator that is lazy by chance saves that share; of one that is lazy only while trusted,
    awake or before a target nothing is counted as saved, so that a gain is understated.

    >>> from poq_abm.scenario import load
    >>> scenario = load("cost_aware_poq", ["population.evaluators.2.behaviour=copycat"])
    >>> from poq_abm.simulation.playable import profile_of
    >>> cost_run(scenario, profile_of(scenario)).round(2).tolist()
    [0.0, 0.02, 0.29, 0.93, 1.0, 0.0, 0.01, 0.0]
    """
    population = build_population(scenario, profile)
    costs = population.cost.copy()
    for node in range(population.size):
        role, spec = population.behaviours[population.behaviour[node]]
        if is_lazy(role, spec):
            costs[node] *= 1.0 - _share_of_jobs(population, node)
    first = population.inference_count
    groups = [population.groups[place] for place in population.group[:first]]
    charged = np.array([group.charged for group in groups])
    low, high = float(charged.min()), float(charged.max())
    by_price = scenario.mechanism.cost_basis("inference") == "price"
    for node, (group, model) in enumerate(zip(groups, population.answering, strict=True)):
        if model != group.model:
            really = (
                _usd(population, group, model, profile)
                if by_price
                else latency_of(profile, model, group.hardware).ms
            )
            costs[node] = (really - low) / (high - low if high > low else 1.0)
    return costs


def _usd(population: NodePopulation, group: NodeGroup, model: str, profile: Profile) -> float:
    """Return what a node pays for an answer of another model: the least that anybody does.

    Where nobody buys it, what the profile says.
    """
    bought = population.least_price(model)
    return profile.usd_per_answer(model, group.hardware) if bought is None else bought


def _share_of_jobs(population: NodePopulation, node: int) -> float:
    """Return the share of its jobs in which a lazy node is known to run no model."""
    first = population.inference_count
    if node < first:
        return 1.0
    row = population.conduct.evaluators[node - first]
    waits = (
        row[EvaluatorColumn.WAKE_TRUST] > -math.inf
        or row[EvaluatorColumn.WAKE_JOBS] > 0.0
        or (row[EvaluatorColumn.TARGET] >= 0.0 and row[EvaluatorColumn.FAVOUR] == 0.0)
    )
    return 0.0 if waits else float(row[EvaluatorColumn.PROBABILITY])
