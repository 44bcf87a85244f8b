"""Corpora in the formats they come in, read as records, with every fault of a file at once."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calibration.corpus.records import Record, join_question
from calibration.corpus.rows import TableRow, described, read_json, read_rows
from calibration.stage_settings import CorpusSource
from calibration.workspace import NAME
from poq_abm.errors import InputError, nearest
from poq_abm.scenario.checks.problems import shown

__all__ = ["read_source", "squad_rows"]

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


def read_source(
    source: CorpusSource, report: Callable[[str], None] = lambda _: None
) -> list[Record]:
    """Return all records of one file of the corpus, in its order.

    A table without a column of ids, where none is named, gets them from the inputs: the first 16
    digits of their SHA-256, so that they stay when the file is cut or sorted. Of GSM8K's answers
    the reference is what follows ``####``, of MT-Bench's turns the first is read. Questions that
    SQuAD v2.0 declares unanswerable are left out and reported, and so are records without a
    reference where the source skips them.

    Raises :class:`~poq_abm.errors.InputError` when the file has another schema, saying what was
    found and what is nearest, and for missing or repeated ids, empty inputs, records without
    a reference, and tasks whose names a profile cannot hold; every fault is counted and placed.
    """
    rows, columns = _rows_of(source, report)
    faults = _Faults(source.path)
    skipped = 0
    records: dict[str, Record] = {}
    for row in rows:
        if source.unreferenced == "skip" and not _answers(row, columns):
            skipped += 1
            continue
        record = _record(row, source, columns, faults)
        if record is not None and record.id in records:
            faults.add("with an id that is already taken", f"{shown(record.id)} ({row.place})")
        elif record is not None:
            records[record.id] = record
    faults.raise_if_any()
    if skipped:
        report(f"left out: {skipped:,} without a reference")
    if not records:
        raise InputError(f"{source.path} holds no record")
    return list(records.values())


@dataclass(frozen=True)
class _Columns:
    """The columns of id, input and references."""

    id: str
    input: str
    references: tuple[str, ...]


def _rows_of(
    source: CorpusSource, report: Callable[[str], None]
) -> tuple[list[TableRow], _Columns]:
    """Return the rows of a file in one form, whatever its format, and the columns they have."""
    if source.format == "squad":
        found = squad_rows(source.path)
        rows = [row for row in found if row.cells["references"] is not None]
        if len(rows) < len(found):
            report(f"left out: {len(found) - len(rows):,} unanswerable by design")
        return rows, _Columns("id", "input", ("references",))
    rows = read_rows(source.path)
    if source.id == "id" and not any("id" in row.cells for row in rows):
        rows = _with_ids(rows, str(source.input))
    columns = _Columns(str(source.id), str(source.input), _check_columns(source, rows))
    unpack = _UNPACKED.get(source.format)
    return rows if unpack is None else [unpack(row, columns) for row in rows], columns


def _with_ids(rows: Sequence[TableRow], text: str) -> list[TableRow]:
    """Return the rows with an id made of each text; the same text again gets a number."""
    seen: Counter[str] = Counter()
    named = []
    for row in rows:
        digest = hashlib.sha256(repr(row.cells.get(text)).encode("utf-8", "surrogatepass"))
        name = digest.hexdigest()[:16]
        seen[name] += 1
        own = name if seen[name] == 1 else f"{name}_{seen[name]}"
        named.append(TableRow(row.place, {**row.cells, "id": own}))
    return named


def _final_answer(row: TableRow, columns: _Columns) -> TableRow:
    """Return a row of GSM8K whose references are what follows the last ``####``."""
    cells = dict(row.cells)
    for column in columns.references:
        _, mark, answer = str(cells.get(column)).rpartition("####")
        cells[column] = answer.strip() if mark else None
    return TableRow(row.place, cells)


def _first_turn(row: TableRow, columns: _Columns) -> TableRow:
    """Return a row of MT-Bench with its first turn and the reference of that, if it has one."""
    firsts = {
        column: next(iter(row.cells[column]), None)
        for column in (columns.input, *columns.references)
        if isinstance(row.cells.get(column), list)
    }
    return TableRow(row.place, {**row.cells, **firsts})


_UNPACKED = {"gsm8k": _final_answer, "mt_bench": _first_turn}


def _check_columns(source: CorpusSource, rows: Sequence[TableRow]) -> tuple[str, ...]:
    """Return the columns of references after finding every column that is asked for."""
    found = dict.fromkeys(str(column) for row in rows for column in row.cells)
    references = source.reference or tuple(name for name in _EITHER if name in found)[:1]
    if source.format == "mt_bench" and source.unreferenced == "skip":
        found |= dict.fromkeys(references)  # a file without any has no such column
    wanted = [source.id, source.input, source.task_column, *(references or _EITHER[:1])]
    missing = [column for column in wanted if column is not None and column not in found]
    if rows and missing:
        hints = "; ".join(f"no column {column!r}, {nearest(column, found)}" for column in missing)
        if source.task_column in missing:
            hints += "; give the source a 'task' if all its records have the same"
        raise InputError(f"{source.path}: {hints}{_other_format(source, set(found))}")
    return references


#: Columns by which a file of another format is known.
_KNOWN_BY = {
    "cnn_dailymail": {"article", "highlights"},
    "mt_bench": {"question_id", "turns"},
    "gsm8k": {"question", "answer"},
    "squad": {"context", "question", "answers"},
}


