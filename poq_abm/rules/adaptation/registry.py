"""From what a scenario says about adaptation to a rule, or to what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from poq_abm.errors import InputError, nearest
from poq_abm.rules.adaptation.base import ROLE, Adaptation
from poq_abm.rules.adaptation.behaviours import BestResponse, EpsilonGreedy, Imitation
from poq_abm.rules.adaptation.equipment import ModelSwitch, Upgrade
from poq_abm.rules.adaptation.presence import EntryExit, Sybil
from poq_abm.rules.behaviour.resolving import BehaviourError

__all__ = ["SHIPPED", "adaptations", "own_adaptations", "register_adaptation", "resolve_adaptation"]

SHIPPED: tuple[type[Adaptation], ...] = (
    EntryExit,
    Imitation,
    BestResponse,
    EpsilonGreedy,
    Upgrade,
    ModelSwitch,
    Sybil,
)
_REGISTRY: dict[str, type[Adaptation]] = {kind.name: kind for kind in SHIPPED}


def adaptations() -> dict[str, type[Adaptation]]:
    """Return the rules that a scenario can name, by name.

    >>> "imitation" in adaptations()
    True
    """
    return dict(_REGISTRY)


def own_adaptations() -> list[type[Adaptation]]:
    """Return the rules that users registered."""
    return [kind for kind in _REGISTRY.values() if kind not in SHIPPED]


def register_adaptation(kind: type[Adaptation]) -> type[Adaptation]:
    """Add a rule of one's own; usable as a decorator.

    Raises :class:`~poq_abm.errors.InputError` if the name is taken by another rule.
    """
    taken = _REGISTRY.get(kind.name)
    own = (kind.__module__, kind.__qualname__)
    if taken is not None and (taken.__module__, taken.__qualname__) != own:
        raise InputError(f"there is a rule of adaptation {kind.name!r} already")
    _REGISTRY[kind.name] = kind
    return kind


def resolve_adaptation(spec: Mapping[str, Any]) -> Adaptation:
    """Return the rule that a scenario describes.

    Raises :class:`~poq_abm.rules.behaviour.resolving.BehaviourError` with the key that is wrong.

    >>> resolve_adaptation({"name": "entry_exit", "outside": 2.0}).values["outside"]
    2.0
    """
    kind = _REGISTRY.get(spec["name"])
    if kind is None:
        name = str(spec["name"])[:80]
        raise BehaviourError(f"unknown adaptation {name!r}; {nearest(name, _REGISTRY)}")
    for key in spec:
        if key != "name" and key not in kind.parameters:
            raise BehaviourError(
                f"{kind.name} has no parameter {key!r}; {nearest(str(key), kind.parameters)}", key
            )
    return kind({key: _value(kind, key, spec) for key in kind.parameters})


def _value(kind: type[Adaptation], key: str, spec: Mapping[str, Any]) -> Any:
    parameter = kind.parameters[key]
    if parameter.required and spec.get(key) is None:
        raise BehaviourError(f"{kind.name} needs {key!r}: {parameter.meaning}", key)
    value = spec.get(key, parameter.default)
    fault = parameter.fault(value)
    if fault is None and parameter is ROLE and value not in ("inference", "evaluator"):
        fault = f"must be 'inference' or 'evaluator', got {value!r}"
    if fault is not None:
        raise BehaviourError(f"{kind.name}: {key} {fault}", key)
    return value
