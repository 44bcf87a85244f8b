"""What makes a profile valid; every fault is reported as an input error of its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from poq_abm.errors import InputError, nearest
from poq_abm.profile.layout import (
    COST_COLUMNS,
    COST_KEYS,
    COSTS_FILE,
    HEADER_FIELDS,
    HEADER_FILE,
    ROLES,
    SCHEMA_VERSION,
    SCORE_COLUMNS,
    SCORES_FILE,
    TOP,
)

__all__ = ["check_costs", "check_header", "check_scores", "names_of"]

_NAME = re.compile(r"[a-z0-9_]+")


def names_of(header: dict[str, Any], field: str) -> tuple[str, ...]:
    """Return the names in one of the named lists of a header, in order.

    >>> names_of({"tasks": [{"name": "qa"}, {"name": "summarization"}]}, "tasks")
    ('qa', 'summarization')
    """
    entries = header[field]
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{HEADER_FILE}: {field!r} must be a list with at least one entry")
    names: list[str] = []
    for entry in entries:
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise InputError(
                f"{HEADER_FILE}: {field!r} has the name {name!r}; a name is made of a-z, 0-9 and _"
            )
        names.append(name)
    if len(set(names)) < len(names):
        raise InputError(f"{HEADER_FILE}: {field!r} names something twice: {', '.join(names)}")
    return tuple(names)


def check_header(header: Any) -> None:
    """Raise :class:`~poq_abm.errors.InputError` unless ``header`` can be a ``profile.json``."""
    if not isinstance(header, dict):
        raise InputError(f"{HEADER_FILE} must hold one JSON object")
    version = header.get("schema_version")
    if version != SCHEMA_VERSION:
        raise InputError(
            f"{HEADER_FILE} has schema version {version!r}; this version reads {SCHEMA_VERSION}"
        )
    missing = [field for field in HEADER_FIELDS if field not in header]
    if missing:
        raise InputError(f"{HEADER_FILE} lacks {', '.join(missing)}")
    for field in ("normalisation", "provenance", "files"):
        if not isinstance(header[field], dict):
            raise InputError(f"{HEADER_FILE}: {field!r} must be a JSON object")
    if not isinstance(header["name"], str) or not _NAME.fullmatch(header["name"]):
        raise InputError(
            f"{HEADER_FILE}: the name {header['name']!r} must be made of a-z, 0-9 and _"
        )
    names_of(header, "tasks")
    names_of(header, "hardware")
    evaluators = names_of(header, "evaluators")
    taken = {*names_of(header, "models"), *SCORE_COLUMNS}.intersection(evaluators)
    if taken:
        raise InputError(f"{HEADER_FILE}: {', '.join(sorted(taken))} cannot be an evaluator's name")


def check_scores(
    table: pd.DataFrame, tasks: Sequence[str], models: Sequence[str], evaluators: Sequence[str]
) -> None:
    """Raise unless the score table is a complete grid of records x models, values in [0, 10]."""
    _require_columns(table, (*SCORE_COLUMNS, *evaluators), SCORES_FILE)
    if table[["record", "task", "model"]].isna().to_numpy().any():
        raise InputError(f"{SCORES_FILE} has rows without record, task or model")
    _require_known(table["task"], tasks, f"{SCORES_FILE}: task")
    _require_known(table["model"], models, f"{SCORES_FILE}: model")
    for task in tasks:
        if not (table["task"] == task).any():
            raise InputError(f"{SCORES_FILE} has no record of task {task!r}")
    _check_grid(table, len(models))
    for column in ("truth", *evaluators):
        _require_on_scale(table, column, may_be_missing=False)
    _require_on_scale(table, "judge", may_be_missing=True)


def check_costs(
    table: pd.DataFrame, models: Sequence[str], evaluators: Sequence[str], hardware: Sequence[str]
) -> None:
    """Raise unless every model and evaluator has a positive latency on some known hardware."""
    _require_columns(table, COST_COLUMNS, COSTS_FILE)
    _require_known(table["role"], ROLES, f"{COSTS_FILE}: role")
    _require_known(table["hardware"], hardware, f"{COSTS_FILE}: hardware")
    _require_known(table["node"], (*models, *evaluators), f"{COSTS_FILE}: node")
    repeated = table[table.duplicated(["node", "hardware"])]
    if len(repeated):
        raise InputError(f"{COSTS_FILE} has two rows for {_first(repeated, COST_KEYS[1:])}")
    for role, nodes in zip(ROLES, (models, evaluators), strict=True):
        priced = set(table.loc[table["role"] == role, "node"])
        for node in nodes:
            if node not in priced:
                raise InputError(f"{COSTS_FILE} has no row for {role} node {node!r}")
    for column in COST_COLUMNS[len(COST_KEYS) :]:
        _require_cost(table, column)


def _require_cost(table: pd.DataFrame, column: str) -> None:
    """Raise unless the latency is positive, and other costs zero or more or not known."""
    values = _numbers(table, column, COSTS_FILE)
    if column == "latency_ms":
        allowed, kind = values > 0, "positive"
    else:
        allowed, kind = (values >= 0) | np.isnan(values), "zero or more, or NaN where not known"
    bad = table[~allowed | np.isinf(values)]
    if len(bad):
        row = _first(bad, COST_KEYS[1:])
        raise InputError(f"{COSTS_FILE}: {column} of {row} must be finite and {kind}")


def _check_grid(table: pd.DataFrame, n_models: int) -> None:
    several = table.groupby("record")["task"].nunique()
    if (several > 1).any():
        raise InputError(f"{SCORES_FILE}: record {several.idxmax()!r} appears in two tasks")
    repeated = table[table.duplicated(["record", "model"])]
    if len(repeated):
        raise InputError(f"{SCORES_FILE} has two rows for {_first(repeated, ('record', 'model'))}")
    rows = table.groupby("record").size()
    if (rows < n_models).any():
        raise InputError(
            f"{SCORES_FILE} is incomplete: "
            f"record {rows.idxmin()!r} has {rows.min()} of {n_models} models"
        )


def _require_columns(table: pd.DataFrame, columns: Sequence[str], file: str) -> None:
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise InputError(f"{file} lacks the columns {', '.join(missing)}")


def _require_known(values: pd.Series[Any], known: Sequence[str], what: str) -> None:
    for value in values.unique():
        if value not in known:
            raise InputError(f"{what} {value!r} is not in {HEADER_FILE}; {nearest(value, known)}")


def _require_on_scale(table: pd.DataFrame, column: str, *, may_be_missing: bool) -> None:
    values = _numbers(table, column, SCORES_FILE)
    missing = np.isnan(values)
    if missing.any() and not may_be_missing:
        rows = _first(table[missing], ("record", "model"))
        raise InputError(f"{SCORES_FILE}: {column} of {rows} is NaN")
    outside = ~missing & ~((values >= 0) & (values <= TOP))
    if outside.any():
        rows = _first(table[outside], ("record", "model"))
        raise InputError(
            f"{SCORES_FILE}: {column} of {rows} is {values[outside][0]}, outside [0, {TOP:g}]"
        )


def _numbers(table: pd.DataFrame, column: str, file: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    if not pd.api.types.is_numeric_dtype(table[column]):
        raise InputError(f"{file}: column {column} must hold numbers")
    return table[column].to_numpy(dtype=np.float64, na_value=np.nan)


def _first(rows: pd.DataFrame, columns: Sequence[str]) -> str:
    return ", ".join(f"{column} {rows[column].iloc[0]!r}" for column in columns)
