"""Result tables as a page shows them: cells with a text to read and a value to sort by."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from poq_abm.analysis.questions import Section, sections
from poq_abm.analysis.stored_run import StoredRun
from poq_abm.experiment.estimates import shown

__all__ = [
    "MOST_ROWS",
    "Cell",
    "Column",
    "Table",
    "estimate",
    "number",
    "result_tables",
    "table_of",
]

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


def estimate(mean: Any, low: Any, high: Any, replications: Any = 2) -> list[Cell]:
    """Return the two cells of an estimate: its value and its 95% interval.

    Where one replication gives no interval, it says so.

    >>> [cell.text for cell in estimate(0.2, 0.1, 0.25)]
    ['0.20', '[0.10, 0.25]']
    >>> estimate(0.2, math.nan, math.nan, 1)[1].text
    'none: one replication'
    """
    ends = [math.nan if end is None else float(end) for end in (mean, low, high)]
    text, interval = shown(*ends)
    if interval == "-" and int(replications) == 1:
        interval = _NO_INTERVAL
    return [Cell(text, ends[0]), Cell(interval, ends[1])]


def table_of(section: Section) -> Table:
    """Return a section as a table of cells."""
    frame = section.frame
    columns = [Column(word) for word in section.words]
    for *_, heading, unit in section.estimates:
        columns += [Column(heading, unit, True), Column("95% interval", unit, True)]
    columns += [Column(heading, unit, True) for _, heading, unit in section.numbers]
    records: list[dict[str, Any]] = frame.head(MOST_ROWS).to_dict("records")  # type: ignore[assignment]
    rows = []
    for record in records:
        row = [Cell(str(record[word]), str(record[word])) for word in section.words]
        for mean, low, high, *_ in section.estimates:
            row += estimate(record[mean], record[low], record[high], record.get("replications", 2))
        row += [number(record[name]) for name, *_ in section.numbers]
        rows.append(row)
    notes = list(section.notes)
    if len(frame) > MOST_ROWS:
        notes.append(f"{len(frame) - MOST_ROWS:,} more rows are not shown.")
    return Table(section.title, columns, rows, notes)


def result_tables(run: StoredRun) -> list[Table]:
    """Return the tables of a run: who earned what, the network, inequality, the economy."""
    return [table_of(section) for section in (*sections(run), *_precision(run))]


def _precision(run: StoredRun) -> Iterator[Section]:
    reached = run.results.precision
    if reached is None or reached.empty:
        return
    yield Section(
        "Precision reached", reached, ["treatment", "state"],
        [("replications", "replications", ""), ("half_width", "half-width", "")],
        [("mean", "low", "high", "mean", "")],
        ["The level holds for each treatment alone, however often it was looked at."],
    )  # fmt: skip
