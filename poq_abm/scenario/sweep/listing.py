"""Treatments written one by one: ``sweep: {list: [{path: value, ...}, ...]}``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from poq_abm.errors import nearest
from poq_abm.scenario.checks.problems import Finding, KeyPath, shown
from poq_abm.scenario.sweep.axes import Axis, Group

__all__ = ["LABEL", "listed"]

LABEL = "id"  #: the key of an entry that names it
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,79}")
_HERE: KeyPath = ("sweep", "list")


def listed(written: Any, refused: Callable[[str], str | None]) -> tuple[list[Group], list[Finding]]:
    """Return the entries as axes that move together, and everything that is wrong with them.

    Every entry sets the same paths, in any order. ``refused`` tells why a path cannot be swept.

    >>> (group,), wrong = listed([{"rounds": 10, "id": "few"}, {"rounds": 90, "id": "many"}],
    ...                          lambda path: None)
    >>> group.axes[0].values, group.labels
    ([10, 90], ('few', 'many'))
    """
    if not isinstance(written, list) or not written:
        return [], [(_HERE, f"must list at least one treatment, got {shown(written)}")]
    wrong: list[Finding] = [
        ((*_HERE, index), f"a treatment is a mapping of paths to values, got {shown(entry)}")
        for index, entry in enumerate(written)
        if not isinstance(entry, Mapping)
    ]
    if wrong:
        return [], wrong
    names = [name for name in written[0] if name != LABEL]
    wrong = _uneven(written, names)
    wrong += [((*_HERE, 0, name), said) for name in names if (said := refused(name)) is not None]
    wrong += _mislabelled(written)
    if wrong:
        return [], wrong
    group = Group(
        tuple(_axis(name, written) for name in names),
        tuple(entry[LABEL] for entry in written if LABEL in entry),
    )
    twice = _repeated(group.literals())
    return [] if twice else [group], twice


def _axis(name: str, entries: list[Mapping[str, Any]]) -> Axis:
    places: list[KeyPath] = [(*_HERE, index, name) for index in range(len(entries))]
    return Axis(name, places[0], [entry[name] for entry in entries], places)


def _uneven(entries: list[Mapping[str, Any]], names: list[str]) -> list[Finding]:
    if not names:
        return [((*_HERE, 0), "sets nothing: a treatment maps paths to values")]
    findings: list[Finding] = []
    for index, entry in enumerate(entries):
        findings += [
            ((*_HERE, index), f"{name} is not set, but the first entry sets it")
            for name in names
            if name not in entry
        ]
        findings += [
            (
                (*_HERE, index, name),
                "the first entry does not set this, and all entries set the same paths; "
                + nearest(name[:80], names),
            )
            for name in entry
            if name != LABEL and name not in names
        ]
    return findings


def _mislabelled(entries: list[Mapping[str, Any]]) -> list[Finding]:
    findings: list[Finding] = []
    if not any(LABEL in entry for entry in entries):
        return findings
    seen: set[str] = set()
    for index, entry in enumerate(entries):
        label, place = entry.get(LABEL), (*_HERE, index, LABEL)
        if LABEL not in entry:
            findings.append(((*_HERE, index), "has no id, but another entry has one"))
        elif not isinstance(label, str) or not _LABEL.fullmatch(label):
            findings.append((place, f"must be letters, digits or '_.+-', got {shown(label)}"))
        elif label in seen:
            findings.append((place, f"{label} stands here twice"))
        else:
            seen.add(label)
    return findings


def _repeated(rows: list[tuple[str, ...]]) -> list[Finding]:
    first: dict[tuple[str, ...], int] = {}
    findings: list[Finding] = []
    for index, row in enumerate(rows):
        if row in first:
            findings.append(((*_HERE, index), f"the same treatment as entry {first[row] + 1}"))
        first.setdefault(row, index)
    return findings
