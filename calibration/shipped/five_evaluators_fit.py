"""Fit a table of five evaluators to published figures: move a first draw as little as needed.

The first draw is a latent model, ``10 Phi(level + spread (loading z_truth + noise))`` for every
evaluator. Its scores and truths are then moved, all of them at once, by damped Gauss-Newton steps:
each is the least change (in squared points) that brings the figures nearer to their targets. That
meets more figures than a handful of parameters could. A figure is a :class:`Figure`: its value
and what it changes by when a score or a truth does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from calibration.shipped.published_fit import centred, squash
from poq_abm.random import Purpose, normal

__all__ = ["Figure", "FiveEvaluatorTargets", "OutputTable", "figures_of", "fit_outputs"]

Array = NDArray[np.float64]

SEED = 260304028
TRUTH_SPREAD = (1.2, 0.5)  #: of the truth latent, by task: F1 of short answers is all or nothing
RECORD_SHARE = 0.5  #: of the variance of truth and noise, common to all models' answers to a record
COMMON_SHARE = (0.1, 0.1, 0.4, 0.4, 0.4)  #: of an evaluator's noise, common to all evaluators
LEVEL = (0.45, 0.2, 0.55, 0.55, 0.55)
SPREAD = (0.45, 0.8, 0.5, 0.5, 0.5)
TASK_LOADING = (0.87, 0.45)  #: of the bi-encoders on the truth, in either task
STEPS = 150
DECIMALS = 4
#: weight by rank of five scores in the expected consensus of three drawn from them: the mean, and
#: the median, which is the j-th with chance (j - 1)(5 - j) / 10
BY_RANK = {"mean": (0.2,) * 5, "median": (0.0, 0.3, 0.4, 0.3, 0.0)}
#: weight by rank in the consensus of all five
OF_ALL = {
    "mean": (0.2,) * 5,
    "median": (0.0, 0.0, 1.0, 0.0, 0.0),
    "trimmed_mean": (0.0, 1 / 3, 1 / 3, 1 / 3, 0.0),
}


@dataclass(frozen=True)
class FiveEvaluatorTargets:
    """The figures to meet; evaluators and models in the profile's order."""

    truth: Array  #: (models,) mean truth that the first draw has
    correlation: Array  #: (evaluators,) with the truth
    consensus_correlation: dict[str, float]  #: of all five's, by rule
    task_correlation: Array  #: (tasks,) of the third evaluator
    cost: Array  #: (models,) in [0, 1]
    cost_correlation: float  #: of 1 - cost with the truth
    quality: Array  #: (models,) mean expected consensus of three of five, over 10
    closeness: Array  #: (evaluators,) mean, to the mean of a committee of three that it sits in
    shift: float  #: points of boost and sabotage
    #: mean expected consensus, over 10, by attack ("none", "boost", "sabotage") and rule; a number
    #: for one, two and three liars, averaged over who lies
    consensus: dict[str, dict[str, Sequence[float]]]


class OutputTable(NamedTuple):
    """Scores (outputs, evaluators) and truths (outputs,) in [0, 10]; outputs by record, model."""

    scores: Array
    truth: Array


class Figure(NamedTuple):
    """One figure of a table: its name, value, target and weight, and what moves it."""

    name: str
    value: float
    target: float
    weight: float
    by_score: Array  #: (outputs, evaluators), derivative
    by_truth: Array  #: (outputs,), derivative


def fit_outputs(targets: FiveEvaluatorTargets, records: int, steps: int = STEPS) -> OutputTable:
    """Return a table near the first draw that comes as near to the targets as ``steps`` steps do.

    Levenberg's damping: a step that brings the figures no nearer is taken back and damped more.
    Deterministic on one machine; order statistics have kinks, so that the last bit of a sum can
    lead another machine to a slightly different table with the same figures.
    """
    table = first_draw(targets, records)
    found = list(figures_of(table, targets))
    damping = 1e-2
    for _ in range(steps):
        moved = _moved(table, found, damping)
        nearer = list(figures_of(moved, targets))
        if _distance(nearer) < _distance(found):
            table, found, damping = moved, nearer, max(damping / 2.0, 1e-8)
        else:
            damping *= 3.0
    return OutputTable(table.scores.round(DECIMALS), table.truth.round(DECIMALS))


