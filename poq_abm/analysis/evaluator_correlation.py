"""How well each evaluator of a profile tracks truth and judge: Figure 4 of arXiv 2512.16317.

Drawn of the profile ``published`` the figure is a reconstruction fitted to published aggregates,
and says so; it is never the paper's own data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from poq_abm.analysis.charts import grouped_bars
from poq_abm.analysis.figure_style import canvas, caption, need, records_of
from poq_abm.analysis.questions import AnalysisRequest, FigureKind, drawn_from_a_profile, of_profile
from poq_abm.analysis.resampling import CONFIDENCE, RESAMPLES, record_intervals
from poq_abm.profile import Profile

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "AVERAGE",
    "FIGURES",
    "correlation_table",
    "evaluator_correlation_bars",
    "evaluator_correlations",
]

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


def evaluator_correlations(
    profile: Profile, *, resamples: int = RESAMPLES, confidence: float = 0.95, seed: int = 1
) -> pd.DataFrame:
    """Return every evaluator's correlation with truth and judge, averaged over the tasks.

    These are the rows ``average`` of :func:`correlation_table`: rows of
    one record share its difficulty, and the intervals resample records within each task. Columns:
    evaluator, against, correlation, low, high.
    """
    table = correlation_table(profile, resamples=resamples, confidence=confidence, seed=seed)
    averaged = table[table["task"] == (AVERAGE if len(profile.tasks) > 1 else profile.tasks[0])]
    columns = ["evaluator", "against", "correlation", "low", "high"]
    return averaged[columns].reset_index(drop=True)


def evaluator_correlation_bars(frame: pd.DataFrame) -> Figure:
    """Return Figure 4: every evaluator's Pearson correlation with truth and with the judge.

    ``frame`` is :func:`evaluator_correlations`: columns evaluator,
    against, correlation, low, high.
    """
    need(frame, ["evaluator", "against", "correlation", "low", "high"])
    wide = pd.DataFrame({"evaluator": list(dict.fromkeys(frame["evaluator"]))})
    known = frame[frame["correlation"].notna()]
    against = list(dict.fromkeys(known["against"].astype(str)))
    for name in against:
        part = frame[frame["against"] == name].set_index("evaluator").loc[wide["evaluator"]]
        for column, source in ((name, "correlation"), (f"{name}_low", "low"),
                               (f"{name}_high", "high")):  # fmt: skip
            wide[column] = part[source].to_numpy()
    figure, (axes,) = canvas()
    grouped_bars(axes, wide, "evaluator", against)
    axes.axhline(0.0, color="black", linewidth=0.6)
    axes.set_ylabel("Pearson correlation (-1 to 1)")
    caption(figure, "Do evaluators track quality?", frame,
            "mean over tasks; bars 95%, records resampled", records_of(frame))  # fmt: skip
    return figure


def _figure4(request: AnalysisRequest) -> Figure:
    profile = request.profile
    return evaluator_correlation_bars(of_profile(evaluator_correlations(profile), profile))


FIGURES = (
    FigureKind(
        "figure4",
        "correlation of evaluators with truth and judge (profile or run)",
        _figure4,
        fits=drawn_from_a_profile,
        needs=(),
    ),
)
