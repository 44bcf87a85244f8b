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
from scipy.special import ndtr

from poq_abm.random import Purpose, normal

__all__ = [
    "JointTable",
    "Latents",
    "Targets",
    "centred",
    "closeness",
    "correlations",
    "draw_latents",
    "fit_table",
    "normalise",
    "quality",
    "squash",
]

Array = NDArray[np.float64]


def quality(scores: Array) -> Array:
    """Return the mean consensus quality per model, with every evaluator on the committee.

    ``Q = mean(scores) / 10`` over records and evaluators; ``scores`` has shape (records, models,
    evaluators) and range [0, 10], the result shape (models,) and range [0, 1].

    >>> quality(np.array([[[4.0, 6.0]]])).tolist()
    [0.5]
    """
    return np.asarray(scores.mean(axis=(0, 2)) / 10.0)


def closeness(scores: Array) -> Array:
    """Return the mean closeness per evaluator to the inclusive mean consensus.

    ``1 - mean |score - consensus| / 10`` over records and models; the consensus is the mean of all
    evaluators, the judged one included. Shape (evaluators,).

    >>> closeness(np.array([[[4.0, 6.0]]])).tolist()
    [0.9, 0.9]
    """
    consensus = scores.mean(axis=2, keepdims=True)
    return np.asarray(1.0 - np.abs(scores - consensus).mean(axis=(0, 1)) / 10.0)


def correlations(scores: Array, other: Array) -> Array:
    """Return the Pearson correlation of each evaluator with ``other`` over all record x model rows.

    ``scores`` has shape (records, models, evaluators), ``other`` (records, models); the result
    (evaluators,), in [-1, 1].

    >>> scores = np.array([[[1.0, 3.0]], [[2.0, 1.0]]])
    >>> correlations(scores, np.array([[5.0], [7.0]])).round(6).tolist()
    [1.0, -1.0]
    """
    rows = scores - scores.mean(axis=(0, 1))
    reference = other - other.mean()
    products = (rows * reference[:, :, None]).sum(axis=(0, 1))
    norms = np.sqrt((rows**2).sum(axis=(0, 1)) * (reference**2).sum())
    return np.asarray(products / norms)


SEED = 251216317
TRUTH_RECORD_SHARE = 0.5  #: variance of the truth latent that belongs to the record
JUDGE_RECORD_SHARE = 0.3
JUDGE_ON_TRUTH = 0.35  #: correlation of the judge latent with the truth latent, within a model
NOISE_RECORD_SHARE = 0.5
#: Share of an evaluator's noise that all evaluators have in common: STS, MiniLM, DeBERTa.
COMMON_SHARE = (0.6, 0.2, 0.2)
_EVALUATORS = len(COMMON_SHARE)
_KINDS = 3 + _EVALUATORS  # truth, judge, common error, own error of each evaluator


@dataclass(frozen=True)
class Latents:
    """Standard normals: truth, judge (records, models); noise (records, models, evaluators)."""

    truth: Array
    judge: Array
    noise: Array


def draw_latents(records: int, models: int) -> Latents:
    """Return the latents of the reconstruction, a pure function of :data:`SEED` and the two sizes.

    A record's draws are keyed by its number: slots 0 to 5 are its record effects, six more slots
    per model its cells.

    >>> draw_latents(2, 5).noise.shape
    (2, 5, 3)
    """
    draws = _draw(records, _KINDS * (1 + models)).reshape(records, 1 + models, _KINDS)
    record, cell = draws[:, :1], draws[:, 1:]
    truth = _mix(TRUTH_RECORD_SHARE, record[..., 0], cell[..., 0])
    judge = _mix(JUDGE_ON_TRUTH**2, truth, _mix(JUDGE_RECORD_SHARE, record[..., 1], cell[..., 1]))
    common = _mix(NOISE_RECORD_SHARE, record[..., 2:3], cell[..., 2:3])
    own = _mix(NOISE_RECORD_SHARE, record[..., 3:], cell[..., 3:])
    return Latents(truth, judge, _mix(np.array(COMMON_SHARE), common, own))


def squash(latent: Array) -> Array:
    """Return ``10 Phi(latent)``: a normal latent on the scale (0, 10).

    >>> squash(np.array([0.0])).tolist()
    [5.0]
    """
    return 10.0 * np.asarray(ndtr(latent))


def normalise(scores: Array) -> Array:
    """Return each evaluator's scores min-max normalised to [0, 10] over all cells given.

    >>> normalise(np.array([[[2.0]], [[3.0]], [[6.0]]])).ravel().tolist()
    [0.0, 2.5, 10.0]
    """
    low = scores.min(axis=(0, 1))
    return np.asarray(10.0 * (scores - low) / (scores.max(axis=(0, 1)) - low))


def _draw(records: int, slots: int) -> Array:
    purpose = int(Purpose.PROFILE)
    return np.array(
        [
            [normal(SEED, 0, purpose, record, slot) for slot in range(slots)]
            for record in range(records)
        ]
    )


def _mix(share: float | Array, first: Array, second: Array) -> Array:
    """Return the standard normal with ``share`` of its variance from ``first``, else ``second``."""
    return np.asarray(np.sqrt(share) * first + np.sqrt(1.0 - np.asarray(share)) * second)


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
class JointTable:
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


def fit_table(targets: Targets, records_of_task: Sequence[int]) -> JointTable:
    """Return the joint table that meets ``targets``, task after task.

    Deterministic: keyed draws, a square system of equations, parameters rounded to six decimals
    and the table to four. Raises :class:`RuntimeError` when the fit misses a target by more than
    5e-5.
    """
    blocks = _blocks(records_of_task)
    latents = draw_latents(sum(records_of_task), len(targets.quality))
    truth = squash(centred(latents.truth, TRUTH_SPREAD, targets.truth))
    judge = squash(centred(latents.judge, JUDGE_SPREAD, targets.judge))
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
    return JointTable(scores.round(DECIMALS), truth.round(DECIMALS), judge.round(DECIMALS))


def _blocks(records_of_task: Sequence[int]) -> list[slice]:
    ends = np.cumsum(records_of_task).tolist()
    return [slice(end - size, end) for end, size in zip(ends, records_of_task, strict=True)]


def centred(latent: Array, spread: float, means: Array) -> Array:
    """Return ``a_m + spread latent``, each ``a_m`` such that the squashed column has its mean.

    ``latent`` has shape (records, models), ``means`` (models,), in (0, 10).

    >>> centred(np.array([[-1.0], [1.0]]), 1.0, np.array([5.0])).round(6).tolist()
    [[-1.0], [1.0]]
    """
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
