"""Files of rows, whatever they are called inside: CSV, JSONL, a JSON list, or Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from calibration.files import naming
from calibration.jsonl import Log
from poq_abm.errors import InputError

__all__ = ["READERS", "Row", "described", "read_json", "read_rows"]

_LONGEST_CELL = 2**31 - 1  # the csv module refuses more than 131,072 characters, articles do not


class Row(NamedTuple):
    """One row: where it stands, for messages, and its cells by column."""

    place: str
    cells: dict[str, Any]


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a file, read by its ending: .csv, .jsonl, .ndjson, .json or .parquet.

    Raises :class:`~poq_abm.errors.InputError` for another ending, a file that is missing, damaged
    or not UTF-8, and naming the line of a row that does not fit its header.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path}: a table ends in {', '.join(READERS)}, not in {path.suffix!r}")
    return reader(path)


def read_json(path: Path) -> Any:
    """Return what a JSON file says; raises an input error naming the line that is not JSON."""
    return _parsed(path, _text(path))


def _parsed(path: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno}: this is not JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: this is not JSON that can be read: {error}") from error


def described(found: Any) -> str:
    """Return what a piece of JSON is, as an error message says it.

    >>> described({"id": 1, "input": ""}), described([1, 2]), described(3.5)
    ("an object with 'id', 'input'", 'a list of 2', 'float')
    """
    if isinstance(found, dict):
        keys = ", ".join(repr(str(key)[:40]) for key in list(found)[:12])
        return f"an object with {keys or 'no keys'}" + (", ..." if len(found) > 12 else "")
    if isinstance(found, list):
        return f"a list of {len(found)}"
    return type(found).__name__


def _text(path: Path) -> str:
    with naming(path, "read"):
        content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}:{line}: this is not UTF-8 text") from error


def _csv(path: Path) -> list[Row]:
    text = _text(path)
    usual = csv.field_size_limit(_LONGEST_CELL)
    try:
        return _csv_rows(path, csv.reader(io.StringIO(text, newline=""), strict=True))
    finally:
        csv.field_size_limit(usual)


def _csv_rows(path: Path, reader: Any) -> list[Row]:
    rows: list[Row] = []
    start = 1
    try:
        header: list[str] = next(reader, [])
        if len(set(header)) < len(header):
            raise InputError(f"{path}:1: a column has the name of another: {', '.join(header)}")
        start = reader.line_num + 1
        for cells in reader:
            if cells and len(cells) != len(header):
                cells_found = f"{len(cells)} cells under {len(header)} columns"
                raise InputError(f"{path}:{start}: {cells_found}")
            if cells:
                place = f"{path}: line {start}"
                rows.append(Row(place, dict(zip(header, cells, strict=True))))
            start = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{path}:{start}: this is not CSV: {error}") from error
    return rows


def _jsonl(path: Path) -> list[Row]:
    with naming(path, "read"):
        path.stat()
    found, dropped = Log(path).read()
    if dropped:
        raise InputError(f"{path}:{len(found) + 1}: the last line is damaged, the file incomplete")
    return [Row(f"{path}: row {number}", cells) for number, cells in enumerate(found, start=1)]


def _json(path: Path) -> list[Row]:
    text = _text(path)
    if _is_lines(text):  # what pandas and the hub's tools call JSON is often JSONL
        return _jsonl(path)
    found = _parsed(path, text)
    items = found if isinstance(found, list) else [found]
    wrong = next((item for item in items if not isinstance(item, dict)), None)
    if items is not found or wrong is not None:
        shape = described(found if items is not found else wrong)
        raise InputError(f"{path}: a table in JSON is a list of objects, found {shape}")
    return [Row(f"{path}: row {number}", cells) for number, cells in enumerate(found, start=1)]


def _is_lines(text: str) -> bool:
    try:
        return isinstance(json.loads(text.lstrip().split("\n", 1)[0]), dict)
    except (ValueError, RecursionError):
        return False


def _parquet(path: Path) -> list[Row]:
    with naming(path, "read"):
        content = path.read_bytes()
    try:
        found = pq.read_table(io.BytesIO(content)).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} is not readable Parquet: {error}") from error
    return [Row(f"{path}: row {number}", cells) for number, cells in enumerate(found, start=1)]


#: Reader of each ending.
READERS: dict[str, Callable[[Path], list[Row]]] = {
    ".csv": _csv,
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".json": _json,
    ".parquet": _parquet,
}
