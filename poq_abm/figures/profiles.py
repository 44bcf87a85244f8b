"""Figures 4 to 6 of arXiv 2512.16317, from any profile or run, with intervals of ours.

Figure 4 is bars of the evaluators' correlations; Figure 5 is quality against latency, one point a
model, by truth (left) and judge (right); Figure 6 is mean rewards as bars, inference nodes (left)
and evaluators (right). Drawn of the profile ``published`` they are a reconstruction fitted to
published aggregates, and say so; they are never the paper's own data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from poq_abm.figures.style import MARKERS, canvas, caption, colours, count_of, need

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "evaluator_correlation_bars",
    "mean_reward_bars",
    "quality_latency_points",
    "reward_against_cost",
]


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


def quality_latency_points(frame: pd.DataFrame) -> Figure:
    """Return Figure 5: mean quality against latency, one point a model.

    ``frame`` is :func:`poq_abm.analysis.efficiency.quality_against_latency`: the left panel is
    truth, the right one the judge's score, where there is a judge. Latency is taken as known.
    """
    need(frame, ["model", "latency_ms", "truth", "truth_low", "truth_high", "judge"])
    shown = [name for name in ("truth", "judge") if frame[name].notna().any()]
    figure, panels = canvas(4.7 * len(shown), 4.2, panels=len(shown))
    paint = colours(list(frame["model"].astype(str)))
    titles = {"truth": "mean truth (points of 10)", "judge": "mean judge score (points of 10)"}
    for name, axes in zip(shown, panels, strict=True):
        for number, row in enumerate(frame.to_dict("records")):
            ends = [[row[name] - row[f"{name}_low"]], [row[f"{name}_high"] - row[name]]]
            model = str(row["model"])
            axes.errorbar([row["latency_ms"]], [row[name]], yerr=np.nan_to_num(ends), capsize=3,
                          fmt=MARKERS[number % len(MARKERS)], color=paint[model],
                          label=model)  # fmt: skip
        axes.set_xlabel("mean latency (ms per sample)")
        axes.set_ylabel(titles[name])
        axes.margins(x=0.12, y=0.15)
    panels[0].legend(frameon=False, fontsize=7)
    caption(figure, "Quality against latency", frame,
            "means over records; bars 95%, records resampled", _records(frame))  # fmt: skip
    return figure


def mean_reward_bars(frame: pd.DataFrame) -> Figure:
    """Return Figure 6: mean reward per job of every group, inference nodes left, evaluators right.

    ``frame`` is :meth:`poq_abm.experiment.results.Results.summary`, of one treatment.
    """
    need(frame, ["role", "group", "reward_mean", "reward_low", "reward_high"])
    roles = [role for role in ("inference", "evaluator") if (frame["role"] == role).any()]
    figure, panels = canvas(4.7 * len(roles), 4.2, panels=len(roles))
    for role, axes in zip(roles, panels, strict=True):
        part = frame[(frame["role"] == role) & frame["reward_mean"].notna()]
        part = part.sort_values("reward_mean", ascending=False)
        places = np.arange(len(part))
        axes.bar(places, part["reward_mean"], color=colours(range(2))[roles.index(role)],
                 edgecolor="white", hatch="" if role == "inference" else "///")  # fmt: skip
        ends = [part["reward_mean"] - part["reward_low"], part["reward_high"] - part["reward_mean"]]
        axes.errorbar(places, part["reward_mean"], yerr=np.nan_to_num(ends), fmt="none",
                      ecolor="0.2", elinewidth=1.0, capsize=2.0)  # fmt: skip
        axes.axhline(0.0, color="black", linewidth=0.6)
        axes.set_xticks(places, part["group"].astype(str), rotation=20, ha="right", fontsize=8)
        axes.set_ylabel("mean reward (tokens per job)")
        axes.set_title(f"{role} nodes", fontsize=9)
    caption(figure, "Mean rewards", frame, count_of(frame), "bars 95%")
    return figure


def reward_against_cost(frame: pd.DataFrame) -> Figure:
    """Return reward per job against cost, a point per group, a panel per role.

    ``frame`` is :meth:`poq_abm.experiment.results.Results.summary`, of one treatment.
    """
    need(frame, ["role", "group", "reward_mean", "reward_low", "reward_high", "cost"])
    roles = list(dict.fromkeys(frame["role"].astype(str)))
    figure, panels = canvas(4.4 * len(roles), 4.0, panels=len(roles))
    for role, axes in zip(roles, panels, strict=True):
        part = frame[(frame["role"].astype(str) == role) & frame["reward_mean"].notna()]
        paint = colours(list(part["group"].astype(str)))
        for number, row in enumerate(part.to_dict("records")):
            ends = [[row["reward_mean"] - row["reward_low"]],
                    [row["reward_high"] - row["reward_mean"]]]  # fmt: skip
            group = str(row["group"])
            axes.errorbar([row["cost"]], [row["reward_mean"]], yerr=np.nan_to_num(ends), capsize=3,
                          fmt=MARKERS[number % len(MARKERS)], color=paint[group],
                          label=group)  # fmt: skip
        axes.set_xlabel(f"cost C charged to the {role} node (0-1 in its class)")
        axes.set_ylabel("reward (tokens per job)")
        axes.set_xlim(-0.08, 1.08)
        axes.legend(frameon=False, fontsize=7)
    caption(figure, "What nodes earn for what they cost", frame, count_of(frame),
            "bars 95%")  # fmt: skip
    return figure


def _records(frame: pd.DataFrame) -> str:
    count = frame.attrs.get("records")
    return f"n = {count:,} records" if count else ""
