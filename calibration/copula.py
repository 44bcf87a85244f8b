"""A Gaussian copula of one task's joint table that keeps what belongs to the record together.

With records r, models m and columns v (truth, judge, evaluators),

    y_rmv = Q_mv(Phi(a_rv + b_rmv)),    a_r ~ N(0, A),    b_rm ~ N(0, C - A),    C_vv = 1:

A is what all models share on a record, C the correlation of columns on one answer, and Q_mv the
fitted quantiles of one column for one model. A and C start from normal scores and are then moved
until the table has the measured covariances, since ties and bent margins weaken what the normals
have (the NORTA method; Cario and Nelson, 1997).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from calibration.margins import Margin, fit_margin, normal_scores
from poq_abm.compilation import compiled_loop
from poq_abm.random import Purpose, normal

__all__ = ["Copula", "Structure", "fit_copula", "structure_of"]

Array = NDArray[np.float64]

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
