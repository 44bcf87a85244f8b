"""Trust over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from poq_abm.figures.style import DASHES, canvas, caption, colours, count_of, need

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["trust_figure"]

_MOST_LINES = 8
_MOST_INSIDE = 4  # in the legend; a longer one would cover the lines


def trust_figure(frame: pd.DataFrame) -> Figure:
    """Return mean trust by round, a line and a 95% band per treatment and class of evaluators.

    ``frame`` is :func:`poq_abm.analysis.sweeps.trust_bands`. More than eight lines are not drawn:
    select treatments first.
    """
    need(frame, ["treatment", "round", "trust", "low", "high"])
    by = next(c for c in ("behaviour", "group", "model", "hardware") if c in frame)
    several = len(frame["treatment"].unique()) > 1
    lines = list(frame.groupby(["treatment", by], sort=False))
    figure, (axes,) = canvas(7.6, 4.2)
    paint = colours(range(min(len(lines), _MOST_LINES)))
    for number, ((treatment, name), part) in enumerate(lines[:_MOST_LINES]):
        line = part.sort_values("round")
        label = f"{name}, {treatment}" if several else str(name)
        axes.plot(line["round"], line["trust"], color=paint[number], linewidth=1.6, label=label,
                  linestyle=DASHES[number % len(DASHES)])  # fmt: skip
        axes.fill_between(line["round"], line["low"], line["high"], color=paint[number], alpha=0.25,
                          linewidth=0)  # fmt: skip
    axes.set_xlabel("round")
    axes.set_ylabel("mean trust (weight)")
    if len(lines) > _MOST_INSIDE:
        axes.legend(frameon=False, fontsize=7.5, loc="upper left", bbox_to_anchor=(1.01, 1.0))
    else:
        axes.legend(frameon=False, fontsize=7.5)
    left_out = len(lines) - _MOST_LINES
    caption(figure, "Trust of evaluators over time", frame, count_of(frame), "bands 95%",
            f"{left_out} more lines left out" if left_out > 0 else "")  # fmt: skip
    return figure
