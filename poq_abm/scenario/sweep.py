"""Sweeps: axes over fields, their product, and the id of every treatment."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any, NamedTuple

from poq_abm.scenario.paths import fault, split
from poq_abm.scenario.problems import Finding, KeyPath, shown

__all__ = ["MAX_TREATMENTS", "Axis", "axis_names", "expand", "literal", "plan"]

MAX_TREATMENTS = 100_000
_BARE = re.compile(r"[A-Za-z0-9_.+-]+")
_FIXED = {
    "extends": "inheritance is resolved before a sweep",
    "sweep": "a sweep cannot contain a sweep",
    "name": "the name is that of the whole study",
    "replications": "all treatments of a study have the same number of replications",
    "seed": "treatments share their seed so that they see the same luck (common random numbers)",
}


class Axis(NamedTuple):
    """One swept field: its dotted path, where the file says so, and the values to try."""

    name: str
    place: KeyPath
    values: Sequence[Any]


Group = tuple[Axis, ...]  # axes that move together


def axis_names(sweep: object) -> list[str]:
    """Return the dotted paths of all axes, zipped ones included, however wrong the rest may be.

    >>> axis_names({"rounds": [1, 2], "zip": {"profile": ["a"]}})
    ['rounds', 'profile']
    """
    return [name for group in _groups(sweep) for name, _, _ in group]


def _groups(sweep: object) -> Iterator[list[tuple[str, KeyPath, Any]]]:
    if not isinstance(sweep, Mapping):
        return
    for key, values in sweep.items():
        if key != "zip":
            yield [(key, ("sweep", key), values)]
        elif isinstance(values, Mapping):
            yield [(name, ("sweep", "zip", name), values[name]) for name in values]
        elif isinstance(values, list):
            for index, group in enumerate(values):
                if isinstance(group, Mapping):
                    start = ("sweep", "zip", index)
                    yield [(name, (*start, name), group[name]) for name in group]


def plan(sweep: Mapping[str, Any], data: Mapping[str, Any]) -> tuple[list[Group], list[Finding]]:
    """Return the groups of axes of a sweep over ``data``, and everything that is wrong with them.

    >>> plan({"mechanism.comittee_size": [1, 2]}, {})[1][0][1]
    "no such field: unknown key; did you mean 'committee_size'?"
    """
    findings: list[Finding] = []
    groups: list[Group] = []
    together = sweep.get("zip", {})
    if not (isinstance(together, Mapping) or _is_list_of_mappings(together)):
        message = f"must map paths to lists (or list several such mappings), got {shown(together)}"
        findings.append((("sweep", "zip"), message))
    for written in _groups(sweep):
        wrong = [
            (place, said)
            for name, place, values in written
            if (said := _wrong(name, values, data)) is not None
        ]
        findings += wrong
        if wrong or not written:
            continue
        group = tuple(Axis(*axis) for axis in written)
        uneven = _uneven(group) or _repeated(group)
        findings += uneven
        if not uneven:
            groups.append(group)
    findings += _overlaps(groups)
    total = math.prod(len(group[0].values) for group in groups)
    if total > MAX_TREATMENTS:
        findings.append((("sweep",), f"{total:,} treatments; at most {MAX_TREATMENTS:,} are made"))
    return groups, findings


def _is_list_of_mappings(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, Mapping) for item in value)


def _wrong(name: str, values: object, data: Mapping[str, Any]) -> str | None:
    path = split(name)
    if (reason := _FIXED.get(str(path[0]))) is not None:
        return f"{path[0]} cannot be swept: {reason}"
    if (said := fault(path, data)) is not None:
        return f"no such field: {said}"
    if not isinstance(values, list) or not values:
        return f"an axis is a list of at least one value, got {shown(values)}"
    return None


def _uneven(group: Group) -> list[Finding]:
    first = group[0]
    return [
        (
            axis.place,
            f"{len(axis.values)} values, but {first.name} has {len(first.values)}: axes that move "
            "together need equally many",
        )
        for axis in group[1:]
        if len(axis.values) != len(first.values)
    ]


def _repeated(group: Group) -> list[Finding]:
    rows = Counter(_rows(group))
    return [
        (group[0].place, f"{', '.join(row)} stands here {count} times")
        for row, count in rows.items()
        if count > 1
    ]


def _rows(group: Group) -> list[tuple[str, ...]]:
    texts = [[literal(value, axis.name) for value in axis.values] for axis in group]
    return list(zip(*texts, strict=True))


def _overlaps(groups: Sequence[Group]) -> list[Finding]:
    axes = [axis for group in groups for axis in group]
    seen: dict[KeyPath, str] = {}
    findings: list[Finding] = []
    for axis in sorted(axes, key=lambda axis: len(split(axis.name))):
        path = split(axis.name)
        for length in range(1, len(path) + 1):
            if (other := seen.get(path[:length])) is not None:
                findings.append((axis.place, f"overlaps with the axis {other}"))
        seen.setdefault(path, axis.name)
    return findings


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


def expand(groups: Sequence[Group]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the id and the settings of every treatment; the last axis moves fastest.

    >>> axis = Axis("mechanism.committee_size", ("sweep", "mechanism.committee_size"), [1, 2])
    >>> list(expand([(axis,)]))[0]
    ('committee_size=1', {'mechanism.committee_size': 1})
    """
    if not groups:
        yield "base", {}
        return
    names = [axis.name for group in groups for axis in group]
    leaves = Counter(name.rpartition(".")[2] for name in names)
    labels = [
        name if leaves[leaf] > 1 else leaf for name in names if (leaf := name.rpartition(".")[2])
    ]
    rows = [
        list(zip(_rows(group), zip(*(axis.values for axis in group), strict=True), strict=True))
        for group in groups
    ]
    for combination in itertools.product(*rows):
        texts = itertools.chain.from_iterable(row[0] for row in combination)
        values = itertools.chain.from_iterable(row[1] for row in combination)
        identity = ",".join(f"{label}={t}" for label, t in zip(labels, texts, strict=True))
        yield identity, dict(zip(names, values, strict=True))
