"""Measurements as tables on the terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

__all__ = ["console_of", "footing", "number", "print_throughput", "print_values"]


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
