"""Moments of a joint score table: what a published aggregate pins down."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["closeness", "correlations", "quality"]

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
