"""Distribution functions and violins of rewards over nodes, of one treatment or of several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import union_categoricals

from poq_abm.analysis.charts import MOST_LINES, legend, name_places, told_apart
from poq_abm.analysis.figure_style import DASHES, canvas, caption, colours, is_narrow, need
from poq_abm.analysis.questions import AnalysisRequest, FigureKind, of_one_treatment, told
from poq_abm.analysis.rewards import NODE_OPTIONS, class_asked, presence_of, taking_part
from poq_abm.analysis.stored_run import selected
from poq_abm.experiment.estimates import CONFIDENCE, ends_within, student
from poq_abm.experiment.schemas import RANGES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["FIGURES", "reward_ecdf", "reward_violins", "share_ends"]

Array = NDArray[np.float64]
_MOST_CLASSES, _MOST_VIOLINS = 10, 30  #: that are drawn
_MOST_INSIDE = 6  #: lines that a legend inside a panel names
_MOST_STEPS, _MOST_DOTS = 10_000, 2_000  #: of a class that are drawn
_MOST_ENDS = 400  #: of an interval's band
_MOST_ACROSS = 3  #: panels side by side
_SPREAD = 0.8  # of the room of a class that its violins take
_QUARTERS = [0.25, 0.5, 0.75]
_JITTER, _GOLDEN = 0.19, 0.6180339887498949  # steps of which no two points of an interval share
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
    which it took part. Of several treatments each class has a panel, and in it a line for each.

    Where there are several replications, bands are 95% intervals of the share at each reward: the
    share is a ratio of sums over replications, and its error theirs (Cochran, 1977, section 6.4),
    inside 0 and 1. Where no node or every node is at or below a reward, there is none.
    """
    frame = _counted(frame, by, amount)
    classes, treatments = _classes(frame, by), _treatments(frame)
    classes, left_out = _first(classes, _MOST_CLASSES)
    panels = [(name, frame[frame[by] == name]) for name in classes] if treatments else []
    figure, axes = canvas(
        3.7 * min(len(panels), _MOST_ACROSS) if len(panels) > 1 else 6.4, 4.0,
        max(len(panels), 1), columns=_MOST_ACROSS,
    )  # fmt: skip
    lines, shared = told_apart(treatments or classes)
    for panel, (name, part) in zip(axes, panels or [("", frame)], strict=True):
        _steps(panel, part, "treatment" if treatments else by, amount, treatments or classes)
        panel.set_title(name, fontsize=9)
        panel.set_xlabel(_NAMES.get(amount, amount))
        panel.set_ylabel(f"share of nodes at or below{_weighted(frame)}")
        panel.set_ylim(0.0, 1.02)
    handles = axes[0].get_legend_handles_labels()[0]
    for handle, line in zip(handles, lines, strict=True):
        handle.set_label(line)
    # Beside the first of several panels there is no room for a legend.
    legend(axes[0], len(lines), most_inside=_MOST_INSIDE if len(axes) == 1 else len(lines))
    bands = "bands: 95% intervals at each reward, over replications" if _repeated(frame) else ""
    title = "Distribution of rewards over nodes"
    caption(figure, title, frame, shared, _nodes(frame), bands, left_out)
    return figure


def _repeated(frame: pd.DataFrame) -> bool:
    return "replication" in frame and len(frame["replication"].unique()) > 1


def _steps(axes: Axes, frame: pd.DataFrame, by: str, amount: str, names: Sequence[str]) -> None:
    """Draw the distribution function of each class of nodes."""
    paint = colours(names)
    for number, name in enumerate(names):
        part = frame[frame[by] == name]
        order = np.argsort(part[amount].to_numpy(), kind="stable")
        shares = np.cumsum(part["presence"].to_numpy()[order])
        some = _some(order.size, _MOST_STEPS)
        heights = shares[some] / shares[-1] if order.size else shares
        axes.step(part[amount].to_numpy()[order[some]], heights, where="post", label=name,
                  color=paint[name], linewidth=1.6,
                  linestyle=DASHES[number % len(DASHES)])  # fmt: skip
        if order.size and _repeated(part):
            amounts = part[amount].to_numpy()
            at = amounts[order[_some(order.size, _MOST_ENDS)]]
            low, high = share_ends(amounts, part["presence"].to_numpy(), part["replication"], at)
            axes.fill_between(at, low, high, step="post", color=paint[name], alpha=0.2, linewidth=0)


