"""How fast this checkout is beside earlier commits: ``python -m benchmarks.against COMMIT ...``.

Every benchmark named below is played by this checkout and by each commit in alternation, in fresh
processes of one Python environment, each with a folder of compiled code of its own. What both
report is compared: how many times as fast this checkout is, as the median of the turns and their
range; of seconds and megabytes, how many times as few. Commits play their own benchmarks, but for
``startup``, which times commands of each from outside. What is reported by one of them only is
listed and not compared. What is none of ours (plain Mesa, loops in C) tells how much is noise.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from rich import box
from rich.table import Table

from benchmarks.exporting import exported
from benchmarks.machine import describe
from benchmarks.networks import Network
from benchmarks.reporting import command_line, console_of, footing, number, show

__all__ = ["SUITES", "Figure", "Tree", "compare", "figures", "play"]

ROOT = Path(__file__).parents[1]
SUITES = ("throughput", "robust", "economy", "verification", "batches", "trace", "startup")
HERE = "here"
LEAST = 0.95
_MORE_IS_FASTER = {"s": False, "MB": False, "rounds/s": True, "per s": True}
_QUICK = {"trace": ("--rounds", "100000")}  # it has no option of the name

Turns = dict[str, dict[str, list["Figure"]]]  #: of each tree, what it reported by name


class Tree(NamedTuple):
    """A checkout, and the folder of what is compiled of it."""

    path: Path
    cache: Path


class Figure(NamedTuple):
    """A number that a benchmark reported, its unit and whether a higher one is better."""

    value: float
    unit: str
    more_is_faster: bool


def figures(document: Mapping[str, Any]) -> dict[str, Figure]:
    """Return what a document of any benchmark says of speed and memory, by name.

    >>> row = {"name": "import", "value": 0.5, "unit": "s"}
    >>> figures({"measurements": [row, {**row, "name": "share", "unit": "of the run"}]})
    {'import': Figure(value=0.5, unit='s', more_is_faster=False)}
    """
    found = {}
    for part in (document, *document.get("networks", ())):
        label = ""
        if "inference" in part:
            label = " " + Network(*(part[field] for field in Network._fields)).label
        for unit in ("rounds", "queries"):
            for name, rates in part.get(f"{unit}_per_second", {}).items():
                if rates is not None:
                    found[f"{name}{label}"] = Figure(rates["median"], f"{unit}/s", True)
    for row in document.get("measurements", ()):
        if row["value"] is not None and row["unit"] in _MORE_IS_FASTER:
            faster = _MORE_IS_FASTER[row["unit"]]
            found[row["name"]] = Figure(row["value"], row["unit"], faster)
    return found


def play(suite: str, trees: Mapping[str, Tree], repeats: int, *, quick: bool) -> Turns:
    """Return what each tree reports of one benchmark, turn by turn; who goes first changes."""
    turns: Turns = {name: {} for name in trees}
    for turn in range(repeats):
        order = list(trees.items())
        for name, tree in order if turn % 2 == 0 else order[::-1]:
            for row, figure in figures(_document(suite, tree, quick)).items():
                turns[name].setdefault(row, []).append(figure)
    return turns


def _document(suite: str, tree: Tree, quick: bool) -> Any:
    """Return what a benchmark of a tree prints, played once in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-m", f"benchmarks.{suite}", "--json"]
    command += ["--repeats", "1"]
    if quick:
        command += _QUICK.get(suite, ("--quick",))
    runs = tree.path
    if suite == "startup":
        command, runs = [*command, "--tree", str(tree.path)], ROOT
    places = {"PYTHONPATH": str(runs), "NUMBA_CACHE_DIR": str(tree.cache)}
    done = subprocess.run(
        command, cwd=runs, env={**os.environ, **places}, stdout=subprocess.PIPE, check=True
    )
    return json.loads(done.stdout)


def compare(suite: str, turns: Turns) -> Iterator[dict[str, Any]]:
    """Yield, for every commit and name that it and this checkout report, how they compare.

    >>> fast, slow = Figure(3.0, "s", False), Figure(6.0, "s", False)
    >>> (row,) = compare("trace", {"here": {"x": [fast]}, "abc": {"x": [slow], "y": [slow]}})
    >>> row["ratio"]
    2.0
    """
    here = turns[HERE]
    for commit, theirs in turns.items():
        for name in theirs if commit != HERE else ():
            if name not in here:
                continue
            pairs = list(zip(here[name], theirs[name], strict=False))
            ratios = [
                own.value / other.value if own.more_is_faster else other.value / own.value
                for own, other in pairs
            ]
            yield {
                "benchmark": suite,
                "name": name,
                "commit": commit,
                "unit": pairs[0][0].unit,
                "here": median(own.value for own, _ in pairs),
                "there": median(other.value for _, other in pairs),
                "ratio": median(ratios),
                "min": min(ratios),
                "max": max(ratios),
            }


def _unmatched(turns: Turns) -> list[str]:
    """Return what a commit or this checkout reports alone."""
    here = turns[HERE].keys()
    return sorted(set().union(*(here ^ theirs.keys() for theirs in turns.values())))


def _print(document: dict[str, Any]) -> None:
    heads = ["benchmark", "measurement", "commit", "there", "here", "ratio"]
    table = Table(*heads, box=box.MARKDOWN)
    for row in document["rows"]:
        there, here = (f"{number(row[key])} {row['unit']}" for key in ("there", "here"))
        span = f"{row['ratio']:.3g} ({row['min']:.3g} to {row['max']:.3g})"
        table.add_row(row["benchmark"], row["name"], row["commit"], there, here, span)
    console = console_of()
    console.print(table)
    for suite, names in document["not_compared"].items():
        if names:
            console.print(f"{suite}, reported by one of them only: {', '.join(names)}")
    slower = [row for row in document["rows"] if row["ratio"] < LEAST]
    for row in slower:
        console.print(f"below {LEAST}: {row['benchmark']}, {row['name']}: {row['ratio']:.3g}")
    if not slower:
        console.print(f"none below {LEAST}")
    console.print(footing(document["machine"]), soft_wrap=True, highlight=False)


def main(arguments: list[str] | None = None) -> int:
    """Play, compare and print, as tables or as JSON."""
    parser = command_line("against", __doc__, counted="turns of each", quick="smoke tests")
    parser.add_argument("commits", nargs="+", metavar="COMMIT", help="as git names it")
    parser.add_argument("--only", nargs="+", choices=SUITES, default=SUITES, help="default: all")
    chosen = parser.parse_args(arguments)
    rows: list[dict[str, Any]] = []
    apart = {}
    with TemporaryDirectory() as folder:
        places = {HERE: ROOT} | {c: exported(ROOT, Path(folder) / c, c) for c in chosen.commits}
        trees = {name: Tree(path, Path(folder) / "compiled" / name)
                 for name, path in places.items()}  # fmt: skip
        for suite in chosen.only:
            turns = play(suite, trees, chosen.repeats, quick=chosen.quick)
            rows += compare(suite, turns)
            apart[suite] = _unmatched(turns)
    document = {"benchmark": "against", "machine": describe(), "repeats": chosen.repeats,
                "quick": chosen.quick, "rows": rows, "not_compared": apart}  # fmt: skip
    show(document, as_json=chosen.json, table=_print)
    return 0


if __name__ == "__main__":
    sys.exit(main())
