"""Result tables as a page shows them: cells with a text to read and a value to sort by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

__all__ = ["MOST_ROWS", "Cell", "Column", "Table", "estimate", "interval", "number", "of_frame"]

MOST_ROWS = 200  #: longer tables are for pandas, not for a page
_NO_INTERVAL = "none: one replication"


class Column(NamedTuple):
    """A heading, with its unit where it has one."""

    title: str
    unit: str = ""
    is_number: bool = False


class Cell(NamedTuple):
    """What is read, and what is sorted by."""

    text: str
    value: float | str


class Table(NamedTuple):
    """A table with what a reader must know beside it."""

    title: str
    columns: list[Column]
    rows: list[list[Cell]]
    notes: list[str]


def number(value: Any, digits: int = 4) -> Cell:
    """Return a number with a number of significant digits; a dash where it is missing.

    >>> number(1234.5678).text, number(0.012345).text, number(3).text, number(float("nan")).text
    ('1,235', '0.01235', '3', '-')
    """
    figure = math.nan if value is None else float(value)
    if not math.isfinite(figure):
        return Cell("-" if math.isnan(figure) else "infinite", figure)
    if isinstance(value, int) or figure == 0.0:
        return Cell(f"{figure:,.0f}", figure)
    decimals = digits - 1 - math.floor(math.log10(abs(figure)))
    return Cell(f"{figure:,.{min(max(decimals, 0), 12)}f}", figure)


def interval(low: Any, high: Any, replications: Any = 2) -> Cell:
    """Return a 95% interval; where one replication gives none, it says so.

    >>> interval(0.1, 0.25).text, interval(float("nan"), float("nan"), 1).text
    ('[0.100, 0.250]', 'none: one replication')
    """
    low, high = float(low), float(high)
    if math.isnan(low):
        return Cell(_NO_INTERVAL if int(replications) == 1 else "-", math.nan)
    width = high - low
    size = max(abs(low), abs(high))
    digits = 4 if width <= 0.0 or size == 0.0 else math.ceil(math.log10(size / width)) + 2
    ends = (number(end, min(max(digits, 2), 7) if size else 4) for end in (low, high))
    return Cell("[" + ", ".join(end.text for end in ends) + "]", low)


def estimate(mean: Any, low: Any, high: Any, replications: Any = 2) -> list[Cell]:
    """Return the two cells of an estimate: its value and its interval."""
    low, high = float(low), float(high)
    width = high - low
    size = abs(float(mean))
    digits = 4
    if math.isfinite(width) and width > 0.0 and size > 0.0:
        digits = min(max(math.ceil(math.log10(size / width)) + 2, 2), 7)
    return [number(mean, digits), interval(low, high, replications)]


def of_frame(
    title: str,
    frame: pd.DataFrame,
    words: Sequence[str],
    numbers: Sequence[tuple[str, str, str]] = (),
    estimates: Sequence[tuple[str, str, str, str, str]] = (),
    notes: Sequence[str] = (),
) -> Table:
    """Return the table of a frame.

    ``words`` are columns of text; ``numbers`` are (column, title, unit); ``estimates`` are (column
    of the mean, of its lower end, of its upper end, title, unit).
    """
    columns = [Column(word) for word in words]
    for *_, shown, unit in estimates:
        columns += [Column(shown, unit, True), Column("95% interval", unit, True)]
    columns += [Column(shown, unit, True) for _, shown, unit in numbers]
    records: list[dict[str, Any]] = frame.head(MOST_ROWS).to_dict("records")  # type: ignore[assignment]
    rows = []
    for record in records:
        row = [Cell(str(record[word]), str(record[word])) for word in words]
        for mean, low, high, *_ in estimates:
            row += estimate(record[mean], record[low], record[high], record.get("replications", 2))
        row += [number(record[name]) for name, *_ in numbers]
        rows.append(row)
    said = list(notes)
    if len(frame) > MOST_ROWS:
        said.append(f"{len(frame) - MOST_ROWS:,} more rows are not shown.")
    return Table(title, columns, rows, said)
