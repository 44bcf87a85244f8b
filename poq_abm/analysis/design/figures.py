"""The figures of a search: front, tornado, progress, attainment, and where the choice breaks."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from poq_abm.analysis.charts import forest, point
from poq_abm.analysis.design.feasibility import boxes
from poq_abm.analysis.design.found import FoundCases, FoundDesigns
from poq_abm.analysis.design.objectives import HONEST, Objective
from poq_abm.analysis.design.tables import design_tables
from poq_abm.analysis.figure_style import DASHES, canvas, caption, colours
from poq_abm.experiment.labels import field_in_words, label, measure_in_words
from poq_abm.experiment.plan import study_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["design_figures"]

_MOST_PANELS = 3  #: pairs of objectives
_MOST_ROWS = 40  #: of a tornado: the fields that do most
#: colour and marker by state
_STATES = {"in": 0, "undecided": 1, "out": 7, "infeasible": 3}
_MARKS = {"in": "o", "undecided": "D", "out": "v", "infeasible": "X"}


def design_figures(found: FoundDesigns) -> dict[str, Figure]:
    """Return the figures that what was found has room for, by name."""
    tables = design_tables(found)
    for table in tables.values():
        table.attrs["scenario"] = found.problem.scenario.name
    figures: dict[str, Figure] = {}
    several = len(found.problem.search.objectives) > 1
    if found.members:
        figures["front"] = _front(found, tables["front"]) if several else _ranked(found, tables)
    if len(tables["tornado"]):
        figures["tornado"] = _tornado(found, tables["tornado"])
    if len(tables["progress"]):
        figures["progress"] = _progress(found, tables["progress"])
    if len(found.looks) > 1 and several and len(tables["attainment"]):
        figures["attainment"] = _attainment(found, tables["attainment"])
    if "audit" in tables:
        figures["audit"] = _audit(found, tables["audit"])
    if found.cases is not None and found.cases.fails.any():
        logs = [
            name for name, one in found.problem.search.uncertainties.items() if one.scale == "log"
        ]
        figures["cases"] = _cases(found.cases, tables["cases"], logs)
    return figures


def _axis(found: FoundDesigns, objective: Objective) -> str:
    """Return an objective as an axis names it."""
    name, metric = objective.title, objective.metric_alone
    if metric is not None and not objective.name:
        unit = label(metric, study_of(found.problem.scenario).main)[0]
        words = measure_in_words(metric, unit)
        name = f"size of {words}" if objective.absolute else words
    better = "less" if objective.sign > 0.0 else "more"
    said = f"{name}, {better} is better"
    if objective.under == (HONEST,):
        return said
    worst = "worst of " if len(objective.under) > 1 else "under "
    return f"{said}; {worst}{', '.join(objective.under)}"


def _pairs(found: FoundDesigns) -> list[tuple[Objective, Objective]]:
    return list(itertools.combinations(found.problem.search.objectives, 2))[:_MOST_PANELS]


def _panels(found: FoundDesigns) -> tuple[Figure, list[tuple[Axes, Objective, Objective]]]:
    pairs = _pairs(found)
    figure, axes = canvas(6.4, 3.8, len(pairs), columns=1)
    panels = [(panel, x, y) for panel, (x, y) in zip(axes, pairs, strict=True)]
    for panel, x, y in panels:
        panel.set_xlabel(_axis(found, x), fontsize=8.5)
        panel.set_ylabel(_axis(found, y), fontsize=8.5)
    return figure, panels


def _own(found: FoundDesigns, objective: Objective) -> float:
    """Return what the scenario's own design comes to, on the keys of the front."""
    assert found.published is not None
    place = found.problem.search.objectives.index(objective)
    return float(objective.sign * found.published.losses[:, place].mean())


def _front(found: FoundDesigns, front: pd.DataFrame) -> Figure:
    """Draw each pair of objectives, with intervals, states, the choice and the scenario's own."""
    figure, panels = _panels(found)
    paint = colours(range(10))
    rows: list[dict[Any, Any]] = front.to_dict("records")
    for panel, x, y in panels:
        for row in rows:
            state, opaque = row["state"], 0.25 + 0.75 * row["probability"]
            how: dict[str, Any] = {"color": paint[_STATES[state]], "alpha": opaque}
            point(panel, row, x.label, y.label, (f"{y.label}_low", f"{y.label}_high"),
                  fmt=_MARKS[state], markersize=5, elinewidth=0.8, **how)  # fmt: skip
            ends = [row[f"{x.label}_low"], row[f"{x.label}_high"]]
            panel.plot(ends, [row[y.label]] * 2, linewidth=0.8, **how)
            panel.annotate(str(row["member"]), (row[x.label], row[y.label]), fontsize=7,
                           xytext=(4, 4), textcoords="offset points")  # fmt: skip
        if found.chosen_member is not None:
            row = rows[found.chosen_member]
            panel.plot([row[x.label]], [row[y.label]], "o", markersize=13, fillstyle="none",
                       color="black", markeredgewidth=1.2)  # fmt: skip
        if found.published is not None:
            panel.plot([_own(found, x)], [_own(found, y)], "+", markersize=11, color="black",
                       markeredgewidth=1.6)  # fmt: skip
    _name_marks(found, panels[0][0], front, paint)
    caption(figure, "The front, played again on fresh keys", front,
            f"n = {found.fresh} replications", "95% intervals" if _is_usual(found) else "",
            "the paler, the likelier another member dominates it")  # fmt: skip
    return figure


