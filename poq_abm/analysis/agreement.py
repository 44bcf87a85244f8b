"""How well each evaluator of a profile tracks truth and judge, task by task and on average."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from poq_abm.analysis.resampling import CONFIDENCE, RESAMPLES, record_intervals
from poq_abm.profile import Profile

__all__ = ["AVERAGE", "correlation_table"]

Array = NDArray[np.float64]

AVERAGE = "average"  #: stands in the column ``task`` for the mean over the tasks
_LEAST_VARIANCE = 1e-12  #: score points squared; below it a column is a constant and rounding


def correlation_table(
    profile: Profile,
    *,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 1,
) -> pd.DataFrame:
    """Return every evaluator's Pearson correlation with truth and judge.

    One row per task, evaluator and reference, then the mean of the tasks' correlations (where
    there is more than one task) under the task ``average``. All record x model rows of a task
    count once; rows without a judgement are left out of the judge's. The intervals resample
    records (:func:`~poq_abm.analysis.resampling.record_intervals`). What is not defined, a
    constant column or a judge that never spoke, is NaN.

    Columns: task, evaluator, against (``truth`` or ``judge``), rows, correlation, low, high.

    >>> from poq_abm.profile import load_profile
    >>> table = correlation_table(load_profile("published"), resamples=50)
    >>> table.query("task == 'average' and against == 'truth'")["correlation"].round(2).tolist()
    [0.66, -0.24, -0.04]
    """
    asked = {"resamples": resamples, "confidence": confidence, "seed": seed}
    tables = []
    for against, column in (("truth", profile.truth), ("judge", profile.judge)):
        sums = _sums(profile, column)
        for number, task in enumerate((*profile.tasks, AVERAGE)):
            if task == AVERAGE and len(profile.tasks) == 1:
                continue
            of_task = profile.task_of_record == number
            part = of_task if task != AVERAGE else np.full(of_task.size, True)
            strata = profile.task_of_record[part] - (number if task != AVERAGE else 0)
            found = record_intervals(sums[part], strata, _mean_correlation, **asked)  # type: ignore[arg-type]
            tables.append(
                pd.DataFrame(
                    {
                        "task": task,
                        "evaluator": list(profile.evaluators),
                        "against": against,
                        "rows": int((~np.isnan(column[part])).sum()),
                        "correlation": found.estimate,
                        "low": found.low,
                        "high": found.high,
                    }
                )
            )
    table = pd.concat(tables, ignore_index=True)
    order = {task: number for number, task in enumerate((*profile.tasks, AVERAGE))}
    return table.sort_values("task", key=lambda task: task.map(order), kind="stable").reset_index(
        drop=True
    )


def _sums(profile: Profile, column: Array) -> Array:
    """Return per record n, sum y, sum y^2, then sum x, sum x^2, sum x y of every evaluator.

    Values are taken from the mean of their task, so that the differences of sums lose no digits.
    """
    known = ~np.isnan(column)
    y = np.where(known, column, 0.0)
    x = np.where(known[:, :, None], profile.scores, 0.0)
    for task in range(len(profile.tasks)):
        part = profile.task_of_record == task
        count = max(int(known[part].sum()), 1)
        y[part] -= known[part] * (y[part].sum() / count)
        x[part] -= known[part][:, :, None] * (x[part].sum(axis=(0, 1)) / count)
    one = [known, y, y**2]
    each = [x, x**2, x * y[:, :, None]]
    return np.concatenate(
        [
            np.stack([part.sum(axis=1) for part in one], axis=1),
            *(part.sum(axis=1) for part in each),
        ],
        axis=1,
    )


def _mean_correlation(totals: Array) -> Array:
    """Return the tasks' mean correlation per evaluator; (samples, tasks, k) to (samples, E)."""
    rows, y, yy = (totals[:, :, i, None] for i in range(3))
    x, xx, xy = np.split(totals[:, :, 3:], 3, axis=2)
    with np.errstate(invalid="ignore", divide="ignore"):
        spread_x, spread_y = xx / rows - (x / rows) ** 2, yy / rows - (y / rows) ** 2
        defined = (spread_x > _LEAST_VARIANCE) & (spread_y > _LEAST_VARIANCE)
        correlation = (xy / rows - x * y / rows**2) / np.sqrt(spread_x * spread_y)
    return np.asarray(np.where(defined, correlation, np.nan).mean(axis=1))
