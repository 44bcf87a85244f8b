"""SQuAD as rows, one per question: its original file, or the table that data hubs make of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from calibration.records import join_question
from calibration.rows import Row, described, read_json, read_rows
from poq_abm.errors import InputError, nearest

__all__ = ["squad_rows"]


_TABLE = {"context", "question", "answers"}


def squad_rows(path: Path) -> list[Row]:
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
            f"{_other_format(sample)}"
        )
    return list(_questions(path, found))


def _of_table(row: Row) -> Row:
    if missing := _TABLE - set(row.cells):
        raise InputError(
            f"{row.place} needs {', '.join(map(repr, sorted(missing)))}, found "
            f"{described(row.cells)}{_other_format(row.cells)}"
        )
    answers = row.cells["answers"]
    if not isinstance(answers, dict) or not isinstance(answers.get("text"), list):
        raise InputError(
            f"{row.place}: answers must be an object with a list 'text', found {described(answers)}"
        )
    return _record(row.place, row.cells, row.cells["context"], answers["text"] or None)


def _questions(path: Path, found: Any) -> Iterator[Row]:
    for article, at in _each(path, found, "data", ""):
        for paragraph, inside in _each(path, article, "paragraphs", at):
            context = _needed(path, paragraph, "context", inside)
            for question, place in _each(path, paragraph, "qas", inside):
                yield _row(path, question, context, place)


def _row(path: Path, question: Any, context: Any, at: str) -> Row:
    _needed(path, question, "question", at)
    answers = [
        _needed(path, answer, "text", where)
        for answer, where in _each(path, question, "answers", at)
    ]
    is_impossible = question.get("is_impossible") is True
    return _record(f"{path}: {at}", question, context, None if is_impossible else answers)


def _record(place: str, question: Any, context: Any, answers: list[Any] | None) -> Row:
    asked = question["question"]
    whole = all(isinstance(text, str) and text.strip() for text in (asked, context))
    cells = {
        "id": question.get("id"),
        "input": join_question(asked, context) if whole else None,
        "references": answers,
    }
    return Row(place, cells)


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


def _other_format(sample: Any) -> str:
    if not isinstance(sample, dict):
        return ""
    if {"article", "highlights"} <= set(sample):
        return "; did you mean 'format: cnn_dailymail'?"
    return "; is it a table ('format: table')?"
