"""Lines with bands: a measure along an axis of a sweep, or along the epochs of an economy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from poq_abm.figures.style import DASHES, MARKERS, canvas, caption, colours, count_of, need

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["epoch_lines", "sweep_lines"]

_MOST_LINES = 8
_MOST_TICKS = 12  # values of an axis that are written out
_MOST_INSIDE = 4  # in the legend; a longer one would cover the lines


def sweep_lines(frame: pd.DataFrame, x: str, y: str | None = None, *, label: str = "") -> Figure:
    """Return a measure along one axis of a sweep, a line and 95% bars for each value of another.

    ``frame`` is :func:`poq_abm.analysis.sweeps.metric_over_axes`; ``x`` and ``y`` are its columns.
    ``label`` names the measure and its unit. Values that are no numbers stand in the order of the
    sweep and are not joined.
    """
    need(frame, [x, "mean", "low", "high", *([y] if y else [])])
    figure, (axes,) = canvas(7.6 if y else 6.4, 4.0)
    is_number = pd.api.types.is_numeric_dtype(frame[x])
    parts = [(None, frame)] if y is None else list(frame.groupby(y, sort=False))
    paint = colours(range(min(len(parts), _MOST_LINES)))
    ticks = list(dict.fromkeys(frame[x].astype(str)))
    for number, (value, part) in enumerate(parts[:_MOST_LINES]):
        line = part.sort_values(x) if is_number else part
        at = line[x] if is_number else line[x].astype(str).map(ticks.index)
        errors = [(line["mean"] - line["low"]).fillna(0.0), (line["high"] - line["mean"]).fillna(0)]
        axes.errorbar(
            at, line["mean"], yerr=errors, color=paint[number], capsize=3, linewidth=1.6,
            marker=MARKERS[number % len(MARKERS)], markersize=5, label=str(value),
            linestyle=DASHES[number % len(DASHES)] if is_number else "none",
        )  # fmt: skip
    if len(ticks) <= _MOST_TICKS:
        places = list(dict.fromkeys(frame[x])) if is_number else range(len(ticks))
        axes.set_xticks(places, ticks, fontsize=8)
    axes.set_xlabel(x)
    axes.set_ylabel(label or "mean")
    if y is not None:
        _legend(axes, len(parts), y.rpartition(".")[2])
    left_out = len(parts) - _MOST_LINES
    caption(figure, f"{label or 'mean'} along {x.rpartition('.')[2]}", frame, count_of(frame),
            "bars 95%", f"{left_out} more lines left out" if left_out > 0 else "")  # fmt: skip
    return figure


def epoch_lines(frame: pd.DataFrame, *, label: str = "") -> Figure:
    """Return a measure over the epochs of an economy, a line and a 95% band per treatment or group.

    ``frame`` is :func:`poq_abm.analysis.epochs.epoch_bands`.
    """
    need(frame, ["treatment", "group", "epoch", "mean", "low", "high"])
    cells = [c for c in ("group", "treatment") if len(frame[c].astype(str).unique()) > 1]
    parts = list(frame.groupby(cells or ["treatment"], sort=False, observed=True))
    figure, (axes,) = canvas(7.6, 4.0)
    paint = colours(range(min(len(parts), _MOST_LINES)))
    for number, (name, part) in enumerate(parts[:_MOST_LINES]):
        line = part.sort_values("epoch")
        axes.plot(line["epoch"], line["mean"], color=paint[number], linewidth=1.6,
                  linestyle=DASHES[number % len(DASHES)],
                  label=", ".join(map(str, name)))  # fmt: skip
        axes.fill_between(line["epoch"], line["low"], line["high"], color=paint[number], alpha=0.25,
                          linewidth=0)  # fmt: skip
    axes.set_xlabel("epoch")
    axes.set_ylabel(label or "mean")
    if len(parts) > 1:
        _legend(axes, len(parts), None)
    left_out = len(parts) - _MOST_LINES
    caption(figure, f"{label or 'mean'} over the epochs", frame, count_of(frame), "bands 95%",
            f"{left_out} more lines left out" if left_out > 0 else "")  # fmt: skip
    return figure


def _legend(axes: Axes, lines: int, title: str | None) -> None:
    if lines > _MOST_INSIDE:
        axes.legend(frameon=False, fontsize=7.5, title=title, title_fontsize=7.5,
                    loc="upper left", bbox_to_anchor=(1.01, 1.0))  # fmt: skip
    else:
        axes.legend(frameon=False, fontsize=7.5, title=title, title_fontsize=7.5)
