"""The schema as a reference: every key with its range, default and meaning, and as JSON Schema.

``python -m poq_abm.scenario.schema.key_reference economy`` prints a section's table in Markdown.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from poq_abm.rules.registry import shipped
from poq_abm.scenario.schema.fields import Strict
from poq_abm.scenario.schema.rule_keys import NamedRule
from poq_abm.scenario.schema.settings import Settings
from poq_abm.scenario.schema.verification import with_protocols

__all__ = ["Key", "json_schema", "keys_below", "markdown"]

_SIGNS = {Ge: ("at least", "ge"), Gt: ("above", "gt"), Le: ("at most", "le"), Lt: ("below", "lt")}
_WORDS = {str: "text", int: "whole number", float: "number", bool: "`true`, `false`"}


class Key(NamedTuple):
    """One key of a scenario, as a reader needs to know it."""

    path: str  #: dotted, with ``*`` for each entry of a list
    takes: str  #: type and range
    default: str
    meaning: str


def keys_below(model: type[Strict], prefix: str = "") -> Iterator[Key]:
    """Yield every key below a section, in the order of the schema.

    >>> next(keys_below(Settings)).path
    'name'
    """
    for name, field in model.known().items():
        path = f"{prefix}{name}"
        inner, is_list = _section_in(field.annotation)
        if inner is not None and not is_list:
            if type(None) in get_args(field.annotation):
                yield Key(path, "a section", "none", field.description or "")
            yield from keys_below(inner, f"{path}.")
            continue
        yield Key(path, _takes(field), _default(field), field.description or "")
        if inner is not None:
            yield from keys_below(inner, f"{path}.*.")


def markdown(keys: Iterator[Key], prefix: str = "") -> str:
    """Return a table of keys; what all paths begin with can be left out.

    >>> print(markdown(iter([Key("a.b", "number", "1", "what it is")]), "a."))
    | key | takes | default | meaning |
    |---|---|---|---|
    | `b` | number | 1 | what it is |
    """
    rows = ["| key | takes | default | meaning |", "|---|---|---|---|"]
    for key in keys:
        name = key.path.removeprefix(prefix)
        cells = (f"`{name}`", key.takes, key.default, key.meaning)
        rows.append("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |")
    return "\n".join(rows)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a scenario file, by which an editor checks it.

    It knows the rules and protocols that there are, plug-ins among them. What it cannot say (which
    keys act, what fits together, what a profile holds) ``poq validate`` does.

    >>> json_schema()["properties"]["rounds"]["minimum"]
    1
    """
    whole = Settings.model_json_schema()
    verification = with_protocols().model_json_schema()
    parts = whole.pop("$defs") | verification.pop("$defs") | {"Verification": verification}
    entries = set(re.findall(r'"items": {"\$ref": "#/\$defs/(\w+)"', json.dumps(parts)))
    for name, part in parts.items():
        part["description"] = part.get("description", "").partition("\n")[0]
        if name not in entries:  # lists are replaced as a whole; of a section, a base may have it
            part.pop("required", None)
    axes: dict[str, Any] = {key.path: {} for key in keys_below(Settings) if "*" not in key.path}
    whole["properties"] |= {
        "extends": {"type": "string", "description": "a scenario that ships, or a file"},
        "sweep": {**whole["properties"]["sweep"], "properties": axes},
    }
    del whole["required"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **whole,
        "title": "A scenario of poq_abm",
        "description": "What to play: mechanism, population, horizon and sweep.",
        "anyOf": [{"required": ["population"]}, {"required": ["extends"]}],
        "$defs": parts,
    }


def _section_in(annotation: Any) -> tuple[type[Strict] | None, bool]:
    """Return the section that a field holds, if any, and whether it holds a list of them."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _section_in(arguments[0])
    if origin is tuple:
        return _section_in(arguments[0])[0], True
    if origin in (Union, UnionType):
        found = [_section_in(argument) for argument in arguments]
        return next((pair for pair in found if pair[0] is not None), (None, False))
    is_section = isinstance(annotation, type) and issubclass(annotation, Strict)
    return (annotation, False) if is_section else (None, False)


def _takes(field: FieldInfo) -> str:
    named = [item.kind for item in field.metadata if isinstance(item, NamedRule)]
    said = ", ".join(f"`{name}`" for kind in named for name in shipped(kind))
    said = said or _kind(field.annotation)
    bounds = [
        f"{_SIGNS[type(bound)][0]} {getattr(bound, _SIGNS[type(bound)][1]):g}"
        for bound in [*_bounds(field.annotation), *field.metadata]
        if type(bound) in _SIGNS
    ]
    return ", ".join([said, *dict.fromkeys(bounds)])


def _bounds(annotation: Any) -> list[Any]:
    """Return the bounds that stand inside a type."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        own = [m for item in arguments[1:] for m in getattr(item, "metadata", [item])]
        return [*_bounds(arguments[0]), *own]
    if origin in (Union, UnionType):
        return [bound for argument in arguments for bound in _bounds(argument)]
    return []


def _kind(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(arguments[0])
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin in (Union, UnionType):
        return " or ".join(_kind(a) for a in arguments if a is not NoneType)
    if origin is tuple:
        return "list"
    if origin is dict or annotation is dict:
        return "mapping"
    return _WORDS.get(annotation, "a section")


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "none"
    if field.default is PydanticUndefined:
        return "required"
    value = field.default
    if value is None or value in ((), {}):
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return (
        f"`{value}`"
        if isinstance(value, str)
        else f"{value:g}"
        if isinstance(value, int | float)
        else "see below"
    )


def _main() -> None:
    prefix = f"{sys.argv[1]}." if len(sys.argv) > 1 else ""
    keys = (key for key in keys_below(Settings) if key.path.startswith(prefix))
    sys.stdout.write(markdown(keys, prefix) + "\n")


if __name__ == "__main__":
    _main()
