"""From a record to the words a model reads: one instruction template per task."""

from __future__ import annotations

from collections.abc import Mapping

from calibration.records import Record

__all__ = ["DEFAULT", "SLOT", "TEMPLATES", "instruction", "template_fault"]

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


def template_fault(template: str) -> str | None:
    """Return what is wrong with a template, or ``None``.

    >>> template_fault("Say {inptu}")
    "a template needs '{input}' exactly once, found 0 times"
    """
    found = template.count(SLOT)
    return None if found == 1 else f"a template needs {SLOT!r} exactly once, found {found} times"
