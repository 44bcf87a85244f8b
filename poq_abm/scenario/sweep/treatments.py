"""Sweeps: what a file says about its treatments, and everything that can be wrong with it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from poq_abm.errors import nearest
from poq_abm.scenario.checks.problems import Finding, KeyPath, shown
from poq_abm.scenario.paths import fault, split
from poq_abm.scenario.sweep.axes import MAX_TREATMENTS, Axis, Group
from poq_abm.scenario.sweep.designs import DESIGNS
from poq_abm.scenario.sweep.listing import LABEL, listed
from poq_abm.scenario.sweep.sampling import sampled

__all__ = ["is_drawn", "plan", "written_axes"]

_FORMS = ("zip", "list", *DESIGNS)
_FIXED = {
    "extends": "inheritance is resolved before a sweep",
    "sweep": "a sweep cannot contain a sweep",
    "name": "the name is that of the whole study",
    "replications": "all treatments of a study have the same number of replications",
    "resample_profile": "it changes no number of a treatment, only what is known of its error",
    "seed": "treatments share their seed so that they see the same luck (common random numbers)",
}

Read = tuple[list[Group], list[Finding]]


def is_drawn(sweep: Mapping[str, Any]) -> bool:
    """Return whether a sweep has values that a design draws, which the file does not spell out.

    >>> is_drawn({"rounds": [1, 2]}), is_drawn({"sobol": {}})
    (False, True)
    """
    return not DESIGNS.keys().isdisjoint(sweep)


def written_axes(sweep: object) -> list[tuple[str, KeyPath]]:
    """Return the dotted path of every axis and where to set it, however wrong the rest may be.

    >>> written_axes({"rounds": [1, 2], "zip": {"profile": ["a"]}})
    [('rounds', ('sweep', 'rounds')), ('profile', ('sweep', 'zip', 'profile'))]
    """
    return list(_written_axes(sweep)) if isinstance(sweep, Mapping) else []


def _written_axes(sweep: Mapping[str, Any]) -> Iterator[tuple[str, KeyPath]]:
    for key, written in sweep.items():
        here: KeyPath = ("sweep", key)
        if key == "zip":
            yield from ((name, place) for group in _zipped(written) for name, place, _ in group)
        elif key == "list":
            entries = written if isinstance(written, list) else []
            found = [name for entry in entries if isinstance(entry, Mapping) for name in entry]
            yield from ((name, here) for name in dict.fromkeys(found) if name != LABEL)
        elif key in DESIGNS:
            ranges = written.get("ranges") if isinstance(written, Mapping) else None
            names = ranges if isinstance(ranges, Mapping) else ()
            yield from ((name, (*here, "ranges", name)) for name in names)
        else:
            yield key, here


def plan(sweep: Mapping[str, Any], data: Mapping[str, Any]) -> Read:
    """Return the groups of axes of a sweep over ``data``, and everything that is wrong with them.

    >>> plan({"mechanism.comittee_size": [1, 2]}, {})[1][0][1]
    "no such field: unknown key; did you mean 'committee_size'?"
    """
    groups: list[Group] = []
    findings: list[Finding] = []
    for key, written in sweep.items():
        made, wrong = _form(key)(written, data)
        groups += made
        findings += wrong
    findings += _overlaps(groups)
    total = math.prod(group.size for group in groups)
    if total > MAX_TREATMENTS:
        findings.append((("sweep",), f"{total:,} treatments; at most {MAX_TREATMENTS:,} are made"))
    return groups, findings


def _form(key: str) -> Callable[[Any, Mapping[str, Any]], Read]:
    """Return what reads the value of this key of a sweep."""
    if key == "zip":
        return _zip
    if key == "list":
        return lambda written, data: listed(written, partial(_refused, data=data))
    if key in DESIGNS:
        return lambda written, data: sampled(key, written, data, partial(_refused, data=data))
    return lambda written, data: _together([(key, ("sweep", key), written)], data)


def _refused(name: str, data: Mapping[str, Any]) -> str | None:
    """Return why a field cannot be swept, if it cannot."""
    path = split(name)
    if (reason := _FIXED.get(str(path[0]))) is not None:
        return f"{path[0]} cannot be swept: {reason}"
    if (said := fault(path, data)) is None:
        return None
    form = nearest(name[:80], _FORMS) if len(path) == 1 else ""
    return f"no such field: {f'unknown key; {form}' if form.startswith('did') else said}"


Written = list[tuple[str, KeyPath, Any]]  # axes that move together: name, place, values


def _zip(written: Any, data: Mapping[str, Any]) -> Read:
    parts = written if isinstance(written, list) else [written]
    if not all(isinstance(part, Mapping) for part in parts):
        message = f"must map paths to lists (or list several such mappings), got {shown(written)}"
        return [], [(("sweep", "zip"), message)]
    read = [_together(group, data) for group in _zipped(written)]
    return [g for made, _ in read for g in made], [f for _, wrong in read for f in wrong]


def _zipped(written: Any) -> Iterator[Written]:
    if isinstance(written, Mapping):
        yield [(name, ("sweep", "zip", name), written[name]) for name in written]
    elif isinstance(written, list):
        for index, group in enumerate(written):
            if isinstance(group, Mapping):
                yield [(name, ("sweep", "zip", index, name), group[name]) for name in group]


def _together(written: Written, data: Mapping[str, Any]) -> Read:
    wrong = [
        (place, said)
        for name, place, values in written
        if (said := _refused(name, data) or _no_axis(values)) is not None
    ]
    if wrong or not written:
        return [], wrong
    group = Group(tuple(Axis(*axis) for axis in written))
    uneven = _uneven(group) or _repeated(group)
    return [] if uneven else [group], uneven


def _no_axis(values: object) -> str | None:
    if isinstance(values, list) and values:
        return None
    return f"an axis is a list of at least one value, got {shown(values)}"


def _uneven(group: Group) -> list[Finding]:
    first = group.axes[0]
    return [
        (
            axis.place,
            f"{len(axis.values)} values, but {first.name} has {len(first.values)}: axes that move "
            "together need equally many",
        )
        for axis in group.axes[1:]
        if len(axis.values) != len(first.values)
    ]


def _repeated(group: Group) -> list[Finding]:
    rows = Counter(group.literals())
    return [
        (group.axes[0].place, f"{', '.join(row)} stands here {count} times")
        for row, count in rows.items()
        if count > 1
    ]


def _overlaps(groups: Sequence[Group]) -> list[Finding]:
    axes = [axis for group in groups for axis in group.axes]
    seen: dict[KeyPath, str] = {}
    findings: list[Finding] = []
    for axis in sorted(axes, key=lambda axis: len(split(axis.name))):
        path = split(axis.name)
        for length in range(1, len(path) + 1):
            if (other := seen.get(path[:length])) is not None:
                findings.append((axis.place, f"overlaps with the axis {other}"))
        seen.setdefault(path, axis.name)
    return findings