def _distance(found: Sequence[Figure]) -> float:
    return float(sum((each.weight * (each.target - each.value)) ** 2 for each in found))


def _moved(table: OutputTable, found: Sequence[Figure], damping: float) -> OutputTable:
    """Return the table after one damped step of least change."""
    slopes = np.stack(
        [each.weight * np.append(each.by_score.ravel(), each.by_truth) for each in found]
    )
    misses = np.array([each.weight * (each.target - each.value) for each in found])
    products = slopes @ slopes.T
    damped = products + damping * np.diag(products).mean() * np.eye(misses.size)
    change = np.linalg.solve(damped, misses) @ slopes
    scores = table.scores + change[: table.scores.size].reshape(table.scores.shape)
    truth = table.truth + change[table.scores.size :]
    return OutputTable(np.clip(scores, 0.001, 9.999), np.clip(truth, 0.0, 10.0))


def first_draw(targets: FiveEvaluatorTargets, records: int) -> OutputTable:
    """Return the latent model's table; the first half of the records is the first task.

    A record's draws are keyed by its number: slots 0 to 6 are its record effects (truth, the error
    that evaluators share, the own error of each), seven more slots per model its cells.
    """
    models, evaluators, purpose = targets.truth.size, len(LEVEL), int(Purpose.PROFILE)
    kinds = 2 + evaluators
    draws = np.array(
        [
            [normal(SEED, 0, purpose, record, slot) for slot in range(kinds * (1 + models))]
            for record in range(records)
        ]
    ).reshape(records, 1 + models, kinds)
    mixed = np.sqrt(RECORD_SHARE) * draws[:, :1] + np.sqrt(1.0 - RECORD_SHARE) * draws[:, 1:]
    task, model = _task_and_model(records, models)
    spread = np.array(TRUTH_SPREAD)[task[::models], None]
    truth = squash(centred(spread * mixed[..., 0], 1.0, targets.truth)).ravel()
    noise = mixed[..., 1:].reshape(-1, 1 + evaluators)
    common = np.array(COMMON_SHARE)
    errors = np.sqrt(common) * noise[:, :1] + np.sqrt(1.0 - common) * noise[:, 1:]
    loading = np.tile(targets.correlation, (truth.size, 1))
    loading[:, 2:] = np.array(TASK_LOADING)[task, None]
    signal = loading * ((truth - truth.mean()) / truth.std())[:, None]
    level = np.array(LEVEL) + 3.0 * (targets.quality - targets.quality.mean())[model, None]
    latent = level + np.array(SPREAD) * (signal + np.sqrt(1.0 - loading**2) * errors)
    return OutputTable(squash(latent), truth)


