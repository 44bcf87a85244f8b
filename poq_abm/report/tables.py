"""Tables as a page shows them, of results and of what treatments did: cells to read and sort by."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from poq_abm.analysis.comparison import FEW, is_equal, what_matching_saved, what_moved
from poq_abm.analysis.questions import Section, sections
from poq_abm.analysis.stored_run import StoredRun
from poq_abm.analysis.sweeps import literal_values
from poq_abm.experiment.estimates import CONFIDENCE, shown
from poq_abm.experiment.labels import measure_in_words, unit_in_words
from poq_abm.experiment.paired import compare, holm, verdicts
from poq_abm.experiment.query_study import SHOWN

__all__ = [
    "MOST_ROWS",
    "ComparedSides",
    "Heading",
    "Table",
    "TableCell",
    "comparisons",
    "estimate",
    "number",
    "result_tables",
    "table_of",
]

MOST_ROWS = 200  #: longer tables are for pandas, not for a page
MOST_COMPARED = 10  #: of more treatments, the ends of every axis are compared instead
#: what is compared: rewards, how well the committee does, and what an economy comes to
_MEASURES = (
    "inference_reward_mean", "evaluator_reward_mean", "consensus_mean", "correlation",
    "mean_absolute_error", "bias", "reward_gap", "payout_inflation",
    "profit_mean", "welfare", "dropped_share", "deviating_share",
)  # fmt: skip
_NO_INTERVAL = "none: one replication"


class Heading(NamedTuple):
    """A heading, with its unit where it has one."""

    title: str
    unit: str = ""
    is_number: bool = False


class TableCell(NamedTuple):
    """What is read, and what is sorted by."""

    text: str
    value: float | str


class Table(NamedTuple):
    """A table with what a reader must know beside it."""

    title: str
    columns: list[Heading]
    rows: list[list[TableCell]]
    notes: list[str]


def number(value: Any, digits: int = 4) -> TableCell:
    """Return a number with a number of significant digits; a dash where it is missing.

    >>> number(1234.5678).text, number(0.012345).text, number(3).text, number(float("nan")).text
    ('1,235', '0.01235', '3', '-')
    """
    figure = math.nan if value is None else float(value)
    if not math.isfinite(figure):
        return TableCell("-" if math.isnan(figure) else "infinite", figure)
    if isinstance(value, int) or figure == 0.0:
        return TableCell(f"{figure:,.0f}", figure)
    decimals = digits - 1 - math.floor(math.log10(abs(figure)))
    return TableCell(f"{figure:,.{min(max(decimals, 0), 12)}f}", figure)


def estimate(mean: Any, low: Any, high: Any, replications: Any = 2) -> list[TableCell]:
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
    return [TableCell(text, ends[0]), TableCell(interval, ends[1])]


def table_of(section: Section) -> Table:
    """Return a section as a table of cells."""
    frame = section.frame
    columns = [Heading(word) for word in section.words]
    for *_, heading, unit in section.estimates:
        words = unit_in_words(unit)
        columns.append(Heading(measure_in_words(heading), words, True))
        columns.append(Heading("95% interval", "", True))
    columns += [
        Heading(measure_in_words(heading), unit_in_words(unit), True)
        for _, heading, unit in section.numbers
    ]
    records: list[dict[str, Any]] = frame.head(MOST_ROWS).to_dict("records")  # type: ignore[assignment]
    rows = []
    for record in records:
        row = [_word(word, str(record[word])) for word in section.words]
        for mean, low, high, *_ in section.estimates:
            row += estimate(record[mean], record[low], record[high], record.get("replications", 2))
        row += [number(record[name]) for name, *_ in section.numbers]
        rows.append(row)
    notes = list(section.notes)
    if len(frame) > MOST_ROWS:
        notes.append(f"{len(frame) - MOST_ROWS:,} more rows are not shown.")
    return Table(section.title, columns, rows, notes)


#: columns of words that hold names of measures, or units
_IN_WORDS: dict[str, Callable[[str], str]] = {
    "measure": measure_in_words,
    "metric": measure_in_words,
    "unit": unit_in_words,
}


def _word(column: str, text: str) -> TableCell:
    """Return a word as a reader knows it, sorted by what the tables call it."""
    return TableCell(_IN_WORDS.get(column, str)(text), text)


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


class ComparedSides(NamedTuple):
    """What the treatments of a run did: a sentence for each two sides, and the table of all."""

    sentences: list[str]
    notes: list[str]  #: what holds of all the sentences
    table: Table


def comparisons(run: StoredRun) -> ComparedSides | None:
    """Return every comparison that a run invites; nothing where there is one treatment.

    Few treatments are compared with the first of them. Of many, the two ends of each axis are
    compared, every measure averaged over the treatments that agree on all other axes. Holm's
    adjustment runs over all rows of all comparisons, so that the verdicts hold together.
    """
    played = run.results.main
    measures = [name for name in (*_MEASURES, *SHOWN) if name in played.select_dtypes("float")]
    counted = [name for name in ("queries",) if name in played]  # which say whose units these are
    few = len(run.treatments) <= MOST_COMPARED
    sides = _against_first(run) if few else _ends_of_axes(run)
    found: list[pd.DataFrame] = []
    for name_a, name_b, these, those in sides:
        a, b = _matched(played, these, those, [*measures, *counted])
        if len(a):
            rows = compare(a, b).assign(a=name_a, b=name_b)
            found.append(rows[rows["metric"].isin(measures)])
    if not found:
        return None
    rows = pd.concat(found, ignore_index=True)
    told = _judged(rows, holm(rows["p_value"].to_numpy()))
    told["equal"] = [is_equal(row) for row in told.to_dict("records")]
    told["verdict"] = told["moved"].mask(told["low"].isna(), "one pair: no verdict")
    told["verdict"] = told["verdict"].mask(told["equal"], "equal")
    return ComparedSides(
        [_sentence(part) for _, part in told.groupby(["a", "b"], sort=False)],
        _notes(told),
        _shown(told),
    )


def _sentence(part: pd.DataFrame) -> str:
    """Say what moved from one side to the other, with units where the numbers are said."""
    few = (part["moved"] != "no evidence").sum() <= FEW
    words = [
        measure_in_words(str(name), str(unit) if few else None)
        for name, unit in zip(part["metric"], part["unit"], strict=True)
    ]
    (name_a, *_), (name_b, *_) = part["a"], part["b"]
    said = what_moved(part.assign(metric=words), name_a, name_b)
    return " ".join(f"{sentence}." for sentence in said)


def _notes(told: pd.DataFrame) -> list[str]:
    """Return what would otherwise be said again with every sentence."""
    notes = []
    if (told["verdict"] == "no evidence").any():
        notes.append(
            f"A measure that is not named is equal on both sides, or there is no evidence that it "
            f"moved: verdicts hold together over all {told['p_value'].notna().sum()} tests of this "
            "report (Holm), so that an interval without 0 may be chance."
        )
    return notes + [f"{said}." for said in what_matching_saved(told)]


def _judged(table: pd.DataFrame, adjusted: NDArray[np.float64]) -> pd.DataFrame:
    """Replace a comparison's own verdicts by those that hold beside all others."""
    told = table.assign(p_adjusted=adjusted)
    told["moved"] = verdicts(told, CONFIDENCE)
    return told


