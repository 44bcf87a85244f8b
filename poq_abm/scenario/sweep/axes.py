"""The axes of a sweep: what they set, how they are crossed, and the id of every treatment."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Any, NamedTuple

from poq_abm.scenario.checks.problems import KeyPath

__all__ = ["LONGEST_SAMPLE", "MAX_TREATMENTS", "Axis", "Cell", "Group", "expand", "literal"]

MAX_TREATMENTS = 100_000
LONGEST_SAMPLE = 80  #: characters that the settings of one sample may take in an id
_BARE = re.compile(r"[A-Za-z0-9_.+-]+")


class Axis(NamedTuple):
    """One swept field: its dotted path, where the file says so, and the values to try."""

    name: str
    place: KeyPath
    values: Sequence[Any]
    places: Sequence[KeyPath] = ()  # of the values, where each was written for itself


class Group(NamedTuple):
    """Axes that move together; the rows have labels where the file gives them."""

    axes: tuple[Axis, ...]
    labels: tuple[str, ...] = ()
    drawn: bool = False

    @property
    def size(self) -> int:
        """The number of rows."""
        return len(self.axes[0].values)

    def literals(self) -> list[tuple[str, ...]]:
        """Return every row as it stands in ids."""
        texts = [[literal(value, axis.name) for value in axis.values] for axis in self.axes]
        return list(zip(*texts, strict=True))


class Cell(NamedTuple):
    """One combination of rows: its id, what it sets, and where that was written."""

    id: str
    settings: dict[str, Any]
    places: dict[str, KeyPath]


def literal(value: object, axis: str = "") -> str:
    """Return a value as it stands in a treatment's id; a profile's folder by its last name.

    >>> [literal(value) for value in (1.0, 0.3, True, "mean", [1, {"a": 2}])]
    ['1', '0.3', 'true', 'mean', '[1,{"a":2}]']
    """
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, str):
        text = PurePath(value.replace("\\", "/")).name if axis == "profile" else value
        if _BARE.fullmatch(text):
            return text
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=str)


def expand(groups: Sequence[Group]) -> Iterator[Cell]:
    """Yield every treatment; the last group moves fastest.

    >>> axis = Axis("mechanism.committee_size", ("sweep", "mechanism.committee_size"), [1, 2])
    >>> next(expand([Group((axis,))]))[:2]
    ('committee_size=1', {'mechanism.committee_size': 1})
    """
    if not groups:
        yield Cell("base", {}, {})
        return
    names = [axis.name for group in groups for axis in group.axes]
    leaves = Counter(name.rpartition(".")[2] for name in names)
    for combination in itertools.product(*(_rows(group, leaves) for group in groups)):
        yield Cell(
            ",".join(row.id for row in combination),
            {name: value for row in combination for name, value in row.settings.items()},
            {name: place for row in combination for name, place in row.places.items()},
        )


def _rows(group: Group, leaves: Counter[str]) -> list[Cell]:
    names = [axis.name for axis in group.axes]
    values = zip(*(axis.values for axis in group.axes), strict=True)
    places = zip(*(axis.places or [axis.place] * group.size for axis in group.axes), strict=True)
    return [
        Cell(label, dict(zip(names, row, strict=True)), dict(zip(names, place, strict=True)))
        for label, row, place in zip(_ids(group, leaves), values, places, strict=True)
    ]


def _ids(group: Group, leaves: Counter[str]) -> Sequence[str]:
    """Return what each row adds to an id: a path's last part does where no other path shares it."""
    if group.labels:
        return group.labels
    paths = [axis.name for axis in group.axes]
    short = [leaf if leaves[leaf := path.rpartition(".")[2]] == 1 else path for path in paths]
    rows = group.literals()
    ids = [_assignments(short, row) for row in rows]
    if group.drawn and max(map(len, ids)) > LONGEST_SAMPLE:
        return [f"sample={_digest(_assignments(paths, row))}" for row in rows]
    return ids


def _assignments(names: Sequence[str], row: Sequence[str]) -> str:
    return ",".join(f"{name}={text}" for name, text in zip(names, row, strict=True))


def _digest(text: str) -> str:
    """Return a name for settings that stays theirs, whatever else is drawn beside them."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]
