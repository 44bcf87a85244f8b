"""The joint table on its way into a profile: its faults, its findings, and how it is written."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from poq_abm.analysis.evaluator_correlation import correlation_table
from poq_abm.analysis.quality_latency import quality_against_latency
from poq_abm.analysis.resampling import CONFIDENCE, RESAMPLES
from poq_abm.analysis.variance import variance_shares
from poq_abm.errors import InputError
from poq_abm.profile import Profile, ProfileDescription, read_profile, write_profile

__all__ = [
    "check_joint",
    "correlation_table",
    "findings",
    "quality_against_latency",
    "variance_shares",
    "write_with_findings",
]

_SHOWN = 20


def check_joint(table: pd.DataFrame, evaluators: Sequence[str], place: str) -> None:
    """Raise one :class:`~poq_abm.errors.InputError` with every fault of a joint table.

    ``table`` has the columns record, task, model, truth and one per evaluator, raw or normalised.
    Every record needs a row for every model, every number but the judge's must be there (a truth
    may be missing altogether), no evaluator may be constant, and a task needs two records: one has
    neither spread nor interval.

    >>> table = pd.DataFrame({"record": ["a", "b"], "task": "qa", "model": "m",
    ...                       "truth": [1.0, 2.0], "bi": [3.0, 3.0]})
    >>> check_joint(table, ["bi"], "t.csv")
    Traceback (most recent call last):
    poq_abm.errors.InputError: t.csv: evaluator 'bi' is constant (3); it tells nothing apart
    """
    faults = [*_row_faults(table), *_value_faults(table, evaluators)]
    if faults:
        shown = [f"{place}: {fault}" for fault in faults[:_SHOWN]]
        if len(faults) > _SHOWN:
            shown.append(f"{place}: ... and {len(faults) - _SHOWN:,} more")
        raise InputError("\n".join(shown))


def _row_faults(table: pd.DataFrame) -> Iterator[str]:
    if table[["record", "task", "model"]].isna().to_numpy().any():
        yield "there are rows without record, task or model"
    repeated = table[table.duplicated(["record", "model"])]
    if len(repeated):
        yield f"two rows for {_cell(repeated)}{_more(len(repeated))}"
    tasks = table.groupby("record")["task"].nunique()
    if (tasks > 1).any():
        yield f"record {tasks.idxmax()!r} appears in two tasks{_more(int((tasks > 1).sum()))}"
    models = table["model"].dropna().unique()
    seen = table.groupby("record")["model"].nunique()
    if (seen < len(models)).any():
        record = seen.idxmin()
        missing = sorted(set(models) - set(table.loc[table["record"] == record, "model"]))
        yield (
            f"record {record!r} has no row for model {missing[0]!r}"
            f"{_more(int((len(models) - seen).sum()))}; every record needs every model"
        )
    for task, records in table.groupby("task")["record"].nunique().items():
        if records < 2:
            yield f"task {task!r} has one record; a task needs two or more"


def _value_faults(table: pd.DataFrame, evaluators: Sequence[str]) -> Iterator[str]:
    known = ["truth"] if table["truth"].notna().any() else []
    for column in (*known, *evaluators):
        what = "the truth" if column == "truth" else f"evaluator {column!r}"
        values = table[column].to_numpy(dtype=np.float64, na_value=np.nan)
        bad = ~np.isfinite(values)
        if bad.any():
            first = values[bad][0]
            yield f"{what} is {first:g} for {_cell(table[bad])}{_more(int(bad.sum()))}"
        elif column != "truth" and values.size and np.ptp(values) == 0:
            yield f"{what} is constant ({values[0]:g}); it tells nothing apart"


def _cell(rows: pd.DataFrame) -> str:
    return f"record {rows['record'].iloc[0]!r}, model {rows['model'].iloc[0]!r}"


def _more(count: int) -> str:
    return f" (and {count - 1:,} more)" if count > 1 else ""


def write_with_findings(
    folder: str | Path, description: ProfileDescription, scores: pd.DataFrame, costs: pd.DataFrame
) -> Path:
    """Write a profile whose provenance carries what it says of its evaluators and models.

    It stands under ``findings`` (:func:`findings`). Raises :class:`~poq_abm.errors.InputError`
    where :func:`poq_abm.profile.write_profile` does, before anything is written.
    """
    folder = Path(folder)
    if folder.exists():
        raise InputError(f"{str(folder)!r} exists; a profile is never overwritten")
    with tempfile.TemporaryDirectory() as room:
        draft = write_profile(Path(room) / "draft", description, scores, costs)
        found = findings(read_profile(draft))
    told = {**description.provenance, "findings": found}
    return write_profile(folder, replace(description, provenance=told), scores, costs)


_DIGITS = 6


def findings(profile: Profile, *, resamples: int = RESAMPLES, seed: int = 1) -> dict[str, Any]:
    """Return correlations, quality against latency and variance shares, each with its intervals.

    Each of the three is a list of rows; what is not defined is ``None``. The correlations are
    those of Figure 4 and the qualities those of Figure 5 of arXiv:2512.16317, for this profile.

    >>> from poq_abm.profile import load_profile
    >>> findings(load_profile("published"), resamples=20)["correlations"][0]["correlation"]
    0.66
    """
    asked = {"resamples": resamples, "seed": seed}
    return {
        "intervals": f"{CONFIDENCE:.0%}, expanded percentile bootstrap over records within tasks, "
        f"{resamples} resamples, seed {seed}",
        "correlations": _rows(correlation_table(profile, **asked)),
        "quality_against_latency": _rows(quality_against_latency(profile, **asked)),
        "variance_shares": _rows(variance_shares(profile, **asked)),
    }


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {str(key): _plain(value) for key, value in row.items()} for row in table.to_dict("records")
    ]


def _plain(value: object) -> object:
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, _DIGITS)
    return value
