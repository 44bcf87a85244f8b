"""Plain data as YAML text: what a scalar means, what data is plain, and text that reads back."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

import yaml
from pydantic import BaseModel

__all__ = ["MAX_DIGITS", "plain", "resolve", "to_yaml"]

MAX_DIGITS = 100
_WORDS: dict[str, bool | float | None] = {
    "": None,
    "~": None,
    **dict.fromkeys(("null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_MAY_BE_NUMBER = frozenset("0123456789+-.")
_INTEGER = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


def resolve(text: str) -> str | float | bool | None:
    """Return what an unquoted scalar means in the core schema of YAML 1.2.

    ``yes``, ``on`` and dates are text, ``1e-3`` is a number, ``010`` is ten. Raises
    :class:`ValueError` for a number of more than 100 characters. Source: YAML 1.2.2, section
    10.3.2.

    >>> [resolve(text) for text in ("yes", "1e-3", "0x10", "-3", "~", "true", "1_000")]
    ['yes', 0.001, 16, -3, None, True, '1_000']
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _MAY_BE_NUMBER:
        return text
    for pattern, base in ((_INTEGER, 10), (_OCTAL, 8), (_HEXADECIMAL, 16)):
        if pattern.fullmatch(text):
            return int(_short(text), base)
    return float(_short(text)) if _FLOAT.fullmatch(text) else text


def _short(text: str) -> str:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number of {len(text)} characters; at most {MAX_DIGITS} are read")
    return text


def plain(value: Any) -> Any:
    """Return a value as plain data: NumPy's scalars and arrays, ranges, tuples, paths, sections.

    Anything else is left as it is, for the schema to refuse.

    >>> plain({"mechanism.committee_size": range(1, 4), "profile": ("a", "b")})
    {'mechanism.committee_size': [1, 2, 3], 'profile': ['a', 'b']}
    """
    if hasattr(value, "dtype") and hasattr(value, "tolist"):  # without importing NumPy
        value = value.tolist()
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_unset=True)
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | range):
        return [plain(item) for item in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value


_BARE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    bare = _BARE.fullmatch(value) and isinstance(resolve(value), str)
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if bare else '"')


_Dumper.add_representer(str, _text)


def to_yaml(data: Mapping[str, Any], question: str = "") -> str:
    """Return plain data as YAML, with ``question`` as the comment on top.

    >>> print(to_yaml({"rounds": 5, "tasks": {"qa": 1.0}}, "Who earns what?"), end="")
    # Who earns what?
    rounds: 5
    tasks: {qa: 1.0}
    """
    text: str = yaml.dump(
        dict(data),
        Dumper=_Dumper,
        sort_keys=False,
        default_flow_style=None,
        allow_unicode=True,
        width=100,
    )
    heading = " ".join(question.split())
    return f"# {heading}\n{text}" if heading else text
