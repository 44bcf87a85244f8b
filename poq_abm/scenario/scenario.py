"""The scenario itself: validated settings that remember where each of them was written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import PrivateAttr, ValidationError

from poq_abm.scenario.checks.explaining import findings, salvaged
from poq_abm.scenario.checks.problems import (
    MAX_PROBLEMS,
    KeyPath,
    Origins,
    Place,
    Problem,
    ScenarioError,
    shown,
)
from poq_abm.scenario.merging import Override, apply
from poq_abm.scenario.overlay import leaves, put
from poq_abm.scenario.paths import split
from poq_abm.scenario.schema.settings import Settings
from poq_abm.scenario.sweep.axes import Group, expand
from poq_abm.scenario.sweep.treatments import is_drawn, plan
from poq_abm.scenario.yaml_text import plain, to_yaml

__all__ = ["Scenario", "Treatment", "build"]


class Scenario(Settings):
    """What to play, complete and validated; two scenarios are equal when all their keys are.

    Make one with :func:`poq_abm.scenario.load` or :func:`poq_abm.scenario.parse`, whose errors name
    file and line.

    >>> from poq_abm.scenario import load
    >>> scenario = load("cost_aware_poq", ["mechanism.committee_size=2"])
    >>> scenario.mechanism.committee_size, scenario.population.evaluator_nodes
    (2, 3)
    """

    _origins: Origins = PrivateAttr(default_factory=lambda: Origins({}))
    _question: str = PrivateAttr("")
    #: the treatments, with the fields that they were made from
    _expanded: tuple[dict[str, Any], list[Treatment]] | None = PrivateAttr(None)

    def __getstate__(self) -> dict[Any, Any]:
        state = super().__getstate__()
        private = {**(state["__pydantic_private__"] or {}), "_expanded": None}
        return {**state, "__pydantic_private__": private}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Scenario):
            return NotImplemented
        return self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash((self.name, self.profile, self.rounds, self.seed))

    @property
    def question(self) -> str:
        """The question the file answers: the first sentence of its leading comment, or nothing."""
        return self._question

    @property
    def origins(self) -> Origins:
        """Where each value was written."""
        return self._origins

    @property
    def is_drawn(self) -> bool:
        """Whether a design draws values of the sweep, so that the file alone does not say them."""
        return is_drawn(self.sweep)

    def treatments(self) -> list[Treatment]:
        """Return one treatment per cell of the sweep, the last axis moving fastest.

        >>> from poq_abm.scenario import load
        >>> [treatment.id for treatment in load("committee_size").treatments()]
        ['committee_size=1', 'committee_size=2', 'committee_size=3']
        """
        if not self.sweep:
            return [Treatment("base", {}, self)]
        if self._expanded is None or not _same_objects(self._expanded[0], self.__dict__):
            self._expanded = (dict(self.__dict__), self._expand())
        return list(self._expanded[1])

    def _expand(self) -> list[Treatment]:
        data = self.written()
        groups, wrong = plan(self.sweep, data)
        if wrong:
            raise ScenarioError(self._origins.problem(finding) for finding in wrong)
        treatments, problems = _treatments(data, self, groups, self._origins)
        if problems:
            raise ScenarioError(problems)
        return treatments

    def replace(self, settings: Mapping[str, Any]) -> Scenario:
        """Return a scenario with other values at these dotted paths, merged as in files.

        A mapping keeps what it does not name, ``None`` and ``{}`` remove. Values may come from
        NumPy, and be ranges, tuples or sections of the schema.

        >>> from poq_abm.scenario import load
        >>> load("cost_aware_poq").replace({"rounds": 10}).rounds
        10
        """
        given: object = settings
        if not isinstance(given, Mapping):
            said = f"replace takes a mapping of paths to values, got {shown(settings)}"
            raise ScenarioError([Problem(Place("replace"), "", said)])
        overrides = [
            Override(Place(f"replace {path}={shown(value)}"), str(path), plain(value))
            for path, value in settings.items()
        ]
        data, origins, problems = apply(self.written(), self._origins.settled(), overrides)
        if not (problems or self.sweep or "sweep" in data):
            made = self._with_sections(data, {str(split(path)[0]) for path in settings}, origins)
            if made is not None:
                return made
        return build(data, origins, self._question, problems)

    def _with_sections(
        self, data: dict[str, Any], touched: set[str], origins: Origins
    ) -> Scenario | None:
        """Return a scenario with these sections of plain data and the others of this one.

        What nobody touched is neither copied nor validated again. Nothing if anything is wrong.
        """
        kept = {key: value for key, value in self if key not in touched}
        made = _validated({**kept, **{key: data[key] for key in touched & data.keys()}}, origins)
        if isinstance(made, list):
            return None
        made = made._as_written(set(data))
        made._question = self._question
        return made

    def written(self) -> dict[str, Any]:
        """Return the keys that somebody wrote, as plain JSON data; the others have their defaults.

        >>> from poq_abm.scenario import parse
        >>> text = "population: {inference: [{model: a}], evaluators: [{model: b}]}"
        >>> sorted(parse(text).replace({"rounds": 10}).written())
        ['population', 'rounds']
        """
        return self.model_dump(mode="json", exclude_unset=True)

    def _as_written(self, keys: set[str]) -> Scenario:
        """Return the same scenario, of which only these keys count as written."""
        made = Scenario.model_construct(_fields_set=keys, **dict(self))
        made._origins = self._origins
        return made

    def resolved(self) -> dict[str, Any]:
        """Return every key with its value as plain JSON data; a sweep stays as it was written."""
        return self.model_dump(mode="json")

    def to_yaml(self) -> str:
        """Return a scenario file that says the same, defaults written out, nothing inherited."""
        return to_yaml(self.resolved(), self._question)


@dataclass(frozen=True)
class Treatment:
    """One cell of a sweep: its id, what the axes set, and the scenario to play, sweep-free.

    ``settings`` maps dotted paths to plain values, drawn ones included.
    """

    id: str
    settings: dict[str, Any]
    scenario: Scenario


def _same_objects(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one.keys() == other.keys() and all(one[key] is other[key] for key in one)


def build(
    data: dict[str, Any], origins: Origins, question: str = "", known: Sequence[Problem] = ()
) -> Scenario:
    """Return the scenario that plain data describes, all its treatments validated.

    ``known`` are problems found on the way here. Raises :class:`ScenarioError` with every problem
    of every treatment, each once.

    >>> group = {"inference": [{"model": "a"}], "evaluators": [{"model": "b"}]}
    >>> build({"population": group}, Origins({})).rounds
    5000
    """
    base = _validated(data, origins)
    problems = (
        [problem for problem in base if not _explained(problem, known)]
        if isinstance(base, list)
        else []
    )
    written, treatments = data.get("sweep"), list[Treatment]()
    if isinstance(written, dict) and written:
        groups, wrong = plan(written, data)
        problems += [origins.problem(finding) for finding in wrong]
        if not wrong:
            treatments, more = _treatments(data, base, groups, origins)
            problems += more
    problems = list(dict.fromkeys([*known, *problems]))
    if problems or isinstance(base, list):
        raise ScenarioError(problems, _salvaged(data, origins))
    base._question = question
    for treatment in treatments:
        treatment.scenario._question = question
    base._expanded = (dict(base.__dict__), treatments) if treatments else None
    return base


def _salvaged(data: dict[str, Any], origins: Origins) -> Scenario | None:
    rest = salvaged(data)
    scenario = None if rest is None else _validated(rest, origins)
    return scenario if isinstance(scenario, Scenario) else None


def _explained(problem: Problem, known: Sequence[Problem]) -> bool:
    """Return whether a problem only repeats that its value could not be read."""
    return any(k.path and f"{problem.path}.".startswith(f"{k.path}.") for k in known)


def _treatments(
    data: dict[str, Any], base: Scenario | list[Problem], groups: list[Group], origins: Origins
) -> tuple[list[Treatment], list[Problem]]:
    """Return the treatments, and the problems of the first that have any."""
    treatments: list[Treatment] = []
    found: dict[Problem, None] = {}
    failures = 0
    for identity, settings, played in _cells(data, base, groups, origins):
        if isinstance(played, list):
            found.update(dict.fromkeys(played))
            failures += 1
            if failures > MAX_PROBLEMS or len(found) > MAX_PROBLEMS:
                break
        else:
            treatments.append(Treatment(identity, settings, played))
    return treatments, list(found)


def _cells(
    data: dict[str, Any], base: Scenario | list[Problem], groups: list[Group], origins: Origins
) -> Iterator[tuple[str, dict[str, Any], Scenario | list[Problem]]]:
    """Yield id, settings and scenario (or its problems) of every treatment.

    Sections that no axis touches are shared with ``base``, and those on which axes say the same are
    shared by treatments, neither copied nor validated again.
    """
    paths = {axis.name: split(axis.name) for group in groups for axis in group.axes}
    swept: dict[str, list[str]] = {}
    for name, path in paths.items():
        swept.setdefault(str(path[0]), []).append(name)
    made: dict[tuple[object, ...], Any] = {}
    laid: dict[tuple[tuple[KeyPath, Place], ...], Origins] = {}
    fields = dict(base) if isinstance(base, Scenario) else data
    fields = {key: value for key, value in fields.items() if key not in ("sweep", *swept)}
    for identity, settings, places in expand(groups):
        over = {
            leaf: origins.at(place)
            for name, place in places.items()
            for leaf in leaves(settings[name], paths[name])
        }
        here = tuple(over.items())
        if here not in laid:
            laid[here] = origins.laid_over(over)
        changed: dict[str, Any] = {key: data[key] for key in swept if key in data}
        for name, value in settings.items():
            changed = put(changed, paths[name], value)
        # Rows of a sweep keep their values, so that identity tells who says the same.
        said = {key: (key, *(id(settings[name]) for name in swept[key])) for key in changed}
        known = {key: made.get(said[key], value) for key, value in changed.items()}
        played = _validated({**fields, **known}, laid[here])
        if isinstance(base, Scenario) and isinstance(played, Scenario):
            made |= {said[key]: getattr(played, key) for key in changed}
            written = base.model_fields_set - swept.keys() - {"sweep"} | changed.keys()
            played = played._as_written(written)
        yield identity, settings, played


def _validated(data: Mapping[str, Any], origins: Origins) -> Scenario | list[Problem]:
    try:
        scenario = Scenario.model_validate(data)
    except ValidationError as error:
        return [origins.problem(finding) for finding in findings(error)]
    scenario._origins = origins
    return scenario