def share_ends(
    amounts: Array, weights: Array, replications: pd.Series[Any], at: Array
) -> tuple[Array, Array]:
    """Return the ends of the 95% interval of the weighted share at or below each point.

    With W_r the sum of weights of replication r and w_r(x) that of its amounts up to x, the share
    is F = sum w_r / sum W_r, and its error that of the mean of w_r - F W_r over the mean of W_r.

    >>> halves = np.array([0.0, 1.0, 0.0, 1.0])
    >>> low, high = share_ends(halves, np.ones(4), pd.Series([0, 0, 1, 1]), np.array([0.0, 1.0]))
    >>> low.tolist(), high.tolist()
    ([0.5, 1.0], [0.5, 1.0])
    """
    place, names = pd.factorize(replications)
    upto = np.zeros((names.size, at.size + 1))
    np.add.at(upto, (place, np.searchsorted(at, amounts, side="left")), weights)
    below, totals = upto.cumsum(axis=1)[:, :-1], upto.sum(axis=1)
    share = below.sum(axis=0) / totals.sum()
    error = (below - share * totals[:, None]) / totals.mean()
    _, _, half = student(error.T, CONFIDENCE)
    ends = [
        ends_within(RANGES["0-1"], mean, wide, names.size) if 0.0 < mean < 1.0 else (mean, mean)
        for mean, wide in zip(share.tolist(), half.tolist(), strict=True)
    ]
    low, high = np.array(ends).T
    return low, high


def reward_violins(
    frame: pd.DataFrame, *, by: str = "group", amount: str = "reward_mean"
) -> Figure:
    """Return violins of the nodes' rewards by class, with quartiles and every value as a dot.

    ``frame`` as in :func:`reward_ecdf`, but every node that took part counts once. The width of a
    violin is a kernel estimate of the density, cut at the least and the largest value. Of many
    values some thousand stand for all, evenly spaced by rank, the least and the largest among them.
    Of several treatments each class has a violin for each, side by side.
    """
    frame = _counted(frame, by, amount)
    classes, treatments = _classes(frame, by), _treatments(frame)
    classes, left_out = _first(classes, _MOST_VIOLINS)
    across = max(len(treatments), 1)
    figure, (axes,) = canvas(max(6.4, (0.5 + 0.4 * across) * len(classes)), 4.2)
    lines, shared = told_apart(treatments or classes)
    paint = list(colours(lines).values())
    thinned = False
    for number, treatment in enumerate(treatments or [""]):
        part = frame[frame["treatment"] == treatment] if treatments else frame
        places = np.arange(len(classes)) + ((number + 0.5) / across - 0.5) * _SPREAD
        inks = [paint[number]] * len(classes) if treatments else paint
        values = [np.sort(part.loc[part[by] == name, amount].to_numpy()) for name in classes]
        thinned |= any(each.size > _MOST_DOTS for each in values)
        _violins_at(axes, values, places, _SPREAD / across, inks)
    name_places(axes, np.arange(len(classes)), classes)
    axes.set_ylabel(_NAMES.get(amount, amount))
    if treatments:
        axes.legend(handles=_patches(lines, paint), frameon=False, fontsize=7.5,
                    ncols=2 if is_narrow(figure) else _MOST_ACROSS,
                    loc="lower center", bbox_to_anchor=(0.5, 1.0))  # fmt: skip
    caption(figure, f"Rewards by {by}", frame, shared, _nodes(frame), "lines: quartiles",
            f"{_MOST_DOTS:,} of a class drawn, evenly by rank" if thinned else "",
            left_out)  # fmt: skip
    return figure


def _violins_at(
    axes: Axes, values: Sequence[Array], places: NDArray[Any], width: float, inks: Sequence[str]
) -> None:
    """Draw a violin for each class that has nodes, at its place."""
    known = [number for number, part in enumerate(values) if part.size]
    shown = [values[number][_some(values[number].size, _MOST_DOTS)] for number in known]
    drawn: dict[str, Any] = axes.violinplot(
        shown, places[known], widths=width, showextrema=False, quantiles=[_QUARTERS] * len(known)
    )
    for body, number in zip(drawn["bodies"], known, strict=True):
        body.set(facecolor=inks[number], edgecolor=inks[number], alpha=0.85, linewidth=1.4)
    drawn["cquantiles"].set(color="0.15", linewidth=0.8, linestyle="--")
    for place, part in zip(places[known], shown, strict=True):
        aside = _JITTER * width * (2.0 * (np.arange(part.size) * _GOLDEN % 1.0) - 1.0)
        axes.scatter(place + aside, part, s=3.0, color="0.15", alpha=0.35, linewidths=0.0)