def _other_format(source: CorpusSource, found: set[str]) -> str:
    if found & {"data", "paragraphs"}:
        return "\nits columns are those of SQuAD; 'format: squad' reads the original JSON file"
    for name, columns in _KNOWN_BY.items():
        if name != source.format and columns <= found:
            return f"\nits columns are those of 'format: {name}'"
    if source.format != "table" and {"id", "input"} <= found:
        return "\nits columns are those of 'format: table'"
    return ""


def _record(
    row: TableRow, source: CorpusSource, columns: _Columns, faults: _Faults
) -> Record | None:
    cells = row.cells
    name = _identifier(cells.get(columns.id))
    if name is None:
        faults.add("without an id that is text or a whole number", row.place)
    text = cells.get(columns.input)
    if isinstance(text, list):
        turns = "whose input is a list ('format: mt_bench' takes the first turn)"
        faults.add(turns, _called(row, name))
    elif not isinstance(text, str) or not text.strip():
        faults.add("without an input", _called(row, name))
    answers = _answers(row, columns)
    if not answers:
        faults.add("without a reference ('unreferenced: skip' leaves such out)", _called(row, name))
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


def _answers(row: TableRow, columns: _Columns) -> tuple[str, ...]:
    """Return the distinct references that are not empty; a cell is one of them or a list."""
    cells = [row.cells.get(column) for column in columns.references]
    texts = [text for cell in cells for text in (cell if isinstance(cell, list) else [cell])]
    return tuple(dict.fromkeys(t for t in texts if isinstance(t, str) and t.strip()))


def _called(row: TableRow, name: str | None) -> str:
    return row.place if name is None else f"{shown(name)} ({row.place})"


_TABLE = {"context", "question", "answers"}


def squad_rows(path: Path) -> list[TableRow]:
    """Return the questions of a SQuAD file as rows with ``id``, ``input`` and ``references``.

    The original is ``{"data": [{"paragraphs": [{"context", "qas": [{"id", "question", "answers":
    [{"text"}]}]}]}]}``, other keys do not matter. A data hub's table has the columns ``id``,
    ``context``, ``question`` and ``answers``, the latter ``{"text": [...]}``. Questions without an
    answer by design, ``is_impossible`` in the original of v2.0 and an empty list in a table, have
    ``None`` for references. Raises :class:`~poq_abm.errors.InputError` naming the first place where
    the file is something else.
    """
    if path.suffix.lower() != ".json":
        return [_of_table(row) for row in read_rows(path)]
    found = read_json(path)
    if isinstance(found, list) and found and isinstance(found[0], dict) and set(found[0]) >= _TABLE:
        return [_of_table(row) for row in read_rows(path)]
    if not isinstance(found, dict) or "data" not in found:
        sample = found[0] if isinstance(found, list) and found else found
        raise InputError(
            f"{path}: a squad file is an object with 'data', found {described(found)}"
            f"{_meant_format(sample)}"
        )
    return list(_questions(path, found))


def _of_table(row: TableRow) -> TableRow:
    if missing := _TABLE - set(row.cells):
        raise InputError(
            f"{row.place} needs {', '.join(map(repr, sorted(missing)))}, found "
            f"{described(row.cells)}{_meant_format(row.cells)}"
        )
    answers = row.cells["answers"]
    if not isinstance(answers, dict) or not isinstance(answers.get("text"), list):
        raise InputError(
            f"{row.place}: answers must be an object with a list 'text', found {described(answers)}"
        )
    return _question_row(row.place, row.cells, row.cells["context"], answers["text"] or None)


def _questions(path: Path, found: Any) -> Iterator[TableRow]:
    for article, at in _each(path, found, "data", ""):
        for paragraph, inside in _each(path, article, "paragraphs", at):
            context = _needed(path, paragraph, "context", inside)
            for question, place in _each(path, paragraph, "qas", inside):
                yield _original_row(path, question, context, place)


def _original_row(path: Path, question: Any, context: Any, at: str) -> TableRow:
    _needed(path, question, "question", at)
    answers = [
        _needed(path, answer, "text", where)
        for answer, where in _each(path, question, "answers", at)
    ]
    is_impossible = question.get("is_impossible") is True
    return _question_row(f"{path}: {at}", question, context, None if is_impossible else answers)


def _question_row(place: str, question: Any, context: Any, answers: list[Any] | None) -> TableRow:
    asked = question["question"]
    whole = all(isinstance(text, str) and text.strip() for text in (asked, context))
    cells = {
        "id": question.get("id"),
        "input": join_question(asked, context) if whole else None,
        "references": answers,
    }
    return TableRow(place, cells)


def _each(path: Path, parent: Any, key: str, at: str) -> Iterator[tuple[Any, str]]:
    """Yield the items of the list under a key, each with its place."""
    items = _needed(path, parent, key, at)
    where = f"{at}.{key}" if at else key
    if not isinstance(items, list):
        raise InputError(f"{path}: {where} must be a list, found {described(items)}")
    for index, item in enumerate(items):
        yield item, f"{where}.{index}"


def _needed(path: Path, parent: Any, key: str, at: str) -> Any:
    if isinstance(parent, dict) and key in parent:
        return parent[key]
    hint = f"; {nearest(key, map(str, parent))}" if isinstance(parent, dict) and parent else ""
    raise InputError(f"{path}: {at} needs {key!r}, found {described(parent)}{hint}")


def _meant_format(sample: Any) -> str:
    if not isinstance(sample, dict):
        return ""
    if {"article", "highlights"} <= set(sample):
        return "; did you mean 'format: cnn_dailymail'?"
    return "; is it a table ('format: table')?"
