"""Measurements with their goals, the command line that asks for them, and tables of them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.measuring import spread

__all__ = [
    "command_line",
    "console_of",
    "footing",
    "measurement",
    "number",
    "print_throughput",
    "print_values",
    "show",
]


def console_of() -> Console:
    """Return the terminal, or 120 columns where there is none."""
    console = Console()
    return console if console.is_terminal else Console(width=120)


def print_throughput(document: dict[str, Any]) -> None:
    """Print the document of :mod:`benchmarks.throughput`."""
    console = console_of()
    console.print(_rates(document))
    console.print(_ratios(document))
    console.print(footing(document["machine"]), soft_wrap=True, highlight=False)


def print_values(document: dict[str, Any]) -> None:
    """Print a document of measurements, each with its goal and whether it was met."""
    table = Table(title=document["benchmark"])
    for heading in ("measurement", "value", "goal", "met"):
        table.add_column(heading, justify="left" if heading == "measurement" else "right")
    for row in document["measurements"]:
        goal = "" if row["goal"] is None else f"{row['goal']:,g} {row['unit']}"
        value = "not available" if row["value"] is None else f"{row['value']:,.4g} {row['unit']}"
        table.add_row(row["name"], value, goal, _said(row["met"]))
    console = console_of()
    console.print(table)
    console.print(footing(document["machine"]), soft_wrap=True, highlight=False)


def _rates(document: dict[str, Any]) -> Table:
    table = Table(title=f"rounds per second: median of {document['repeats']} turns (min to max)")
    table.add_column("contestant")
    for network in document["networks"]:
        table.add_column(_label(network), justify="right")
    for name in document["networks"][0]["rounds_per_second"]:
        rates = [network["rounds_per_second"][name] for network in document["networks"]]
        cells = ["no compiler" if r is None else _range(r, r["median"]) for r in rates]
        table.add_row(name, *cells)
    return table


def _ratios(document: dict[str, Any]) -> Table:
    table = Table(title="ratio of medians (min to max of the ratios turn by turn)")
    for heading in ("F, M, K", "contestants", "ratio", "goal", "met"):
        table.add_column(heading, justify="right" if heading in {"ratio", "goal"} else "left")
    for network in document["networks"]:
        for row in network["ratios"]:
            found = row["measured"]
            text = "" if found is None else _range(found, found["ratio"])
            pair = f"{row['of']} / {row['to']}"
            goal = "" if row["goal"] is None else f"{row['goal']:g}"
            table.add_row(_label(network), pair, text, goal, _said(row["met"]))
    return table


def _label(network: dict[str, Any]) -> str:
    return ", ".join(f"{network[key]:,}" for key in ("inference", "evaluators", "committee"))


def _range(spread: dict[str, float], centre: float) -> str:
    centre_text, low, high = (number(value) for value in (centre, spread["min"], spread["max"]))
    return f"{centre_text} ({low} to {high})"


def number(value: float) -> str:
    """Return a number in few digits, in thousands or millions."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.1f} {letter}"
    return f"{value:.3g}"


def _said(met: bool | None) -> str:
    return "" if met is None else "yes" if met else "NO"


def footing(machine: dict[str, Any]) -> str:
    """Return what a measurement was made on, in a line."""
    versions = ", ".join(f"{name} {machine[name]}" for name in ("python", "numba", "mesa"))
    return f"{machine['cpu']}; {versions}; {machine['c_compiler'] or 'no C compiler'}"


def measurement(
    name: str,
    values: Sequence[float],
    unit: str,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
) -> dict[str, Any]:
    """Return the median of ``values`` with its spread, its goal and whether that is met.

    Without values the median and the verdict are ``None``: it could not be measured here.

    >>> measurement("import", [0.2, 0.1, 0.3], "s", at_most=0.5)["met"]
    True
    """
    found = spread(values) if values else None
    middle = None if found is None else found["median"]
    goal = at_most if at_least is None else at_least
    met = None
    if middle is not None and goal is not None:
        met = middle <= goal if at_least is None else middle >= goal
    return {
        "name": name,
        "value": middle,
        "unit": unit,
        "spread": found,
        "goal": goal,
        "goal_is": None if goal is None else ("at most" if at_least is None else "at least"),
        "met": met,
    }


def command_line(
    name: str,
    description: str | None,
    *,
    repeats: int = 3,
    counted: str = "fresh processes per measurement",
    quick: str | None = None,
) -> argparse.ArgumentParser:
    """Return a parser with the options that all benchmarks have.

    ``repeats`` is how many of what is ``counted`` are made by default; ``quick`` says what the
    option of that name does, where there is one. Fewer than one repeat is refused.

    >>> command_line("any", None, repeats=7).parse_args([]).repeats
    7
    """
    parser = argparse.ArgumentParser(prog=f"benchmarks.{name}", description=description)
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--repeats", type=_at_least_one, default=repeats, help=counted)
    if quick is not None:
        parser.add_argument("--quick", action="store_true", help=quick)
    return parser


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def show(
    document: dict[str, Any],
    *,
    as_json: bool,
    table: Callable[[dict[str, Any]], None] = print_values,
) -> None:
    """Print a document of measurements, as JSON or as what ``table`` makes of it."""
    if as_json:
        print(json.dumps(document, indent=2))
    else:
        table(document)
