"""From what a scenario says about a behaviour to a node's columns, or to what is wrong with it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from poq_abm.errors import InputError, nearest
from poq_abm.rules.behaviour.base import COLUMNS, Behaviour, Columns, Role
from poq_abm.rules.behaviour.evaluators import EVALUATOR_BEHAVIOURS
from poq_abm.rules.behaviour.inference import INFERENCE_BEHAVIOURS

__all__ = [
    "BehaviourError",
    "behaviours",
    "is_lazy",
    "load_plugin",
    "load_plugins",
    "own_behaviours",
    "register",
    "resolve",
    "spell",
]

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


def own_behaviours() -> list[type[Behaviour]]:
    """Return the behaviours that users registered, of both roles.

    >>> any(kind.name == "boost" for kind in own_behaviours())
    False
    """
    shipped = (*INFERENCE_BEHAVIOURS, *EVALUATOR_BEHAVIOURS)
    known = (kind for kinds in _REGISTRY.values() for kind in kinds.values())
    return [kind for kind in known if kind not in shipped]


def register(kind: type[Behaviour]) -> type[Behaviour]:
    """Add a behaviour of one's own; usable as a decorator.

    Raises
    ------
    InputError
        If the name is taken by another behaviour of the role, or an inference behaviour reports.
    """
    if kind.role == "inference" and kind.report is not None:
        raise InputError(
            f"{kind.name}: an inference node reports no score; its behaviour sets columns: "
            + ", ".join(COLUMNS["inference"])
        )
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
    columns = _columns(role, kind, values)
    return columns if kind.report is None else {**columns, "plugin": kind(values)}


def is_lazy(role: Role, spec: Mapping[str, Any]) -> bool:
    """Return whether a node runs no model in the rounds in which it does as its behaviour has it.

    A behaviour that turns another one on and off is as lazy as that one.

    >>> is_lazy("evaluator", {"name": "boost"}), is_lazy("evaluator", {"name": "copycat"})
    (False, True)
    >>> is_lazy("evaluator", {"name": "sleeper", "inner": "constant"})
    True
    """
    kind = _kind(role, spec)
    inner = [
        spec.get(key, parameter.default)
        for key, parameter in kind.parameters.items()
        if parameter.kind == "behaviour"
    ]
    specs = [{"name": each} if isinstance(each, str) else each for each in inner]
    return kind.traits.lazy or any(is_lazy(role, each) for each in specs)


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


def load_plugins(modules: Iterable[str] | None) -> None:
    """Import what ``--plugin`` names, in that order; see :func:`load_plugin`."""
    for module in modules or ():
        load_plugin(module)


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


def _columns(role: Role, kind: type[Behaviour], values: Mapping[str, Any]) -> Columns:
    """Return the columns, or say which of them a user's own behaviour sets wrongly."""
    try:
        columns = dict(kind.columns(values))
    except InputError as error:
        raise BehaviourError(str(error), "inner") from None
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise BehaviourError(f"the columns of {kind.name} cannot be had: {reason}") from error
    known = COLUMNS[role]
    for name, value in columns.items():
        if name == "plugin" or (value is None and name == "target"):
            continue
        if name not in known:
            hint = nearest(name, known)
            raise BehaviourError(f"{kind.name} sets no column of {role} nodes: {name!r}; {hint}")
        fault = known[name].fault(value)
        if fault is not None:
            raise BehaviourError(f"{kind.name}: column {name} {fault}")
    return columns


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
        columns = resolve(role, inner, depth + 1)
    except BehaviourError as fault_inside:
        raise BehaviourError(fault_inside.message, key, *fault_inside.path) from None
    if "plugin" in columns and kind.report is None:
        # Such a report is called in every round, so that the gate would do nothing.
        name = inner["name"]
        raise BehaviourError(f"{kind.name} cannot turn on and off {name!r}, which reports", key)
    return columns
