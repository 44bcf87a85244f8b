"""What makes a profile folder valid: its files and columns, and every fault of them in words."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from poq_abm.errors import InputError, nearest

__all__ = [
    "COSTS_FILE",
    "COST_COLUMNS",
    "COST_KEYS",
    "HEADER_FIELDS",
    "HEADER_FILE",
    "MONEY_COLUMNS",
    "ROLES",
    "SCHEMA_VERSION",
    "SCORES_FILE",
    "SCORE_COLUMNS",
    "TOP",
    "check_costs",
    "check_header",
    "check_scores",
    "content_hash",
    "cost_faults",
    "header_faults",
    "names_of",
    "profile_faults",
    "score_faults",
]

SCHEMA_VERSION = 1
HEADER_FILE = "profile.json"
SCORES_FILE = "scores.parquet"
COSTS_FILE = "costs.parquet"
#: Fields of ``profile.json``; each named list holds objects with at least a ``name``.
HEADER_FIELDS = (
    "schema_version",
    "name",
    "provenance",
    "tasks",
    "models",
    "evaluators",
    "normalisation",
    "hardware",
    "files",
    "content_hash",
)
#: Columns of the score table besides one column per evaluator.
SCORE_COLUMNS = ("record", "task", "model", "truth", "judge")
COST_KEYS = ("role", "node", "hardware")
#: Columns of the cost table: keys, then milliseconds, tokens per second, megabytes and joules.
COST_COLUMNS = (
    *COST_KEYS,
    "latency_ms",
    "latency_sd_ms",
    "latency_p50_ms",
    "latency_p95_ms",
    "throughput_tokens_per_s",
    "peak_memory_mb",
    "energy_j",
)
#: Columns that a cost table may have besides: dollars, where a server has a price.
MONEY_COLUMNS = ("usd_per_answer",)
ROLES = ("inference", "evaluator")
#: Top of the scale of scores, truth and judge.
TOP = 10.0


def content_hash(header: Mapping[str, Any]) -> str:
    """Return the SHA-256 (hex) of the canonical JSON of ``header`` without its ``content_hash``.

    Canonical: keys sorted, no blanks, UTF-8, no NaN.

    >>> content_hash({"name": "x", "content_hash": "?"}) == content_hash({"name": "x"})
    True
    """
    rest = {key: value for key, value in header.items() if key != "content_hash"}
    text = json.dumps(
        rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return hashlib.sha256(text.encode()).hexdigest()


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
    _raise_first(header_faults(header))


def check_scores(
    table: pd.DataFrame, tasks: Sequence[str], models: Sequence[str], evaluators: Sequence[str]
) -> None:
    """Raise unless the score table is a complete grid of records x models, values in [0, 10]."""
    _raise_first(score_faults(table, tasks, models, evaluators))


def check_costs(
    table: pd.DataFrame, models: Sequence[str], evaluators: Sequence[str], hardware: Sequence[str]
) -> None:
    """Raise unless every model and evaluator has a positive latency on some known hardware."""
    _raise_first(cost_faults(table, models, evaluators, hardware))


def header_faults(header: Any) -> Iterator[str]:
    """Yield every fault of a ``profile.json``; later checks are skipped where they make no sense.

    >>> list(header_faults([]))
    ['profile.json must hold one JSON object']
    """
    if not isinstance(header, dict):
        yield f"{HEADER_FILE} must hold one JSON object"
        return
    version = header.get("schema_version")
    if version != SCHEMA_VERSION:
        yield f"{HEADER_FILE} has schema version {version!r}; this version reads {SCHEMA_VERSION}"
        return
    missing = [field for field in HEADER_FIELDS if field not in header]
    if missing:
        yield f"{HEADER_FILE} lacks {', '.join(missing)}"
        return
    for field in ("normalisation", "provenance", "files"):
        if not isinstance(header[field], dict):
            yield f"{HEADER_FILE}: {field!r} must be a JSON object"
    if not isinstance(header["name"], str) or not _NAME.fullmatch(header["name"]):
        yield f"{HEADER_FILE}: the name {header['name']!r} must be made of a-z, 0-9 and _"
    names: dict[str, tuple[str, ...]] = {}
    for field in ("tasks", "hardware", "evaluators", "models"):
        try:
            names[field] = names_of(header, field)
        except InputError as error:
            yield str(error)
    taken = {*names.get("models", ()), *SCORE_COLUMNS}.intersection(names.get("evaluators", ()))
    if taken:
        yield f"{HEADER_FILE}: {', '.join(sorted(taken))} cannot be an evaluator's name"


def score_faults(
    table: pd.DataFrame, tasks: Sequence[str], models: Sequence[str], evaluators: Sequence[str]
) -> Iterator[str]:
    """Yield every fault of a score table, one for each column, value or record that has one."""
    yield from _missing_columns(table, (*SCORE_COLUMNS, *evaluators), SCORES_FILE)
    keys = [column for column in ("record", "task", "model") if column in table.columns]
    if table[keys].isna().to_numpy().any():
        yield f"{SCORES_FILE} has rows without record, task or model"
    if len(keys) == 3:
        yield from _unknown(table["task"], tasks, f"{SCORES_FILE}: task")
        yield from _unknown(table["model"], models, f"{SCORES_FILE}: model")
        for task in tasks:
            if not (table["task"] == task).any():
                yield f"{SCORES_FILE} has no record of task {task!r}"
        yield from _grid_faults(table, models)
    knows_truth = "truth" in table.columns and table["truth"].notna().any()
    for column in ("truth", *evaluators):
        is_unknown = column == "truth" and not knows_truth  # of no answer, which is allowed
        yield from _off_scale(table, column, may_be_missing=is_unknown)
    yield from _off_scale(table, "judge", may_be_missing=True)


def cost_faults(
    table: pd.DataFrame, models: Sequence[str], evaluators: Sequence[str], hardware: Sequence[str]
) -> Iterator[str]:
    """Yield every fault of a cost table."""
    yield from _missing_columns(table, COST_COLUMNS, COSTS_FILE)
    if set(COST_KEYS) <= set(table.columns):
        yield from _unknown(table["role"], ROLES, f"{COSTS_FILE}: role")
        yield from _unknown(table["hardware"], hardware, f"{COSTS_FILE}: hardware")
        yield from _unknown(table["node"], (*models, *evaluators), f"{COSTS_FILE}: node")
        repeated = table[table.duplicated(["node", "hardware"])]
        if len(repeated):
            yield f"{COSTS_FILE} has two rows for {_first(repeated, COST_KEYS[1:])}"
        for role, nodes in zip(ROLES, (models, evaluators), strict=True):
            priced = set(table.loc[table["role"] == role, "node"])
            for node in nodes:
                if node not in priced:
                    yield f"{COSTS_FILE} has no row for {role} node {node!r}"
    for column in (*COST_COLUMNS[len(COST_KEYS) :], *MONEY_COLUMNS):
        yield from _bad_costs(table, column)


def _raise_first(faults: Iterator[str]) -> None:
    for fault in faults:
        raise InputError(fault)


def _bad_costs(table: pd.DataFrame, column: str) -> Iterator[str]:
    """Yield unless the latency is positive, and other costs zero or more or not known."""
    values = _numbers(table, column)
    if values is None:
        if column in table.columns:
            yield f"{COSTS_FILE}: column {column} must hold numbers"
        return
    if column == "latency_ms":
        allowed, kind = values > 0, "positive"
    else:
        allowed, kind = (values >= 0) | np.isnan(values), "zero or more, or NaN where not known"
    bad = table[~allowed | np.isinf(values)]
    if len(bad):
        yield (
            f"{COSTS_FILE}: {column} of {_first(bad, COST_KEYS[1:])} must be finite and {kind}"
            + _more(len(bad))
        )


def _grid_faults(table: pd.DataFrame, models: Sequence[str]) -> Iterator[str]:
    several = table.groupby("record")["task"].nunique()
    if (several > 1).any():
        yield f"{SCORES_FILE}: record {several.idxmax()!r} appears in two tasks"
    repeated = table[table.duplicated(["record", "model"])]
    if len(repeated):
        row = _first(repeated, ("record", "model"))
        yield f"{SCORES_FILE} has two rows for {row}{_more(len(repeated))}"
    rows = table[table["model"].isin(models)].groupby("record")["model"].nunique()
    if (rows < len(models)).any():
        yield (
            f"{SCORES_FILE} is incomplete: record {rows.idxmin()!r} has {rows.min()} of "
            f"{len(models)} models{_more(int((rows < len(models)).sum()))}"
        )


def _missing_columns(table: pd.DataFrame, columns: Sequence[str], file: str) -> Iterator[str]:
    missing = [column for column in columns if column not in table.columns]
    if missing:
        yield f"{file} lacks the columns {', '.join(missing)}"


def _unknown(values: pd.Series[Any], known: Sequence[str], what: str) -> Iterator[str]:
    for value in values.unique():
        if value not in known:
            yield f"{what} {value!r} is not in {HEADER_FILE}; {nearest(value, known)}"


def _off_scale(table: pd.DataFrame, column: str, *, may_be_missing: bool) -> Iterator[str]:
    values = _numbers(table, column)
    if values is None:
        if column in table.columns:
            yield f"{SCORES_FILE}: column {column} must hold numbers"
        return
    missing = np.isnan(values)
    if missing.any() and not may_be_missing:
        rows = _first(table[missing], ("record", "model"))
        yield f"{SCORES_FILE}: {column} of {rows} is NaN{_more(int(missing.sum()))}"
    outside = ~missing & ~((values >= 0) & (values <= TOP))
    if outside.any():
        rows = _first(table[outside], ("record", "model"))
        yield (
            f"{SCORES_FILE}: {column} of {rows} is {values[outside][0]}, outside [0, {TOP:g}]"
            + _more(int(outside.sum()))
        )


def _numbers(table: pd.DataFrame, column: str) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    """Return the values of a column, or nothing where it is missing or does not hold numbers."""
    if column not in table.columns or not pd.api.types.is_numeric_dtype(table[column]):
        return None
    return table[column].to_numpy(dtype=np.float64, na_value=np.nan)


def _first(rows: pd.DataFrame, columns: Sequence[str]) -> str:
    known = [column for column in columns if column in rows.columns]
    return ", ".join(f"{column} {rows[column].iloc[0]!r}" for column in known)


def _more(count: int) -> str:
    return f" (and {count - 1:,} more)" if count > 1 else ""


def profile_faults(folder: str | Path) -> list[str]:
    """Return every fault of a profile folder, in words; an empty list says that it is valid.

    Looked at are ``profile.json``, the hashes, and all of :mod:`poq_abm.profile.validity`. A table
    is looked at even where its hash is wrong, but not where it cannot be read or where the names in
    ``profile.json`` are not valid. Raises :class:`~poq_abm.errors.InputError` when there is no such
    folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"there is no profile folder {str(folder)!r}")
    faults: list[str] = []
    header = _header(folder, faults)
    tables = {}
    for file in (SCORES_FILE, COSTS_FILE):
        files = header.get("files") if isinstance(header, dict) else None
        pinned = files.get(file) if isinstance(files, dict) else None
        tables[file] = _table(folder, file, pinned, faults, header is not None)
    if isinstance(header, dict):
        faults += _table_faults(header, tables)
    return faults


