"""Files of rows, whatever they are called inside: CSV, JSONL, a JSON list, Parquet or a sheet."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from calibration.workspace import naming
from poq_abm.errors import InputError

__all__ = [
    "ANY_ENCODING",
    "READERS",
    "TableFile",
    "TableRow",
    "described",
    "read_json",
    "read_rows",
    "read_table",
]

_LONGEST_CELL = 2**31 - 1  # the csv module refuses more than 131,072 characters, articles do not
_SEPARATORS = ",;\t|"
_UTF_8 = ("utf-8-sig",)
#: Encodings that are tried one after the other where a few letters of a name are all that hangs on
#: it: UTF-8, then that of Western European Windows, which holds Latin-1.
ANY_ENCODING = (*_UTF_8, "cp1252")


class TableRow(NamedTuple):
    """One row: where it stands, for messages, and its cells by column."""

    place: str
    cells: dict[str, Any]


@dataclass(frozen=True)
class TableFile:
    """The rows of a file, how it was read where that was a choice, and its decimal sign."""

    rows: list[TableRow]
    notes: tuple[str, ...] = ()
    decimal: str = "."


@dataclass
class _File:
    """The content of a file, the encodings it may have, and what was chosen in reading it."""

    path: Path
    content: bytes
    encodings: Sequence[str] = _UTF_8
    notes: list[str] = field(default_factory=list)
    decimal: str = "."


def read_rows(path: Path) -> list[TableRow]:
    """Return the rows of a file of UTF-8, as :func:`read_table` reads it."""
    return read_table(path).rows


def read_table(path: Path, encodings: Sequence[str] = _UTF_8) -> TableFile:
    """Return the rows of a file, read by its ending, one of :data:`READERS` with or without .gz.

    Cells of CSV are text as it stands, those of other files what they are. The separator of CSV
    is the one of comma, semicolon, tab and bar that cuts its first line into most columns; with a
    semicolon or a tab, numbers may have a decimal comma. Blanks around the name of a column go.

    Raises :class:`~poq_abm.errors.InputError` for another ending, a file that is missing, damaged
    or of another encoding, and naming the line of a row that does not fit its header.
    """
    content, ending = _content(path)
    reader = READERS.get(ending)
    if reader is None:
        raise InputError(f"{path}: a table ends in {', '.join(READERS)}, not in {path.suffix!r}")
    file = _File(path, content, encodings)
    rows = [_trimmed(row) for row in reader(file)]
    return TableFile(rows, tuple(file.notes), file.decimal)


def _content(path: Path) -> tuple[bytes, str]:
    """Return the bytes of a file, unpacked if they are packed, and the ending they have then."""
    with naming(path, "read"):
        content = path.read_bytes()
    ending = path.suffix.lower()
    if ending != ".gz":
        return content, ending
    try:
        return gzip.decompress(content), Path(path.stem).suffix.lower()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path} is not readable gzip: {error}") from error


def _trimmed(row: TableRow) -> TableRow:
    if all(name == name.strip() for name in row.cells):
        return row
    cells = {name.strip(): cell for name, cell in row.cells.items()}
    if len(cells) < len(row.cells):
        raise InputError(f"{row.place}: two columns have the same name but for blanks")
    return TableRow(row.place, cells)


def read_json(path: Path) -> Any:
    """Return what a JSON file says; raises an input error naming the line that is not JSON."""
    content, _ = _content(path)
    return _parsed(path, _text(_File(path, content)))


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


def _text(file: _File) -> str:
    is_utf_16 = file.content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    encodings = ("utf-16",) if is_utf_16 and len(file.encodings) > 1 else file.encodings
    for encoding in encodings:
        try:
            text = file.content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if encoding not in _UTF_8:
            file.notes.append(f"{file.path.name} is not UTF-8; it was read as {encoding}.")
        return text
    line = 1 + file.content.count(b"\n", 0, _first_fault(file.content))
    raise InputError(f"{file.path}:{line}: this is not UTF-8 text")


def _first_fault(content: bytes) -> int:
    try:
        content.decode()
    except UnicodeDecodeError as error:
        return error.start
    return 0


def _csv(file: _File) -> Iterable[TableRow]:
    text = _text(file)
    separator = _separator(text)
    if separator in ";\t":
        file.decimal = ","
    if separator != ",":
        shown = {"\t": "tabs", ";": "semicolons", "|": "bars"}[separator]
        file.notes.append(f"The columns of {file.path.name} are separated by {shown}.")
    usual = csv.field_size_limit(_LONGEST_CELL)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        return _csv_rows(file.path, reader)
    finally:
        csv.field_size_limit(usual)


def _separator(text: str) -> str:
    first = text.lstrip().split("\n", 1)[0]
    try:
        columns = [len(next(csv.reader([first], delimiter=mark), [])) for mark in _SEPARATORS]
    except csv.Error:
        return ","
    return _SEPARATORS[columns.index(max(columns))]


def _csv_rows(path: Path, reader: Any) -> list[TableRow]:
    rows: list[TableRow] = []
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
                rows.append(TableRow(place, dict(zip(header, cells, strict=True))))
            start = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{path}:{start}: this is not CSV: {error}") from error
    return rows


def _jsonl(file: _File) -> list[TableRow]:
    path, rows = file.path, list[TableRow]()
    lines = _text(file).rstrip().split("\n")  # other breaks may stand inside a text
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            cells = json.loads(line)
        except (ValueError, RecursionError) as error:
            if number == len(lines):
                damage = "the last line is damaged, the file incomplete"
                raise InputError(f"{path}:{number}: {damage}") from error
            raise InputError(f"{path}:{number}: this line is not JSON: {error}") from error
        if not isinstance(cells, dict):
            found = described(cells)
            raise InputError(f"{path}:{number}: a line must be a JSON object, found {found}")
        rows.append(TableRow(f"{path}: row {len(rows) + 1}", cells))
    return rows


def _json(file: _File) -> list[TableRow]:
    path, text = file.path, _text(file)
    if _is_lines(text):  # what pandas and the hub's tools call JSON is often JSONL
        rows = _jsonl(file)
        table = _table_in(rows[0].cells) if len(rows) == 1 else None
        return rows if table is None else _numbered(path, table)
    found = _parsed(path, text)
    table = _table_in(found) if isinstance(found, dict) else found
    items = table if isinstance(table, list) else [found]
    wrong = next((item for item in items if not isinstance(item, dict)), None)
    if items is not table or wrong is not None:
        shape = described(found if items is not table else wrong)
        raise InputError(f"{path}: a table in JSON is a list of objects, found {shape}")
    return _numbered(path, items)


def _table_in(found: dict[str, Any]) -> list[Any] | None:
    """Return the rows of a table that is one object, or ``None``.

    It holds a column per key, as pandas writes one; or ``columns`` and ``data``; or nothing but
    scalars beside one list of objects.
    """
    values, columns = list(found.values()), found.get("columns")
    if values and all(isinstance(column, dict) for column in values):
        rows = list(values[0])
        if rows and all(list(column) == rows for column in values):
            return [{name: column[row] for name, column in found.items()} for row in rows]
    if isinstance(columns, list) and isinstance(data := found.get("data"), list):
        wide = [row for row in data if isinstance(row, list) and len(row) == len(columns)]
        return [dict(zip(columns, row, strict=True)) for row in wide] if wide == data else None
    lists = [value for value in values if isinstance(value, list)]
    is_plain = not any(isinstance(value, dict) for value in values)
    if is_plain and len(lists) == 1 and lists[0] and isinstance(lists[0][0], dict):
        return lists[0]
    return None


def _numbered(path: Path, found: Iterable[dict[str, Any]]) -> list[TableRow]:
    return [TableRow(f"{path}: row {number}", cells) for number, cells in enumerate(found, start=1)]


def _is_lines(text: str) -> bool:
    try:
        return isinstance(json.loads(text.lstrip().split("\n", 1)[0]), dict)
    except (ValueError, RecursionError):
        return False


def _parquet(file: _File) -> list[TableRow]:
    try:
        found = pq.read_table(io.BytesIO(file.content)).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{file.path} is not readable Parquet: {error}") from error
    return _numbered(file.path, found)


def _sheet(file: _File) -> list[TableRow]:
    """Return the rows of the first sheet of a workbook."""
    try:
        openpyxl = import_module("openpyxl")
    except ImportError:
        hint = "pip install openpyxl, or save the sheet as CSV"
        raise InputError(f"{file.path}: reading .xlsx needs openpyxl; {hint}") from None
    try:
        book = openpyxl.load_workbook(io.BytesIO(file.content), read_only=True, data_only=True)
        lines = [list(line) for line in book.worksheets[0].iter_rows(values_only=True)]
    except (zipfile.BadZipFile, KeyError, ValueError, OSError, IndexError) as error:
        raise InputError(f"{file.path} is not a readable workbook: {error}") from error
    if len(book.worksheets) > 1:
        file.notes.append(f"Of {file.path.name}, the first of {len(book.worksheets)} sheets.")
    header = ["" if cell is None else str(cell) for cell in lines[0]] if lines else []
    while header and not header[-1]:
        header.pop()
    if len(set(header)) < len(header):
        raise InputError(f"{file.path}: a column has the name of another: {', '.join(header)}")
    return _numbered(file.path, (dict(zip(header, line, strict=False)) for line in lines[1:]))


#: Reader of each ending.
READERS: dict[str, Callable[[_File], Iterable[TableRow]]] = {
    ".csv": _csv,
    ".tsv": _csv,
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".json": _json,
    ".parquet": _parquet,
    ".pq": _parquet,
    ".xlsx": _sheet,
}
