"""Smoothed profiles: more records than were measured, drawn from a fit that has to hold.

The fit is a Gaussian copula per task (:mod:`calibration.profile.copula`). It is accepted only if,
in a large sample, every margin passes a Kolmogorov-Smirnov comparison with the measured column and
no correlation is off by more than a tolerance; how well it holds is written into the profile.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from calibration.profile.copula import Copula, fit_copula, kolmogorov_smirnov, structure_of
from calibration.profile.joint import write_with_findings
from poq_abm.errors import InputError
from poq_abm.limits import MAX_SEED
from poq_abm.profile import Profile, ProfileDescription, load_profile

__all__ = ["TOLERANCE", "Fit", "fit_task", "smooth"]

Array = NDArray[np.float64]
#: Largest error of a correlation that passes. A correlation of 200 records has a standard error of
#: up to 0.07, so a fit this close is closer than the table is to the truth.
TOLERANCE = 0.05
FEWEST_RECORDS = 20  #: below it, quantiles and correlations say next to nothing
FEWEST_JUDGED = 10
MOST_RECORDS = 1_000_000
_CHECKED_RECORDS = 10_000
_KS_LEVEL_5 = 1.358  # asymptotic critical value of sqrt(n) D at the 5% level


class Fit(NamedTuple):
    """A copula, its columns, and how well it holds; ``faults`` is empty if it is accepted."""

    copula: Copula
    columns: tuple[str, ...]
    report: dict[str, Any]
    faults: tuple[str, ...]


def smooth(
    profile: str | Path,
    out: str | Path,
    *,
    records: int,
    seed: int = 1,
    tolerance: float = TOLERANCE,
) -> Path:
    """Write a profile of ``records`` smoothed records for each task, and return its folder.

    ``profile`` is the name or folder of the measured one. Models, evaluators and costs are those
    measured; a smoothed judge speaks on every record of a task where the measured one judged at
    least 10 answers of every model, and nowhere else. The provenance holds the goodness of fit and
    the hash of the measured profile.

    Raises :class:`~poq_abm.errors.InputError` when the fit does not hold, naming every margin and
    correlation that is off, when a task has fewer than 20 records, and when ``out`` exists.
    """
    if isinstance(records, bool) or not 2 <= records <= MOST_RECORDS:
        raise InputError(f"records must be a whole number from 2 to {MOST_RECORDS:,}")
    if isinstance(seed, bool) or not 0 <= seed <= MAX_SEED:
        raise InputError(f"seed must be a whole number from 0 to {MAX_SEED}")
    source = load_profile(profile)
    if "smoothed_from" in source.provenance:
        raise InputError(f"{source.name!r} is smoothed already; smooth what was measured")
    fits = {
        task: fit_task(source, number, seed=seed, tolerance=tolerance)
        for number, task in enumerate(source.tasks)
    }
    faults = [fault for fit in fits.values() for fault in fit.faults]
    if faults:
        raise InputError(
            "\n".join([f"the smoothed fit of {source.name!r} does not hold:", *faults])
        )
    description = ProfileDescription(
        name=f"{source.name}_smoothed",
        tasks=source.tasks,
        models=source.models,
        evaluators=source.evaluators,
        normalisation={"method": "as_measured", "profile": source.content_hash},
        hardware=list(dict.fromkeys(source.costs["hardware"])),
        provenance=_provenance(source, fits, records, seed),
    )
    tables = [_long(source, task, fit, records) for task, fit in fits.items()]
    return write_with_findings(out, description, pd.concat(tables, ignore_index=True), source.costs)


def fit_task(profile: Profile, number: int, *, seed: int = 1, tolerance: float = TOLERANCE) -> Fit:
    """Return the fit of the task with this number, accepted or not.

    Raises :class:`~poq_abm.errors.InputError` when the task has fewer than 20 records.
    """
    task, part = profile.tasks[number], profile.task_of_record == number
    if part.sum() < FEWEST_RECORDS:
        raise InputError(
            f"task {task!r} has {part.sum()} records; a fit needs {FEWEST_RECORDS} or more"
        )
    columns, parts = [*profile.evaluators], [profile.scores[part]]
    if profile.knows_truth:
        columns, parts = ["truth", *columns], [profile.truth[part][:, :, None], *parts]
    if ((~np.isnan(profile.judge[part])).sum(axis=0) >= FEWEST_JUDGED).all():
        columns.append("judge")
        parts.append(profile.judge[part][:, :, None])
    measured = np.concatenate(parts, axis=2)
    copula = fit_copula(measured, seed, number)
    drawn = copula.draw(_CHECKED_RECORDS)
    margins, far = _margin_check(measured, drawn, profile.models, columns)
    errors, off = _correlation_check(measured, drawn, columns, tolerance)
    report = {"records": int(part.sum()), "checked_on_records": _CHECKED_RECORDS}
    faults = tuple(f"  task {task}: {fault}" for fault in (*far, *off))
    return Fit(copula, tuple(columns), {**report, **margins, **errors}, faults)


def _margin_check(
    measured: Array, drawn: Array, models: tuple[str, ...], columns: list[str]
) -> tuple[dict[str, Any], list[str]]:
    """Compare every column of every model; a fitted margin makes the 5% level a cautious one."""
    rows: dict[str, dict[str, float]] = {}
    faults = []
    for v, column in enumerate(columns):
        rows[column] = {}
        for m, model in enumerate(models):
            known = measured[:, m, v][~np.isnan(measured[:, m, v])]
            distance = kolmogorov_smirnov(known, drawn[:, m, v])
            critical = _KS_LEVEL_5 * math.sqrt(1 / known.size + 1 / len(drawn))
            rows[column][model] = round(distance, 4)
            if distance > critical:
                faults.append(
                    f"margin of {column}, {model}: Kolmogorov-Smirnov distance "
                    f"{distance:.3f}, allowed {critical:.3f}"
                )
    worst = max(max(of_column.values()) for of_column in rows.values())
    return {"largest_ks_distance": worst, "ks_distances": rows}, faults


def _correlation_check(
    measured: Array, drawn: Array, columns: list[str], tolerance: float
) -> tuple[dict[str, Any], list[str]]:
    """Compare the correlations over all rows, and those of one column between two models."""
    pooled = [_pooled(table) for table in (measured, drawn)]
    shared = [np.diag(structure_of(table).across) for table in (measured, drawn)]
    compared = [
        (f"{columns[v]} with {columns[w]}", pooled[0][v, w], pooled[1][v, w])
        for v in range(len(columns))
        for w in range(v)
    ]
    if measured.shape[1] > 1:
        compared += [
            (f"{column} between models", shared[0][v], shared[1][v])
            for v, column in enumerate(columns)
        ]
    rows = [
        {"correlation": what, "measured": round(float(a), 4), "smoothed": round(float(b), 4)}
        for what, a, b in compared
    ]
    errors = [abs(float(b - a)) for _, a, b in compared]
    faults = [
        f"correlation of {what}: measured {a:.3f}, smoothed {b:.3f}, allowed +-{tolerance:g}"
        for (what, a, b), error in zip(compared, errors, strict=True)
        if not error <= tolerance
    ]
    worst = round(max(errors), 4)
    return {"largest_correlation_error": worst, "correlations": rows}, faults


def _pooled(table: Array) -> Array:
    """Return the correlations of the columns over all rows of a table."""
    rows = table.reshape(1, -1, table.shape[2]).transpose(1, 0, 2)
    return structure_of(rows).same


def _long(profile: Profile, task: str, fit: Fit, records: int) -> pd.DataFrame:
    drawn = fit.copula.draw(records)
    models = len(profile.models)
    table = pd.DataFrame(
        {
            "record": np.repeat([f"{task}_{r:07d}" for r in range(records)], models),
            "task": task,
            "model": np.tile(list(profile.models), records),
        }
    )
    for v, column in enumerate(fit.columns):
        table[column] = drawn[:, :, v].ravel()
    unknown = {name: np.nan for name in ("truth", "judge") if name not in fit.columns}
    return table.assign(**unknown)


def _provenance(
    source: Profile, fits: Mapping[str, Fit], records: int, seed: int
) -> dict[str, Any]:
    return {
        "summary": f"Smoothed: {records:,} records a task drawn from a fit to {source.name!r}; "
        "no single row was measured.",
        "source": f"profile {source.name!r}, {source.content_hash}",
        "smoothed_from": {"name": source.name, "content_hash": source.content_hash},
        "published": [],
        "inferred": [
            "Margins: quantiles of each column for each model, linear between measured values.",
            "Correlations of columns on one answer and between models on one record, per task.",
        ],
        "assumed": [
            "The dependence is that of a normal distribution (a Gaussian copula).",
            "Every model, and every pair of models, has the same latent correlations.",
        ],
        "caveats": [
            "Intervals computed from this profile are too narrow: what is known about the models "
            "and evaluators is what the measured records say.",
        ],
        "seed": seed,
        "goodness_of_fit": {task: fit.report for task, fit in fits.items()},
        "measured_provenance": source.provenance,
    }