def _header(folder: Path, faults: list[str]) -> Any:
    """Return ``profile.json`` as far as it can be read, noting what is wrong with it."""
    blob = _bytes(folder, HEADER_FILE, faults)
    if blob is None:
        return None
    try:
        header = json.loads(blob)
    except (ValueError, RecursionError) as error:
        faults.append(f"{HEADER_FILE} is not readable JSON: {error}")
        return None
    found = list(header_faults(header))
    faults += found
    if isinstance(header, dict) and "content_hash" in header:
        try:
            if content_hash(header) != header["content_hash"]:
                faults.append(f"{HEADER_FILE} was altered: its content hash differs")
        except ValueError:
            faults.append(f"{HEADER_FILE} holds NaN or infinity")
    return header


def _table(
    folder: Path, file: str, pinned: object, faults: list[str], is_pinned: bool
) -> pd.DataFrame | None:
    blob = _bytes(folder, file, faults)
    if blob is None:
        return None
    if is_pinned and hashlib.sha256(blob).hexdigest() != pinned:
        faults.append(f"{file} was altered: its hash is not the one in {HEADER_FILE}")
    try:
        return pd.read_parquet(io.BytesIO(blob))
    except (pa.ArrowException, OSError) as error:
        faults.append(f"{file} is not readable Parquet: {error}")
        return None


def _table_faults(header: dict[str, Any], tables: dict[str, pd.DataFrame | None]) -> list[str]:
    try:
        tasks, models, evaluators, hardware = (
            names_of(header, field) for field in ("tasks", "models", "evaluators", "hardware")
        )
    except (InputError, KeyError):
        return []  # already told
    faults: list[str] = []
    scores, costs = tables[SCORES_FILE], tables[COSTS_FILE]
    if scores is not None:
        faults += score_faults(scores, tasks, models, evaluators)
    if costs is not None:
        faults += cost_faults(costs, models, evaluators, hardware)
    return faults


def _bytes(folder: Path, file: str, faults: list[str]) -> bytes | None:
    try:
        return (folder / file).read_bytes()
    except FileNotFoundError:
        faults.append(f"{file} is missing")
    except OSError as error:
        faults.append(f"cannot read {file}: {error}")
    return None
