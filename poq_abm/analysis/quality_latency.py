"""Quality against latency: of the models of a profile (Figure 5 of arXiv 2512.16317), and of a run.

Drawn of the profile ``published`` the figure is a reconstruction fitted to published aggregates,
and says so; it is never the paper's own data.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from poq_abm.analysis.charts import point
from poq_abm.analysis.figure_style import (
    MARKERS,
    as_in_the_paper,
    canvas,
    caption,
    colours,
    count_of,
    need,
    records_of,
)
from poq_abm.analysis.questions import (
    AnalysisRequest,
    FigureKind,
    TableKind,
    drawn_from_a_profile,
    of_one_treatment,
    of_profile,
    told,
)
from poq_abm.analysis.resampling import RESAMPLES, record_intervals
from poq_abm.analysis.stored_run import selected
from poq_abm.errors import InputError
from poq_abm.experiment.estimates import CONFIDENCE, mean_interval
from poq_abm.experiment.schemas import RANGES
from poq_abm.profile import Profile

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "FIGURES",
    "TABLES",
    "quality_against_cost",
    "quality_against_latency",
    "quality_cost_figure",
    "quality_latency_points",
]


def quality_against_latency(
    profile: Profile,
    *,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 1,
) -> pd.DataFrame:
    """Return mean truth, judge and consensus of each model with intervals, beside its latency.

    One row per model and hardware it was timed on. Truth, judge and the consensus of all
    evaluators (their plain mean) lie in [0, 10] and are means over all records, whatever the task;
    a judge's over the rows it judged. ``truth_per_second`` is the mean truth over the mean latency
    in seconds. Intervals resample records within their tasks. A truth that nobody knows is NaN.

    Columns: model, hardware, latency_ms, truth, truth_low, truth_high, judge, judge_low,
    judge_high, consensus, consensus_low, consensus_high, truth_per_second.

    >>> from poq_abm.profile import load_profile
    >>> table = quality_against_latency(load_profile("published"), resamples=20)
    >>> table.set_index("model")["truth_per_second"].round(2)["llama_3_2_3b"]
    np.float64(4.96)
    """
    table = pd.DataFrame({"model": profile.models})
    values = {
        "truth": profile.truth,
        "judge": profile.judge,
        "consensus": profile.scores.mean(axis=2),
    }
    columns = np.hstack(list(values.values()))
    known = ~np.isnan(columns)
    found = record_intervals(
        np.hstack([known, np.where(known, columns, 0.0)]),
        profile.task_of_record,
        _means,
        resamples=resamples,
        confidence=confidence,
        seed=seed,
    )
    for number, name in enumerate(values):
        ends = np.split(np.array(found), len(values), axis=1)[number]
        table[name], table[f"{name}_low"], table[f"{name}_high"] = ends
    timed = profile.costs.loc[profile.costs["role"] == "inference", :]
    timed = timed[["node", "hardware", "latency_ms"]].rename(columns={"node": "model"})
    table = table.merge(timed, on="model", how="left")
    table["truth_per_second"] = table["truth"] / (table["latency_ms"] / 1000.0)
    first = ["model", "hardware", "latency_ms"]
    return table[[*first, *table.columns.difference(first, sort=False)]]


def _means(totals: np.ndarray) -> np.ndarray:
    """Return sum over count per column, over all tasks; (samples, tasks, 2 C) to (samples, C)."""
    counts, values = np.split(totals.sum(axis=1), 2, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(values / counts)


def quality_against_cost(
    nodes: pd.DataFrame | Iterable[pd.DataFrame], confidence: float = CONFIDENCE
) -> pd.DataFrame:
    """Return the quality of each inference group beside its latency, and which are efficient.

    ``nodes`` are rows of one treatment, or parts of them that hold whole replications. Columns:
    ``group``, ``latency_ms``, ``replications``, ``quality`` (mean consensus, 0-10) with ``low``,
    ``high`` over replications, ``truth``, and ``efficient``: whether no other group is at least as
    quick and at least as good, and better in one of the two.
    """
    parts = [nodes] if isinstance(nodes, pd.DataFrame) else nodes
    sums = pd.concat([_per_job_sums(part) for part in parts])
    if sums.empty:
        raise InputError("no inference node had a job: there is no quality to show")
    rows = []
    for group, part in sums.groupby(level="group", sort=False):
        quality = part["consensus_mean"] / part["jobs"]
        mean, _, low, high = mean_interval(quality, confidence, RANGES["score 0-10"])
        truth = float((part["truth_mean"] / part["jobs"]).mean())
        latency = float(part["latency_ms"].sum() / part["jobs"].sum())
        rows.append((str(group), latency, len(quality), mean, low, high, truth))
    columns = ["group", "latency_ms", "replications", "quality", "low", "high", "truth"]
    table = pd.DataFrame(rows, columns=columns)
    quick, good = table["latency_ms"].to_numpy(), table["quality"].to_numpy()
    table["efficient"] = [
        not bool(np.any((quick <= q) & (good >= g) & ((quick < q) | (good > g))))
        for q, g in zip(quick, good, strict=True)
    ]
    return table


def _per_job_sums(nodes: pd.DataFrame) -> pd.DataFrame:
    """Return sums over the jobs of each inference group, by replication."""
    chosen = nodes[(nodes["role"] == "inference") & (nodes["jobs"] > 0)]
    sums = chosen[["group", "replication", "jobs"]].astype({"group": str})
    for name in ("consensus_mean", "truth_mean", "latency_ms"):
        sums[name] = chosen[name] * chosen["jobs"]
    return sums.groupby(["group", "replication"], sort=False).sum(min_count=1)


def quality_latency_points(frame: pd.DataFrame) -> Figure:
    """Return Figure 5: mean quality against latency, one point a model.

    ``frame`` is :func:`poq_abm.analysis.quality_latency.quality_against_latency`: the left panel is
    truth, the right one the judge's score, where there is a judge. Latency is taken as known.
    """
    need(frame, ["model", "latency_ms", "truth", "truth_low", "truth_high", "judge"])
    shown = [name for name in ("truth", "judge") if frame[name].notna().any()]
    if not shown:
        raise InputError("no quality can be shown: neither truth nor judge is known")
    figure, panels = canvas(4.7 * len(shown), 4.2, panels=len(shown))
    paint = colours(list(frame["model"].astype(str)))
    titles = {"truth": "mean truth (points of 10)", "judge": "mean judge score (points of 10)"}
    for name, axes in zip(shown, panels, strict=True):
        for number, row in enumerate(frame.to_dict("records")):
            model = str(row["model"])
            point(axes, row, "latency_ms", name, (f"{name}_low", f"{name}_high"), label=model,
                  fmt=MARKERS[number % len(MARKERS)], color=paint[model])  # fmt: skip
        axes.set_xlabel("mean latency (ms per sample)")
        axes.set_ylabel(titles[name])
        axes.margins(x=0.12, y=0.15)
    panels[0].legend(frameon=False, fontsize=7)
    caption(figure, "Quality against latency", frame,
            "means over records; bars 95%, records resampled", records_of(frame),
            as_in_the_paper(5))  # fmt: skip
    return figure


def quality_cost_figure(frame: pd.DataFrame) -> Figure:
    """Return quality against latency of the inference groups, the efficient ones joined.

    ``frame`` is :func:`poq_abm.analysis.quality_latency.quality_against_cost`.
    """
    need(frame, ["group", "latency_ms", "quality", "low", "high", "efficient"])
    figure, (axes,) = canvas()
    edge = frame[frame["efficient"]].sort_values("latency_ms")
    axes.step(edge["latency_ms"], edge["quality"], where="post", color="0.6", linewidth=1.0,
              zorder=1)  # fmt: skip
    paint = colours(list(frame["group"]))
    for number, row in enumerate(frame.to_dict("records")):
        colour = paint[row["group"]]
        point(axes, row, "latency_ms", "quality", ("low", "high"), zorder=2, color=colour,
              fmt=MARKERS[number % len(MARKERS)], label=row["group"],
              markerfacecolor=colour if row["efficient"] else "white")  # fmt: skip
    axes.set_xlabel("mean latency (ms)")
    axes.set_ylabel("quality: mean consensus (0-10)")
    axes.legend(frameon=False, fontsize=8)
    caption(figure, "Quality for latency", frame, count_of(frame),
            "bars 95%; filled: no other group is both quicker and better")  # fmt: skip
    return figure


def _quality(request: AnalysisRequest) -> Iterator[pd.DataFrame]:
    """Yield what the quality of groups is taken from, of one treatment."""
    names = ("role", "group", "jobs", "consensus_mean", "truth_mean", "latency_ms")
    return request.run.nodes(*names, treatments=[request.run.one_treatment(request.treatment)])


def _of_groups(request: AnalysisRequest) -> Figure:
    return quality_cost_figure(told(quality_against_cost(_quality(request)), request.run))


def _of_models(request: AnalysisRequest) -> Figure:
    profile = request.profile
    return quality_latency_points(of_profile(quality_against_latency(profile), profile))


TABLES = (
    TableKind(
        "quality",
        "quality and latency of inference groups, and which are efficient",
        lambda request: quality_against_cost(selected(_quality(request), group=request.group)),
        ("treatment", "group"),
    ),
)
FIGURES = (
    FigureKind(
        "frontier",
        "quality against latency of inference groups",
        _of_groups,
        ("treatment",),
        of_one_treatment,
    ),
    FigureKind(
        "figure5",
        "quality of models against their latency (profile or run)",
        _of_models,
        fits=drawn_from_a_profile,
        needs=(),
    ),
)
