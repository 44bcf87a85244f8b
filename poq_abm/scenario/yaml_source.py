"""YAML text to plain data, with the line of every value, and without ever making an object.

Scalars mean what the core schema of YAML 1.2 says, keys are text and stand once, explicit tags are
refused, and aliases are followed as far as the bounds on size and depth reach. The events of the
parser are walked one by one while the text is still being read, and no constructor is involved, so
that a tag can do nothing but be noted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from poq_abm.errors import nearest
from poq_abm.scenario.checks.problems import KeyPath, Place, Problem, ScenarioError, dotted, shown
from poq_abm.scenario.library import scenario_names
from poq_abm.scenario.yaml_text import plain, resolve

__all__ = [
    "MAX_BYTES",
    "MAX_DEPTH",
    "MAX_NODES",
    "TOO_DEEP",
    "BadYamlError",
    "Document",
    "YamlNode",
    "compose",
    "given",
    "question",
    "read",
    "read_text",
    "read_value",
]

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
        bare = bool(event.implicit[0])
        return YamlNode("scalar", line, event.value, bare, event.tag, finished=True)
    kind = "list" if isinstance(event, yaml.SequenceStartEvent) else "map"
    return YamlNode(kind, line, tag=getattr(event, "tag", None))


def _aliased(name: str | None, anchors: dict[str, YamlNode], line: int) -> YamlNode:
    if name not in anchors:
        raise BadYamlError(line, f"*{name} names an anchor that was not set above")
    if not anchors[name].finished:
        raise BadYamlError(line, f"*{name} stands inside the value that it names")
    return anchors[name]


MAX_BYTES = 1_000_000
_MERGE = "<<"
_UNREADABLE = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_DIRECTIVE = re.compile(r"^%(?!YAML )", re.MULTILINE)
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass
class Document:
    """What one file says: its data, the place of every path, and problems that hide no other."""

    file: str
    data: Any = None
    places: dict[KeyPath, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def read_text(path: Path, file: str, place: Place | None = None) -> str:
    """Return the text of a scenario file, shown as ``file``; ``place`` is where it was asked for.

    Raises :class:`ScenarioError` when it is no regular file, larger than 1 MB, or not UTF-8.
    """
    at, key = (place, "extends") if place is not None else (Place(file), "")
    try:
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "is no file"
            hint = nearest(path.stem[:80], scenario_names())
            message = f"{shown(file)} {what}; of the scenarios that ship, {hint}"
            raise ScenarioError([Problem(at, key, message)])
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        message = f"{shown(file)} cannot be read: {error.strerror}"
        raise ScenarioError([Problem(at, key, message)]) from error
    if len(content) > MAX_BYTES:
        raise ScenarioError([Problem(Place(file), "", f"larger than {MAX_BYTES:,} bytes")])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ScenarioError([Problem(Place(file, line), "", "this is not UTF-8 text")]) from error


def read(text: str, file: str) -> Document:
    r"""Return what a scenario file says; its top level must be a mapping.

    Problems that leave the rest readable (a key given twice, a tag) are collected; the others raise
    :class:`ScenarioError`. Keys of the top level that begin with ``x-`` hold what anchors name, and
    are no part of the scenario.

    >>> document = read("rounds: 10  # enough\nmechanism: {committee_size: 2}", "a.yaml")
    >>> document.data, str(document.places["mechanism", "committee_size"])
    ({'rounds': 10, 'mechanism': {'committee_size': 2}}, 'a.yaml:2')
    """
    document = _read(text, file, lines=True)
    if document.data is None and not document.problems:
        raise ScenarioError([Problem(Place(file, 1), "", "the file is empty: nothing to play")])
    if not isinstance(document.data, dict) and not document.problems:
        message = f"a scenario is a mapping of keys to values, got {shown(document.data)}"
        raise ScenarioError([Problem(Place(file, 1), "", message)])
    if not isinstance(document.data, dict):
        raise ScenarioError(document.problems)
    _drop_extensions(document)
    _gather_places(document)
    return document


def given(data: Mapping[str, Any], name: str) -> Document:
    """Return what a mapping of Python says, as if a file called ``name`` said it.

    >>> given({"rounds": 10, "x-note": 1}, "<mapping>").data
    {'rounds': 10}
    """
    document = Document(name, plain(data), {(): Place(name)})
    wrong = [key for key in document.data if not isinstance(key, str)]
    if wrong:
        said = f"the key {shown(wrong[0])} is not text"
        raise ScenarioError([Problem(Place(name), "", said)])
    _drop_extensions(document)
    return document


def _drop_extensions(document: Document) -> None:
    """Take away the keys of the top level that are there to be referred to only."""
    dropped = {key for key in document.data if key.startswith("x-")}
    if dropped:
        document.data = {key: v for key, v in document.data.items() if key not in dropped}
        document.places = {
            path: place
            for path, place in document.places.items()
            if not path or path[0] not in dropped
        }


def _gather_places(document: Document) -> None:
    """Note parameters that stand flat in ``malicious`` where the behaviour has them."""
    for path, place in list(document.places.items()):
        if path[:1] == ("malicious",) and path[1:2] and path[1] not in ("share", "behaviour"):
            document.places["malicious", "behaviour", *path[1:]] = place


def read_value(text: str, file: str) -> Any:
    """Return one YAML value, such as the right-hand side of an override.

    >>> read_value("[1, 2.5, yes]", "--set x=[1, 2.5, yes]")
    [1, 2.5, 'yes']
    """
    document = _read(text, file, lines=False)
    if document.problems:
        raise ScenarioError(document.problems)
    return document.data


def question(text: str) -> str:
    r"""Return the first sentence of the comment that a file starts with, or its first line.

    >>> question("# Who earns what? Read on.\n# More.\nrounds: 1")
    'Who earns what?'
    """
    lines: list[str] = []
    for line in text.removeprefix("\ufeff").splitlines():
        if not line.startswith("#") or not (words := " ".join(line.lstrip("#").split())):
            break
        lines.append(words)
    sentence = re.match(r".*?[.?!](?=\s|$)", " ".join(lines))
    return sentence.group() if sentence else "".join(lines[:1])


def _read(text: str, file: str, *, lines: bool) -> Document:
    def place(line: int) -> Place:
        return Place(file, line if lines else None)

    def fatal(line: int, message: str) -> ScenarioError:
        return ScenarioError([Problem(place(line), "", message)])

    text = text.removeprefix("\ufeff")
    if len(text) > MAX_BYTES:
        raise fatal(1, f"larger than {MAX_BYTES:,} characters")
    if bad := _UNREADABLE.search(text):
        line = text.count("\n", 0, bad.start()) + 1
        raise fatal(line, f"the character U+{ord(bad.group()):04X} has no place in a scenario")
    if bad := _DIRECTIVE.search(text):
        raise fatal(text.count("\n", 0, bad.start()) + 1, "YAML directives are not read here")
    document = Document(file, places={(): place(1)})
    try:
        root = compose(text)
        if root is not None:
            document.data = _Walk(document, lines).value(root, ())
    except BadYamlError as error:
        raise fatal(error.line, error.message) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        said = getattr(error, "problem", None) or "cannot be read"
        if "nesting depth" in said:  # newer releases of libyaml have a bound of their own
            raise fatal(mark.line + 1 if mark else 1, TOO_DEEP) from error
        raise fatal(mark.line + 1 if mark else 1, f"not valid YAML: {said}") from error
    return document


class _Walk:
    """Turns nodes into data, counting every visit so that aliases cannot multiply without end."""

    def __init__(self, document: Document, lines: bool) -> None:
        self.document = document
        self.lines = lines
        self.visited = 0

    def value(self, node: YamlNode, path: KeyPath) -> Any:
        """Return the data of a node and note the places of everything inside it."""
        self.visited += 1
        if self.visited > MAX_NODES:
            raise BadYamlError(node.line, f"more than {MAX_NODES:,} values, counting aliases")
        if len(path) > MAX_DEPTH:
            raise BadYamlError(node.line, TOO_DEEP)
        if node.tag is not None:
            self.report(node, path, f"the tag {node.shown_tag} is refused: scenarios are data")
            return None
        if node.kind == "scalar":
            return self.scalar(node, path)
        if node.kind == "map":
            return self.mapping(node, path)
        items = []
        for index, child in enumerate(node.children):
            inner = (*path, index)
            self.document.places[inner] = self.place(child)
            items.append(self.value(child, inner))
        return items

    def scalar(self, node: YamlNode, path: KeyPath) -> Any:
        if _SURROGATE.search(node.value):
            self.report(node, path, "half of a surrogate pair is not a character")
            return None
        if not node.plain:
            return node.value
        try:
            return resolve(node.value)
        except ValueError as error:
            self.report(node, path, str(error))
            return None

    def mapping(self, node: YamlNode, path: KeyPath) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, child in zip(node.children[::2], node.children[1::2], strict=True):
            if key_node.plain and key_node.value == _MERGE:
                merged = {**self.merged(child, path), **merged}
                continue
            key = self.key(key_node, path)
            if key is None:
                continue
            inner = (*path, key)
            if key in found:
                first = self.document.places[inner].line
                already = f"already given on line {first}" if self.lines else "given twice"
                self.report(key_node, inner, already)
                continue
            self.document.places[inner] = self.place(key_node)
            found[key] = self.value(child, inner)
        return {**merged, **found}

    def merged(self, node: YamlNode, path: KeyPath) -> dict[str, Any]:
        """Return the mapping that ``<<`` names, or the mappings, of which the first say more.

        Their keys have the places at which they were written, unless the mapping has its own.
        """
        parts = node.children if node.kind == "list" else [node]
        found: dict[str, Any] = {}
        own = dict(self.document.places)
        for part in parts:
            if part.kind != "map":
                self.report(node, path, "<< takes a mapping, or a list of mappings")
                continue
            found = {**self.value(part, path), **found}
        self.document.places.update(own)
        return found

    def key(self, node: YamlNode, path: KeyPath) -> str | None:
        self.visited += 1
        if node.kind != "scalar":
            self.report(node, path, "a list or mapping cannot be a key; keys are text")
            return None
        if node.tag is not None:
            self.report(node, path, f"the tag {node.shown_tag} is refused: scenarios are data")
            return None
        reported = len(self.document.problems)
        key = self.scalar(node, path)
        if isinstance(key, str):
            return key
        if len(self.document.problems) == reported:
            self.report(node, path, f"the key {shown(key)} is not text; write it in quotes")
        return None

    def place(self, node: YamlNode) -> Place:
        return Place(self.document.file, node.line if self.lines else None)

    def report(self, node: YamlNode, path: KeyPath, message: str) -> None:
        self.document.problems.append(Problem(self.place(node), dotted(path), message))
