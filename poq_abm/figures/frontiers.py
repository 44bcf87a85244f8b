"""What can be had for what: quality for latency, damage for tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from poq_abm.figures.style import MARKERS, canvas, caption, colours, count_of, need

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["attack_frontier_figure", "quality_cost_figure"]


def quality_cost_figure(frame: pd.DataFrame) -> Figure:
    """Return quality against latency of the inference groups, the efficient ones joined.

    ``frame`` is :func:`poq_abm.analysis.sweeps.quality_against_cost`.
    """
    need(frame, ["group", "latency_ms", "quality", "low", "high", "efficient"])
    figure, (axes,) = canvas()
    edge = frame[frame["efficient"]].sort_values("latency_ms")
    axes.step(edge["latency_ms"], edge["quality"], where="post", color="0.6", linewidth=1.0,
              zorder=1)  # fmt: skip
    paint = colours(list(frame["group"]))
    for number, row in enumerate(frame.to_dict("records")):
        ends = np.nan_to_num([[row["quality"] - row["low"]], [row["high"] - row["quality"]]])
        axes.errorbar([row["latency_ms"]], [row["quality"]], yerr=ends, capsize=3, zorder=2,
                      fmt=MARKERS[number % len(MARKERS)], color=paint[row["group"]],
                      markerfacecolor=paint[row["group"]] if row["efficient"] else "white",
                      label=row["group"])  # fmt: skip
    axes.set_xlabel("mean latency (ms)")
    axes.set_ylabel("quality: mean consensus (0-10)")
    axes.legend(frameon=False, fontsize=8)
    caption(figure, "Quality for latency", frame, count_of(frame),
            "bars 95%; filled: no other group is both quicker and better")  # fmt: skip
    return figure


def attack_frontier_figure(frame: pd.DataFrame) -> Figure:
    """Return how far coalitions move the consensus against what it costs them, a line per attack.

    ``frame`` is :func:`poq_abm.analysis.audit.frontier.attack_frontier`.
    """
    cost = "cost_per_epoch" if "cost_per_epoch" in frame else "cost_per_round"
    need(frame, ["behaviour", "members", "drift", cost, "efficient"])
    figure, (axes,) = canvas(6.8, 4.4)
    attacks = list(dict.fromkeys(frame["behaviour"]))
    paint = colours(attacks)
    for number, attack in enumerate(attacks):
        line = frame[frame["behaviour"] == attack].sort_values("members")
        mark = MARKERS[number % len(MARKERS)]
        axes.plot(line[cost], line["drift"], color=paint[attack], linewidth=1.0)
        for efficient, part in line.groupby("efficient"):
            axes.plot(part[cost], part["drift"], mark, color=paint[attack],
                      markerfacecolor=paint[attack] if efficient else "white")  # fmt: skip
        axes.plot([], [], mark, color=paint[attack], label=attack)
    axes.axhline(0.0, color="black", linewidth=0.6)
    axes.axvline(0.0, color="black", linewidth=0.6)
    axes.set_xlabel(
        f"cost to the coalition (tokens {cost[5:].replace('_', ' ')}; left of 0 it earns)"
    )
    axes.set_ylabel("drift of the mean consensus (points of 10)")
    axes.legend(frameon=False, fontsize=7.5)
    sizes = ", ".join(f"{n}" for n in sorted(set(frame["members"])))
    caption(figure, "What an attack moves, and what it costs", frame, count_of(frame),
            f"coalitions of {sizes}; filled: no other attack moves more for less")  # fmt: skip
    return figure
