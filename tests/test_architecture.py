"""The house: rooms in one order, no circle, no arrow back, functions one can see whole."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

#: From left to right: a room imports itself and rooms to its left, lazily or not.
ROOMS = (
    ("errors", "limits", "compiler"),
    ("compilation",),
    ("random",),
    ("rules",),
    ("profile",),
    ("scenario",),
    ("simulation",),
    ("experiment",),
    ("analysis",),
    ("report",),
    ("page",),
    ("cli", "testing"),
)
PLACE = {room: place for place, rooms in enumerate(ROOMS) for room in rooms}
MOST_PARAMETERS = 8
MOST_LINES = 60  # the docstring apart

Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules() -> dict[str, Path]:
    """Every module of both packages, by its dotted name."""
    found = {}
    for package in ("poq_abm", "calibration"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}


def room_of(module: str) -> str:
    """The room of a module; the package itself, which re-exports, has none."""
    first, *rest = module.split(".")
    return "calibration" if first == "calibration" else (rest or [""])[0]


def imports_of(module: str) -> set[str]:
    """What a module imports of us, wherever the import stands: lazily or for types alone."""
    named = set()
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            named |= {
                full if (full := f"{node.module}.{alias.name}") in MODULES else node.module
                for alias in node.names
            }
    return (named & MODULES.keys()) - {module}


def functions(module: str) -> Iterator[Function]:
    return (
        node
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_room_imports_only_rooms_to_its_left(module: str) -> None:
    room = room_of(module)
    for other in sorted(imports_of(module)):
        imported = room_of(other)
        if imported == room:
            continue
        if room == "calibration":
            assert PLACE[imported] <= PLACE["analysis"], other
        elif imported == "calibration":
            assert room == "cli", other
        elif room:
            assert imported, f"{other}: the package re-exports; import from the room itself"
            assert PLACE[imported] < PLACE[room], other


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Packages are apart: an ``__init__`` gathers what its modules declare."""
    graph = {name: imports_of(name) for name in MODULES}
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module not in done:
            for other in graph[module]:
                visit(other, (*path, module))
            done.add(module)

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_function_can_be_seen_whole(module: str) -> None:
    for function in functions(module):
        place = f"{module}:{function.lineno} {function.name}"
        end, first = function.end_lineno or function.lineno, function.body[0]
        lines = end - function.lineno + 1
        if ast.get_docstring(function) is not None:
            lines -= (first.end_lineno or first.lineno) - first.lineno + 1
        assert lines <= MOST_LINES, f"{place}: {lines} lines"
        if room_of(module) == "cli":
            continue  # an option is a parameter
        taken = function.args
        named = [*taken.posonlyargs, *taken.args, *taken.kwonlyargs]
        count = len([one for one in named if one.arg not in ("self", "cls")])
        count += (taken.vararg is not None) + (taken.kwarg is not None)
        assert count <= MOST_PARAMETERS, f"{place}: {count} parameters"


def test_a_class_name_means_one_thing() -> None:
    names = Counter(
        node.name
        for tree in TREES.values()
        for node in tree.body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert {name: count for name, count in names.items() if count > 1} == {}


#: words of our own that stood for something with a name in the field
METAPHORS = {"granary", "harvest", "parcel", "desk", "ploy", "whims", "habits", "roster", "takings",
             "bench", "books", "standing", "tally", "stall", "floor"}  # fmt: skip


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_thing_is_called_what_the_field_calls_it(module: str) -> None:
    defined = {
        node.name
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.ClassDef | ast.FunctionDef)
    }
    words = {
        word for name in defined | {module.rsplit(".", maxsplit=1)[-1]} for word in split(name)
    }
    assert words & METAPHORS == set()


def split(name: str) -> set[str]:
    """The words of a name, in either case.

    >>> sorted(split("open_HonestTwin"))
    ['honest', 'open', 'twin']
    """
    spaced = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name)
    return set(spaced.replace("_", " ").split())
