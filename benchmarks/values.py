"""Single measurements with their goals, and the command line that prints them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.measuring import spread
from benchmarks.tables import print_values

__all__ = ["command_line", "measurement", "show"]


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
