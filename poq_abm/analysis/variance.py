"""Where the variance of a profile comes from: the record, the model, or neither."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from poq_abm.analysis.resampling import CONFIDENCE, RESAMPLES, record_intervals
from poq_abm.profile import Profile

__all__ = ["SOURCES", "variance_shares"]

Array = NDArray[np.float64]

SOURCES = ("record", "model", "residual")


def variance_shares(
    profile: Profile,
    *,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 1,
) -> pd.DataFrame:
    """Return the shares of variance by record, model and residual, of truth, judge and scores.

    Two-way analysis of variance without replication, records random and models fixed, for each
    task. With R records, M models and mean squares MS

        residual = MS_residual
        record   = (MS_record - MS_residual) / M
        model    = (MS_model - MS_residual) / R

    and each share is its component over the sum of the three. An estimate below 0 or above 1 is
    sampling noise and reported as 0 or 1. The intervals resample records; models are the ones
    measured, and the interval says nothing about models that were not. Quantities with missing
    or constant values, and profiles of one model, have NaN shares.

    Columns: task, quantity (truth, judge or an evaluator), source, share, low, high.

    >>> from poq_abm.profile import load_profile
    >>> table = variance_shares(load_profile("published"), resamples=20)
    >>> bool(abs(table.groupby(["task", "quantity"])["share"].sum() - 1).max() < 1e-9)
    True
    """
    quantities = {"truth": profile.truth} if profile.knows_truth else {}
    quantities |= {"judge": profile.judge}
    quantities |= {name: profile.scores[:, :, e] for e, name in enumerate(profile.evaluators)}
    rows = []
    for number, task in enumerate(profile.tasks):
        part = profile.task_of_record == number
        for quantity, values in quantities.items():
            found = np.full((3, len(SOURCES)), np.nan)
            if not np.isnan(values[part]).any():
                found = np.array(
                    record_intervals(
                        _sums(values[part]),
                        np.zeros(int(part.sum()), dtype=np.int64),
                        _shares,
                        resamples=resamples,
                        confidence=confidence,
                        seed=seed,
                    )
                )
            rows += [
                (task, quantity, source, *np.clip(found[:, s], 0.0, 1.0))
                for s, source in enumerate(SOURCES)
            ]
    return pd.DataFrame(rows, columns=["task", "quantity", "source", "share", "low", "high"])


def _sums(values: Array) -> Array:
    """Return per record 1, the values of the models, their squared mean and mean square."""
    centred = values - values.mean()
    ones = np.ones((len(values), 1))
    row_mean = centred.mean(axis=1, keepdims=True)
    return np.hstack([ones, centred, row_mean**2, (centred**2).mean(axis=1, keepdims=True)])


def _shares(totals: Array) -> Array:
    """Return the three shares of each sample; (samples, 1, k) to (samples, 3)."""
    records, by_model = totals[:, 0, 0], totals[:, 0, 1:-2]
    squared_mean, mean_square = totals[:, 0, -2] / records, totals[:, 0, -1] / records
    models = by_model.shape[1]
    with np.errstate(invalid="ignore", divide="ignore"):
        model_mean = by_model / records[:, None]
        grand = model_mean.mean(axis=1)
        between_records = squared_mean - grand**2
        between_models = (model_mean**2).mean(axis=1) - grand**2
        within = mean_square - grand**2 - between_records - between_models
        degrees = (records - 1) * (models - 1)
        residual = within * records * models / degrees
        record = between_records * records / (records - 1) - residual / models
        model = between_models * models / (models - 1) - residual / records
        components = np.stack([record, model, residual], axis=1)
        total = components.sum(axis=1, keepdims=True)
        return np.where(total > 1e-12, components / total, np.nan)
