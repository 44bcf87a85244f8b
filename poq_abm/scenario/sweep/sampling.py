"""The samples of a design over the fields of a scenario."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from poq_abm.scenario.checks.explaining import findings as explained
from poq_abm.scenario.checks.problems import Finding, KeyPath, shown
from poq_abm.scenario.paths import field_at, split, value_at
from poq_abm.scenario.sweep.axes import Axis, Group
from poq_abm.scenario.sweep.designs import DESIGNS, AxisRange

__all__ = ["sampled"]


def sampled(
    kind: str, written: Any, data: Mapping[str, Any], refused: Callable[[str], str | None]
) -> tuple[list[Group], list[Finding]]:
    """Return the samples of a design over ``data`` as axes that move together, and its mistakes.

    ``refused`` tells why a path cannot be swept.

    >>> written = {"samples": 2, "scramble": False, "ranges": {"rounds": [10, 19]}}
    >>> (group,), wrong = sampled("sobol", written, {}, lambda path: None)
    >>> group.axes[0].values
    [10, 15]
    """
    here: KeyPath = ("sweep", kind)
    ranges = written.get("ranges") if isinstance(written, Mapping) else None
    wrong: list[Finding] = [
        ((*here, "ranges", name), said)
        for name in (ranges if isinstance(ranges, Mapping) else ())
        if (said := refused(name)) is not None
    ]
    try:
        design = DESIGNS[kind].model_validate(written)
    except ValidationError as error:
        return [], [*wrong, *explained(error, here)]
    whole: dict[str, bool] = {}
    for name, span in design.ranges.items():
        place = (*here, "ranges", name)
        if place not in dict(wrong):
            whole[name], against = _numbers(name, span, data)
            wrong += [(place, message) for message in against]
    if wrong:
        return [], wrong
    axes = [
        Axis(name, (*here, "ranges", name), span.whole(at) if whole[name] else span.real(at))
        for (name, span), at in zip(design.ranges.items(), design.points(), strict=True)
    ]
    group = Group(tuple(axes), drawn=True)
    twice = _drawn_twice(group, here)
    return [] if twice else [group], twice


def _numbers(name: str, span: AxisRange, data: Mapping[str, Any]) -> tuple[bool, list[str]]:
    """Return whether a range gives whole numbers, and what its field has against it.

    The schema tells for its own fields, the way the ends are written for the parameters of others.
    """
    path = split(name)
    known = field_at(path)
    if known is None:
        now = value_at(path, data)
        if isinstance(now, str | bool | Mapping):
            return False, [f"a range needs a number, but {name} is {shown(now)}"]
        return span.is_whole and path[0] != "tasks", []
    model, key = known
    kind = model.model_fields[key].annotation
    if kind not in (int, float):
        return False, [f"a range needs a number, which {name} is not: list its values on an axis"]
    said: dict[str, None] = {}
    for end in (span.low, span.high):
        try:
            model.model_validate({key: end})
        except ValidationError as error:
            said |= {text: None for place, text in explained(error) if place == (key,)}
    return kind is int, list(said)


def _drawn_twice(group: Group, here: KeyPath) -> list[Finding]:
    first: dict[tuple[str, ...], int] = {}
    for number, row in enumerate(group.literals(), start=1):
        if row in first:
            message = (
                f"samples {first[row]} and {number} are the same ({_settings(group, row)}): "
                "draw fewer, or write axes that list the values"
            )
            return [(here, message)]
        first[row] = number
    return []


def _settings(group: Group, row: tuple[str, ...]) -> str:
    return ", ".join(f"{axis.name}={text}" for axis, text in zip(group.axes, row, strict=True))