def _patches(names: Sequence[str], paint: Sequence[str]) -> list[Any]:
    """Return what a legend shows of violins, which have no line."""
    from matplotlib.patches import Patch  # noqa: PLC0415  (heavy, and only for pictures)

    return [Patch(facecolor=ink, edgecolor="0.15", alpha=0.85, label=name)
            for name, ink in zip(names, paint, strict=False)]  # fmt: skip


def _treatments(frame: pd.DataFrame) -> list[str]:
    """Return the treatments that a table compares; none where there is but one."""
    names = list(map(str, frame["treatment"].unique())) if "treatment" in frame else []
    return names if len(names) > 1 else []


def _some(count: int, most: int) -> NDArray[np.int64]:
    """Return at most so many places, evenly spaced, the first and the last among them.

    >>> _some(3, 5).tolist(), _some(9, 3).tolist()
    ([0, 1, 2], [0, 4, 8])
    """
    return np.round(np.linspace(0, count - 1, min(count, most))).astype(np.int64)


def _counted(frame: pd.DataFrame, by: str, amount: str) -> pd.DataFrame:
    """Return the nodes that took part and have the amount, with their presence."""
    need(frame, [by, amount])
    counted = taking_part(frame) & frame[amount].notna()
    known = frame if counted.all() else frame[counted]
    need(known, [])
    known = known.assign(presence=presence_of(known))
    known[by] = known[by].astype("category")
    known.attrs = frame.attrs
    return known


def _weighted(frame: pd.DataFrame) -> str:
    return ", by presence" if (frame["presence"] < 1.0).any() else ""


def _classes(frame: pd.DataFrame, by: str) -> list[str]:
    return list(map(str, frame[by].unique()))


def _first(classes: list[str], most: int) -> tuple[list[str], str]:
    """Return the classes that are drawn, and what is said of those that are not.

    >>> _first(["a", "b", "c"], 1)
    (['a'], '2 more left out')
    """
    missing = len(classes) - most
    said = f"{missing} more left out" if missing > 0 else ""
    return classes[:most], said


def _nodes(frame: pd.DataFrame) -> str:
    count = frame["replication"].nunique() if "replication" in frame else 1
    each = " of each treatment" * bool(_treatments(frame))
    one = f"{count:,} replication{'s' * (count != 1)}{each}"
    return f"n = {len(frame):,} nodes that took part, in {one}"


def _drawn(request: AnalysisRequest, by: str) -> pd.DataFrame:
    """Return the nodes of the treatments asked for, and of one role where that is asked for."""
    run = request.run
    some = [run.one_treatment(request.treatment)] if request.treatment else run.treatments
    if request.against is not None:
        some = [*some[:1], run.one_treatment(request.against)] if request.treatment else some
    if len(some) > MOST_LINES:
        run.one_treatment(None)  # says that there are too many, and how one is named
    rows = run.nodes("role", by, "presence", "reward_mean", treatments=some)
    names = ["treatment", "replication", "presence", "reward_mean"]
    parts, words = [], []
    for part in selected(rows, role=request.role):
        counted = part[taking_part(part) & part["reward_mean"].notna()]
        parts.append(counted[names].astype({"treatment": str}))
        words.append(counted[by])
    return told(pd.concat(parts).assign(**{by: union_categoricals(words)}), run)


def _ecdf(request: AnalysisRequest) -> Figure:
    by = class_asked(request, "role")
    return reward_ecdf(_drawn(request, by), by=by)


def _violins(request: AnalysisRequest) -> Figure:
    by = class_asked(request, "group")
    return reward_violins(_drawn(request, by), by=by)


FIGURES = (
    FigureKind(
        "ecdf",
        "distribution functions of rewards over nodes, of one treatment or several",
        _ecdf,
        (*NODE_OPTIONS, "against"),
    ),
    FigureKind(
        "violins",
        "rewards by group as violins, of one treatment or several",
        _violins,
        (*NODE_OPTIONS, "against"),
        of_one_treatment,
    ),
)