def _shown(told: pd.DataFrame) -> Table:
    """Return the rows that differ, of all comparisons; of the others, the names."""
    frame = told[~told["equal"]]
    one = len(set(told["a"])) == 1
    same = [str(name) for name in dict.fromkeys(told["metric"])
            if told.loc[told["metric"] == name, "equal"].all()]  # fmt: skip
    notes = [f"Equal in every pair: {', '.join(map(measure_in_words, same))}."] if same else []
    if len(frame) < len(told) and not frame.empty:
        notes.append("Rows of measures that are equal in every pair of two sides are left out.")
    frame = frame.rename(columns={"a": "from", "b": "to", "metric": "measure"})
    start = told["a"].iloc[0] if one else "one end of an axis to the other"
    return table_of(Section(
        f"Differences from {start}", frame,
        [*(() if one else ("from",)), "to", "measure", "unit", "verdict"],
        [("mean_a", "mean from", ""), ("mean_b", "mean to", "")],
        [("difference", "low", "high", "difference", "")], notes,
    ))  # fmt: skip


def _matched(
    played: pd.DataFrame, these: list[str], those: list[str], measures: list[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return both sides by replication, every measure averaged over the same cells on each.

    A cell in which either side has no number (as a gap between honest and malicious nodes where
    nobody is malicious) counts on neither; a replication that lacks a cell counts on neither.
    """
    keys = ["cell", "replication"]
    sides = []
    for ids in (these, those):
        cell = played["treatment"].astype(str).map({name: i for i, name in enumerate(ids)})
        part = played[["replication", *measures]].assign(cell=cell).dropna(subset=["cell"])
        sides.append(part.set_index(keys)[measures])
    a, b = sides
    shared = a.index.intersection(b.index)
    cells = pd.Series(1, index=shared).groupby(level="replication").sum()
    whole = shared[shared.get_level_values("replication").isin(cells.index[cells == len(these)])]
    a, b = a.loc[whole], b.loc[whole]
    both = a.notna() & b.notna()
    done = (side.where(both).groupby(level="replication").mean().reset_index() for side in (a, b))
    left, right = done
    return left, right


Sides = list[tuple[str, str, list[str], list[str]]]


def _against_first(run: StoredRun) -> Sides:
    first, *others = run.treatments
    return [(first, other, [first], [other]) for other in others]


def _ends_of_axes(run: StoredRun) -> Sides:
    """Return, for each axis, the treatments at its first value and those at its last.

    Only treatments with a partner that agrees on every other axis count, so that nothing but the
    axis differs; axes that move together, or drawn ones, have none.
    """
    table = run.results.treatments
    table = table[table["treatment"].astype(str).isin(run.treatments)]
    texts = {axis: literal_values(table[axis]) for axis in run.axes}
    ids = [str(name) for name in table["treatment"]]
    sides: Sides = []
    for axis, values in texts.items():
        first, last = values[0], values[-1]
        rest = list(zip(*(texts[other] for other in run.axes if other != axis), strict=True))
        cells = rest or [()] * len(ids)
        at = {end: {c: i for c, i, v in zip(cells, ids, values, strict=True) if v == end}
              for end in (first, last)}  # fmt: skip
        shared = [cell for cell in at[first] if cell in at[last]]
        if first != last and shared:
            leaf = axis.rpartition(".")[2]
            sides.append((f"{leaf}={first}", f"{leaf}={last}",
                          [at[first][c] for c in shared],
                          [at[last][c] for c in shared]))  # fmt: skip
    return sides
