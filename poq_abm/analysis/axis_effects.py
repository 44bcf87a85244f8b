"""What each axis of a sweep does by itself, averaged over all others."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import pandas as pd

from poq_abm.analysis.questions import TREATMENTS, AnalysisRequest, TableKind
from poq_abm.analysis.sweeps import FIRST_MEASURES, axis_named, literal_values
from poq_abm.errors import InputError, nearest
from poq_abm.experiment.estimates import CONFIDENCE, mean_interval
from poq_abm.experiment.paired import SideTables, units_of
from poq_abm.experiment.results import Results
from poq_abm.experiment.schemas import range_of

__all__ = [
    "TABLES",
    "averaged_over",
    "averaged_side",
    "axis_effects",
    "is_grid",
    "telling",
    "treatments_at",
]

_BETWEEN = re.compile(r",(?![^{\[(]*[}\])])")  # commas that are in no brackets
_MOST_MEASURES = 4  # of an axis, in a table that one reads


def is_grid(treatments: pd.DataFrame) -> bool:
    """Return whether every value of an axis meets every value of the others.

    >>> is_grid(pd.DataFrame({"treatment": ["a", "b"], "rounds": [10, 20]}))
    True
    """
    values = [set(literal_values(treatments[axis])) for axis in _axes(treatments)]
    return bool(values) and math.prod(map(len, values)) == len(treatments)


def axis_effects(results: Results, confidence: float = CONFIDENCE) -> pd.DataFrame:
    """Return every measure at every value of every axis, averaged over all other axes.

    Inside a replication a measure is averaged over the treatments that have the value; replications
    share their keys, so what the value changes, against the first value of its axis, is a paired
    difference. The intervals of mean and change are Student's over replications, inside the range
    of the measure.

    Returns
    -------
    DataFrame
        ``axis``, ``value``, ``measure``, ``unit``, ``treatments`` (averaged over),
        ``replications``, ``mean``, ``low``, ``high``, ``change``, ``change_low``, ``change_high``.

    Raises
    ------
    InputError
        If the treatments are no grid: an average over the others would mix two causes.
    """
    treatments = results.treatments
    if not is_grid(treatments):
        raise InputError(
            "this sweep is no grid, so that an axis cannot be told apart from the others by "
            "averages; `poq compare A B --in FOLDER` compares two treatments"
        )
    played = results.main
    measures = [str(name) for name in played.select_dtypes("float").columns]
    rows = []
    for axis in _axes(treatments):
        values = dict(zip(treatments["treatment"], literal_values(treatments[axis]), strict=True))
        at = played["treatment"].astype(str).map(values)
        rows += _of_axis(axis, list(dict.fromkeys(values.values())), at, played, measures,
                         confidence)  # fmt: skip
    return pd.DataFrame(rows)


def _axes(treatments: pd.DataFrame) -> list[str]:
    axes = [str(column) for column in treatments.columns if column != "treatment"]
    return [axis for axis in axes if len(set(literal_values(treatments[axis]))) > 1]


def _of_axis(
    axis: str,
    values: list[str],
    at: pd.Series[Any],
    played: pd.DataFrame,
    measures: list[str],
    confidence: float,
) -> list[dict[str, Any]]:
    units, rows = units_of(played), []
    count = played["treatment"].nunique() // len(values)
    parts = {
        value: played[at == value].groupby("replication")[measures].sum(min_count=count) / count
        for value in values
    }
    for value in values:
        changes = parts[value] - parts[values[0]]
        for name in measures:
            within = range_of(name, units[name])
            found = parts[value][name].dropna()
            mean, _, low, high = mean_interval(found, confidence, within)
            moved = changes[name].dropna()
            change, _, least, most = mean_interval(moved, confidence, within.of_difference)
            first = value == values[0]
            rows.append(
                {
                    "axis": axis,
                    "value": value,
                    "measure": name,
                    "unit": units[name],
                    "treatments": count,
                    "replications": len(found),
                    "mean": mean,
                    "low": low,
                    "high": high,
                    "change": math.nan if first else change,
                    "change_low": math.nan if first else least,
                    "change_high": math.nan if first else most,
                }
            )
    return rows


def treatments_at(results: Results, named: str) -> list[str]:
    """Return the treatments with some values of some axes: ``AXIS=VALUE[,AXIS=VALUE...]``.

    None where ``named`` is not written so.

    Raises
    ------
    InputError
        If there is no such axis, or it takes no such value.
    """
    kept = results.treatments
    for part in _BETWEEN.split(named):
        name, equals, value = part.partition("=")
        if not equals:
            return []
        axis = axis_named(results.treatments, name)
        texts = literal_values(kept[axis])
        if value not in texts:
            raise InputError(f"{axis} takes no value {value!r}; {nearest(value, set(texts))}")
        kept = kept[[text == value for text in texts]]
    return [str(treatment) for treatment in kept["treatment"]]


def averaged_side(results: Results, treatments: Sequence[str]) -> SideTables:
    """Return the mean of some treatments, replication by replication, as one side of a comparison.

    Groups of nodes are compared where there is one treatment alone.
    """
    sides = [results.side(treatment) for treatment in treatments]
    if len(sides) == 1:
        return sides[0]
    main = _mean_rows([side.main for side in sides])
    again = [side.resampled_main for side in sides if side.resampled_main is not None]
    return SideTables(
        main,
        resampled_main=_mean_rows(again) if again else None,
        fewest_records=sides[0].fewest_records,
    )


def _mean_rows(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the mean row of each replication that all tables have, in the columns of the first."""
    joined = pd.concat(tables)
    by = joined.groupby("replication", sort=True)
    floats = joined.select_dtypes("float").columns
    means = by[list(floats)].sum(min_count=len(tables)) / len(tables)
    whole = means[by.size() == len(tables)]
    first = tables[0].set_index("replication").loc[whole.index]
    return first.assign(**{str(name): whole[name] for name in floats}).reset_index()[
        list(tables[0].columns)
    ]


def telling(effects: pd.DataFrame, axis: str) -> list[str]:
    """Return the measures that an axis is shown to move, those of most interest first.

    Shown is a change whose interval excludes zero; there are as many tests as rows, so a few may be
    chance.
    """
    of_axis = effects[effects["axis"] == axis]
    shown = of_axis[(of_axis["change_low"] > 0.0) | (of_axis["change_high"] < 0.0)]
    moved = list(dict.fromkeys(shown["measure"]))
    first = [name for name in FIRST_MEASURES if name in moved]
    return [*first, *(name for name in moved if name not in first)][:_MOST_MEASURES]


def averaged_over(effects: pd.DataFrame, axis: str) -> str:
    """Say over what the measures along an axis were averaged; nothing where it is the only one."""
    others = [name.rpartition(".")[2] for name in dict.fromkeys(effects["axis"]) if name != axis]
    if not others:
        return ""
    count = int(effects.loc[effects["axis"] == axis, "treatments"].iloc[0])
    return f"mean of the {count} treatments that differ in {_joined(others)}"


def _joined(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _table(request: AnalysisRequest) -> pd.DataFrame:
    return axis_effects(request.run.results)


TABLES = (
    TableKind(
        "axes",
        "what each axis of a sweep moves, averaged over the others",
        _table,
        needs=(TREATMENTS,),
    ),
)
