"""A measure along an axis of a sweep, as lines with bars."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from poq_abm.figures.style import DASHES, MARKERS, canvas, caption, colours, count_of, need

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["sweep_lines"]

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


def _legend(axes: Axes, lines: int, title: str) -> None:
    if lines > _MOST_INSIDE:
        axes.legend(frameon=False, fontsize=7.5, title=title, title_fontsize=7.5,
                    loc="upper left", bbox_to_anchor=(1.01, 1.0))  # fmt: skip
    else:
        axes.legend(frameon=False, fontsize=7.5, title=title, title_fontsize=7.5)