def _is_usual(found: FoundDesigns) -> bool:
    return bool(found.problem.search.budget.confidence == 0.95)


def _name_marks(found: FoundDesigns, axes: Axes, front: pd.DataFrame, paint: Any) -> None:
    """Name the states that occur, the choice and the scenario's own design."""
    from matplotlib.lines import Line2D  # noqa: PLC0415

    words = {"in": "shown to belong", "out": "shown to be dominated"}
    marks = [
        Line2D([], [], marker=_MARKS[state], linestyle="", color=paint[_STATES[state]],
               label=words.get(state, state))
        for state in _STATES if state in set(front["state"])
    ]  # fmt: skip
    if found.chosen_member is not None:
        marks.append(Line2D([], [], marker="o", markersize=10, fillstyle="none", linestyle="",
                            color="black", label="certified"))  # fmt: skip
    if found.published is not None:
        marks.append(Line2D([], [], marker="+", markersize=9, linestyle="", color="black",
                            label="the scenario's own"))  # fmt: skip
    axes.legend(handles=marks, frameon=False, fontsize=7.5, loc="best")


def _ranked(found: FoundDesigns, tables: dict[str, pd.DataFrame]) -> Figure:
    """Draw the one objective of each member, less the scenario's own where that can be."""
    (objective,) = found.problem.search.objectives
    front = tables["front"]
    own = 0.0 if found.published is None else _own(found, objective)
    rows = pd.DataFrame(
        {
            "label": [f"member {n}" for n in front["member"]],
            "at": front[objective.label] - own,
            "first": front[f"{objective.label}_low"] - own,
            "last": front[f"{objective.label}_high"] - own,
            "shown": front["state"] == "in",
        }
    )
    less = "" if found.published is None else ", less that of the scenario's own design"
    figure = forest(rows, _axis(found, objective) + less)
    caption(figure, "The front, played again on fresh keys", front,
            f"n = {found.fresh} replications", "filled: shown to belong")  # fmt: skip
    return figure


def _tornado(found: FoundDesigns, tornado: pd.DataFrame) -> Figure:
    """Draw what one field at a time does, a panel for each objective."""
    parts = []
    for objective in found.problem.search.objectives:
        name = objective.label
        low, high = tornado[f"{name}_low"], tornado[f"{name}_high"]
        fields = tornado["field"].map(lambda text: field_in_words(f"mechanism.{text}"))
        parts.append(
            pd.DataFrame(
                {
                    "label": fields + ": " + tornado["value"],
                    "at": tornado[name],
                    "first": low,
                    "last": high,
                    "shown": (low > 0.0) | (high < 0.0),
                    "of": f"change of {_axis(found, objective)}",
                }
            ).head(_MOST_ROWS)
        )
    figure = forest(pd.concat(parts, ignore_index=True), by="of")
    caption(figure, "What one field at a time does to the chosen design", tornado,
            f"n = {found.problem.search.budget.fresh} replications",
            "filled: its interval, alone, excludes 0")  # fmt: skip
    return figure


def _audit(found: FoundDesigns, audit: pd.DataFrame) -> Figure:
    """Draw what the best deviations gain, under the chosen design beside the scenario's own."""
    assert found.certified is not None
    table = audit.sort_values("by", kind="stable")
    rows = pd.DataFrame(
        {
            "label": table["by"] + ": " + table["design"],
            "at": table["gain"],
            "first": table["gain_low"],
            "last": table["gain_high"],
            "shown": (table["gain_low"] > 0.0) | (table["gain_high"] < 0.0),
        }
    )
    per = found.certified.audits["chosen"].per
    figure = forest(rows, f"gain of the best deviation found (tokens per {per} of a member)")
    asked = found.problem.search.audit
    caption(figure, "What deviators gain", table,
            "" if asked is None else f"n = {asked.replications} matched pairs",
            "intervals hold together; filled: they exclude 0")  # fmt: skip
    return figure


def _progress(found: FoundDesigns, progress: pd.DataFrame) -> Figure:
    """Draw the hypervolume of each search against what it had tried."""
    figure, (axes,) = canvas(6.4, 3.8)
    searches = list(progress.groupby("search"))
    paint = colours([number for number, _ in searches])
    dashes = itertools.cycle(DASHES)
    for (number, part), dash in zip(searches, dashes, strict=False):
        axes.step(part["designs"], part["hypervolume"], where="post", color=paint[number],
                  linestyle=dash, marker="o", markersize=3, label=f"search {number}")  # fmt: skip
    axes.set_xlabel("designs tried")
    axes.set_ylabel("hypervolume, as a share of\nthe box of feasible outcomes", fontsize=9)
    axes.set_xlim(left=0)
    if 1 < len(searches) <= 10:
        axes.legend(frameon=False, fontsize=8)
    title = "How far the search came" if len(searches) == 1 else "How far the searches came"
    caption(figure, title, progress, f"n = {found.problem.search.budget.replications} replications")
    return figure


