"""How well evaluators track truth and judge: correlations with bootstrap intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from poq_abm.analysis.agreement import AVERAGE, correlation_table
from poq_abm.analysis.resampling import RESAMPLES
from poq_abm.profile import Profile

__all__ = ["evaluator_correlations", "pearson"]


def pearson(scores: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the Pearson correlation of each evaluator's scores with another column.

    All record x model rows count once. ``scores`` has shape (records, models, evaluators),
    ``other`` (records, models); the result (evaluators,). Rows where ``other`` is missing are left
    out.

    >>> scores = np.array([[[1.0], [2.0]], [[3.0], [4.0]]])
    >>> pearson(scores, np.array([[2.0, 4.0], [6.0, 8.0]])).tolist()
    [1.0]
    """
    known = ~np.isnan(other)
    rows, column = scores[known], other[known]
    rows = rows - rows.mean(axis=0)
    column = column - column.mean()
    norm = np.sqrt((rows**2).sum(axis=0) * (column**2).sum())
    result: NDArray[np.float64] = (column[:, None] * rows).sum(axis=0) / norm
    return result


def evaluator_correlations(
    profile: Profile, *, resamples: int = RESAMPLES, confidence: float = 0.95, seed: int = 1
) -> pd.DataFrame:
    """Return every evaluator's correlation with truth and judge, averaged over the tasks.

    These are the rows ``average`` of :func:`poq_abm.analysis.agreement.correlation_table`: rows of
    one record share its difficulty, and the intervals resample records within each task. Columns:
    evaluator, against, correlation, low, high.
    """
    table = correlation_table(profile, resamples=resamples, confidence=confidence, seed=seed)
    averaged = table[table["task"] == (AVERAGE if len(profile.tasks) > 1 else profile.tasks[0])]
    columns = ["evaluator", "against", "correlation", "low", "high"]
    return averaged[columns].reset_index(drop=True)
