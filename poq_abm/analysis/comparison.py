"""What moved between two treatments, as a forest of differences and in plain words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from poq_abm.analysis.charts import MOST_ROWS, forest
from poq_abm.analysis.figure_style import caption, count_of, need
from poq_abm.analysis.questions import TREATMENTS, AnalysisRequest, FigureKind, told
from poq_abm.analysis.stored_run import StoredRun
from poq_abm.errors import InputError
from poq_abm.experiment.calibration_error import WIDENED
from poq_abm.experiment.estimates import shown
from poq_abm.experiment.labels import measure_in_words, unit_in_words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "FIGURES",
    "describe",
    "difference_forest",
    "factor",
    "is_equal",
    "what_matching_saved",
    "what_moved",
]

FEW = 4  # more metrics in one sentence are listed by name; their numbers stand in the table
MANY = 8  # of a longer list the first so many are named and the others counted


def describe(comparison: pd.DataFrame, name_a: str, name_b: str) -> str:
    """Say what moved from A to B, what did not, and what matching the replications was worth.

    Parameters
    ----------
    comparison
        What :func:`poq_abm.experiment.paired.compare` returned.
    name_a, name_b
        How A and B are called.

    Examples
    --------
    >>> from poq_abm.experiment.paired import compare
    >>> a = pd.DataFrame({"replication": range(4), "correlation": [0.1, 0.2, 0.3, 0.4]})
    >>> b = pd.DataFrame({"replication": range(4), "correlation": [0.2, 0.41, 0.5, 0.59]})
    >>> describe(compare(a, b), "small", "large").split(": ")[0]
    'From small to large, correlation rose by 0.17 [0.09, 0.26] (4 matched replications). Common
    random numbers divided the variance of this difference by 17 [1.4, 303]'
    """
    rows: list[dict[str, Any]] = comparison.to_dict("records")  # type: ignore[assignment]
    if not rows:
        return f"From {name_a} to {name_b}, no metric has a number in both."
    silent = [row for row in rows if math.isnan(row["low"])]
    equal = [row for row in rows if is_equal(row)]
    moved = [row for row in rows if row["moved"] != "no evidence"]
    settled = {row["metric"] for row in (*silent, *equal, *moved)}
    unclear = [row for row in rows if row["metric"] not in settled]
    parts = what_moved(comparison, name_a, name_b)
    if unclear:
        alone = _alone(unclear, len(moved) + len(unclear))
        parts.insert(1, f"No evidence that {_listed(unclear)} moved{alone}")
    if equal:
        parts.append(f"Equal in every pair: {_names(equal)}")
    if silent:
        parts.append(f"Too few pairs to judge: {_names(silent)}")
    parts += what_matching_saved(comparison)
    return " ".join(f"{part}." for part in parts)


def what_moved(comparison: pd.DataFrame, name_a: str, name_b: str) -> list[str]:
    """Return what rose and what fell from A to B, and what of it other records might undo.

    >>> row = {"metric": "bias", "difference": 0.2, "low": 0.1, "high": 0.3, "moved": "up",
    ...        "replications": 5}
    >>> what_moved(pd.DataFrame([row]), "small", "large")
    ['From small to large, bias rose by 0.20 [0.10, 0.30] (5 matched replications)']
    """
    rows: list[dict[str, Any]] = comparison.to_dict("records")  # type: ignore[assignment]
    judged = [row for row in rows if not math.isnan(row["low"])] or rows
    moved = [row for row in rows if row["moved"] != "no evidence"]
    said = _moves(moved) or "nothing is shown to have moved"
    parts = [f"From {name_a} to {name_b}, {said}{_pairs(judged)}"]
    if fragile := [row for row in moved if row.get(WIDENED[0], 1) <= 0 <= row.get(WIDENED[1], 1)]:
        parts.append(
            "Measured on other records it might be otherwise: with the calibration's error the "
            f"interval of {_names(fragile)} holds zero"
        )
    return parts


def is_equal(row: Mapping[Any, Any]) -> bool:
    """Return whether a metric was the same in both of every pair, of which there are two or more.

    Then there is nothing to test. The interval may have a width: of an event that was in neither,
    each side's chance is known only so well.

    >>> is_equal({"difference": 0.0, "low": -0.1, "high": 0.1, "p_value": math.nan})
    True
    """
    untested = math.isnan(row["p_value"]) and not math.isnan(row["low"])
    return bool(row["difference"] == 0.0 and untested)


def factor(value: float) -> str:
    """Return a variance reduction in two digits, three above 100; infinity by its word.

    >>> factor(3.527), factor(1234.5), factor(float("inf"))
    ('3.5', '1230', 'infinite')
    """
    if math.isinf(value):
        return "infinite"
    if math.isnan(value):
        return "-"
    return f"{float(f'{value:.{2 if value < 100 else 3}g}'):g}"


def _moves(rows: list[dict[str, Any]]) -> str:
    """Say what rose and what fell, with numbers where there are few."""
    if len(rows) <= FEW:
        return _joined([f"{row['metric']} {_by(row)}" for row in rows])
    ways = {
        word: _names([row for row in rows if row["moved"] == way])
        for word, way in (("rose", "up"), ("fell", "down"))
    }
    return " and ".join(f"{names} {word}" for word, names in ways.items() if names)


def _by(row: dict[str, Any]) -> str:
    sign, word = (1.0, "rose") if row["moved"] == "up" else (-1.0, "fell")
    ends = sorted(sign * float(row[end]) for end in ("low", "high"))
    size, interval = shown(sign * float(row["difference"]), *ends)
    return f"{word} by {size} {'in every pair' if ends[0] == ends[1] else interval}"


def _listed(rows: list[dict[str, Any]]) -> str:
    if len(rows) > FEW:
        return _names(rows, "or")
    said = []
    for row in rows:
        size, interval = shown(*(float(row[x]) for x in ("difference", "low", "high")), sign="+")
        said.append(f"{row['metric']} ({size} {interval})")
    return _joined(said, "or")


def _alone(unclear: list[dict[str, Any]], tests: int) -> str:
    """Count what its own interval calls moved, but not when as many metrics are asked about."""
    outside = sum(row["low"] > 0.0 or row["high"] < 0.0 for row in unclear)
    if outside == 0:
        return ""
    whose = "its" if len(unclear) == 1 else f"for {outside} of them, the"
    return f" ({whose} interval excludes zero, which may be chance among {tests} metrics)"


def _names(rows: list[dict[str, Any]], last: str = "and") -> str:
    names = [str(row["metric"]) for row in rows]
    left_out = len(names) - MANY
    return _joined([*names[:MANY], f"{left_out} more"] if left_out > 1 else names, last)


def _joined(words: list[str], last: str = "and") -> str:
    return f" {last} ".join(part for part in (", ".join(words[:-1]), *words[-1:]) if part)


def _pairs(rows: list[dict[str, Any]]) -> str:
    least, most = (pick(row["replications"] for row in rows) for pick in (min, max))
    number = f"{most}" if least == most else f"{least} to {most}"
    return f" ({number} matched replication{'s' * (most != 1)})"


def what_matching_saved(comparison: pd.DataFrame) -> list[str]:
    """Return what matching did to the variance: the number of replications it stands for.

    Measures that are equal in every pair, or have too few pairs, count for nothing; where none is
    left, nothing is said.
    """
    rows: list[dict[str, Any]] = comparison.to_dict("records")  # type: ignore[assignment]
    known = [
        row
        for row in rows
        if not (math.isnan(row["variance_reduction"]) or math.isnan(row["low"]) or is_equal(row))
    ]
    values = np.array([row["variance_reduction"] for row in known])
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return ["Common random numbers left no variance in the difference"] if known else []
    least, middle, most = (factor(float(q)) for q in np.quantile(finite, [0.0, 0.5, 1.0]))
    if finite.size > 1:
        return [
            f"Common random numbers divided the variance of these differences by {least} to {most} "
            f"(median {middle}): independent seeds would need that many times as many replications "
            "for intervals as narrow"
        ]
    row = next(row for row in known if math.isfinite(row["variance_reduction"]))
    low, high = row["variance_reduction_low"], row["variance_reduction_high"]
    interval = "" if math.isnan(low) else f" [{factor(low)}, {factor(high)}]"
    doubt = "; that is no evidence that matching helped" if low <= 1.0 else ""
    return [
        f"Common random numbers divided the variance of this difference by {most}{interval}: "
        f"independent seeds would need about {most} times as many replications for an interval as "
        f"narrow{doubt}"
    ]


def difference_forest(frame: pd.DataFrame) -> Figure:
    """Return a forest of paired differences, with 95% intervals, a panel for each unit.

    ``frame`` is :func:`poq_abm.experiment.paired.compare`. The numbers stand beside the names.
    Differences without an interval, or the same in every pair, are not drawn; those of the latter
    that are not 0 are named below the figure.
    """
    need(frame, ["metric", "difference", "low", "high", "p_value", "moved"])
    moves = pd.Series([not is_equal(row) for row in frame.to_dict("records")], frame.index)
    varies = (frame["high"] > frame["low"]) & moves
    table = frame[frame["low"].notna() & varies].head(MOST_ROWS)
    same = frame[(frame["low"] == frame["high"]) & (frame["difference"] != 0.0)]
    unmoved = ", ".join(
        f"{measure_in_words(row['metric'])} {row['difference']:+.4g}"
        for row in same.to_dict("records")
    )
    if table.empty:
        raise InputError(
            "no difference varies over its pairs, so that there is no interval to draw; the same "
            f"in every pair: {unmoved or 'all, without a difference'}"
        )
    units = table["unit"] if "unit" in table else pd.Series("", table.index)
    drawn = table.assign(
        axis=[_axis(unit) for unit in units],
        label=[
            f"{measure_in_words(row['metric'])}: {row['difference']:+.4g}"
            for row in table.to_dict("records")
        ],
        at=table["difference"],
        first=table["low"],
        last=table["high"],
        shown=table["moved"] != "no evidence",
    )
    names = frame.attrs.get("sides", ("A", "B"))
    figure = forest(drawn, by="axis")
    caption(figure, f"From {names[0]} to {names[1]}", frame, count_of(frame),
            "bars 95% each; filled: shown at 95% over all rows (Holm)",
            unmoved and f"the same in every pair, so not drawn: {unmoved}")  # fmt: skip
    return figure


def _axis(unit: str) -> str:
    """Return how the axis of differences in a unit is named."""
    if not unit:
        return "difference"
    words = unit_in_words(unit)
    return f"difference (measures from {words})" if " to " in words else f"difference ({words})"


def _forest_of_run(request: AnalysisRequest) -> Figure:
    run = request.run
    known = [str(name) for name in run.results.treatments["treatment"]]
    a, b = request.treatment or known[0], request.against or known[-1]
    table = run.results.compare(a, b)
    table.attrs["sides"] = (a, b)
    return difference_forest(told(table, run))


def _few_along_one_axis(run: StoredRun) -> Iterator[dict[str, Any]]:
    if run.is_swept and run.has("nodes") and len(run.moving_axes) == 1 and run.few_curves:
        yield {}


FIGURES = (
    FigureKind(
        "forest",
        "paired differences of two treatments (--treatment, --against)",
        _forest_of_run,
        ("treatment", "against"),
        _few_along_one_axis,
        (TREATMENTS,),
    ),
)
