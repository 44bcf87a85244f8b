"""Tables as every verb prints them: for a terminal of any width, or for a program."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

import pandas as pd
import typer
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from rich.console import JustifyMethod

__all__ = ["output_console", "print_data", "print_frame", "print_listing", "say"]

_WITHOUT_TERMINAL = 180  # columns, where nobody says how many there are
_WIDEST_TEXT = 44  # columns of a cell of words before it is folded
_FOLDED_TEXT = 14  # columns of a cell of words that is never folded
_SHORT_HEADING = 8  # columns that every heading may take
_LONGEST_WORD = 28  # columns; longer ones are broken where they are too wide
_WIDEST_PROSE = 100  # columns of a line that one likes to read
#: what numbers, intervals and their missing ones are written with
_NUMBERS = re.compile(r"[-+\d.,%\[\]()±*?/ \n]*(e[-+]\d+|inf|infinite)?[-+\d.,%\[\]() \n]*")


def output_console() -> Console:
    """Return a console on the output stream, as wide as its terminal or as ``COLUMNS`` says.

    A pipe or a file without either has no width: a table is not folded for a reader that is not
    there.
    """
    console = Console()
    known = console.is_terminal or os.environ.get("COLUMNS", "").isdigit()
    return console if known else Console(width=_WITHOUT_TERMINAL)


def print_data(
    tables: Mapping[str, pd.DataFrame], *, as_json: bool, as_csv: bool, **told: object
) -> bool:
    """Print tables for a program where that was asked for; return whether it was.

    JSON is one object: ``told``, and a list of rows for each table, with ``null`` where a number is
    not known. CSV has room for one table, the first.
    """
    if as_json:
        rows = {name: json.loads(_json(table)) for name, table in tables.items()}
        typer.echo(json.dumps({**told, **rows}, indent=2, ensure_ascii=False))
    elif as_csv:
        typer.echo(next(iter(tables.values())).to_csv(index=False), nl=False)
    return as_json or as_csv


def _json(table: pd.DataFrame) -> str:
    # Fifteen digits are as many as pandas writes.
    return str(table.to_json(orient="records", double_precision=15, default_handler=str))


def print_listing(
    title: str, says: Mapping[str, str], heading: str, *, as_json: bool, as_csv: bool
) -> None:
    """Print names and a sentence on each, by lines or as the columns ``name`` and ``heading``."""
    listed = pd.DataFrame({"name": list(says), heading: list(says.values())})
    if print_data({title: listed}, as_json=as_json, as_csv=as_csv):
        return
    width, room = output_console().width, max(map(len, says)) + 2
    for what, sentence in says.items():
        typer.echo(fill(sentence, width, initial_indent=what.ljust(room),
                        subsequent_indent=" " * room))  # fmt: skip


def print_frame(
    frame: pd.DataFrame,
    title: str = "",
    *,
    keys: int = 1,
    number: str = ".6g",
    caption: str = "",
) -> None:
    """Print a table whole, at any width.

    A table that is wider than the terminal is printed in several parts, each with the first
    ``keys`` columns; words are folded before that, numbers never. ``number`` formats floats.
    """
    console = output_console()
    columns = [
        _Column(str(name), [_text(value, number) for value in column])
        for name, column in frame.items()  # two columns may have one name, as an interval's
    ]
    if title:
        say(title)
    parts = list(_parts(columns, keys, console.width))
    for part in parts:
        console.print(_drawn(part, console.width, alone=len(parts) == 1))
    if caption:
        say(caption)


def say(text: str, indent: int = 0) -> None:
    """Print a sentence or more, in lines that one likes to read; all but the first indented."""
    width = min(output_console().width, _WIDEST_PROSE)
    typer.echo(
        fill(
            text,
            width,
            subsequent_indent=" " * indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
    )


class _Column:
    """A column of texts, and how wide it must be."""

    def __init__(self, name: str, cells: Sequence[str]) -> None:
        self.cells = cells
        numeric = all(_NUMBERS.fullmatch(cell) for cell in cells)
        longest = max((cell_len(line) for cell in cells for line in cell.split("\n")), default=0)
        self.is_prose = not numeric and longest > _FOLDED_TEXT
        self.heading = _heading(name, min(longest, _WIDEST_TEXT))
        head = max(map(cell_len, self.heading.split("\n")))
        self.justify: JustifyMethod = "right" if numeric else "left"
        self.widest = max(head, min(longest, _WIDEST_TEXT) if self.is_prose else longest)
        words = max((cell_len(word) for cell in cells for word in cell.split()), default=0)
        folded = max(head, _FOLDED_TEXT, min(words, _LONGEST_WORD))
        self.narrowest = min(folded, self.widest) if self.is_prose else self.widest
        self.is_interval = "interval" in name


def _parts(columns: list[_Column], keys: int, width: int) -> Iterator[list[_Column]]:
    """Yield the columns of each part of a table that has ``width`` columns of a terminal.

    An interval stands in the part of its estimate, the column before it.
    """
    first, together = columns[:keys], list[list[_Column]]()
    for column in columns[keys:]:
        if together and column.is_interval:
            together[-1].append(column)
        else:
            together.append([column])
    part: list[_Column] = []
    for some in together:
        if part and _needed([*first, *part, *some]) > width:
            yield [*first, *part]
            part = []
        part += some
    yield [*first, *part]


def _needed(columns: list[_Column]) -> int:
    return sum(column.narrowest + 1 for column in columns) + 1


def _drawn(columns: list[_Column], width: int, *, alone: bool) -> Table:
    """Return one part of a table, in a box where there is room for it."""
    roomy = alone and sum(column.widest + 3 for column in columns) + 1 <= width
    airy = sum(column.narrowest + 2 for column in columns) + 1 <= width
    table = Table(
        box=box.HEAVY_HEAD if roomy else box.HORIZONTALS,
        padding=(0, 1) if roomy else (0, 0, 0, int(airy)),
        pad_edge=roomy,
    )
    gap = 3 if roomy else 1 + airy
    left = width - 1 - sum(column.narrowest + gap for column in columns)
    for column in columns:
        more = min(left, column.widest - column.narrowest)
        left -= more
        table.add_column(
            escape(column.heading),
            justify=column.justify,
            overflow="fold",
            width=column.narrowest + max(more, 0),
        )
    for row in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*map(escape, row))
    return table


def _heading(name: str, room: int) -> str:
    """Return a column's name in lines no longer than its cells need, broken where words end.

    >>> _heading("reward_mean", 6).split()
    ['reward_', 'mean']
    """
    lines = [""]
    for word in re.findall(r"[^_ ]+[_ ]?|[_ ]", name):
        if lines[-1] and len((lines[-1] + word).rstrip()) > max(room, _SHORT_HEADING):
            lines.append("")
        lines[-1] += word
    return "\n".join(line.rstrip() for line in lines)


def _text(value: Any, number: str) -> str:
    if isinstance(value, float):
        return "-" if math.isnan(value) else f"{value:{number}}"
    return "-" if value is None else str(value)
