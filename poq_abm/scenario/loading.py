"""Loading a scenario: read, inherit, override, validate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path, PurePath
from typing import Any

from poq_abm.scenario.checks.problems import Origins, Place, Problem, ScenarioError, shown
from poq_abm.scenario.library import find_scenario, is_path
from poq_abm.scenario.merging import Override, apply, inherit, parse_override
from poq_abm.scenario.scenario import Scenario, build
from poq_abm.scenario.sweep.table import TABLE_PATH, with_table
from poq_abm.scenario.yaml_source import Document, given, question, read, read_text

__all__ = ["load", "load_beside", "parse"]


def load(source: str | Path | Mapping[str, Any], overrides: Sequence[str] = ()) -> Scenario:
    """Return the scenario of that name in the library or, given a path, the one in that file.

    A ``source`` that ends in ``.yaml`` or ``.yml`` or contains a separator is a path, and a mapping
    says what a file would. ``overrides`` are texts such as ``"mechanism.committee_size=2"``. Raises
    :class:`ScenarioError` naming every problem with its file and line.

    >>> load("cost_aware_poq", ["rounds=10"]).rounds
    10
    """
    if isinstance(source, Mapping):
        return _assembled(given(source, "<mapping>"), "", Path(), None, overrides)
    asked: object = source
    if not isinstance(asked, str | PathLike):
        said = f"a scenario is a name, a path or a mapping, got {shown(source)}"
        raise ScenarioError([Problem(Place("load"), "", said)])
    is_file = isinstance(source, PathLike) or is_path(source)
    path = Path(source) if is_file else find_scenario(str(source))
    text = read_text(path, str(path))
    return _assembled(read(text, str(path)), question(text), path.parent, path, overrides)


def parse(
    text: str,
    *,
    origin: str = "<text>",
    folder: Path | None = None,
    overrides: Sequence[str] = (),
) -> Scenario:
    """Return the scenario that a YAML text describes.

    ``origin`` stands for the file in messages, ``folder`` is where relative paths start (default:
    the working directory). Raises :class:`ScenarioError`.

    >>> text = "population: {inference: [{model: a}], evaluators: [{model: b}]}"
    >>> parse(text).mechanism.committee_size
    3
    """
    return _assembled(read(text, origin), question(text), folder, None, overrides)


def load_beside(
    path: Path, sections: Sequence[str], overrides: Sequence[str] = ()
) -> tuple[Scenario, dict[str, Any], Origins]:
    """Return the scenario of a file, what the file says in more sections, and where.

    The sections are no part of a scenario, and no override reaches them; they are plain data, and
    those that the file lacks are left out. Raises :class:`ScenarioError`.
    """
    text = read_text(path, str(path))
    document = read(text, str(path))
    origins = Origins(document.places)
    said = {name: document.data.pop(name) for name in sections if name in document.data}
    document.places = {at: place for at, place in document.places.items() if at[:1] not in
                       [(name,) for name in sections]}  # fmt: skip
    return _assembled(document, question(text), path.parent, path, overrides), said, origins


def _assembled(
    written: Document,
    asked: str,
    folder: Path | None,
    path: Path | None,
    overrides: Sequence[str],
) -> Scenario:
    """Return the scenario of a file that asks a question, with what it extends and overrides."""
    file = written.file
    document = inherit(written, folder, path)
    data, problems = document.data, list(document.problems)
    if "name" not in data and file.endswith((".yaml", ".yml")):
        data = {"name": PurePath(file).stem, **data}
    settings: list[Override] = []
    for override in [overrides] if isinstance(overrides, str) else overrides:
        try:
            settings.append(parse_override(override))
        except ScenarioError as error:
            problems += error.problems
    data, origins, wrong = apply(data, Origins(document.places), settings)
    data, unread = with_table(data, Path() if origins.is_override(TABLE_PATH) else folder)
    wrong += [origins.problem(finding) for finding in unread]
    return build(data, origins, asked, problems + wrong)