def _attainment(found: FoundDesigns, table: pd.DataFrame) -> Figure:
    """Draw the front of all searches, coloured by the share of them that attain it."""
    figure, panels = _panels(found)
    for panel, x, y in panels:
        for look in found.looks:
            places = [found.problem.search.objectives.index(one) for one in (x, y)]
            losses = look.losses[:, places] * [x.sign, y.sign]
            panel.plot(losses[:, 0], losses[:, 1], ".", markersize=2, color="0.8", zorder=0)
        drawn = panel.scatter(table[x.label], table[y.label], c=table["attained"], s=34,
                              cmap="cividis", vmin=0.0, vmax=1.0, edgecolor="black",
                              linewidth=0.5)  # fmt: skip
    bar = figure.colorbar(drawn, ax=panels[0][0], location="top", shrink=0.6, aspect=40)
    bar.set_label("share of searches that attain it", fontsize=8.5)
    caption(figure, "The front of all searches together", table, f"{len(found.looks)} searches",
            "grey: every feasible design", "on the keys of the searches")  # fmt: skip
    return figure


def _cases(cases: FoundCases, table: pd.DataFrame, logs: Sequence[str] = ()) -> Figure:
    """Draw the cases over the two fields that limit the first box, or the first two, with boxes.

    The fields of ``logs`` were drawn on a logarithmic scale, and are shown on one.
    """
    fails, names = cases.fails, [str(name) for name in cases.cases]
    limited = [name for one in boxes(cases.cases, fails) for name in one.box.limits]
    chosen = list(dict.fromkeys([*limited, *names]))[:2]
    figure, (axes,) = canvas(6.4, 4.6)
    across, up = (_Scale(cases.cases[name]) for name in (chosen[0], chosen[-1]))
    blue, red = colours(range(4))[0], colours(range(4))[3]
    rng = np.random.default_rng(0)  # spreads what lies on one line, in the picture alone
    spots = [across.places(cases.cases[chosen[0]], rng), up.places(cases.cases[chosen[-1]], rng)]
    if len(chosen) == 1:
        spots[1] = rng.random(len(table))
    for mask, mark, colour, said in (
        (~fails, "o", blue, "feasible"), (fails, "X", red, "breaks a constraint"),
    ):  # fmt: skip
        axes.plot(spots[0][mask], spots[1][mask], mark, markersize=4.5, color=colour, alpha=0.8,
                  label=said)  # fmt: skip
    for one in boxes(cases.cases, fails):
        first = across.span(one.box.limits.get(chosen[0]))
        second = (0.0, 1.0) if len(chosen) == 1 else up.span(one.box.limits.get(chosen[1]))
        bottom, top = second
        axes.fill_between(first, bottom, top, color=red, alpha=0.12, zorder=0)
    across.label(axes.xaxis, chosen[0])
    if len(chosen) > 1:
        up.label(axes.yaxis, chosen[1])
    else:
        axes.set_yticks([])
    if chosen[0] in logs:
        axes.set_xscale("log")
    if chosen[1:] and chosen[1] in logs:
        axes.set_yscale("log")
    axes.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, 1.1), ncols=2)
    caption(figure, "Where the chosen design stops being feasible", table,
            f"n = {cases.replications} replications a case", "shaded: boxes of PRIM")  # fmt: skip
    return figure


class _Scale:
    """An axis of cases: numbers as they are, or choices side by side."""

    def __init__(self, values: pd.Series[Any]) -> None:
        numeric = pd.api.types.is_numeric_dtype(values)
        self.known = [] if numeric else list(dict.fromkeys(values))
        ends = (0.0, 1.0) if self.known else (float(values.min()), float(values.max()))
        self.ends = (-0.5, len(self.known) - 0.5) if self.known else ends

    def places(self, values: pd.Series[Any], rng: np.random.Generator) -> Any:
        """Return where values lie."""
        if not self.known:
            return values.to_numpy(np.float64)
        at = np.array([self.known.index(value) for value in values], dtype=np.float64)
        return at + rng.uniform(-0.3, 0.3, at.size)

    def span(self, limit: Any) -> tuple[float, float]:
        """Return what a limit of a box covers; of choices, from the first to the last."""
        if limit is None:
            return self.ends
        if isinstance(limit, frozenset):
            at = [self.known.index(one) for one in limit]
            return min(at) - 0.5, max(at) + 0.5
        return max(limit[0], self.ends[0]), min(limit[1], self.ends[1])

    def label(self, axis: Any, name: str) -> None:
        """Name the axis."""
        # a group of a list has no words of its own
        axis.set_label_text(
            name if any(map(str.isdigit, name.split("."))) else field_in_words(name)
        )
        if self.known:
            axis.set_ticks(range(len(self.known)), [str(one) for one in self.known])
