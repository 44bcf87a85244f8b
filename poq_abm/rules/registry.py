"""The rules that can be named: those that ship, found where they are declared, and one's own."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, TypeVar

from poq_abm.errors import InputError, nearest
from poq_abm.rules.rule import Declared, Kind, Rule

__all__ = [
    "RuleError",
    "called",
    "complete",
    "find",
    "load_plugins",
    "own_rules",
    "register",
    "rules",
    "shipped",
]

Own = TypeVar("Own", bound=type[Rule])

_own: dict[tuple[Kind[Any], str], type[Rule]] = {}


class RuleError(InputError):
    """What is wrong with how a scenario describes a rule, and at which key below it."""

    def __init__(self, message: str, *path: str) -> None:
        super().__init__(message)
        self.message = message
        self.path = path


@cache
def shipped(kind: Kind[Declared]) -> Mapping[str, type[Declared]]:
    """Return the rules of a kind that ship, by name, in the order of their modules and lines.

    Of those with a kernel, published ones come first.

    A rule ships by being declared in a module of the kind's package (or in the module that stands
    for one); nothing else lists it.
    """
    package = importlib.import_module(kind.package)
    inside = pkgutil.iter_modules(getattr(package, "__path__", ()))
    names = sorted(module.name for module in inside)
    modules = [package, *(importlib.import_module(f"{kind.package}.{name}") for name in names)]
    declared: Iterable[Any] = (
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Rule)
        and value.__module__ == module.__name__
        and getattr(value, "kind", None) == kind
        and "name" in vars(value)
    )
    if kind.field:  # of modules by name, the published rule is the one to begin with
        declared = sorted(declared, key=lambda rule: rule.source.status != "published")
    return {rule.name: rule for rule in declared}


def rules(kind: Kind[Declared]) -> Mapping[str, type[Declared]]:
    """Return the rules of a kind that a scenario can name, by name: shipped, then one's own."""
    own: dict[str, Any] = {name: rule for (of, name), rule in _own.items() if of == kind}
    return {**shipped(kind), **own} if own else shipped(kind)


def own_rules() -> list[type[Rule]]:
    """Return the rules that users registered, of every kind."""
    return list(_own.values())


def register(rule: Own) -> Own:
    """Add a rule of one's own, of any kind; usable as a decorator.

    Raises
    ------
    InputError
        If the name is taken by another rule of the kind. The same class may be registered again,
        as a notebook does whose cell is run twice.
    """
    taken = called(rule.kind, rule.name)
    if taken is rule:
        return rule
    own = (rule.__module__, rule.__qualname__)
    if taken is not None and (taken.__module__, taken.__qualname__) != own:
        raise InputError(f"the {rule.kind.name} {rule.name!r} exists already")
    rule.check()
    _own[rule.kind, rule.name] = rule
    return rule


def called(kind: Kind[Declared], name: str) -> type[Declared] | None:
    """Return the rule of a kind that has this name, or has it in a paper; None if none has."""
    known = rules(kind)
    return known.get(name) or next((rule for rule in known.values() if name in rule.aliases), None)


def find(kind: Kind[Declared], name: str) -> type[Declared]:
    """Return the rule of a kind that a scenario names.

    Raises :class:`RuleError` with the nearest name if there is none.
    """
    rule = called(kind, name)
    if rule is None:
        raise RuleError(f"unknown {kind.name} {name[:80]!r}; {nearest(name, rules(kind))}")
    return rule


def complete(rule: type[Rule], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value of every parameter: as given, or its default.

    Raises :class:`RuleError` with the key that is unknown, missing or out of range, and for values
    that do not fit together.
    """
    for key in given:
        if key not in rule.parameters:
            hint = nearest(key, rule.parameters) if rule.parameters else "it has none"
            raise RuleError(f"{rule.name} has no parameter {key!r}; {hint}", key)
    values = {}
    for key, parameter in rule.parameters.items():
        if parameter.required and given.get(key) is None:
            raise RuleError(f"{rule.name} needs {key!r}: {parameter.meaning}", key)
        values[key] = value = given.get(key, parameter.default)
        if value is None and parameter.default is None:
            continue  # may be left open
        fault = "must be given a value" if value is None else parameter.fault(value)
        if fault is not None:
            raise RuleError(f"{rule.name}: {key} {fault}", key)
    if fault := rule.conflict(values):
        raise RuleError(f"{rule.name}: {fault}")
    return values


def load_plugins(modules: Iterable[str] | None) -> None:
    """Import what ``--plugin`` names, in that order; each registers rules of any kind.

    Raises
    ------
    InputError
        If a module cannot be found or fails while it is imported.
    """
    if "" not in sys.path:
        sys.path.insert(0, "")  # a module beside the scenario, as `python -m` would find it
    for module in modules or ():
        try:
            importlib.import_module(module.removesuffix(".py"))
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            raise InputError(f"--plugin {module} cannot be imported: {reason}") from error
