"""An economy over its epochs: measures with their intervals, as curves with bands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from poq_abm.analysis import questions
from poq_abm.analysis.charts import legend
from poq_abm.analysis.figure_style import DASHES, canvas, caption, colours
from poq_abm.analysis.questions import (
    AnalysisRequest,
    FigureKind,
    Section,
    told,
    with_occurrence,
    with_treatment,
)
from poq_abm.analysis.stored_run import StoredRun
from poq_abm.errors import InputError, nearest
from poq_abm.experiment.estimates import mean_interval
from poq_abm.experiment.labels import measure_in_words
from poq_abm.experiment.schemas import EPOCHS, NETWORK, range_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FIGURES", "SECTIONS", "epoch_bands", "over_epochs"]

_COLOURS = 10  # that colour-blind readers tell apart; then dashes do
_KEYS = ("treatment", "replication", "epoch", "role", "group")


def over_epochs(epochs: pd.DataFrame, measure: str, treatment: str | None = None) -> pd.DataFrame:
    """Return the mean of a measure with its 95% interval, by treatment, group and epoch.

    Of several treatments the network's rows; of one, those of its groups where the measure has
    them. ``attrs`` holds the measure and its unit.

    Raises
    ------
    InputError
        If no column of ``epochs`` has that name, or no treatment.
    """
    known = [name for name in EPOCHS.names if name not in _KEYS]
    if measure not in known:
        raise InputError(f"epochs have no measure {measure!r}; {nearest(measure, known)}")
    names = [str(name) for name in epochs["treatment"].unique()]
    if treatment is not None and treatment not in names:
        raise InputError(f"no treatment {treatment!r}; {nearest(treatment, names)}")
    chosen = epochs if treatment is None else epochs[epochs["treatment"] == treatment]
    of_groups = chosen[(chosen["group"] != NETWORK) & chosen[measure].notna()]
    if len(set(chosen["treatment"])) > 1 or of_groups.empty:
        of_groups = chosen[chosen["group"] == NETWORK]
    unit = EPOCHS.field(measure).metadata[b"unit"].decode()
    rows = []
    keys = ["treatment", "group", "epoch"]
    most = of_groups.groupby(keys[:2], observed=True)["nodes"].max().to_dict()
    for key, group in of_groups.groupby(keys, observed=True, sort=False):
        values = group[measure].dropna()
        mean, _, low, high = mean_interval(values, within=range_of(measure, unit))
        if unit == "nodes":  # there are at most as many as the group ever had
            high = min(high, float(most[key[:2]]))
        rows.append([*key, mean, low, high])
    table = pd.DataFrame(rows, columns=[*keys, "mean", "low", "high"])
    count = int(chosen["replication"].nunique())
    table.attrs |= {"measure": measure, "unit": unit, "count": count}
    return table


def epoch_bands(table: pd.DataFrame) -> Figure:
    """Return curves over epochs with bands of 95% intervals; see :func:`over_epochs`."""
    several = len(set(table["treatment"])) > 1
    by = "treatment" if several else "group"
    figure, (axes,) = canvas(8.0, 4.2)
    curves = list(table.groupby(by, observed=True, sort=False))
    paint = list(colours(range(_COLOURS)).values())
    drawn: dict[bytes, str] = {}
    for number, (name, curve) in enumerate(curves):
        colour, line = paint[number % _COLOURS], DASHES[number % len(DASHES)]
        points = np.array(curve[["epoch", "mean"]], np.float64)
        first = drawn.setdefault(points.tobytes(), str(name))
        label = first if first == str(name) else f"{name} (the same as {first})"
        axes.plot(curve["epoch"], curve["mean"], line, color=colour, label=label)
        axes.fill_between(curve["epoch"], curve["low"], curve["high"], color=colour, alpha=0.2)
    attrs = table.attrs
    axes.set_xlabel("epoch")
    axes.set_ylabel(measure_in_words(attrs["measure"], attrs["unit"]))
    legend(axes, len(curves), most_inside=0)
    title = f"{measure_in_words(attrs['measure'])} over epochs"
    caption(figure, title, table, f"n = {attrs['count']} replications", "bands: 95% intervals")
    return figure


def _drawn(request: AnalysisRequest) -> Figure:
    run = request.run
    table = over_epochs(run.results.epochs, request.metric or "profit", request.treatment)
    return epoch_bands(told(table, run))


def _fits(run: StoredRun) -> Iterator[dict[str, Any]]:
    for metric in ("nodes", "profit") if run.has("epochs") else ():
        if run.results.epochs.groupby("group", observed=True)[metric].nunique().max() > 1:
            yield {"metric": metric}


def _section(run: StoredRun) -> Iterator[Section]:
    if not run.has("epochs"):
        return
    summary = run.results.economy_summary()
    if run.is_swept:
        summary = summary[summary["group"].astype(str) == NETWORK]
    summary = summary[(summary["first"].fillna(0.0) != 0.0) | (summary["last"].fillna(0.0) != 0.0)]
    notes = ["First epoch, and the mean of the last fifth of the epochs.",
             "Measures that are 0 throughout are not shown."]  # fmt: skip
    halted = run.results.replications["halted_epoch"]
    if halted.notna().any():
        notes.append(f"The network halted in {int(halted.notna().sum())} of {len(halted)} "
                     "replications: too few nodes were left.")  # fmt: skip
    yield Section(
        "The economy", with_occurrence(summary),
        with_treatment(run, "group", "measure", "unit", "not 0 in"),
        [("first", "first epoch", "")], [("last", "low", "high", "last epochs", "")], notes,
    ).with_calibration()  # fmt: skip


FIGURES = (
    FigureKind(
        "economy",
        "an economy epoch by epoch (--metric, a column of epochs)",
        _drawn,
        ("metric", "treatment"),
        _fits,
        (questions.EPOCHS,),
    ),
)
SECTIONS = (_section,)
