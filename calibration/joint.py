"""The joint table on its way into a profile: what is wrong with it, and how it is written."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from calibration.correlations import findings
from poq_abm.errors import InputError
from poq_abm.profile import read_profile, write_profile
from poq_abm.profile.layout import COST_COLUMNS, COST_KEYS

__all__ = ["EVALUATOR_LATENCY_MS", "MODEL_LATENCY_MS", "assumed_costs", "check_joint", "finish"]

#: Latencies of nodes nobody timed. Equal ones cost nothing: cost is relative inside a node class.
MODEL_LATENCY_MS = 1000.0
EVALUATOR_LATENCY_MS = 1.0

_SHOWN = 20


def check_joint(table: pd.DataFrame, evaluators: Sequence[str], place: str) -> None:
    """Raise one :class:`~poq_abm.errors.InputError` with every fault of a joint table.

    ``table`` has the columns record, task, model, truth and one per evaluator, raw or normalised.
    Every record needs a row for every model, every number but the judge's must be there, no
    evaluator may be constant, and a task needs two records: one has neither spread nor interval.

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
    for column in ("truth", *evaluators):
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


def assumed_costs(models: Sequence[str], evaluators: Sequence[str], hardware: str) -> pd.DataFrame:
    """Return equal latencies for nodes that nobody timed; all that is not known is NaN.

    >>> assumed_costs(["m"], ["e"], "none")["latency_ms"].tolist()
    [1000.0, 1.0]
    """
    rows = [
        *(("inference", model, hardware, MODEL_LATENCY_MS) for model in models),
        *(("evaluator", evaluator, hardware, EVALUATOR_LATENCY_MS) for evaluator in evaluators),
    ]
    return cost_frame(pd.DataFrame(rows, columns=[*COST_KEYS, "latency_ms"]))


def cost_frame(costs: pd.DataFrame) -> pd.DataFrame:
    """Return a cost table with all its columns, numbers as numbers and NaN where nothing is known.

    >>> cost_frame(pd.DataFrame({"role": ["inference"], "latency_ms": [1]})).shape
    (1, 10)
    """
    numbers = dict.fromkeys(COST_COLUMNS[len(COST_KEYS) :], "float64")
    return costs.reindex(columns=list(COST_COLUMNS)).astype(numbers)


def finish(folder: str | Path, provenance: Mapping[str, Any], **parts: Any) -> Path:
    """Write a profile whose provenance carries what it says of its evaluators and models.

    ``parts`` are the other arguments of :func:`poq_abm.profile.write_profile`. The findings stand
    under ``findings`` (:func:`calibration.correlations.findings`). Raises
    :class:`~poq_abm.errors.InputError` where ``write_profile`` does, before anything is written.
    """
    folder = Path(folder)
    if folder.exists():
        raise InputError(f"{str(folder)!r} exists; a profile is never overwritten")
    with tempfile.TemporaryDirectory() as room:
        draft = write_profile(Path(room) / "draft", provenance=provenance, **parts)
        found = findings(read_profile(draft))
    return write_profile(folder, provenance={**provenance, "findings": found}, **parts)
