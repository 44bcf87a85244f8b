"""Dotted paths into a scenario: reading them, checking them, writing through them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

from poq_abm.errors import nearest
from poq_abm.rules.registry import own_rules
from poq_abm.rules.rule import Kind
from poq_abm.scenario.checks.problems import KeyPath, dotted, shown
from poq_abm.scenario.schema.fields import Strict
from poq_abm.scenario.schema.rule_keys import NamedRule
from poq_abm.scenario.schema.settings import Settings
from poq_abm.scenario.sweep.designs import DESIGNS, AxisRange

__all__ = [
    "fault",
    "field_at",
    "is_open",
    "is_share",
    "keys_at",
    "kind_at",
    "rule_at",
    "split",
    "value_at",
]

_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")
_NAMED = "{}"
_DESIGNED: dict[KeyPath, type[Strict]] = {
    **{("sweep", name): design for name, design in DESIGNS.items()},
    **{("sweep", name, "ranges", "*"): AxisRange for name in DESIGNS},
}


def _kinds(annotation: Any) -> Iterator[tuple[KeyPath, Any]]:
    """Yield what a field may hold, plain, with a star for each list that it stands in.

    A mapping of sections by names of the author's own, as vendors are, has braces for the name.
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from _kinds(arguments[0])
    elif origin in (Union, UnionType):
        for argument in arguments:
            yield from _kinds(argument)
    elif origin is tuple:
        yield from ((("*", *below), kind) for below, kind in _kinds(arguments[0]))
    else:
        yield (), origin or annotation
        if origin is dict:
            inside = _kinds(arguments[1])
            yield from (((_NAMED, *below), kind) for below, kind in inside if _is_section(kind))


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Strict)


