"""Settings that cannot act: what somebody wrote, and what no treatment's result depends on.

A key that was written to no effect is an error, at its line. It is a warning where that comes
naturally: a file is extended, an override or a replacement takes away what the key rested on, or
the file is complete, as ``poq show`` prints one. A key that says what holds anyhow is neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel

from poq_abm.scenario.checks.problems import KeyPath, Problem, dotted
from poq_abm.scenario.paths import split
from poq_abm.scenario.schema.fields import When
from poq_abm.scenario.sweep.treatments import written_axes

if TYPE_CHECKING:
    from poq_abm.scenario.scenario import Scenario, Treatment

__all__ = ["Idle", "idle_settings"]


class Idle(NamedTuple):
    """What does nothing in any treatment: as mistakes, and as what only needs saying."""

    errors: list[Problem]
    warnings: list[Problem]


class _Condition(NamedTuple):
    """What a key rests on: where that is declared, the condition, and the section it looks at."""

    path: KeyPath
    when: When
    section: BaseModel


class _Key(NamedTuple):
    """A written key: where it stands, whether it says what holds anyhow, what it rests on."""

    path: KeyPath
    is_default: bool
    conditions: tuple[_Condition, ...]


class _Fault(NamedTuple):
    """Why a key does nothing, and the condition that says so."""

    said: str
    condition: _Condition


def idle_settings(scenario: Scenario, treatments: Sequence[Treatment]) -> Idle:
    r"""Return the settings that were written and act in none of the treatments.

    >>> from poq_abm.scenario import parse
    >>> group = "population: {inference: [{model: a}], evaluators: [{model: b}]}"
    >>> scenario = parse(group + "\nmechanism: {tau: 0.1}", origin="a.yaml")
    >>> print(idle_settings(scenario, scenario.treatments()).errors[0])
    a.yaml:2: mechanism.tau: acts only with mechanism.aggregation: trimmed_mean or
    winsorized_mean, not 'mean'
    """
    axes = {split(name): place for name, place in written_axes(scenario.sweep)}
    idle: dict[KeyPath, list[_Fault]] = {}
    acting: set[KeyPath] = set()
    for treatment in treatments:
        played, differs = treatment.scenario, _sets_sections(treatment)
        for key in _keys(played, (), ()):
            swept = _axis_of(key.path, axes) is not None
            own = swept and any(condition.when.own for condition in key.conditions)
            if (key.path in acting and not own) or (key.is_default and not swept):
                continue
            differs = differs or own
            fault = _fault(key, played, swept=swept)
            if fault is None:
                acting.add(key.path)
            elif key.path not in idle or own:
                idle.setdefault(key.path, []).append(fault)
        if not idle.keys() - acting and not differs:
            break  # the others have the same keys
    return _told(scenario, idle, acting, axes)


def _keys(
    section: BaseModel,
    at: KeyPath,
    conditions: tuple[_Condition, ...],
    *,
    default: bool = False,
) -> Iterator[_Key]:
    """Yield every key that was written in a section and below it, with what it rests on."""
    acts = getattr(section, "acts", {})
    for name, field in type(section).model_fields.items():
        if name not in section.model_fields_set or (not at and name == "sweep"):
            continue
        value, path = getattr(section, name), (*at, name)
        mine = conditions
        if name in acts:
            mine = (*conditions, _Condition(path, acts[name], section))
        is_default = default or value == field.get_default(call_default_factory=True)
        inside = list(_sections_in(value, path))
        if not inside:
            yield _Key(path, is_default, mine)
        for place, part in inside:
            yield from _keys(part, place, mine, default=is_default)


def _sections_in(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, BaseModel]]:
    if isinstance(value, BaseModel):
        yield path, value
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            if isinstance(item, BaseModel):
                yield (*path, index), item
    elif isinstance(value, dict):
        for name, item in value.items():
            if isinstance(item, BaseModel):
                yield (*path, name), item


def _fault(key: _Key, played: Scenario, *, swept: bool) -> _Fault | None:
    """Return why a key does nothing in a treatment, if it does nothing."""
    for condition in key.conditions:
        if condition.when.swept and not swept:
            continue
        if (said := condition.when.fault(played, condition.section)) is not None:
            return _Fault(said, condition)
    return None


def _sets_sections(treatment: Treatment) -> bool:
    return any(
        isinstance(value, dict | list) or value is None for value in treatment.settings.values()
    )


def _axis_of(path: KeyPath, axes: dict[KeyPath, KeyPath]) -> KeyPath | None:
    """Return the place of the axis that sets a key, or a part of it."""
    above = (axes.get(path[:length]) for length in range(len(path), 0, -1))
    found = next((place for place in above if place is not None), None)
    if found is None and path[:1] == ("malicious",):
        return next((place for axis, place in axes.items() if axis[:1] == path[:1]), None)
    return found


def _told(
    scenario: Scenario,
    idle: dict[KeyPath, list[_Fault]],
    acting: set[KeyPath],
    axes: dict[KeyPath, KeyPath],
) -> Idle:
    """Return what was found, once for a whole section, as errors and as warnings."""
    told: tuple[dict[tuple[KeyPath, str], Problem], ...] = ({}, {})
    complete = scenario.model_fields_set >= type(scenario).model_fields.keys()
    for path, faults in idle.items():
        for said, condition in faults:
            if path in acting and not condition.when.own:
                continue
            axis = _axis_of(path, axes)
            where = axis if axis is not None else condition.path
            excused = complete or path in acting or _is_natural(scenario, axis or path, condition)
            problem = Problem(scenario.origins.at(axis or path), dotted(where), said)
            told[excused].setdefault((where, said), problem)
    return Idle(*(list(found.values()) for found in told))


def _is_natural(scenario: Scenario, path: KeyPath, condition: _Condition) -> bool:
    """Return whether a key was fine where it was written, or nobody is known to have written it."""
    origins = scenario.origins
    if origins.at(path).inherited or not origins.is_written(path):
        return True
    if origins.is_override(path):
        return False
    undone = any(origins.is_override(split(reason)) for reason in condition.when.because)
    return undone or origins.swept_anew
