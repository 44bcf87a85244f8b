"""Which attacks the page offers for a scenario, and how strong each of them can be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from poq_abm.rules.behaviour.base import BEHAVIOURS
from poq_abm.rules.registry import rules
from poq_abm.rules.rule import Parameter

if TYPE_CHECKING:
    from poq_abm.scenario import Scenario

__all__ = ["Strength", "attacks_of", "strength_of", "strengthened"]

Spec = dict[str, Any]

#: what a behaviour's size is called, wherever it has one
_SIZES = ("b", "sigma", "score")
_DEFAULT = "boost"
_SCALE = 10.0  # points; a size without an upper bound is offered up to the whole scale


@dataclass(frozen=True)
class Strength:
    """A size that can be moved: whose it is, its range, and what the scenario says."""

    label: str
    start: float
    low: float
    high: float
    step: float
    group: int | None  #: place among the evaluator groups; none for what ``malicious`` does


def attacks_of(scenario: Scenario) -> dict[str, Spec]:
    """Return what malicious evaluators can do, by name; first what the scenario has them do.

    >>> from poq_abm.scenario import load
    >>> attacks_of(load("cost_aware_poq"))["noise"]
    {'name': 'noise'}
    """
    malicious = scenario.malicious
    own: Spec = {"name": _DEFAULT} if malicious is None else dict(malicious.behaviour)
    found = {str(own["name"]): own}
    for name, kind in rules(BEHAVIOURS["evaluator"]).items():
        needs = any(parameter.required for parameter in kind.parameters.values())
        if name != "honest" and not needs:
            found.setdefault(name, {"name": name})
    return found


def strength_of(scenario: Scenario) -> dict[str, Strength]:
    """Return the sizes of attacks that can be moved, by the key of their control.

    ``strength`` is that of malicious evaluators, whatever their attack; ``strength_2`` is that of
    the third group of evaluators, whose behaviour the scenario says.

    >>> from poq_abm.scenario import load
    >>> strength_of(load("cost_aware_poq"))["strength"].start
    3.0
    """
    named = attacks_of(scenario)
    sizes = {name: _size(spec) for name, spec in named.items()}
    first = next(iter(sizes.values()))
    highest = max(size[1].high for size in sizes.values() if size is not None)
    start = 3.0 if first is None else _value(first)
    found = {
        "strength": Strength(
            "Strength of the attack (points)", start, 0.0, max(start, min(highest, _SCALE)), 0.1,
            None
        )
    }  # fmt: skip
    groups = scenario.population.evaluators
    for place, (label, group) in enumerate(
        zip(scenario.population.evaluator_labels, groups, strict=True)
    ):
        size = _size(group.behaviour)
        if size is not None and group.count:
            value, parameter = _value(size), size[1]
            high = max(value, min(parameter.high, _SCALE))
            text = f"{label}: strength of {group.behaviour['name']} (points)"
            found[f"strength_{place}"] = Strength(text, value, 0.0, high, 0.1, place)
    return found


def strengthened(spec: Mapping[str, Any], value: float) -> Spec:
    """Return a behaviour with another size; one that has none stays as it is.

    >>> strengthened({"name": "intermittent", "p": 0.5}, 2.0)
    {'name': 'intermittent', 'p': 0.5, 'inner': {'name': 'boost', 'b': 2.0}}
    >>> strengthened({"name": "copycat"}, 2.0)
    {'name': 'copycat'}
    """
    size = _size(spec)
    if size is None:
        return dict(spec)
    if size[0] != "inner":
        return {**spec, size[0]: value}
    return {**spec, "inner": strengthened(_inner(spec), value)}


def _size(spec: Mapping[str, Any]) -> tuple[str, Parameter, Mapping[str, Any]] | None:
    """Return the key, parameter and owner of a behaviour's size, or nothing."""
    kind = rules(BEHAVIOURS["evaluator"]).get(str(spec["name"]))
    if kind is None:
        return None
    for key in _SIZES:
        parameter = kind.parameters.get(key)
        if parameter is not None and parameter.kind == "number":
            return key, parameter, spec
    if "inner" in kind.parameters:
        inside = _size(_inner(spec))
        return None if inside is None else ("inner", inside[1], inside[2])
    return None


def _inner(spec: Mapping[str, Any]) -> Spec:
    inner = spec.get("inner", _DEFAULT)
    return {"name": inner} if isinstance(inner, str) else dict(inner)


def _value(size: tuple[str, Parameter, Mapping[str, Any]]) -> float:
    _, parameter, owner = size
    given = next((owner[key] for key in _SIZES if key in owner), parameter.default)
    return float(given)
