"""Records: the prompts, their reference answers, and the one file format of a corpus."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from calibration.files import write_whole
from calibration.jsonl import Log, to_line
from poq_abm.errors import InputError

__all__ = ["Record", "join_question", "read_corpus", "split_question", "write_corpus"]

_QUESTION = "Question: "
_CONTEXT = "\n\nContext: "
_FIELDS = ("id", "task", "input", "references")


@dataclass(frozen=True)
class Record:
    """One prompt with its reference answers; none of its texts is empty."""

    id: str
    task: str
    input: str
    references: tuple[str, ...]


def join_question(question: str, context: str) -> str:
    r"""Return a question and the text it is about as one input; :func:`split_question` undoes it.

    The question is put on one line, so that the first blank line ends it.

    >>> join_question("Who \n won?", "Denver won.")
    'Question: Who won?\n\nContext: Denver won.'
    """
    return f"{_QUESTION}{' '.join(question.split())}{_CONTEXT}{context.strip()}"


def split_question(text: str) -> tuple[str, str]:
    """Return the question and the context of an input; an input without either is its own context.

    >>> split_question(join_question("Who won?", "Denver won."))
    ('Who won?', 'Denver won.')
    >>> split_question("Summarise this.")
    ('', 'Summarise this.')
    """
    question, found, context = text.partition(_CONTEXT)
    if not found or not question.startswith(_QUESTION):
        return "", text
    return question.removeprefix(_QUESTION), context


def write_corpus(path: str | Path, records: Iterable[Record]) -> None:
    """Write records as JSONL, whole or not at all; raises an input error when the disk refuses."""
    lines = [to_line({**asdict(r), "references": list(r.references)}) for r in records]
    write_whole(Path(path), b"".join(lines).decode())


def read_corpus(path: str | Path) -> list[Record]:
    """Return the records of a corpus in the order of the file.

    Raises :class:`~poq_abm.errors.InputError` when there is no file, and naming file and line when
    a record lacks a field, has an empty one, or repeats an id.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no corpus {path}; make it with `poq calibrate corpus`")
    rows, dropped = Log(path).read()
    if dropped:
        raise InputError(f"{path}: the last line is damaged; run `poq calibrate corpus` again")
    records: dict[str, Record] = {}
    for number, row in enumerate(rows, start=1):
        record = _record(row, f"{path}:{number}")
        if record.id in records:
            raise InputError(f"{path}:{number}: the id {record.id!r} is already taken")
        records[record.id] = record
    return list(records.values())


def _record(row: dict[str, Any], place: str) -> Record:
    missing = [name for name in _FIELDS if not row.get(name)]
    if missing:
        raise InputError(f"{place}: no {', '.join(missing)}; a record has {', '.join(_FIELDS)}")
    references = row["references"]
    name, task, text = (row[field] for field in _FIELDS[:3])
    is_list = isinstance(references, list)
    if not is_list or not all(isinstance(t, str) and t for t in (name, task, text, *references)):
        raise InputError(f"{place}: id, task and input are text, references a list of texts")
    return Record(name, task, text, tuple(references))
