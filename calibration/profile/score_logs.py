"""Logs of scores as tools write them: several files, nested objects, a row per annotator."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from calibration.corpus.rows import ANY_ENCODING, read_table
from calibration.judge.pairs import win_shares
from poq_abm.errors import InputError, nearest

__all__ = ["LAYOUTS", "Layout", "ScoreLog", "read_logs"]

Cells = dict[str, Any]
#: What a cell without a value says, in any case.
MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "-", "--", "?"})
_NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
_MARK = re.compile(rf"({_NUMBER})\s*(?:(?:/|out of)\s*(\d+(?:\.\d+)?)|(%))?")
_BOOLS = {"true": 1.0, "false": 0.0}


@dataclass(frozen=True)
class Layout:
    """A log of a common tool: the columns it is known by, and what they are by default.

    ``unpack`` turns the rows of one file into those of a table; each has the name of the ``file``
    and of its ``folder``.
    """

    name: str
    known_by: frozenset[str]
    record: str
    model: str
    task: str | None = None
    score: str | None = None
    scales: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    unpack: Callable[[list[Cells]], list[Cells]] = list


_WON = {"model_1": "first", "model_2": "second", "tie": "tie"}
_SAMPLES = re.compile(r"samples_(.+?)(?:_\d{4}-\d\d-\d\dT.*)?")
_HELM_MODEL = re.compile(r"(.*?)[:,]model=([^,]+)(.*)")


def _pairs(rows: list[Cells]) -> list[Cells]:
    """Return a row for each model of a question: ten times the share of games it won."""
    verdicts = [
        {
            "record": f"{cells['question_id']}_{cells['turn']}",
            "model": str(cells["model_1"]),
            "against": str(cells["model_2"]),
            **({"better": _WON[won]} if won in _WON else {"refused": won}),
        }
        for cells in rows
        for won in (cells["g1_winner"], cells["g2_winner"])
    ]
    return [{"score": None, **row} for row in win_shares(verdicts)]


def _samples(rows: list[Cells]) -> list[Cells]:
    """Return a row for each document; of several filters, a column for each metric and filter."""
    filters = dict.fromkeys(str(cells.get("filter")) for cells in rows)
    found: dict[Any, Cells] = {}
    for cells in rows:
        named = _SAMPLES.fullmatch(str(cells["file"]))
        row = {"task": named[1] if named else cells["file"], **cells}
        if len(filters) > 1:
            metrics = [name for name in cells.get("metrics") or [] if name in cells]
            row = {name: cell for name, cell in row.items() if name not in metrics}
            row |= {f"{name}.{cells.get('filter')}": cells[name] for name in metrics}
            found[cells["doc_id"]] = {**found.get(cells["doc_id"], {}), **row}
        else:
            found[len(found)] = row
    return list(found.values())


def _helm(rows: list[Cells]) -> list[Cells]:
    """Return a column per statistic, its mean, of the instances that are not perturbed.

    The name of the folder holds the model and the scenario, which is the task.
    """
    found = []
    for cells in (cells for cells in rows if not cells.get("perturbation")):
        stats = {
            str(stat["name"].get("name")): stat.get("mean")
            for stat in cells["stats"]
            if isinstance(stat, dict)
            and isinstance(stat.get("name"), dict)
            and not stat["name"].get("perturbation")
        }
        named = _HELM_MODEL.fullmatch(str(cells["folder"]))
        names = {"model": cells["folder"], "task": "all"}
        if named:
            names = {"model": named[2], "task": f"{named[1]}{named[3]}"}
        rest = {name: cell for name, cell in cells.items() if name != "stats"}
        found.append({**names, **rest, **stats})
    return found


#: The layouts that are recognised; anything else is a table whose columns somebody names.
LAYOUTS = (
    Layout(
        "MT-Bench single judgements",
        frozenset({"question_id", "model", "judge", "score", "turn"}),
        record="question_id,turn",
        model="model",
        score="score",
        scales={"score": "0:10"},
        missing=("-1",),
    ),
    Layout(
        "MT-Bench pairwise judgements",
        frozenset({"question_id", "model_1", "model_2", "g1_winner", "g2_winner", "turn"}),
        record="record",
        model="model",
        score="score",
        scales={"score": "0:10"},
        unpack=_pairs,
    ),
    Layout(
        "AlpacaEval annotations",
        frozenset({"instruction", "generator_2", "annotator", "preference"}),
        record="instruction",
        model="generator_2",
        score="preference",
        scales={"preference": "1:2"},
    ),
    Layout(
        "lm-evaluation-harness samples",
        frozenset({"doc_id", "doc", "target", "resps"}),
        record="task,doc_id",
        model="folder",
        task="task",
        unpack=_samples,
    ),
    Layout(
        "HELM per-instance statistics",
        frozenset({"instance_id", "stats"}),
        record="task,instance_id",
        model="model",
        task="task",
        unpack=_helm,
    ),
)


@dataclass(frozen=True)
class ScoreLog:
    """The rows of one or more files; cells are as they stand, but for what a layout unpacks.

    ``file`` and ``folder`` are columns too, unless the files have such: the name of the file
    without its endings, and that of its folder.
    """

    frame: pd.DataFrame
    name: str
    layout: Layout | None
    notes: tuple[str, ...]
    decimal: str

    def texts(self, columns: Sequence[str]) -> pd.Series[Any]:
        """Return the names that these columns make together, joined by an underscore.

        Names are kept as they stand: ``007`` is no number and ``NA`` a name. An empty one is
        missing.
        """
        parts = [self.frame[column].map(_name) for column in columns]
        whole = parts[0]
        for part in parts[1:]:
            whole = (whole + "_" + part).where(whole.notna() & part.notna(), None)
        return whole

    def numbers(self, column: str, missing: Sequence[str] = ()) -> tuple[pd.Series[Any], float]:
        """Return a column's values, NaN where missing, and the top that marks like ``8/10`` state.

        The top is NaN where no mark states one. True and false are 1 and 0; ``missing`` are marks
        of a missing score beside :data:`MISSING`. Raises :class:`~poq_abm.errors.InputError` at the
        first cell that is none of it, and for marks of several tops.
        """
        found = [self._number(cell, missing) for cell in self.frame[column]]
        for position, number in enumerate(found):
            if number is None:
                cell = str(self.frame[column].iloc[position])
                raise InputError(
                    f"{self.frame.index[position]}: column {column!r} holds {cell[:40]!r}, which "
                    f"is no number (--missing {cell[:40]!r} if it marks a missing one)"
                )
        pairs = [pair for pair in found if pair is not None]
        tops = sorted({top for _, top in pairs if not math.isnan(top)})
        if len(tops) > 1:
            raise InputError(
                f"{self.name}: column {column!r} has marks out of {tops[0]:g} and of {tops[1]:g}"
            )
        values = pd.Series([value for value, _ in pairs], index=self.frame.index, dtype="float64")
        return values, tops[0] if tops else math.nan

    def _number(self, cell: Any, missing: Sequence[str]) -> tuple[float, float] | None:
        """Return the value of a cell and the top it states, or ``None`` if it is no number."""
        if cell is None:
            return math.nan, math.nan
        if isinstance(cell, bool | int | float):
            value, top = float(cell), math.nan
        else:
            text = str(cell).strip()
            if text.lower() in MISSING or text in missing:
                return math.nan, math.nan
            if text.lower() in _BOOLS:
                return _BOOLS[text.lower()], math.nan
            if self.decimal == "," and text.count(",") == 1 and "." not in text:
                text = text.replace(",", ".")
            mark = _MARK.fullmatch(text)
            if mark is None:
                return None
            value = float(mark[1])
            top = 100.0 if mark[3] else float(mark[2]) if mark[2] else math.nan
        is_missing = any(_same(value, mark) for mark in missing)
        return (math.nan if is_missing else value), top


def read_logs(paths: Sequence[Path], long: str | None = None) -> ScoreLog:
    """Return the rows of files of one layout, one below the other.

    ``long`` is ``annotator,score``: the names of two columns where each annotator has a row of its
    own; they become a column per annotator.

    Raises :class:`~poq_abm.errors.InputError` for what :func:`calibration.corpus.rows.read_table`
    refuses, files without rows, and two scores of one annotator for the same cells.
    """
    notes: list[str] = []
    decimal = "."
    rows: list[Cells] = []
    places: list[str] = []
    layouts: set[int | None] = set()
    for path in paths:
        table = read_table(path, ANY_ENCODING)
        notes += table.notes
        decimal = table.decimal if table.decimal == "," else decimal
        layout = _layout_of(table.rows[0].cells if table.rows else {})
        layouts.add(layout)
        where = {"file": path.name.split(".")[0], "folder": path.absolute().parent.name}
        cells = [{**where, **row.cells} for row in table.rows]
        if layout is None or LAYOUTS[layout].unpack is list:
            places += [row.place.removeprefix(f"{path.parent}/") for row in table.rows]
        else:  # a row may be made of several
            cells = [{**where, **row} for row in LAYOUTS[layout].unpack(cells)]
            places += [path.name] * len(cells)
        rows += [_flat(row) for row in cells]
    if len(layouts) > 1:
        raise InputError(f"{paths[0].name} and {paths[-1].name} have different layouts")
    name = paths[0].name if len(paths) == 1 else f"{paths[0].name} and {len(paths) - 1:,} more"
    if not rows:
        raise InputError(f"{name}: there are no rows")
    frame = pd.DataFrame(rows, index=pd.Index(places), dtype=object)
    frame = frame.where(frame.notna(), None)
    found = next(iter(layouts))
    layout_ = None if found is None else LAYOUTS[found]
    if layout_ is not None:
        notes.append(f"{name} has the layout of {layout_.name}.")
    if long is not None:
        frame = _pivoted(frame, long, name)
    return ScoreLog(frame, name, layout_, tuple(dict.fromkeys(notes)), decimal)


def _layout_of(cells: Cells) -> int | None:
    return next(
        (number for number, layout in enumerate(LAYOUTS) if layout.known_by <= set(cells)), None
    )


def _flat(cells: Cells, before: str = "") -> Cells:
    """Return cells in which an object is a column per key, ``doc.answer``."""
    flat: Cells = {}
    for name, cell in cells.items():
        if isinstance(cell, dict):
            flat |= _flat(cell, f"{before}{name}.")
        else:
            flat[f"{before}{name}"] = cell
    return flat


def _pivoted(frame: pd.DataFrame, long: str, name: str) -> pd.DataFrame:
    """Return the frame with a column for each annotator; other columns must agree."""
    columns = [column.strip() for column in long.split(",")]
    if len(columns) != 2:
        raise InputError(f"--long takes two columns, annotator,score, got {long!r}")
    for column in columns:
        if column not in frame.columns:
            raise InputError(
                f"{name}: there is no column {column!r}; {nearest(column, map(str, frame.columns))}"
            )
    annotator, score = columns
    others = [column for column in frame.columns if column not in columns]
    keys = frame[others].map(_key).apply(tuple, axis=1)
    wide: dict[Any, Cells] = {}
    places: dict[Any, str] = {}
    for place, key, who, value, cells in zip(
        frame.index,
        keys,
        frame[annotator].map(_name),
        frame[score],
        frame[others].to_dict("records"),
        strict=True,
    ):
        row = wide.setdefault(key, {str(column): cell for column, cell in cells.items()})
        places.setdefault(key, str(place))
        if who is None:
            raise InputError(f"{place}: there is no {annotator}")
        if who in row:
            taken = "is the name of a column too" if who in others else "scored this row twice"
            raise InputError(f"{place}: the {annotator} {who!r} {taken}")
        row[who] = value
    found = pd.DataFrame(wide.values(), index=pd.Index(places.values()), dtype=object)
    return found.where(found.notna(), None)


def _key(cell: Any) -> Any:
    return cell if isinstance(cell, str | int | float) or cell is None else repr(cell)


def _name(cell: Any) -> str | None:
    """Return a name as text, a whole number without decimals, an empty one missing."""
    if isinstance(cell, float):
        if math.isnan(cell):
            return None
        return str(int(cell)) if cell.is_integer() else str(cell)
    text = "" if cell is None else str(cell).strip()
    return text or None


def _same(value: float, mark: str) -> bool:
    try:
        return value == float(mark)
    except ValueError:
        return False
