"""A profile from logs somebody already has: one row per record and model, any column names."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from calibration import normalising
from calibration.files import naming
from calibration.folders import NAME
from calibration.imported_costs import costs_of
from calibration.joint import check_joint, finish
from calibration.jsonl import Log
from poq_abm.errors import InputError, nearest
from poq_abm.profile.layout import SCORE_COLUMNS, TOP

__all__ = ["NORMALISE", "import_table", "simple_name"]

#: ``auto`` keeps evaluators whose scores all lie in [0, 10] and maps the others task by task.
NORMALISE = ("auto", *normalising.SCOPES)

_TASK = "all"  # the one task of a table without tasks


@dataclass(frozen=True)
class Columns:
    """Which column of the file is what."""

    record: str
    model: str
    task: str | None
    truth: str
    evaluators: tuple[str, ...]
    judge: str | None

    @property
    def texts(self) -> tuple[str, ...]:
        """The columns that hold names."""
        return tuple(c for c in (self.record, self.model, self.task) if c is not None)

    @property
    def numbers(self) -> tuple[str, ...]:
        """The columns that hold numbers, each once."""
        judge = () if self.judge is None else (self.judge,)
        return tuple(dict.fromkeys((self.truth, *self.evaluators, *judge)))


def import_table(
    path: str | Path,
    *,
    record: str,
    model: str,
    task: str | None = None,
    truth: str,
    evaluators: Sequence[str],
    judge: str | None = None,
    out: str | Path,
    name: str | None = None,
    normalise: str = "auto",
    costs: str | Path | None = None,
) -> Path:
    """Write the profile that a table of scores makes, and return its folder.

    ``path`` is a CSV, Parquet or JSONL file with one row per record and model; the other arguments
    name its columns. Names become those a profile allows (``M8`` is ``m8``) and keep the label they
    had. ``normalise`` is ``auto``, ``per_task`` or ``whole_set``: by default evaluators whose
    scores lie in [0, 10] are kept as they are, and every other one is mapped to [0, 10] by minimum
    and maximum per task, with the transform kept in the profile. Truth and judge must lie in
    [0, 10]; a judge may be missing in some rows. ``costs`` is a table with the columns ``node`` and
    ``latency_ms`` (and any other cost column); without it all latencies are equal and assumed.

    Raises :class:`~poq_abm.errors.InputError` for whatever is wrong with file, columns or rows, and
    when ``out`` exists. Nothing is written then.
    """
    path, out = Path(path), Path(out)
    if out.exists():
        raise InputError(f"{str(out)!r} exists; a profile is never overwritten")
    if normalise not in NORMALISE:
        raise InputError(
            f"no way to normalise is called {normalise!r}; {nearest(normalise, NORMALISE)}"
        )
    columns = Columns(record, model, task, truth, tuple(evaluators), judge)
    raw = _read(path, columns)
    _check_columns(raw, columns, path.name)
    joint, labels = _joint(raw, columns, path.name)
    named = list(labels["evaluators"])
    check_joint(joint, named, path.name)
    _check_scale(joint, {"truth": truth, "judge": judge}, path.name)
    transform = _normalise(joint, named, normalise)
    table, cost_notes = costs_of(costs, labels["models"], labels["evaluators"])
    return finish(
        out,
        _provenance(path, joint, columns, transform, cost_notes),
        name=simple_name(name or out.name, "profile"),
        scores_table=joint,
        costs_table=table,
        tasks={task: {"label": label} for task, label in labels["tasks"].items()},
        models={model: {"label": label} for model, label in labels["models"].items()},
        evaluators={name: {"label": label} for name, label in labels["evaluators"].items()},
        normalisation=transform,
        hardware=list(dict.fromkeys(table["hardware"])),
    )


def simple_name(label: str, kind: str) -> str:
    """Return a label in the letters that a profile allows.

    >>> simple_name("GPT-4 (judge)", "evaluator")
    'gpt_4_judge'
    """
    name = re.sub(r"[^a-z0-9_]+", "_", label.lower()).strip("_")[:80]
    if not NAME.fullmatch(name):
        raise InputError(f"the {kind} {label[:80]!r} has no letter or digit to make a name of")
    return name


def _read(path: Path, columns: Columns) -> pd.DataFrame:
    if not path.is_file():
        raise InputError(f"there is no file {str(path)!r}")
    kind = path.suffix.lower()
    try:
        with naming(path, "read"):
            if kind == ".csv":
                return pd.read_csv(path, dtype=dict.fromkeys(columns.texts, "str"))
            if kind in {".parquet", ".pq"}:
                return pd.read_parquet(path)
    except (ValueError, pa.ArrowException) as error:  # what pandas and pyarrow say of a bad file
        reason = str(error).splitlines()[0]
        raise InputError(f"{path.name} is not readable {kind[1:].upper()}: {reason}") from error
    if kind not in {".jsonl", ".ndjson"}:
        raise InputError(f"{path.name} must be a .csv, .parquet or .jsonl file")
    rows, dropped = Log(path).read()
    if dropped:
        raise InputError(f"{path.name}: the last line is damaged; mend or delete it")
    return pd.DataFrame(rows)


def _check_columns(raw: pd.DataFrame, columns: Columns, place: str) -> None:
    """Raise with every column that is missing, named twice, or not made of numbers."""
    faults = []
    for column in dict.fromkeys((*columns.texts, *columns.numbers)):
        if column not in raw.columns:
            hint = nearest(column, map(str, raw.columns))
            faults.append(f"there is no column {column!r}; {hint}")
    if not columns.evaluators:
        faults.append("no evaluator is named; a profile needs one or more")
    ours = [*columns.texts, columns.truth, *columns.evaluators]
    faults += [f"column {c!r} is named twice" for c in dict.fromkeys(ours) if ours.count(c) > 1]
    if not faults and raw.empty:
        faults.append("there are no rows")
    if faults:
        raise InputError("\n".join(f"{place}: {fault}" for fault in faults))


def _joint(
    raw: pd.DataFrame, columns: Columns, place: str
) -> tuple[pd.DataFrame, dict[str, dict[str, str]]]:
    """Return the joint table under the names of a profile, and the labels of those names."""
    values = raw[columns.record]
    joint = pd.DataFrame({"record": _texts(values)})
    task = pd.Series(_TASK, index=raw.index) if columns.task is None else raw[columns.task]
    labels: dict[str, dict[str, str]] = {}
    for kind, texts in (("task", _texts(task)), ("model", _texts(raw[columns.model]))):
        names = _names(texts.dropna().unique(), kind, place)
        joint[kind] = texts.map(names)
        labels[f"{kind}s"] = {name: label for label, name in names.items()}
    names = _names(columns.evaluators, "evaluator", place)
    labels["evaluators"] = {name: label for label, name in names.items()}
    taken = {*SCORE_COLUMNS, *labels["models"]}.intersection(labels["evaluators"])
    if taken:
        raise InputError(f"{place}: {', '.join(sorted(taken))} cannot be an evaluator's name")
    joint["truth"] = _numbers(raw, columns.truth, columns, place)
    for label, name in names.items():
        joint[name] = _numbers(raw, label, columns, place)
    unjudged = pd.Series(np.nan, index=raw.index)
    judge = columns.judge
    joint["judge"] = unjudged if judge is None else _numbers(raw, judge, columns, place)
    return joint, labels


def _texts(values: pd.Series[Any]) -> pd.Series[Any]:
    """Return names as text, a whole number without decimals, a missing one missing."""
    if pd.api.types.is_float_dtype(values) and (values.dropna() % 1 == 0).all():
        values = values.astype("Int64")
    return values.astype(object).map(str, na_action="ignore")


def _names(labels: Iterable[str], kind: str, place: str) -> dict[str, str]:
    """Return the name of each label, or raise where two labels become one name."""
    names: dict[str, str] = {}
    owner: dict[str, str] = {}
    for label in labels:
        name = simple_name(label, kind)
        if name in owner:
            raise InputError(
                f"{place}: the {kind}s {owner[name]!r} and {label!r} would both be called {name!r}"
            )
        names[label], owner[name] = name, label
    return names


def _numbers(raw: pd.DataFrame, column: str, columns: Columns, place: str) -> pd.Series[Any]:
    numbers = pd.to_numeric(raw[column], errors="coerce").astype("float64")
    bad = raw[numbers.isna() & raw[column].notna()]
    if len(bad):
        row = bad.iloc[0]
        raise InputError(
            f"{place}: column {column!r} holds {str(row[column])[:40]!r} for record "
            f"{str(row[columns.record])!r}, model {str(row[columns.model])!r}, which is no number"
        )
    return numbers


def _check_scale(joint: pd.DataFrame, labels: Mapping[str, str | None], place: str) -> None:
    """Raise if truth or judge leave the scale: what is absolute is not ours to stretch."""
    for column, label in labels.items():
        low, high = joint[column].min(), joint[column].max()
        if low < 0 or high > TOP:
            raise InputError(
                f"{place}: {column} {label!r} lies in [{low:g}, {high:g}]; bring it to "
                f"[0, {TOP:g}] first, the scale of truth and judge"
            )


def _normalise(joint: pd.DataFrame, evaluators: Sequence[str], normalise: str) -> dict[str, Any]:
    """Normalise what has to be, in place; return the transform."""
    kept = [
        evaluator
        for evaluator in evaluators
        if normalise == "auto" and joint[evaluator].between(0, TOP).all()
    ]
    mapped = [evaluator for evaluator in evaluators if evaluator not in kept]
    if not mapped:
        return {"method": "as_given", "kept": kept}
    tasks = joint["task"].tolist()
    values = {name: list(zip(tasks, joint[name].tolist(), strict=True)) for name in mapped}
    scope = "per_task" if normalise == "auto" else normalise
    transform = normalising.fit(values, scope)
    for name, rows in values.items():
        joint[name] = [normalising.apply(transform, name, task, value) for task, value in rows]
    return {**transform, "kept": kept}


def _provenance(
    path: Path,
    joint: pd.DataFrame,
    columns: Columns,
    transform: Mapping[str, Any],
    cost_notes: Mapping[str, list[str]],
) -> dict[str, Any]:
    with naming(path, "read"):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    judged = int(joint["judge"].notna().sum())
    measured = [
        f"Truth ({columns.truth}) and evaluators ({', '.join(columns.evaluators)}) of "
        f"{len(joint):,} outputs, by whoever wrote the file.",
        *([f"Judge ({columns.judge}) of {judged:,} outputs."] if columns.judge else []),
        *cost_notes["measured"],
    ]
    caveats = ["How these numbers came about is not known to this package."]
    if len(joint) and joint["truth"].max() <= 1:
        caveats.append("No truth exceeds 1: check that the column is on the scale of 0 to 10.")
    mapped = list(transform.get("evaluators", {}))
    inferred = [f"Scores of {', '.join(mapped)}: by minimum and maximum."] if mapped else []
    return {
        "summary": f"Imported from a table of {joint['record'].nunique():,} records and "
        f"{joint['model'].nunique()} models.",
        "source": path.name,
        "source_sha256": digest,
        "published": [],
        "measured": measured,
        "inferred": inferred,
        "assumed": cost_notes["assumed"],
        "caveats": caveats,
    }
