"""A scenario as YAML text that reads back as the same scenario."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from poq_abm.scenario.yaml.scalars import resolve

__all__ = ["to_yaml"]

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
