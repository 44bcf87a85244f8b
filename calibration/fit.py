"""Fit the latent model to the published figures: as many free numbers as figures to meet.

Truth and judge are ``10 Phi(a_m + b z)`` with the spread ``b`` assumed and the offset ``a_m`` of
each model solved for its mean. The score of evaluator ``e`` for model ``m`` in task ``t`` is,
before normalisation,

    Phi(level_m + spread_e (truth_loading_te z_truth + judge_loading_te z_judge + noise_e)).

Levels answer to the mean quality of the models, spreads to the closeness of the evaluators, and
loadings to the correlations in each task.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, least_squares

from calibration.latent import Latents, draw_latents, normalise, squash
from calibration.moments import closeness, correlations, quality

__all__ = ["Table", "Targets", "fit_table"]

Array = NDArray[np.float64]

DECIMALS = 4
TRUTH_SPREAD = 0.9
JUDGE_SPREAD = 0.6
#: Largest distance between a moment and its target that passes for a fit.
TOLERANCE = 5e-5


@dataclass(frozen=True)
class Targets:
    """The moments to meet; correlations hold in every task."""

    quality: Array  #: (models,)
    closeness: Array  #: (evaluators,)
    truth_correlation: Array  #: (evaluators,)
    judge_correlation: Array  #: (evaluators,)
    truth: Array  #: (models,), mean truth
    judge: Array  #: (models,), mean judge score


@dataclass(frozen=True)
class Table:
    """A rounded table: scores (records, models, evaluators); truth, judge (records, models)."""

    scores: Array
    truth: Array
    judge: Array


@dataclass(frozen=True)
class _Shape:
    """The free numbers of the score model."""

    level: Array  # (models,)
    spread: Array  # (evaluators,)
    loading: Array  # (tasks, truth and judge, evaluators)

    def pack(self) -> Array:
        return np.concatenate([self.level, self.spread, self.loading.ravel()])

    def unpack(self, flat: Array) -> _Shape:
        level, spread, loading = np.split(flat, np.cumsum([self.level.size, self.spread.size]))
        return _Shape(level, spread, loading.reshape(self.loading.shape))


def fit_table(targets: Targets, records_of_task: Sequence[int]) -> Table:
    """Return the joint table that meets ``targets``, task after task.

    Deterministic: keyed draws, a square system of equations, parameters rounded to six decimals
    and the table to four. Raises :class:`RuntimeError` when the fit misses a target by more than
    5e-5.
    """
    blocks = _blocks(records_of_task)
    latents = draw_latents(sum(records_of_task), len(targets.quality))
    truth = squash(_centre(latents.truth, TRUTH_SPREAD, targets.truth))
    judge = squash(_centre(latents.judge, JUDGE_SPREAD, targets.judge))
    goal = _goal(targets, len(blocks))
    start = _start(targets, len(blocks))

    def miss(flat: Array) -> Array:
        scores = _score(start.unpack(flat), latents, blocks)
        return _moments(scores, truth, judge, blocks) - goal

    fit = least_squares(miss, start.pack(), xtol=1e-12, ftol=1e-12, gtol=1e-12, max_nfev=200)
    flat = np.round(fit.x, 6)
    worst = float(np.abs(miss(flat)).max())
    if worst > TOLERANCE:
        raise RuntimeError(f"the fit misses a published moment by {worst:.2e}")
    scores = _score(start.unpack(flat), latents, blocks)
    return Table(scores.round(DECIMALS), truth.round(DECIMALS), judge.round(DECIMALS))


def _blocks(records_of_task: Sequence[int]) -> list[slice]:
    ends = np.cumsum(records_of_task).tolist()
    return [slice(end - size, end) for end, size in zip(ends, records_of_task, strict=True)]


def _centre(latent: Array, spread: float, means: Array) -> Array:
    """Return ``a_m + spread latent``, each ``a_m`` such that the squashed column has its mean."""
    columns = [spread * column for column in latent.T]
    offsets = [
        brentq(lambda a, c=column, m=mean: float(squash(a + c).mean() - m), -9.0, 9.0, xtol=1e-12)
        for column, mean in zip(columns, means, strict=True)
    ]
    return np.asarray(np.array(offsets) + np.stack(columns, axis=1))


def _score(shape: _Shape, latents: Latents, blocks: Sequence[slice]) -> Array:
    parts = []
    for block, (on_truth, on_judge) in zip(blocks, shape.loading, strict=True):
        signal = latents.truth[block, :, None] * on_truth + latents.judge[block, :, None] * on_judge
        latent = shape.level[:, None] + shape.spread * (signal + latents.noise[block])
        parts.append(normalise(squash(latent)))
    return np.concatenate(parts)


def _moments(scores: Array, truth: Array, judge: Array, blocks: Sequence[slice]) -> Array:
    per_task = [
        correlations(scores[block], other[block]) for block in blocks for other in (truth, judge)
    ]
    return np.concatenate([quality(scores), closeness(scores), *per_task])


def _goal(targets: Targets, tasks: int) -> Array:
    in_each_task = [targets.truth_correlation, targets.judge_correlation] * tasks
    return np.concatenate([targets.quality, targets.closeness, *in_each_task])


def _start(targets: Targets, tasks: int) -> _Shape:
    loading = np.stack([targets.truth_correlation, targets.judge_correlation])
    return _Shape(
        level=4.0 * (targets.quality - 0.5),
        spread=np.full(targets.closeness.size, 0.7),
        loading=np.repeat(loading[None], tasks, axis=0),
    )
