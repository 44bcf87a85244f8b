"""From what a scenario says about a behaviour to a node's columns, or to what is wrong with it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import Any

from poq_abm.behaviour.base import Behaviour, Columns, Role
from poq_abm.behaviour.evaluators import EVALUATOR_BEHAVIOURS
from poq_abm.behaviour.inference import INFERENCE_BEHAVIOURS
from poq_abm.errors import InputError, nearest

__all__ = ["BehaviourError", "behaviours", "load_plugin", "register", "resolve", "spell"]

_REGISTRY: dict[Role, dict[str, type[Behaviour]]] = {
    "inference": {kind.name: kind for kind in INFERENCE_BEHAVIOURS},
    "evaluator": {kind.name: kind for kind in EVALUATOR_BEHAVIOURS},
}
_MAX_DEPTH = 4


class BehaviourError(InputError):
    """What is wrong with a behaviour, and at which key below it."""

    def __init__(self, message: str, *path: str) -> None:
        super().__init__(message)
        self.message = message
        self.path = path


def behaviours(role: Role) -> dict[str, type[Behaviour]]:
    """Return the behaviours a scenario can name, by name.

    >>> "boost" in behaviours("evaluator"), "boost" in behaviours("inference")
    (True, False)
    """
    return dict(_REGISTRY[role])


def register(kind: type[Behaviour]) -> type[Behaviour]:
    """Add a behaviour of one's own; usable as a decorator.

    Raises
    ------
    InputError
        If the name is taken by another behaviour of the role.
    """
    taken = _REGISTRY[kind.role].get(kind.name)
    if taken is not None and (taken.__module__, taken.__qualname__) != (
        kind.__module__,
        kind.__qualname__,
    ):
        raise InputError(f"there is a behaviour {kind.name!r} of {kind.role} nodes already")
    _REGISTRY[kind.role][kind.name] = kind
    return kind


def resolve(role: Role, spec: Mapping[str, Any], depth: int = 0) -> Columns:
    """Return the columns that a behaviour sets.

    Raises
    ------
    BehaviourError
        If its name, role or one of its parameters cannot be used.

    Examples
    --------
    >>> resolve("evaluator", {"name": "boost", "b": 2.0})["amount"]
    2.0
    """
    kind = _kind(role, spec)
    for key in spec:
        if key != "name" and key not in kind.parameters:
            hint = nearest(key, kind.parameters) if kind.parameters else "it has none"
            raise BehaviourError(f"{kind.name} has no parameter {key!r}; {hint}", key)
    values = {key: _value(role, kind, key, spec, depth) for key in kind.parameters}
    try:
        columns = kind.columns(values)
    except InputError as error:
        raise BehaviourError(str(error), "inner") from None
    return columns if kind.report is None else {**columns, "plugin": kind(values)}


def load_plugin(module: str) -> None:
    """Import a user's module, which registers its behaviours.

    Raises
    ------
    InputError
        If it cannot be found or fails while it is imported.
    """
    if "" not in sys.path:
        sys.path.insert(0, "")  # a module beside the scenario, as `python -m` would find it
    try:
        importlib.import_module(module.removesuffix(".py"))
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise InputError(f"--plugin {module} cannot be imported: {reason}") from error


def spell(spec: Mapping[str, Any]) -> str:
    """Return a behaviour as a table shows it.

    >>> spell({"name": "boost"}), spell({"name": "boost", "b": 2.0})
    ('boost', 'boost(b=2.0)')
    """
    parameters = [
        f"{key}={spell(value) if isinstance(value, Mapping) else value}"
        for key, value in spec.items()
        if key != "name"
    ]
    return f"{spec['name']}({', '.join(parameters)})" if parameters else str(spec["name"])


def _kind(role: Role, spec: Mapping[str, Any]) -> type[Behaviour]:
    name = spec.get("name")
    if not isinstance(name, str):
        raise BehaviourError("a behaviour needs a name, as in {name: boost, b: 3.0}")
    if name in _REGISTRY[role]:
        return _REGISTRY[role][name]
    other: Role = "inference" if role == "evaluator" else "evaluator"
    if name in _REGISTRY[other]:
        raise BehaviourError(f"{name!r} is a behaviour of {other} nodes, not of {role} nodes")
    raise BehaviourError(f"unknown behaviour {name!r}; {nearest(name, _REGISTRY[role])}")


def _value(role: Role, kind: type[Behaviour], key: str, spec: Mapping[str, Any], depth: int) -> Any:
    parameter = kind.parameters[key]
    if parameter.required and spec.get(key) is None:
        raise BehaviourError(f"{kind.name} needs {key!r}: {parameter.meaning}", key)
    value = spec.get(key, parameter.default)
    if value is None and parameter.default is None:
        return None
    fault = "must be given a value" if value is None else parameter.fault(value)
    if fault is not None:
        raise BehaviourError(f"{kind.name}: {key} {fault}", key)
    if parameter.kind != "behaviour":
        return value
    if depth >= _MAX_DEPTH:
        raise BehaviourError(f"behaviours nested more than {_MAX_DEPTH} deep", key)
    inner = {"name": value} if isinstance(value, str) else value
    if not isinstance(inner, Mapping):
        raise BehaviourError(f"{kind.name}: {key} must be a behaviour, got {value!r}", key)
    try:
        return resolve(role, inner, depth + 1)
    except BehaviourError as fault_inside:
        raise BehaviourError(fault_inside.message, key, *fault_inside.path) from None