def _fields(model: type[Strict], at: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Yield every place of the schema below ``model``, with what it may hold."""
    for name, field in model.known().items():
        for named in field.metadata:
            if isinstance(named, NamedRule):  # one of one's own may have parameters
                yield (*at, name), named.kind
                yield (*at, name), dict
        for below, kind in _kinds(field.annotation):
            yield (*at, name, *below), kind
            if _is_section(kind):
                yield from _fields(kind, (*at, name, *below))


class _Places(NamedTuple):
    """What may stand where in a scenario, by path."""

    models: dict[KeyPath, type[Strict]]
    keys: dict[KeyPath, tuple[str, ...]]
    open: set[KeyPath]  #: mappings whose keys the author chooses
    lists: set[KeyPath]
    mappings: set[KeyPath]  #: of sections by names of the author's own
    kinds: dict[KeyPath, Kind[Any]]  #: of the rules that fields name


def _places() -> _Places:
    return _places_with(tuple(own_rules()))


@lru_cache(maxsize=8)
def _places_with(_own: tuple[object, ...]) -> _Places:
    """Return what may stand where; rules of one's own may have sections."""
    places = tuple(_fields(Settings))
    models: dict[KeyPath, type[Strict]] = {
        (): Settings,
        **{path: kind for path, kind in places if _is_section(kind)},
        **_DESIGNED,
    }
    keys = {path: tuple(model.known()) for path, model in models.items()}
    keys[()] += ("extends",)
    # Besides mappings of the author's own, what is malicious may have parameters.
    is_open = {path for path, kind in places if kind is dict and path != ("sweep",)}
    return _Places(
        models,
        keys,
        is_open | {("malicious",)},
        {path[: path.index("*")] for path, _ in places if "*" in path},
        {path[: path.index(_NAMED)] for path, _ in places if _NAMED in path},
        {path: kind for path, kind in places if isinstance(kind, Kind)},
    )


_PREFIXES: tuple[tuple[str, ...], ...] = (
    *(("sweep", name, "ranges") for name in DESIGNS),
    *(("sweep", name) for name in (*DESIGNS, "zip")),
    ("sweep",),
)


def keys_at(path: KeyPath) -> tuple[str, ...] | None:
    """Return the keys that the mapping at ``path`` may have, or ``None`` if any or none may stand.

    >>> keys_at(("mechanism", "trust"))[:3]
    ('update', 'rate', 'minimum')
    """
    return _places().keys.get(_pattern(path))


def _pattern(path: KeyPath) -> KeyPath:
    """Return the path with a star for every group of nodes and every swept path."""
    if path[:1] == ("sweep",) and path[2:3] == ("ranges",) and len(path) == 4:
        return (*path[:3], "*")
    made: list[str | int] = []
    mappings = _places().mappings
    for part in path:
        named = tuple(made) in mappings
        made.append(_NAMED if named else "*" if isinstance(part, int) else part)
    return tuple(made)


def field_at(path: KeyPath) -> tuple[type[Strict], str] | None:
    """Return the part of the schema that has the field at ``path``, and its key there.

    >>> field_at(("mechanism", "committee_size"))[0].__name__
    'Mechanism'
    """
    model, key = _places().models.get(_pattern(path[:-1])), str(path[-1])
    return None if model is None or key not in model.known() else (model, key)


def split(text: str) -> KeyPath:
    """Return the parts of a dotted path; what follows ``sweep.`` is one part.

    So is what follows ``sweep.zip.``, the name of a design, and the ``ranges`` of one.

    >>> split("population.inference.0.count"), split("sweep.mechanism.committee_size")
    (('population', 'inference', 0, 'count'), ('sweep', 'mechanism.committee_size'))
    """
    for prefix in _PREFIXES:
        start = ".".join(prefix) + "."
        if text.startswith(start):
            return (*prefix, text.removeprefix(start))
    parts: list[str | int] = []
    for part in text.split("."):
        is_index = tuple(parts) in _places().lists and _INDEX.fullmatch(part)
        parts.append(int(part) if is_index else part)
    return tuple(parts)


def fault(path: KeyPath, data: Mapping[str, Any]) -> str | None:
    """Return what is wrong with a path into ``data``, or ``None`` when a value may be put there.

    >>> fault(("mechanism", "comittee_size"), {})
    "unknown key; did you mean 'committee_size'?"
    >>> fault(("population", "inference", 2), {"population": {"inference": [{}, {}]}})
    'there is no group 2; there are 2, counted from 0'
    """
    here: Any = data
    if path[:1] == ("malicious",) and path[1:2] not in {(), ("share",), ("behaviour",)}:
        path = ("malicious", "behaviour", *path[1:])  # its parameters may stand beside the share
    for depth, part in enumerate(path):
        parent = path[:depth]
        if parent and parent[0] == "sweep":
            break
        wrong = (
            _no_list(parent, here, part)
            if parent in _places().lists
            else _no_key(parent, here, part)
        )
        if wrong is not None:
            return wrong
        here = _inside(here, part)
        if isinstance(here, str) and rule_at(path[: depth + 1]) is not None:
            here = {"name": here}
    return None


def value_at(path: KeyPath, data: Any) -> Any:
    """Return the value at ``path``, or ``None`` where there is none.

    >>> value_at(("mechanism", "tau"), {"mechanism": {"tau": 0.1}})
    0.1
    """
    for part in path:
        data = _inside(data, part)
    return data


def is_open(path: KeyPath) -> bool:
    """Return whether the mapping at ``path`` may have keys that the schema does not list.

    >>> is_open(("synthetic",)), is_open(("mechanism",))
    (True, False)
    """
    whole = _pattern(path)
    return any(whole[:length] in _places().open for length in range(1, len(whole) + 1))


def is_share(path: KeyPath) -> bool:
    """Return whether the mapping at ``path`` holds shares that sum to 1, and so is one value.

    >>> is_share(("tasks",)), is_share(("population", "inference", 0, "hardware"))
    (True, True)
    """
    return path == ("tasks",) or path[-1:] == ("hardware",) or path[-1:] == ("tasks_end",)


def rule_at(path: KeyPath) -> str | None:
    """Return whose rule stands at ``path``: a behaviour's role, ``adaptation``, or nobody's.

    >>> rule_at(("malicious", "behaviour")), rule_at(("economy", "adaptation", 0))
    ('evaluator', 'adaptation')
    """
    match path:
        case ("malicious", "behaviour") | ("population", "evaluators", _, "behaviour"):
            return "evaluator"
        case ("population", "inference", _, "behaviour"):
            return "inference"
        case ("economy", "options", ("inference" | "evaluator") as role, int()):
            return str(role)
        case ("economy", "adaptation", int()):
            return "adaptation"
    return None


def kind_at(path: KeyPath) -> Kind[Any] | None:
    """Return the kind of rule that the field at ``path`` names, or nothing.

    >>> kind_at(("mechanism", "aggregation")).name
    'aggregation rule'
    """
    return _places().kinds.get(path)


def _no_key(parent: KeyPath, here: Any, part: str | int) -> str | None:
    known = keys_at(parent)
    if known is None and not is_open(parent):
        return f"{dotted(parent)} is a single value: there is no {shown(part)} in it"
    if not isinstance(here, Mapping | None):
        return f"{dotted(parent)} is {shown(here)}, not a mapping: nothing can be put in it"
    if known is not None and part not in known and not is_open(parent):
        return f"unknown key; {nearest(str(part)[:80], known)}"
    return None


def _no_list(parent: KeyPath, here: Any, part: str | int) -> str | None:
    size = len(here) if isinstance(here, list) else 0
    noun, key = ("group", ".count") if parent[0] == "population" else ("entry", "")
    if not isinstance(part, int):
        return f"{dotted(parent)} is a list: say which {noun}, as in {dotted(parent)}.0{key}"
    if part >= size:
        return f"there is no {noun} {part}; there are {size}, counted from 0"
    return None


def _inside(data: Any, part: str | int) -> Any:
    if isinstance(data, Mapping):
        return data.get(str(part))
    if isinstance(data, list) and isinstance(part, int) and part < len(data):
        return data[part]
    return None
