"""What inference nodes that deviate earn, and what their answers are worth, dose by dose.

A dose is a number of their behaviour that a sweep has as an axis: the pressure of ``hack``, the
points of ``judge_hack``. Where pay rises as truth falls, what is paid for is no measure any more
(Goodhart's law).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from poq_abm.analysis.charts import legend
from poq_abm.analysis.figure_style import DASHES, MARKERS, canvas, caption, colours, count_of, need
from poq_abm.analysis.questions import (
    NODES,
    AnalysisRequest,
    FigureKind,
    Need,
    Section,
    TableKind,
    told,
)
from poq_abm.analysis.stored_run import StoredRun
from poq_abm.experiment.estimates import CONFIDENCE, mean_interval
from poq_abm.rules.behaviour.base import BEHAVIOURS
from poq_abm.rules.behaviour.inference import Hack
from poq_abm.rules.registry import complete, find

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FIGURES", "SECTIONS", "TABLES", "dose_plot", "dose_response"]

_MEASURES = {"pay": "reward_mean", "consensus": "consensus_mean", "truth": "truth_mean"}
_PANELS = {
    "pay": "pay (tokens per job)",
    "consensus": "consensus (points of 10)",
    "truth": "truth (points of 10)",
}


def dose_response(
    nodes: Iterable[pd.DataFrame],
    doses: Mapping[str, tuple[str, float]],
    *,
    confidence: float = CONFIDENCE,
) -> pd.DataFrame:
    """Return pay, consensus and truth of deviating inference nodes, and their rise, by dose.

    ``nodes`` are parts of :data:`poq_abm.experiment.schemas.NODES` that hold whole replications;
    ``doses`` says of every treatment under what else it was played, and its dose. Means over a
    replication's jobs. A rise is the difference from the least dose under the same conditions,
    replication by replication: all doses saw the same luck. Its Student interval is over
    replications, and none where there is one.

    Columns: conditions, dose, replications and, for each of pay (tokens per job), consensus and
    truth (0 to 10), the mean, its rise, and the rise's ends ``_low`` and ``_high``.

    >>> part = pd.DataFrame({"treatment": ["a", "b"], "replication": 0, "role": "inference",
    ...     "behaviour": "hack", "jobs": 9, "reward_mean": [0.25, 0.5],
    ...     "consensus_mean": [4.0, 6.0], "truth_mean": [4.0, 3.0]})
    >>> row = dose_response([part], {"a": ("mean", 0.0), "b": ("mean", 2.0)}).iloc[1]
    >>> [float(row[name]) for name in ("dose", "pay_rise", "consensus_rise", "truth_rise")]
    [2.0, 0.25, 2.0, -1.0]
    """
    found: dict[str, dict[int, np.ndarray]] = {}
    for part in nodes:
        chosen = part[(part["role"] == "inference") & (part["jobs"] > 0)]
        chosen = chosen[chosen["behaviour"].astype(str) != "honest"]
        for key, rows in chosen.groupby(["treatment", "replication"], observed=True):
            values = rows[list(_MEASURES.values())].to_numpy(float)
            means = np.average(values, axis=0, weights=rows["jobs"].to_numpy(float))
            found.setdefault(str(key[0]), {})[int(str(key[1]))] = means
    least: dict[str, str] = {}
    for treatment, (conditions, dose) in doses.items():
        if treatment in found and dose < doses.get(least.get(conditions, ""), ("", np.inf))[1]:
            least[conditions] = treatment
    table = []
    for treatment, (conditions, dose) in doses.items():
        if treatment not in found:
            continue
        mine, base = found[treatment], found[least[conditions]]
        both = [replication for replication in mine if replication in base]
        values = np.array([mine[replication] for replication in both])
        rises = values - np.array([base[replication] for replication in both])
        row: dict[str, Any] = {"conditions": conditions, "dose": dose, "replications": len(both)}
        for column, name in enumerate(_MEASURES):
            mean, _, low, high = mean_interval(rises[:, column], confidence)
            row |= {name: float(values[:, column].mean()), f"{name}_rise": mean}
            row |= {f"{name}_low": low, f"{name}_high": high}
        table.append(row)
    return pd.DataFrame(table)


def dose_plot(frame: pd.DataFrame, dose: str = "dose", peak: float | None = None) -> Figure:
    """Return the picture: how far pay, consensus and truth rise with the dose, and their intervals.

    ``frame`` is :func:`dose_response`'s; ``dose`` names the axis, ``frame.attrs["units"]`` may hold
    its unit, and ``peak`` is the dose at which a law says that truth is highest.
    """
    need(frame, ["conditions", "dose", *(f"{name}_rise" for name in _PANELS)])
    unit = frame.attrs.get("units", {}).get("dose", "")
    figure, panels = canvas(11.4, 3.6, len(_PANELS))
    parts = list(frame.groupby("conditions", sort=False))
    paint = colours(range(len(parts)))
    for axes, (name, title) in zip(panels, _PANELS.items(), strict=True):
        for number, (conditions, part) in enumerate(parts):
            line = part.sort_values("dose")
            middle = line[f"{name}_rise"]
            ends = [middle - line[f"{name}_low"], line[f"{name}_high"] - middle]
            axes.errorbar(
                line["dose"], middle, yerr=np.nan_to_num(ends), color=paint[number], capsize=2,
                linewidth=1.4, marker=MARKERS[number % len(MARKERS)], markersize=4,
                linestyle=DASHES[number % len(DASHES)], label=str(conditions) or "all",
            )  # fmt: skip
        axes.axhline(0.0, color="black", linewidth=0.6)
        axes.set_xlabel(f"{dose} ({unit})" if unit else dose)
        axes.set_ylabel(f"rise of {title}")
        lines = {tuple(part.sort_values("dose")[f"{name}_rise"].round(9)) for _, part in parts}
        if len(lines) == 1 < len(parts):
            axes.text(0.04, 0.04, "the same for all", transform=axes.transAxes, fontsize=7.5)
    if peak is not None:
        panels[-1].axvline(peak, color="0.4", linewidth=0.8, linestyle=":")
    if len(parts) > 1:
        legend(panels[-1], len(parts), "")
    said = f"dotted: peak of truth by the law, {dose} {peak:.3g}" if peak is not None else ""
    bars = f"rises from the least {dose}; bars {CONFIDENCE:.0%}, over paired replications"
    title = "What deviating answers earn, and what they are worth"
    caption(figure, title, frame, count_of(frame), bars, said)
    return figure


def _axes(run: StoredRun) -> list[str]:
    """Return the axes that are numbers of a behaviour of inference nodes."""
    table = run.results.treatments
    return [
        axis
        for axis in run.moving_axes
        if axis.startswith("population.inference.")
        and ".behaviour." in axis
        and pd.api.types.is_numeric_dtype(table[axis])
    ]


_DOSED = Need(
    "one axis that is a number of the behaviour of inference nodes, as in "
    "population.inference.0.behaviour.pressure",
    lambda run: len(_axes(run)) == 1,
)


def _table(request: AnalysisRequest) -> pd.DataFrame:
    run = request.run
    (axis,) = _axes(run)
    others = [name for name in run.moving_axes if name != axis]
    doses = {
        str(entry["treatment"]): (", ".join(str(entry[o]) for o in others), float(entry[axis]))
        for entry in run.results.treatments.to_dict("records")
    }
    rows = run.nodes("role", "behaviour", "jobs", *_MEASURES.values())
    return told(dose_response(rows, doses), run)


def _peak(run: StoredRun) -> float | None:
    """Return the dose at which truth is highest by the law of ``hack``, if it is what was swept."""
    (axis,) = _axes(run)
    group, _, key = axis.removeprefix("population.inference.").partition(".behaviour.")
    specs = [s.population.inference[int(group)].behaviour for s in run.scenarios.values()]
    if key != "pressure" or any(spec["name"] != Hack.name for spec in specs):
        return None
    values = [complete(Hack, {k: v for k, v in spec.items() if k != "name"}) for spec in specs]
    peaks = {v["gain"] / (2.0 * v["loss"]) if v["loss"] > 0.0 else np.inf for v in values}
    return peaks.pop() if len(peaks) == 1 and np.inf not in peaks else None


def _figure(request: AnalysisRequest) -> Figure:
    run, table = request.run, _table(request)
    (axis,) = _axes(run)
    group, _, key = axis.removeprefix("population.inference.").partition(".behaviour.")
    spec = next(iter(run.scenarios.values())).population.inference[int(group)].behaviour
    unit = find(BEHAVIOURS["inference"], spec["name"]).parameters[key].unit
    table.attrs["units"] = {**table.attrs.get("units", {}), "dose": unit}
    return dose_plot(table, key, _peak(run))


def _fits(run: StoredRun) -> Iterator[dict[str, Any]]:
    if run.has("nodes") and _DOSED.is_met(run):
        yield {}


def _sections(run: StoredRun) -> Iterator[Section]:
    """Yield the table of a report, and its sentence."""
    for asked in _fits(run):
        frame = _table(AnalysisRequest.of(run, **asked))
        if frame.empty:
            continue
        last = frame[frame["dose"] == frame["dose"].max()]
        rises = last.sort_values("pay_rise")
        first, most = rises.iloc[0], rises.iloc[-1]
        worst = int(((last["pay_low"] > 0.0) & (last["truth_high"] < 0.0)).sum())
        yield Section(
            "Do answers earn more as they are worth less?",
            frame,
            ["conditions"],
            numbers=[("dose", "dose", "")],
            estimates=[
                ("pay_rise", "pay_low", "pay_high", "rise of pay", "tokens per job"),
                ("truth_rise", "truth_low", "truth_high", "rise of truth", "points of 10"),
            ],
            notes=[
                f"At the largest dose pay changes by {first.pay_rise:.3f} to {most.pay_rise:.3f} "
                f"tokens per job; under {worst} of {len(last)} conditions it rises while truth "
                "falls, by the intervals of both."
            ],
        )


TABLES = (
    TableKind(
        "dose",
        "pay and truth of inference nodes that deviate, dose by dose",
        _table,
        needs=(NODES, _DOSED),
    ),
)
FIGURES = (
    FigureKind(
        "dose",
        "pay and truth of inference nodes that deviate, dose by dose",
        _figure,
        fits=_fits,
        needs=(NODES, _DOSED),
    ),
)
SECTIONS = (_sections,)
