"""The paper's Figures 4 to 6, from any profile or run.

Figure 4 (correlations of the evaluators with truth and judge) and Figure 5 (quality of the models,
and quality for their latency) show what those of arXiv 2512.16317 are known to show, in a layout of
ours. What its Figure 6 shows is not known to us; :func:`reward_against_cost` is our choice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from poq_abm.figures.style import MARKERS, canvas, caption, colours, count_of, need

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["evaluator_correlation_bars", "model_quality_bars", "reward_against_cost"]


def _grouped_bars(axes: Axes, frame: pd.DataFrame, rows: str, columns: list[str]) -> None:
    """Draw one bar per row and column, with the interval of ``_low`` and ``_high``."""
    paint = colours(columns)
    places = np.arange(len(frame))
    width = 0.8 / len(columns)
    for number, name in enumerate(columns):
        at = places + (number - (len(columns) - 1) / 2) * width
        values = frame[name].to_numpy(dtype=np.float64)
        ends = [values - frame[f"{name}_low"], frame[f"{name}_high"] - values]
        known = np.isfinite(values)
        axes.bar(at[known], values[known], width, color=paint[name], label=name,
                 edgecolor="white", hatch="" if number == 0 else "///")  # fmt: skip
        axes.errorbar(at[known], values[known], yerr=[np.nan_to_num(end[known]) for end in ends],
                      fmt="none", ecolor="0.2", elinewidth=1.0, capsize=2.0)  # fmt: skip
    axes.set_xticks(places, frame[rows].astype(str), rotation=20, ha="right", fontsize=8)
    axes.legend(frameon=False, fontsize=8)


def evaluator_correlation_bars(frame: pd.DataFrame) -> Figure:
    """Return Figure 4: every evaluator's Pearson correlation with truth and with the judge.

    ``frame`` is :func:`poq_abm.analysis.correlation.evaluator_correlations`: columns evaluator,
    against, correlation, low, high.
    """
    need(frame, ["evaluator", "against", "correlation", "low", "high"])
    wide = pd.DataFrame({"evaluator": list(dict.fromkeys(frame["evaluator"]))})
    known = frame[frame["correlation"].notna()]
    against = list(dict.fromkeys(known["against"].astype(str)))
    for name in against:
        part = frame[frame["against"] == name].set_index("evaluator").loc[wide["evaluator"]]
        for column, source in ((name, "correlation"), (f"{name}_low", "low"),
                               (f"{name}_high", "high")):  # fmt: skip
            wide[column] = part[source].to_numpy()
    figure, (axes,) = canvas()
    _grouped_bars(axes, wide, "evaluator", against)
    axes.axhline(0.0, color="black", linewidth=0.6)
    axes.set_ylabel("Pearson correlation (-1 to 1)")
    caption(figure, "Do evaluators track quality?", frame,
            "mean over tasks; bars 95%, records resampled", _records(frame))  # fmt: skip
    return figure


def model_quality_bars(frame: pd.DataFrame) -> Figure:
    """Return Figure 5: truth and judge score of every model, and truth per second of latency.

    ``frame`` is :func:`poq_abm.analysis.efficiency.quality_against_latency`. The bars of the right
    panel are those of truth; latency is taken as known.
    """
    need(frame, ["model", "truth", "judge", "latency_ms", "truth_per_second"])
    known = [name for name in ("truth", "judge") if frame[name].notna().any()]
    table = frame.sort_values("truth", ascending=False).reset_index(drop=True)
    figure, (left, right) = canvas(9.4, 4.2, panels=2)
    _grouped_bars(left, table, "model", known)
    left.set_ylabel("mean score (0-10)")
    left.set_ylim(0.0, 10.0)
    places = np.arange(len(table))
    right.bar(places, table["truth_per_second"], color=colours(range(3))[2], edgecolor="white")
    seconds = table["latency_ms"] / 1000.0
    ends = [(table["truth"] - table["truth_low"]) / seconds,
            (table["truth_high"] - table["truth"]) / seconds]  # fmt: skip
    right.errorbar(places, table["truth_per_second"], yerr=np.nan_to_num(ends), fmt="none",
                   ecolor="0.2", elinewidth=1.0, capsize=2.0)  # fmt: skip
    right.set_xticks(places, table["model"], rotation=20, ha="right", fontsize=8)
    right.set_ylabel("mean truth per second of latency (points/s)")
    caption(figure, "What each model gives, and for its time", frame,
            "bars 95%, records resampled", _records(frame))  # fmt: skip
    return figure


def reward_against_cost(frame: pd.DataFrame) -> Figure:
    """Return Figure 6 (ours): reward per job against cost, a point per group, a panel per role.

    ``frame`` is :meth:`poq_abm.experiment.results.Results.summary`, of one treatment.
    """
    need(frame, ["role", "group", "reward_mean", "reward_low", "reward_high", "cost"])
    roles = list(dict.fromkeys(frame["role"].astype(str)))
    figure, panels = canvas(4.4 * len(roles), 4.0, panels=len(roles))
    for role, axes in zip(roles, panels, strict=True):
        part = frame[frame["role"].astype(str) == role]
        paint = colours(list(part["group"].astype(str)))
        for number, row in enumerate(part.to_dict("records")):
            ends = [[row["reward_mean"] - row["reward_low"]],
                    [row["reward_high"] - row["reward_mean"]]]  # fmt: skip
            group = str(row["group"])
            axes.errorbar([row["cost"]], [row["reward_mean"]], yerr=np.nan_to_num(ends), capsize=3,
                          fmt=MARKERS[number % len(MARKERS)], color=paint[group],
                          label=group)  # fmt: skip
        axes.set_xlabel(f"cost of the {role} node (0-1 in its class)")
        axes.set_ylabel("reward (tokens per job)")
        axes.set_xlim(-0.08, 1.08)
        axes.legend(frameon=False, fontsize=7)
    caption(figure, "What nodes earn for what they cost", frame, count_of(frame),
            "bars 95%")  # fmt: skip
    return figure


def _records(frame: pd.DataFrame) -> str:
    count = frame.attrs.get("records")
    return f"n = {count:,} records" if count else ""