def _task_and_model(records: int, models: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    task = (np.arange(records) >= records // 2).astype(np.int64)
    return np.repeat(task, models), np.tile(np.arange(models), records)


def figures_of(table: OutputTable, targets: FiveEvaluatorTargets) -> Iterator[Figure]:
    """Yield every figure that the table is fitted to."""
    yield from _correlations(table, targets)
    yield from _qualities(table, targets)
    yield from _closenesses(table, targets)
    yield from _attacked(table, targets)


def _correlation(x: Array, y: Array) -> tuple[float, Array, Array]:
    """Return Pearson's correlation and its derivatives by either variable."""
    x, y = x - x.mean(), y - y.mean()
    size_x, size_y = np.sqrt((x * x).sum()), np.sqrt((y * y).sum())
    r = float((x * y).sum() / (size_x * size_y))
    return r, y / (size_x * size_y) - r * x / size_x**2, x / (size_x * size_y) - r * y / size_y**2


def _correlations(table: OutputTable, targets: FiveEvaluatorTargets) -> Iterator[Figure]:
    """Yield the correlations: printed to two or three decimals, they weigh most."""
    scores, truth = table
    models = targets.truth.size
    task, model = _task_and_model(truth.size // models, models)
    everywhere = np.ones(truth.size, dtype=bool)

    def figure(
        name: str,
        target: float,
        weights: Array,
        rows: NDArray[np.bool_] = everywhere,
        weight: float = 6.0,
    ) -> Figure:
        by_score, by_truth = np.zeros_like(scores), np.zeros_like(truth)
        combined = (weights * scores).sum(axis=1)
        value, by_combined, by_truth[rows] = _correlation(combined[rows], truth[rows])
        by_score[rows] = weights[rows] * by_combined[:, None]
        return Figure(name, value, target, weight, by_score, by_truth)

    for e, target in enumerate(targets.correlation):
        own = np.zeros_like(scores)
        own[:, e] = 1.0
        yield figure(f"correlation of evaluator {e}", target, own)
        if e == 2:
            for t, within in enumerate(targets.task_correlation):
                name = f"correlation of evaluator {e} in task {t}"
                yield figure(name, within, own, task == t, 1.0)  # whose it is, is inferred
    for rule, target in targets.consensus_correlation.items():
        yield figure(f"correlation of {rule}", target, _by_rank(scores, OF_ALL[rule]))
    cheapness = 1.0 - targets.cost[model]
    value, _, by_truth = _correlation(cheapness, truth)
    nothing = np.zeros_like(scores)
    yield Figure("correlation of 1 - C", value, targets.cost_correlation, 6.0, nothing, by_truth)


def _by_rank(scores: Array, weights: Sequence[float]) -> Array:
    """Return the weight of each score that its rank among the five gives it."""
    places = np.argsort(scores, axis=1, kind="stable")
    by_score = np.empty_like(scores)
    np.put_along_axis(by_score, places, np.broadcast_to(weights, scores.shape), axis=1)
    return by_score


def _qualities(table: OutputTable, targets: FiveEvaluatorTargets) -> Iterator[Figure]:
    scores, truth = table
    _, model = _task_and_model(truth.size // targets.truth.size, targets.truth.size)
    for m, target in enumerate(targets.quality):
        rows = np.repeat((model == m)[:, None], scores.shape[1], axis=1)
        by_score = rows / (10.0 * rows.sum())
        value = float((by_score * scores).sum())
        yield Figure(f"quality of model {m}", value, target, 3.0, by_score, np.zeros_like(truth))


def _closenesses(table: OutputTable, targets: FiveEvaluatorTargets) -> Iterator[Figure]:
    scores, truth = table
    for e, target in enumerate(targets.closeness):
        near, by_score, sat_in = 0.0, np.zeros_like(scores), 0
        for committee in combinations(range(scores.shape[1]), 3):
            if e not in committee:
                continue
            gap = scores[:, e] - scores[:, committee].mean(axis=1)
            near += 1.0 - float(np.abs(gap).mean()) / 10.0
            slope = np.sign(gap) / (10.0 * gap.size)
            by_score[:, committee] += slope[:, None] / 3.0
            by_score[:, e] -= slope
            sat_in += 1
        yield Figure(
            f"closeness of evaluator {e}", near / sat_in, target, 3.0, by_score / sat_in,
            np.zeros_like(truth),
        )  # fmt: skip


def _attacked(table: OutputTable, targets: FiveEvaluatorTargets) -> Iterator[Figure]:
    """Yield the expected consensus by attack, rule and number of liars."""
    scores, truth = table
    shift, evaluators = targets.shift, range(scores.shape[1])
    played = {
        "none": (scores, np.ones_like(scores)),
        "boost": (np.minimum(10.0, scores + shift), (scores + shift < 10.0).astype(float)),
        "sabotage": (np.maximum(0.0, scores - shift), (scores - shift > 0.0).astype(float)),
    }
    for attack, by_rule in targets.consensus.items():
        for rule, wanted in by_rule.items():
            for liars, target in enumerate(wanted, start=1):
                value, by_score, rings = 0.0, np.zeros_like(scores), 0
                for ring in combinations(evaluators, liars):
                    reported, slope = scores.copy(), np.ones_like(scores)
                    reported[:, ring], slope[:, ring] = (each[:, ring] for each in played[attack])
                    weights = _by_rank(reported, BY_RANK[rule])
                    value += float((weights * reported).sum(axis=1).mean()) / 10.0
                    by_score += weights * slope / (10.0 * truth.size)
                    rings += 1
                name = f"{rule} under {attack}, {liars}"
                yield Figure(
                    name, value / rings, target, 10.0, by_score / rings, np.zeros_like(truth)
                )
