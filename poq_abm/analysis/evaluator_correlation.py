"""How well each evaluator of a profile tracks truth and judge: Figure 4 of arXiv 2512.16317.

Drawn of the profile ``published`` the figure is a reconstruction fitted to published aggregates,
and says so; it is never the paper's own data.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from poq_abm.analysis.charts import grouped_bars
from poq_abm.analysis.figure_style import as_in_the_paper, canvas, caption, need, records_of
from poq_abm.analysis.questions import AnalysisRequest, FigureKind, drawn_from_a_profile, of_profile
from poq_abm.analysis.resampling import CONFIDENCE, RESAMPLES, record_intervals
from poq_abm.errors import InputError
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
    constant column or a judge that never spoke, is NaN; a truth that nobody knows has no rows.

    Columns: task, evaluator, against (``truth`` or ``judge``), rows, correlation, low, high.

    >>> from poq_abm.profile import load_profile
    >>> table = correlation_table(load_profile("published"), resamples=50)
    >>> table.query("task == 'average' and against == 'truth'")["correlation"].round(2).tolist()
    [0.66, -0.24, -0.04]
    """
    averaged = [AVERAGE] if len(profile.tasks) > 1 else []
    asked = {"resamples": resamples, "confidence": confidence, "seed": seed}
    return _correlations(profile, [*profile.tasks, *averaged], asked)


def _correlations(profile: Profile, tasks: Sequence[str], asked: Mapping[str, Any]) -> pd.DataFrame:
    """Return the rows of :func:`correlation_table` of some tasks, in their order."""
    columns = {"judge": profile.judge}
    if profile.knows_truth:
        columns = {"truth": profile.truth, **columns}
    sums = {against: _sums(profile, column) for against, column in columns.items()}
    tasks_of = {task: number for number, task in enumerate(profile.tasks)}
    tables = []
    for task, (against, column) in itertools.product(tasks, columns.items()):
        numbers = profile.task_of_record
        part = np.full(numbers.size, True) if task == AVERAGE else numbers == tasks_of[task]
        strata = np.unique(numbers[part], return_inverse=True)[1]
        found = record_intervals(sums[against][part], strata, _mean_correlation, **asked)
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
    return pd.concat(tables, ignore_index=True)


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
    asked = {"resamples": resamples, "confidence": confidence, "seed": seed}
    averaged = AVERAGE if len(profile.tasks) > 1 else profile.tasks[0]
    columns = ["evaluator", "against", "correlation", "low", "high"]
    table = _correlations(profile, [averaged], asked)
    # Of each reference all evaluators follow one another, as in the whole table.
    return table[columns]


def evaluator_correlation_bars(frame: pd.DataFrame) -> Figure:
    """Return Figure 4: every evaluator's Pearson correlation with truth and with the judge.

    ``frame`` is :func:`evaluator_correlations`: columns evaluator,
    against, correlation, low, high.
    """
    need(frame, ["evaluator", "against", "correlation", "low", "high"])
    wide = pd.DataFrame({"evaluator": list(dict.fromkeys(frame["evaluator"]))})
    known = frame[frame["correlation"].notna()]
    against = list(dict.fromkeys(known["against"].astype(str)))
    if not against:
        raise InputError("no evaluator can be held to anything: neither truth nor judge is known")
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
            "mean over tasks; bars 95%, records resampled", records_of(frame),
            as_in_the_paper(4))  # fmt: skip
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
