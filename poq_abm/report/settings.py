"""The fields of a scenario as a report names them: what was set, to what, and what it means."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel

from poq_abm.report.subject import Subject
from poq_abm.scenario.schema.economy import EconomySettings
from poq_abm.scenario.schema.key_reference import keys_below

__all__ = ["set_by_hand", "spoken"]

MOST_VALUES = 8
#: told elsewhere in a report, each with its source
_ELSEWHERE = ("economy.adaptation",)


def spoken(values: Sequence[Any]) -> str:
    """Return values as a sentence lists them.

    >>> spoken([1.0, 2.5, None])
    '1, 2.5, none'
    """
    words = [_word(value) for value in values[:MOST_VALUES]]
    left_out = len(values) - len(words)
    return ", ".join([*words, *([f"and {left_out} more values"] if left_out else [])])


def _word(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, BaseModel):
        return str(value.model_dump(mode="json"))
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(_word, value)) + "]"
    return str(value)


def set_by_hand(subject: Subject) -> Iterator[tuple[str, str, str]]:
    """Yield path, values and meaning of the economy's fields that are not as the schema says."""
    default = EconomySettings()
    for key in keys_below(EconomySettings, "economy."):
        if "*" in key.path or key.path in _ELSEWHERE:
            continue
        values = _taken(subject, key.path)
        if values and values != [_at(default, key.path.removeprefix("economy."))]:
            yield key.path, spoken(values), key.meaning


def _taken(subject: Subject, path: str) -> list[Any]:
    """Return the values of a field; of a section that may be absent, those where it is there."""
    found: list[Any] = []
    for economy in subject.values("economy"):
        value = None if economy is None else _at(economy, path.removeprefix("economy."))
        if economy is not None and value not in found:
            found.append(value)
    return found


def _at(section: Any, path: str) -> Any:
    for name in path.split("."):
        section = None if section is None else getattr(section, name)
    return section
