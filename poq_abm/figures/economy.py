"""An economy over its epochs, as curves with bands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from poq_abm.errors import InputError, nearest
from poq_abm.experiment.estimates import mean_interval
from poq_abm.experiment.schemas import EPOCHS, NETWORK, range_of
from poq_abm.figures.style import caption

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["epoch_bands", "over_epochs"]

_LINES = ("-", "--", ":", "-.")  #: once all colours are used
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
    for key, group in of_groups.groupby(keys, observed=True, sort=False):
        values = group[measure].dropna()
        mean, _, low, high = mean_interval(values, within=range_of(measure, unit))
        rows.append([*key, mean, low, high])
    table = pd.DataFrame(rows, columns=[*keys, "mean", "low", "high"])
    count = int(chosen["replication"].nunique())
    table.attrs |= {"measure": measure, "unit": unit, "count": count}
    return table


def epoch_bands(table: pd.DataFrame) -> Figure:
    """Return curves over epochs with bands of 95% intervals; see :func:`over_epochs`."""
    import seaborn as sns  # noqa: PLC0415  (heavy, and only for pictures)
    from matplotlib.figure import Figure  # noqa: PLC0415

    several = len(set(table["treatment"])) > 1
    by = "treatment" if several else "group"
    with sns.axes_style("ticks"):
        figure = Figure(figsize=(8.0, 4.2), layout="constrained")
        axes = figure.subplots()
    curves = list(table.groupby(by, observed=True, sort=False))
    colours = sns.color_palette("colorblind")
    for number, (name, curve) in enumerate(curves):
        colour, line = colours[number % len(colours)], _LINES[number // len(colours) % len(_LINES)]
        axes.plot(curve["epoch"], curve["mean"], line, color=colour, label=str(name))
        axes.fill_between(curve["epoch"], curve["low"], curve["high"], color=colour, alpha=0.2)
    attrs = table.attrs
    axes.set_xlabel("epoch")
    axes.set_ylabel(f"{attrs['measure']} ({attrs['unit']})")
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    caption(figure, f"{attrs['measure']} over epochs", table, f"n = {attrs['count']} replications",
            "bands: 95% intervals")  # fmt: skip
    return figure
