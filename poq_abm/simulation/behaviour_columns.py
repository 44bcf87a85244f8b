"""From the behaviours of a population to the columns both engines read."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from poq_abm.compilation import compiled_loop
from poq_abm.rules.behaviour.attacks import Attack, recipe
from poq_abm.rules.behaviour.base import Behaviour, resolve
from poq_abm.simulation.arrays import ActiveBehaviours, Conduct, EvaluatorColumn, InferenceColumn
from poq_abm.simulation.population import Population, Spec

__all__ = [
    "build_conduct",
    "cost_factor_of",
    "evaluator_row",
    "find_active",
    "inference_row",
    "is_plain",
    "model_really_run",
    "model_run_by",
    "plugins",
    "reported_cost",
]

_HONEST_EVALUATOR = {
    EvaluatorColumn.ATTACK: float(Attack.HONEST),
    EvaluatorColumn.AMOUNT: 0.0,
    EvaluatorColumn.PROBABILITY: 1.0,
    EvaluatorColumn.WAKE_TRUST: -math.inf,
    EvaluatorColumn.WAKE_JOBS: 0.0,
    EvaluatorColumn.TARGET: -1.0,
    EvaluatorColumn.RESET_TRUST: -math.inf,
    EvaluatorColumn.MALICIOUS: 0.0,
    EvaluatorColumn.NOISE_SD: 0.0,
    EvaluatorColumn.BIAS_SD: 0.0,
}
_HONEST_INFERENCE = {
    InferenceColumn.LIFT: 0.0,
    InferenceColumn.FIXED: math.nan,
    InferenceColumn.GROUP: 0.0,
    InferenceColumn.DEVIATES: 0.0,
}


def build_conduct(population: Population) -> Conduct:
    """Return what every node does, from the behaviours of the population."""
    entries = [group.entry for group in population.groups if group.role == "inference"]
    labels = list(dict.fromkeys(entries))
    evaluator_rows = [
        evaluator_row(spec, labels) if role == "evaluator" else None
        for role, spec in population.behaviours
    ]
    inference_rows = [
        inference_row(spec) if role == "inference" else None for role, spec in population.behaviours
    ]
    first = population.inference_count
    evaluators = np.array([evaluator_rows[b] for b in population.behaviour[first:]])
    inference = np.array([inference_rows[b] for b in population.behaviour[:first]])
    inference[:, InferenceColumn.GROUP] = [
        labels.index(entries[g]) for g in population.group[:first]
    ]
    groups = [population.groups[g] for g in population.group[first:]]
    evaluators[:, EvaluatorColumn.NOISE_SD] = [group.noise_sd for group in groups]
    evaluators[:, EvaluatorColumn.BIAS_SD] = [group.bias_sd for group in groups]
    return Conduct(evaluators, inference)


def plugins(population: Population) -> tuple[Behaviour | None, ...]:
    """Return the users' own behaviours in play, in the places of ``population.behaviours``."""
    return tuple(
        resolve(role, spec).get("plugin") if role == "evaluator" else None
        for role, spec in population.behaviours
    )


@compiled_loop
def find_active(conduct: Conduct) -> ActiveBehaviours:
    """Return what any evaluator at all does."""
    deviates = waits = pauses = scatters = strays = False
    for member in range(conduct.evaluators.shape[0]):
        row = conduct.evaluators[member]
        deviates = deviates or int(row[EvaluatorColumn.ATTACK]) != Attack.HONEST
        waits = (
            waits
            or row[EvaluatorColumn.WAKE_TRUST] > -math.inf
            or row[EvaluatorColumn.WAKE_JOBS] > 0.0
        )
        waits = waits or row[EvaluatorColumn.TARGET] >= 0.0
        pauses = pauses or row[EvaluatorColumn.PROBABILITY] < 1.0
        scatters = scatters or row[EvaluatorColumn.SPREAD] > 0.0
        strays = strays or row[EvaluatorColumn.NOISE_SD] > 0.0
    return ActiveBehaviours(deviates, waits, pauses, scatters, strays)


def is_plain(conduct: Conduct) -> bool:
    """Return whether every node is honest and deterministic."""
    evaluators, inference = conduct
    return bool(
        (evaluators[:, EvaluatorColumn.ATTACK] == Attack.HONEST).all()
        and (evaluators[:, [EvaluatorColumn.NOISE_SD, EvaluatorColumn.BIAS_SD]] == 0.0).all()
        and (inference[:, InferenceColumn.LIFT] == 0.0).all()
        and np.isnan(inference[:, InferenceColumn.FIXED]).all()
    )


def model_really_run(population: Population, models: Sequence[str]) -> NDArray[np.int64]:
    """Return the index of the model that every inference node answers with, shape (F,)."""
    index = {model: i for i, model in enumerate(models)}
    run = [
        model_run_by(spec) if role == "inference" else None for role, spec in population.behaviours
    ]
    first = population.inference_count
    named = [population.groups[g].model for g in population.group[:first]]
    behaviours = population.behaviour[:first]
    chosen = [run[b] or name for b, name in zip(behaviours, named, strict=True)]
    return np.array([index[model] for model in chosen], dtype=np.int64)


def reported_cost(population: Population) -> NDArray[np.float64]:
    """Return the cost that enters every inference node's reward, shape (F,)."""
    factor = [
        cost_factor_of(spec) if role == "inference" else 1.0 for role, spec in population.behaviours
    ]
    first = population.inference_count
    result: NDArray[np.float64] = (
        population.cost[:first] * np.array(factor)[population.behaviour[:first]]
    )
    return result


def cost_factor_of(spec: Spec) -> float:
    """Return reported over true cost under a behaviour of inference nodes."""
    return float(resolve("inference", spec).get("cost_factor", 1.0))


def model_run_by(spec: Spec) -> str | None:
    """Return the model that really answers under a behaviour, where it is not the one named."""
    model: str | None = resolve("inference", spec).get("model")
    return model


def evaluator_row(spec: Spec, labels: Sequence[str]) -> list[float]:
    """Return the row of :class:`Conduct` of an evaluator; ``labels`` are those of its targets."""
    columns = resolve("evaluator", spec)
    row: dict[EvaluatorColumn, float] = dict(_HONEST_EVALUATOR)
    if "plugin" in columns:
        row[EvaluatorColumn.ATTACK] = float(Attack.PLUGIN)
    for name, value in columns.items():
        if name == "plugin":
            continue
        if name == "target":
            value = -1.0 if value is None else float(labels.index(value))  # noqa: PLW2901
        row[EvaluatorColumn[name.upper()]] = float(value)
    row[EvaluatorColumn.MALICIOUS] = float(row[EvaluatorColumn.ATTACK] != Attack.HONEST)
    made = recipe(int(row[EvaluatorColumn.ATTACK]), row[EvaluatorColumn.AMOUNT])
    row.update({EvaluatorColumn[name.upper()]: value for name, value in made._asdict().items()})
    return [row[trait] for trait in EvaluatorColumn]


def inference_row(spec: Spec) -> list[float]:
    """Return the row of :class:`Conduct` of an inference node, its group left at 0."""
    columns = resolve("inference", spec)
    row = dict(_HONEST_INFERENCE)
    for name, value in columns.items():
        if name.upper() in InferenceColumn.__members__:
            row[InferenceColumn[name.upper()]] = float(value)
    row[InferenceColumn.DEVIATES] = float(bool(columns))
    return [row[ploy] for ploy in InferenceColumn]
