"""Overrides: ``--set a.b=value`` and :meth:`Scenario.replace`, laid over what the files say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from poq_abm.scenario.checks.problems import (
    KeyPath,
    Origins,
    Place,
    Problem,
    ScenarioError,
    dotted,
)
from poq_abm.scenario.merging import anchor_profiles
from poq_abm.scenario.overlay import leaves, put, removals, without_axes
from poq_abm.scenario.paths import fault, split
from poq_abm.scenario.sweep.treatments import written_axes
from poq_abm.scenario.yaml.source import read_value

__all__ = ["Override", "apply", "parse_override"]


class Override(NamedTuple):
    """A value for a path, and where that was said."""

    place: Place
    path: str
    value: Any


def parse_override(text: str) -> Override:
    """Return what ``a.b=value`` says; the value is YAML, and relative folders count from here.

    >>> parse_override("mechanism.committee_size=2")[1:]
    ('mechanism.committee_size', 2)
    """
    place = Place(f"--set {text}" if len(text) <= 200 else f"--set {text[:197]}...")
    path, equals, value = text.partition("=")
    if not equals or not path.strip():
        message = "write it as path=value, for example mechanism.committee_size=2"
        raise ScenarioError([Problem(place, "", message)])
    path = path.strip()
    try:
        read = read_value(value, place.file)
    except ScenarioError as error:
        found = [Problem(place, path, problem.message) for problem in error.problems]
        raise ScenarioError(found) from error
    if path in ("profile", "sweep.profile", "sweep.zip.profile"):
        holder = {"profile": read}
        anchor_profiles(holder, Path())
        read = holder["profile"]
    return Override(place, path, read)


def apply(
    data: dict[str, Any], origins: Origins, overrides: Sequence[Override]
) -> tuple[dict[str, Any], Origins, list[Problem]]:
    """Return data and origins after all overrides, in order, and what was wrong with them.

    >>> place = Place("--set rounds=5")
    >>> apply({"rounds": 1}, Origins({}), [Override(place, "rounds", 5)])[0]
    {'rounds': 5}
    """
    problems: list[Problem] = []
    applied: list[tuple[Override, KeyPath]] = []
    for override in overrides:
        path = split(override.path)
        message = _refused(path) or fault(path, data)
        if message is None:
            try:
                data = without_axes(data, removals(override.value, path))
                data = put(data, path, override.value)
            except LookupError as error:
                message = str(error)
        if message is not None:
            problems.append(Problem(override.place, override.path, message))
            continue
        origins = origins.laid_over(dict.fromkeys(leaves(override.value, path), override.place))
        applied.append((override, path))
    axes = {split(name): dotted(place) for name, place in written_axes(data.get("sweep"))}
    for override, path in applied:
        for length in range(1, len(path) + 1):
            if (axis := axes.get(path[:length])) is not None:
                message = (
                    f"this is an axis of the sweep, which would win: set {axis}=[...] "
                    "to change its values, or sweep={} to drop the sweep"
                )
                problems.append(Problem(override.place, override.path, message))
    return data, origins, problems


def _refused(path: KeyPath) -> str | None:
    if path[0] == "extends":
        return "inheritance is decided in the file and cannot be set"
    return None
