"""Inheritance: ``extends`` followed to its end, and the files laid over each other."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from poq_abm.scenario.checks.problems import Place, Problem, ScenarioError, shown
from poq_abm.scenario.library import find_scenario, is_path
from poq_abm.scenario.overlay import laid_over, leaves, removals, without_axes
from poq_abm.scenario.yaml.source import Document, read, read_text

__all__ = ["anchor_profiles", "inherit", "merge"]


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
