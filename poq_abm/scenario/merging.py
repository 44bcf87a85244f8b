"""What is laid over what: ``extends`` followed to its end, then ``--set`` and ``replace()``."""

from __future__ import annotations

import os
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
    shown,
)
from poq_abm.scenario.library import find_scenario, is_path
from poq_abm.scenario.overlay import laid_over, leaves, put, removals, without_axes
from poq_abm.scenario.paths import fault, split
from poq_abm.scenario.sweep.treatments import written_axes
from poq_abm.scenario.yaml_source import Document, read, read_text, read_value

__all__ = ["Override", "anchor_profiles", "apply", "inherit", "merge", "parse_override"]


def inherit(document: Document, folder: Path | None, path: Path | None = None) -> Document:
    """Return what a file says once everything it extends is filled in below it.

    ``folder`` is what relative paths start from, ``path`` the file itself when there is one. The
    name of a base is not inherited. Raises :class:`ScenarioError` at the line of ``extends`` when
    the base cannot be found or a file extends itself, by whatever detour.

    >>> inherit(Document("a.yaml", {"rounds": 10}), None).data
    {'rounds': 10}
    """
    chain = [document]
    seen = {os.path.realpath(path)} if path is not None else set()
    while "extends" in chain[-1].data:
        base = _locate(chain[-1], folder)
        real = os.path.realpath(base)
        if real in seen:
            route = " -> ".join([*(link.file for link in chain), str(base)])
            raise _refusal(chain[-1], f"a scenario cannot extend itself: {route}")
        seen.add(real)
        anchor_profiles(chain[-1].data, folder)
        folder = base.parent
        text = read_text(base, str(base), place=chain[-1].places.get(("extends",)))
        chain.append(read(text, str(base)))
    anchor_profiles(chain[-1].data, folder)
    merged = chain.pop()
    while chain:
        merged.data.pop("name", None)
        merged = merge(merged, chain.pop())
    merged.data.pop("extends", None)
    return merged


def _locate(document: Document, folder: Path | None) -> Path:
    value = document.data["extends"]
    if not isinstance(value, str) or not value.isprintable() or not value.strip():
        raise _refusal(document, f"must be a scenario's name or path, got {shown(value)}")
    if is_path(value):
        return Path(os.path.normpath((folder or Path()) / value))
    try:
        return find_scenario(value)
    except ScenarioError as error:
        raise _refusal(document, f"{shown(value)}: {error.problems[0].message}") from error


def _refusal(document: Document, message: str) -> ScenarioError:
    place = document.places.get(("extends",), Place(document.file))
    return ScenarioError([*document.problems, Problem(place, "extends", message)])


def anchor_profiles(data: dict[str, Any], folder: Path | None) -> None:
    """Make relative profile folders absolute, counted from the folder of the file that names them.

    >>> data = {"profile": "../measured"}
    >>> anchor_profiles(data, Path("/study/scenarios"))
    >>> data["profile"]
    '/study/measured'
    """
    if folder is None:
        return

    def anchored(value: Any) -> Any:
        if isinstance(value, list):
            return [anchored(item) for item in value]
        if isinstance(value, str) and ("/" in value or "\\" in value):
            return os.path.normpath(folder.absolute() / value)
        return value

    axes = data.get("sweep")
    holders = [data, axes]
    for key in ("zip", "list"):
        groups = axes.get(key) if isinstance(axes, dict) else None
        holders += groups if isinstance(groups, list) else [groups]
    for holder in holders:
        if isinstance(holder, dict) and "profile" in holder:
            holder["profile"] = anchored(holder["profile"])


def merge(below: Document, above: Document) -> Document:
    """Return ``above`` laid over ``below``, whose values are inherited from then on.

    >>> below, above = Document("b", {"reward": {"a": 1}, "seed": 1}), Document("a", {"seed": 2})
    >>> merge(below, above).data
    {'reward': {'a': 1}, 'seed': 2}
    """
    hidden = set(leaves(above.data))
    kept = {
        path: place._replace(inherited=True)
        for path, place in below.places.items()
        if not any(path[:length] in hidden for length in range(1, len(path) + 1))
    }
    data = laid_over(without_axes(below.data, removals(above.data)), above.data)
    places = {**kept, **above.places}
    return Document(above.file, data, places, [*below.problems, *above.problems])


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
