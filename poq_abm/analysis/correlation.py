"""How well evaluators track truth and judge: correlations with bootstrap intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from poq_abm.profile import Profile
from poq_abm.streams import Purpose, fill_below

__all__ = ["evaluator_correlations", "pearson"]

RESAMPLES = 1000


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
    result: NDArray[np.float64] = (column @ rows) / norm
    return result


def evaluator_correlations(
    profile: Profile, *, resamples: int = RESAMPLES, confidence: float = 0.95, seed: int = 1
) -> pd.DataFrame:
    """Return every evaluator's correlation with truth and judge, averaged over the tasks.

    The interval is a percentile bootstrap over records, drawn within each task: rows of one
    record share its difficulty and are not independent. Columns: evaluator, against, correlation,
    low, high.
    """
    blocks = [np.flatnonzero(profile.task_of_record == task) for task in range(len(profile.tasks))]
    truth, judge = _average(profile, blocks)
    draws = np.array(
        [_average(profile, _resampled(blocks, seed, sample)) for sample in range(resamples)]
    )
    tail = 100 * (1 - confidence) / 2
    low, high = np.percentile(draws, [tail, 100 - tail], axis=0)
    rows = [
        (evaluator, against, values[e], low[a, e], high[a, e])
        for a, (against, values) in enumerate((("truth", truth), ("judge", judge)))
        for e, evaluator in enumerate(profile.evaluators)
    ]
    return pd.DataFrame(rows, columns=["evaluator", "against", "correlation", "low", "high"])


def _average(profile: Profile, blocks: list[NDArray[np.int64]]) -> NDArray[np.float64]:
    """Return correlations with truth and judge, averaged over tasks; shape (2, evaluators)."""
    averages: NDArray[np.float64] = np.mean(
        [
            [
                pearson(profile.scores[records], column[records])
                for column in (profile.truth, profile.judge)
            ]
            for records in blocks
        ],
        axis=0,
    )
    return averages


def _resampled(blocks: list[NDArray[np.int64]], seed: int, sample: int) -> list[NDArray[np.int64]]:
    """Return the records of one bootstrap sample, task by task, by keyed draws."""
    resampled = []
    for number, records in enumerate(blocks):
        chosen = np.empty(records.size, dtype=np.int64)
        fill_below(chosen, records.size, seed, sample, Purpose.BOOTSTRAP, number)
        resampled.append(records[chosen])
    return resampled
