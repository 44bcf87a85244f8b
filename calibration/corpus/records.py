"""Records: prompts with their references, the one file format of a corpus, and the instructions."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from calibration.workspace import Log, to_line, write_whole
from poq_abm.errors import InputError

__all__ = [
    "DEFAULT",
    "SLOT",
    "TEMPLATES",
    "Record",
    "instruction",
    "join_question",
    "read_corpus",
    "split_question",
    "template_fault",
    "write_corpus",
]

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


SLOT = "{input}"
DEFAULT = "default"  #: the key of the template for tasks that have none of their own
TEMPLATES: Mapping[str, str] = {
    "qa": "Answer the question from the context. Reply with the answer alone, in as few words as "
    "possible.\n\n{input}\n\nAnswer:",
    "summarization": "Summarise the article in three or four short sentences. Reply with the "
    "summary alone.\n\nArticle: {input}\n\nSummary:",
    DEFAULT: "Follow the instruction below. Reply with the result alone.\n\n{input}",
}


def instruction(record: Record, templates: Mapping[str, str] | None = None) -> str:
    """Return the template of the record's task with its input in place of ``{input}``.

    ``templates`` come before :data:`TEMPLATES`, a template of the task before ``default``. Nothing
    else in a template is special: other braces stay as they are.

    >>> record = Record("r1", "qa", "Who won?", ("Denver",))
    >>> instruction(record, {"qa": "Q: {input} {A}"})
    'Q: Who won? {A}'
    """
    known = {**TEMPLATES, **(templates or {})}
    return known.get(record.task, known[DEFAULT]).replace(SLOT, record.input)


def prompt_hash(style: str, record: Record, templates: Mapping[str, str]) -> str:
    """Return the hash of style and instruction; a chat template belongs to a model's revision."""
    text = f"{style}\n{instruction(record, templates)}"
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def record_of(row: Mapping[str, Any]) -> str:
    """Return the id of the record that a row of a log is of."""
    return str(row.get("record"))


def template_fault(template: str) -> str | None:
    """Return what is wrong with a template, or ``None``.

    >>> template_fault("Say {inptu}")
    "a template needs '{input}' exactly once, found 0 times"
    """
    found = template.count(SLOT)
    return None if found == 1 else f"a template needs {SLOT!r} exactly once, found {found} times"
