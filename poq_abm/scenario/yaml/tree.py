"""YAML text to a tree of nodes: the parser's events, walked one by one, and nothing constructed.

No constructor is involved, so a tag can do nothing but be noted, and the bounds on size and depth
hold while the text is still being read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

__all__ = ["MAX_DEPTH", "MAX_NODES", "TOO_DEEP", "BadYamlError", "YamlNode", "compose"]

MAX_DEPTH = 50
MAX_NODES = 100_000
TOO_DEEP = f"nested more than {MAX_DEPTH} levels deep"

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # used as a parser only
_YAML_TAG = "tag:yaml.org,2002:"


class BadYamlError(Exception):
    """Text that is no single YAML document within bounds; ``line`` counts from 1."""

    def __init__(self, line: int, message: str) -> None:
        self.line, self.message = line, message
        super().__init__(message)


@dataclass(slots=True)
class YamlNode:
    """A value of the document; the children of a mapping are its keys and values in turn."""

    kind: str  # "scalar", "list" or "map"
    line: int
    value: str = ""
    plain: bool = False
    tag: str | None = None
    children: list[YamlNode] = field(default_factory=list)
    finished: bool = False

    @property
    def shown_tag(self) -> str:
        """The explicit tag as it is written in a file, shortened; empty without one."""
        tag = self.tag or ""
        if tag.startswith(_YAML_TAG):
            tag = "!!" + tag.removeprefix(_YAML_TAG)
        return tag if len(tag) <= 80 else tag[:77] + "..."


def compose(text: str) -> YamlNode | None:
    """Return the node tree of the only document in ``text``; aliases share the node they name.

    An empty text gives ``None``. Raises :class:`BadYamlError` for a second document, an unknown or
    circular alias, more than ``MAX_NODES`` values or ``MAX_DEPTH`` levels, and
    :class:`yaml.YAMLError` for anything that is not YAML.

    >>> [node.value for node in compose("rounds: 10").children]
    ['rounds', '10']
    """
    top = YamlNode("list", 1)
    stack = [top]
    anchors: dict[str, YamlNode] = {}
    documents = 0
    for count, event in enumerate(yaml.parse(text, Loader=_Loader)):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise BadYamlError(line, "a second document starts; a scenario is one document")
        elif isinstance(event, yaml.AliasEvent):
            stack[-1].children.append(_aliased(event.anchor, anchors, line))
        elif isinstance(event, yaml.CollectionEndEvent):
            stack.pop().finished = True
        elif isinstance(event, yaml.NodeEvent):
            node = _node(event, line)
            stack[-1].children.append(node)
            if event.anchor is not None:
                anchors[event.anchor] = node
            if not node.finished:
                stack.append(node)
        if count > 2 * MAX_NODES:
            raise BadYamlError(line, f"more than {MAX_NODES:,} values")
        if len(stack) > MAX_DEPTH + 1:
            raise BadYamlError(line, TOO_DEEP)
    return top.children[0] if top.children else None


def _node(event: yaml.NodeEvent, line: int) -> YamlNode:
    if isinstance(event, yaml.ScalarEvent):
        plain = bool(event.implicit[0])
        return YamlNode("scalar", line, event.value, plain, event.tag, finished=True)
    kind = "list" if isinstance(event, yaml.SequenceStartEvent) else "map"
    return YamlNode(kind, line, tag=getattr(event, "tag", None))


def _aliased(name: str | None, anchors: dict[str, YamlNode], line: int) -> YamlNode:
    if name not in anchors:
        raise BadYamlError(line, f"*{name} names an anchor that was not set above")
    if not anchors[name].finished:
        raise BadYamlError(line, f"*{name} stands inside the value that it names")
    return anchors[name]
