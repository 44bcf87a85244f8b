"""Differences with their intervals, one below the other: forest plots."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from poq_abm.analysis.telling import is_equal
from poq_abm.figures.style import canvas, caption, colours, count_of, need

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["difference_forest", "gain_forest"]

_MOST_ROWS = 60


def difference_forest(frame: pd.DataFrame) -> Figure:
    """Return a forest of paired differences, each in half-widths of its own 95% interval.

    ``frame`` is :func:`poq_abm.analysis.comparing.compare`. Metrics have units of their own, so
    each difference is divided by half the width of its interval, whose ends then lie one to the
    left and one to the right. The numbers in their units stand beside the names. Differences
    without an interval, or the same in every pair, cannot be scaled; those that are not 0 are named
    below the figure.
    """
    need(frame, ["metric", "difference", "low", "high", "p_value", "moved"])
    moves = pd.Series([not is_equal(row) for row in frame.to_dict("records")], frame.index)
    varies = (frame["high"] > frame["low"]) & moves
    table = frame[frame["low"].notna() & varies].head(_MOST_ROWS)
    need(table, [])
    same = frame[(frame["low"] == frame["high"]) & (frame["difference"] != 0.0)]
    told = ", ".join(f"{row['metric']} {row['difference']:+.4g}" for row in same.to_dict("records"))
    half = (table["high"] - table["low"]) / 2.0
    scaled = table.assign(
        label=[
            f"{row['metric']}: {row['difference']:+.4g} {row.get('unit', '')}".strip()
            for row in table.to_dict("records")
        ],
        at=table["difference"] / half,
        first=table["low"] / half,
        last=table["high"] / half,
        shown=table["moved"] != "no evidence",
    )
    names = frame.attrs.get("sides", ("A", "B"))
    figure = _forest(scaled, "difference (half-widths of its 95% interval)")
    figure.axes[0].set_xscale("symlog", linthresh=2.0)  # a hundred half-widths hide one otherwise
    caption(figure, f"From {names[0]} to {names[1]}", frame, count_of(frame),
            "filled: shown at 95% over all rows (Holm)",
            told and f"the same in every pair, so not drawn: {told}")  # fmt: skip
    return figure


def gain_forest(frame: pd.DataFrame) -> Figure:
    """Return a forest of what deviations gain, in tokens per job of a member.

    ``frame`` is :func:`poq_abm.analysis.audit.gains.gain_table`. Thick bars are single 95%
    intervals, thin ones hold together.
    """
    need(frame, ["role", "group", "behaviour", "members", "gain", "low", "high", "verdict"])
    table = frame.head(_MOST_ROWS)
    scaled = table.assign(
        label=[
            f"{row['behaviour']} by {row['members']} of {row['group']}"
            for row in table.to_dict("records")
        ],
        at=table["gain"],
        first=table["low"],
        last=table["high"],
        shown=table["verdict"].isin(["gains", "loses"]),
    )
    figure = _forest(scaled, "gain from deviating (tokens per job of a member)")
    left_out = len(frame) - len(table)
    caption(figure, "What deviations gain", frame, count_of(frame),
            "thick 95% each, thin 95% together; filled: shown (Holm)",
            f"{left_out} more rows left out" if left_out > 0 else "")  # fmt: skip
    return figure


def _forest(rows: pd.DataFrame, label: str) -> Figure:
    figure, (axes,) = canvas(7.6, max(2.6, 1.2 + 0.24 * len(rows)))
    up, down = colours(range(2)).values()
    places = np.arange(len(rows))[::-1]
    for place, row in zip(places, rows.to_dict("records"), strict=True):
        colour = "0.5" if not row["shown"] else (up if row["at"] > 0 else down)
        if "family_low" in row and np.isfinite(row["family_low"]):
            axes.plot([row["family_low"], row["family_high"]], [place] * 2, color=colour,
                      linewidth=0.8)  # fmt: skip
        if np.isfinite(row["first"]):
            axes.plot([row["first"], row["last"]], [place] * 2, color=colour, linewidth=2.4,
                      solid_capstyle="butt")  # fmt: skip
        axes.plot([row["at"]], [place], marker="o" if row["at"] > 0 else "s", markersize=5,
                  color=colour, markerfacecolor=colour if row["shown"] else "white")  # fmt: skip
    axes.axvline(0.0, color="black", linewidth=0.6, zorder=0)
    axes.set_yticks(places, rows["label"].tolist(), fontsize=7)
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.set_xlabel(label)
    return figure
