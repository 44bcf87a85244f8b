"""One column's distribution as fitted quantiles, and the normal scores that belong to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from poq_abm.compilation import compiled_loop
from poq_abm.random import Purpose, normal

__all__ = [
    "Copula",
    "Margin",
    "Structure",
    "fit_copula",
    "fit_margin",
    "kolmogorov_smirnov",
    "normal_scores",
    "structure_of",
]

Array = NDArray[np.float64]
#: A column with more repeated values than this is a scale with steps; between steps lies nothing.
_REPEATED = 0.5


@dataclass(frozen=True)
class Margin:
    """A distribution as a quantile function: linear between order statistics, or in steps."""

    values: Array  #: sorted, as measured
    has_steps: bool

    def quantiles(self, probabilities: Array) -> Array:
        """Return the values below which these shares of the distribution lie.

        >>> fit_margin(np.array([2.0, 1.0, 4.0])).quantiles(np.array([0.5, 1.0])).tolist()
        [2.0, 4.0]
        """
        n = self.values.size
        if self.has_steps:
            ranks = np.ceil(probabilities * n).astype(np.int64) - 1
            return np.asarray(self.values[np.clip(ranks, 0, n - 1)])
        places = (np.arange(n) + 0.5) / n
        return np.interp(probabilities, places, self.values)


def fit_margin(values: Array) -> Margin:
    """Return the margin of a column without missing values.

    Between order statistics, at the plotting positions (i - 1/2)/n, quantiles are linear: values
    that nobody measured appear, none beyond the extremes, and a run of equal values (an F1 of 0)
    keeps its mass. Where more than half of the values repeat another (a judge's marks), only
    measured values appear.
    """
    ordered = np.sort(values)
    repeated = 1.0 - np.unique(ordered).size / ordered.size
    return Margin(ordered, bool(repeated > _REPEATED))


def normal_scores(values: Array) -> Array:
    """Return the standard normal quantile of each value's mean rank; missing values stay NaN.

    >>> normal_scores(np.array([5.0, np.nan, 7.0, 9.0])).round(3).tolist()
    [-0.967, nan, 0.0, 0.967]
    """
    scores = np.full(values.shape, np.nan)
    known = ~np.isnan(values)
    ordered = np.sort(values[known])
    middle = (
        np.searchsorted(ordered, values[known]) + np.searchsorted(ordered, values[known], "right")
    ) / 2
    scores[known] = ndtri(middle / max(ordered.size, 1))
    return scores


def kolmogorov_smirnov(first: Array, second: Array) -> float:
    """Return the largest distance between two empirical distribution functions.

    >>> kolmogorov_smirnov(np.array([1.0, 2.0]), np.array([2.0, 3.0]))
    0.5
    """
    points = np.concatenate([first, second])
    below = [
        np.searchsorted(np.sort(sample), points, side="right") / sample.size
        for sample in (first, second)
    ]
    return float(np.abs(below[0] - below[1]).max())


_STEPS = 12
_FIT_RECORDS = 4000
_FIRST_FIT_ROUND = 1 << 40  # far from the rounds of any record that is ever drawn
_PURPOSE = int(Purpose.SMOOTHING)


@dataclass(frozen=True)
class Structure:
    """Correlations of columns: on one answer, and between the answers of two models to a record.

    Means over models (or pairs of models), weighted by standard deviations; shape
    (columns, columns).
    """

    same: Array
    across: Array


@dataclass(frozen=True)
class Copula:
    """A fitted copula of one task; draws are keyed by (seed, task, record)."""

    margins: Sequence[Sequence[Margin]]  #: [model][column]
    record_factor: Array  #: F with F F' = A
    cell_factor: Array  #: F with F F' = C - A
    seed: int
    task: int

    def draw(self, records: int, first: int = 0) -> Array:
        """Return the table of ``records`` records; shape (records, models, columns).

        A larger table contains the smaller one.
        """
        columns = self.record_factor.shape[0]
        shape = (records, 1 + len(self.margins), columns)
        normals = np.empty((records, shape[1] * columns))
        _fill_normals(normals, self.seed, self.task, first)
        normals = normals.reshape(shape)
        latent = np.einsum("rmv,wv->rmw", normals[:, :1], self.record_factor)
        latent = latent + np.einsum("rmv,wv->rmw", normals[:, 1:], self.cell_factor)
        probabilities = ndtr(latent)
        drawn = np.empty(probabilities.shape)
        for m, of_model in enumerate(self.margins):
            for v, margin in enumerate(of_model):
                drawn[:, m, v] = margin.quantiles(probabilities[:, m, v])
        return drawn


def fit_copula(values: Array, seed: int, task: int) -> Copula:
    """Return the copula of one task's table; shape (records, models, columns), NaN where unknown.

    Deterministic. Every column of every model needs at least one value.
    """
    margins = [
        [fit_margin(column[~np.isnan(column)]) for column in values[:, m].T]
        for m in range(values.shape[1])
    ]
    scores = np.empty_like(values)
    for m in range(values.shape[1]):
        for v in range(values.shape[2]):
            scores[:, m, v] = normal_scores(values[:, m, v])
    wanted, latent = structure_of(values), structure_of(scores)
    for _ in range(_STEPS):
        copula = Copula(margins, *_factors(latent), seed=seed, task=task)
        reached = structure_of(copula.draw(_FIT_RECORDS, _FIRST_FIT_ROUND))
        latent = Structure(
            np.clip(latent.same + wanted.same - reached.same, -1.0, 1.0),
            np.clip(latent.across + wanted.across - reached.across, -1.0, 1.0),
        )
    return Copula(margins, *_factors(latent), seed=seed, task=task)


def structure_of(values: Array) -> Structure:
    """Return the structure of a table; missing values are left out pair by pair.

    >>> table = np.array([[[1.0, 2.0], [1.5, 1.0]], [[2.0, 4.0], [2.5, 3.0]]])
    >>> structure_of(table).same.round(6).tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    # Plain sums: a library of linear algebra would add in another order on another machine.
    if np.isnan(values).any():
        covariance = _pairwise_covariance(values)
        sd = np.sqrt(np.einsum("mvmv->mv", covariance))
        same = np.einsum("mvmw->vw", covariance)
        total = covariance.sum(axis=(0, 2))
    else:
        centred = values - values.mean(axis=0)
        sd = np.sqrt((centred**2).mean(axis=0))
        same = np.einsum("rmv,rmw->vw", centred, centred) / len(values)
        of_record = centred.sum(axis=1)
        total = np.einsum("rv,rw->vw", of_record, of_record) / len(values)
    weight = np.einsum("mv,mw->vw", sd, sd)
    summed = sd.sum(axis=0)
    return Structure(
        _ratio(same, weight), _ratio(total - same, np.multiply.outer(summed, summed) - weight)
    )


def _pairwise_covariance(values: Array) -> Array:
    """Return the covariances of all columns of all models; shape (models, columns) twice.

    A correlation counts the records where both columns are known, a variance all that are.
    """
    records, models, columns = values.shape
    table = values.reshape(records, models * columns)
    known = ~np.isnan(table)
    ones = known.astype(np.float64)
    rows = np.maximum(ones.sum(axis=0), 1.0)
    centred = np.where(known, table - np.where(known, table, 0.0).sum(axis=0) / rows, 0.0)
    both = np.maximum(_products(ones, ones), 1.0)
    mean = _products(centred, ones) / both  # [i, j]: of column i, where j is known
    variance = _products(centred**2, ones) / both - mean**2
    covariance = _products(centred, centred) / both - mean * mean.T
    correlation = _ratio(covariance, np.sqrt(np.maximum(variance * variance.T, 0.0)))
    sd = np.sqrt((centred**2).sum(axis=0) / rows)
    shape = (models, columns, models, columns)
    return np.asarray(correlation * np.multiply.outer(sd, sd)).reshape(shape)


def _products(first: Array, second: Array) -> Array:
    return np.asarray(np.einsum("ri,rj->ij", first, second))


def _ratio(top: Array, bottom: Array) -> Array:
    """Return top over bottom, 0 where there is nothing to divide by."""
    return np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 1e-12)


def _factors(latent: Structure) -> tuple[Array, Array]:
    """Return factors of A and C - A, the nearest that can be covariances, with C_vv = 1."""
    across = (latent.across + latent.across.T) / 2
    same = (latent.same + latent.same.T) / 2
    np.fill_diagonal(same, 1.0)
    record = _root(across)
    cell = _root(same - np.einsum("vi,wi->vw", record, record))
    sd = np.sqrt((record**2).sum(axis=1) + (cell**2).sum(axis=1))[:, None]
    return record / sd, cell / sd


def _root(matrix: Array) -> Array:
    """Return F with F F' the nearest positive semidefinite matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


@compiled_loop
def _fill_normals(normals: Array, seed: int, task: int, first: int) -> None:
    records, slots = normals.shape
    for r in range(records):
        for s in range(slots):
            normals[r, s] = normal(seed, task, _PURPOSE, first + r, s)
