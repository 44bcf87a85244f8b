"""How rewards are spread over nodes: distribution functions, violins, Lorenz curves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from poq_abm.analysis.rewards import taking_part
from poq_abm.figures.style import DASHES, canvas, caption, colours, need

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["lorenz_figure", "reward_ecdf", "reward_violins"]

_MOST_CLASSES = 10
#: what an amount is called along an axis; rewards are tokens paid
_NAMES = {
    "reward_mean": "reward (tokens paid per job)",
    "reward_total": "reward (tokens paid per run)",
    "points_mean": "points of the reward formula (per job)",
    "points_total": "points of the reward formula (per run)",
    "cost": "cost charged (C)",
}


def reward_ecdf(frame: pd.DataFrame, *, by: str = "role", amount: str = "reward_mean") -> Figure:
    """Return the empirical distribution function of the nodes' rewards, a step line per class.

    ``frame`` holds rows of :data:`poq_abm.experiment.schemas.NODES`; every node that has the amount
    (of a mean, that had a job) counts in every replication by its presence, the share of the run in
    which it took part.
    """
    frame = _counted(frame, by, amount)
    figure, (axes,) = canvas()
    classes = _classes(frame, by)
    paint = colours(classes)
    for number, name in enumerate(classes):
        part = frame[frame[by].astype(str) == name].sort_values(amount, kind="stable")
        shares = part["presence"].cumsum() / part["presence"].sum()
        axes.step(part[amount], shares, where="post", color=paint[name], linewidth=1.6,
                  linestyle=DASHES[number % len(DASHES)], label=name)  # fmt: skip
    axes.set_xlabel(_NAMES.get(amount, amount))
    axes.set_ylabel(f"share of nodes at or below{_weighted(frame)}")
    axes.set_ylim(0.0, 1.02)
    axes.legend(frameon=False, fontsize=8)
    caption(figure, "Distribution of rewards over nodes", frame, _nodes(frame))
    return figure


def reward_violins(
    frame: pd.DataFrame, *, by: str = "group", amount: str = "reward_mean"
) -> Figure:
    """Return violins of the nodes' rewards by class, with quartiles and every value as a dot.

    ``frame`` as in :func:`reward_ecdf`, but every node that took part counts once. The width of a
    violin is a kernel estimate of the density, cut at the least and the largest value.
    """
    import seaborn as sns  # noqa: PLC0415

    frame = _counted(frame, by, amount)
    classes = _classes(frame, by)
    known = frame.assign(**{by: frame[by].astype(str)})
    known = known[known[by].isin(classes)]
    figure, (axes,) = canvas(max(6.4, 0.9 * len(classes)), 4.2)
    shown = {"data": known, "x": by, "y": amount, "hue": by, "legend": False, "ax": axes}
    shown |= {"order": classes, "hue_order": classes, "palette": "colorblind"}
    sns.violinplot(**shown, inner="quart", cut=0, linewidth=0.8, density_norm="width")
    sns.stripplot(**shown | {"palette": ["0.15"] * len(classes)}, size=1.8, jitter=0.15, alpha=0.6)
    axes.tick_params(axis="x", labelrotation=20, labelsize=8)
    axes.set_xlabel("")
    axes.set_ylabel(_NAMES.get(amount, amount))
    caption(figure, f"Rewards by {by}", frame, _nodes(frame), "lines: quartiles")
    return figure


def lorenz_figure(frame: pd.DataFrame) -> Figure:
    """Return Lorenz curves: what share of all rewards the poorest share of nodes holds.

    Rewards are tokens paid, nodes count by their presence. ``frame`` is
    :func:`poq_abm.analysis.rewards.lorenz_curves`; a line per cell, its mean Gini coefficient in
    the legend.
    """
    need(frame, ["holders", "held", "gini", "replications", "nodes"])
    cells = [str(c) for c in frame.columns
             if c not in ("nodes", "replications", "gini", "holders", "held")]  # fmt: skip
    told = [c for c in cells if len(frame[c].astype(str).unique()) > 1] or cells[-1:]
    figure, (axes,) = canvas(5.2, 4.6)
    axes.plot([0, 1], [0, 1], color="0.6", linewidth=0.9)
    groups = list(frame.groupby(cells, sort=False, observed=True))
    paint = colours(range(len(groups)))
    for number, (_, part) in enumerate(groups):
        label = ", ".join(str(part[c].iloc[0]) for c in told)
        axes.plot(part["holders"], part["held"], color=paint[number], linewidth=1.6,
                  linestyle=DASHES[number % len(DASHES)],
                  label=f"{label} (Gini {part['gini'].iloc[0]:.3f})")  # fmt: skip
    axes.set_xlabel("share of nodes, poorest first (0-1)")
    axes.set_ylabel("share of all tokens paid (0-1)")
    axes.set_aspect("equal")
    axes.legend(frameon=False, fontsize=7.5)
    counts = sorted({int(n) for n in frame["replications"]})
    span = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    caption(figure, "How unevenly rewards are shared", frame, f"mean of n = {span} replications",
            "of nodes that took part, each by the share of the run in which it did")  # fmt: skip
    return figure


def _counted(frame: pd.DataFrame, by: str, amount: str) -> pd.DataFrame:
    """Return the nodes that took part and have the amount, with their presence."""
    need(frame, [by, amount])
    known = frame.assign(presence=frame.get("presence", 1.0))[
        taking_part(frame) & frame[amount].notna()
    ]
    known.attrs = frame.attrs
    need(known, [])
    return known


def _weighted(frame: pd.DataFrame) -> str:
    return ", by presence" if (frame["presence"] < 1.0).any() else ""


def _classes(frame: pd.DataFrame, by: str) -> list[str]:
    return list(dict.fromkeys(frame[by].astype(str)))[:_MOST_CLASSES]


def _nodes(frame: pd.DataFrame) -> str:
    count = frame["replication"].nunique() if "replication" in frame else 1
    one = f"{count:,} replication{'s' * (count != 1)}"
    return f"n = {len(frame):,} nodes that took part, in {one}"
