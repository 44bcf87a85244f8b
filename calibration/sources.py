"""Corpora in the formats they come in, read as records, with every fault of a file at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calibration.folders import NAME
from calibration.records import Record
from calibration.rows import Row, read_rows
from calibration.settings import CorpusSource
from calibration.squad import squad_rows
from poq_abm.errors import InputError, nearest
from poq_abm.scenario.problems import shown

__all__ = ["read_source"]

_EITHER = ("reference", "references")
_SHOWN = 5


@dataclass
class _Faults:
    """What is wrong with the rows of a file: kinds of faults, each with the places it was seen."""

    path: Path
    seen: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, place: str) -> None:
        self.seen.setdefault(kind, []).append(place.removeprefix(f"{self.path}: "))

    def raise_if_any(self) -> None:
        if not self.seen:
            return
        lines = []
        for kind, places in self.seen.items():
            examples = "; ".join(places[:_SHOWN]) + ("; ..." if len(places) > _SHOWN else "")
            count = "1 record" if len(places) == 1 else f"{len(places)} records"
            lines.append(f"{self.path}: {count} {kind}: {examples}")
        raise InputError("\n".join(lines))


def read_source(source: CorpusSource) -> list[Record]:
    """Return all records of one file of the corpus, in its order.

    Raises :class:`~poq_abm.errors.InputError` when the file has another schema, saying what was
    found and what is nearest, and for missing or repeated ids, empty inputs, records without
    a reference, and tasks whose names a profile cannot hold; every fault is counted and placed.
    """
    references: tuple[str, ...] = ("references",)
    if source.format == "squad":
        rows = squad_rows(source.path)
        source = source.model_copy(update={"id": "id", "input": "input"})
    else:
        rows = read_rows(source.path)
        references = _check_columns(source, rows)
    faults = _Faults(source.path)
    records: dict[str, Record] = {}
    for row in rows:
        record = _record(row, source, references, faults)
        if record is not None and record.id in records:
            faults.add("with an id that is already taken", f"{shown(record.id)} ({row.place})")
        elif record is not None:
            records[record.id] = record
    faults.raise_if_any()
    if not records:
        raise InputError(f"{source.path} holds no record")
    return list(records.values())


def _check_columns(source: CorpusSource, rows: Sequence[Row]) -> tuple[str, ...]:
    """Return the columns of references after finding every column that is asked for."""
    found = dict.fromkeys(str(column) for row in rows for column in row.cells)
    references = source.reference or tuple(name for name in _EITHER if name in found)[:1]
    wanted = [source.id, source.input, source.task_column, *(references or _EITHER[:1])]
    missing = [column for column in wanted if column is not None and column not in found]
    if rows and missing:
        hints = "; ".join(f"no column {column!r}, {nearest(column, found)}" for column in missing)
        raise InputError(f"{source.path}: {hints}{_other_format(source, set(found))}")
    return references


def _other_format(source: CorpusSource, found: set[str]) -> str:
    if source.format == "table" and {"article", "highlights"} <= found:
        return "\nits columns are those of 'format: cnn_dailymail'"
    if found & {"data", "paragraphs"} or {"context", "question", "answers"} <= found:
        return "\nits columns are those of SQuAD; 'format: squad' reads the original JSON file"
    if source.format == "cnn_dailymail" and {"id", "input"} <= found:
        return "\nits columns are those of 'format: table'"
    return ""


def _record(
    row: Row, source: CorpusSource, references: Sequence[str], faults: _Faults
) -> Record | None:
    cells = row.cells
    name = _identifier(cells.get(str(source.id)))
    if name is None:
        faults.add("without an id that is text or a whole number", row.place)
    text = cells.get(str(source.input))
    if not isinstance(text, str) or not text.strip():
        faults.add("without an input", _called(row, name))
    answers = _answers([cells.get(column) for column in references])
    if not answers:
        faults.add(f"without a reference{_unanswerable(source)}", _called(row, name))
    task = source.task if source.task is not None else cells.get(str(source.task_column))
    if not isinstance(task, str) or not NAME.fullmatch(task):
        faults.add("whose task is not made of a-z, 0-9 and _", f"{shown(task)} ({row.place})")
    if name is None or not isinstance(text, str) or not isinstance(task, str) or not answers:
        return None
    return Record(name, task, text, answers)


def _identifier(cell: Any) -> str | None:
    if isinstance(cell, int) and not isinstance(cell, bool):
        return str(cell)
    return cell.strip() if isinstance(cell, str) and cell.strip() else None


def _answers(cells: Sequence[Any]) -> tuple[str, ...]:
    """Return the distinct references that are not empty; a cell is one of them or a list."""
    texts = [text for cell in cells for text in (cell if isinstance(cell, list) else [cell])]
    return tuple(dict.fromkeys(t for t in texts if isinstance(t, str) and t.strip()))


def _called(row: Row, name: str | None) -> str:
    return row.place if name is None else f"{shown(name)} ({row.place})"


def _unanswerable(source: CorpusSource) -> str:
    return " (v1.1 has no unanswerable questions, v2.0 has)" if source.format == "squad" else ""
