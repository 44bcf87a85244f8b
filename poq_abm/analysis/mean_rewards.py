"""What groups of nodes earned on average, and what for: Figure 6 of arXiv 2512.16317 and more.

Drawn of the profile ``published`` the figures are a reconstruction fitted to published aggregates,
and say so; they are never the paper's own data.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from poq_abm.analysis.charts import name_places, point
from poq_abm.analysis.figure_style import (
    MARKERS,
    as_in_the_paper,
    canvas,
    caption,
    colours,
    count_of,
    need,
)
from poq_abm.analysis.questions import (
    AnalysisRequest,
    FigureKind,
    Section,
    first_treatments,
    of_one_treatment,
    reconstruction,
    told,
    with_treatment,
)
from poq_abm.analysis.stored_run import StoredRun
from poq_abm.errors import InputError
from poq_abm.experiment.running import run as play
from poq_abm.scenario.checks.problems import Origins
from poq_abm.scenario.scenario import build

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FIGURES", "SECTIONS", "mean_reward_bars", "reward_against_cost"]


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
        name_places(axes, places, list(part["group"].astype(str)))
        axes.set_ylabel("mean reward (tokens per job)")
        axes.set_title(f"{role} nodes", fontsize=9)
    caption(figure, "Mean rewards", frame, count_of(frame), "bars 95%", as_in_the_paper(6))
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
            group = str(row["group"])
            point(axes, row, "cost", "reward_mean", ("reward_low", "reward_high"), label=group,
                  fmt=MARKERS[number % len(MARKERS)], color=paint[group])  # fmt: skip
        axes.set_xlabel(f"cost C charged to the {role} node (0-1 in its class)")
        axes.set_ylabel("reward (tokens per job)")
        axes.set_xlim(-0.08, 1.08)
        axes.legend(frameon=False, fontsize=7)
    caption(figure, "What nodes earn for what they cost", frame, count_of(frame),
            "bars 95%")  # fmt: skip
    return figure


def _summary(request: AnalysisRequest) -> pd.DataFrame:
    """Return who earned what in one treatment of a run, or in one that is played of a profile."""
    if not request.is_run:
        return _played(request)
    run = request.run
    found = told(run.summary(run.one_treatment(request.treatment)), run)
    with contextlib.suppress(InputError):  # a run can be drawn without the profile it drew from
        found.attrs["notes"] += reconstruction(request.profile)
    return found


def _played(request: AnalysisRequest) -> pd.DataFrame:
    """Return the rewards of one node per model and evaluator of a profile, default mechanism."""
    profile = request.profile
    people = {
        "inference": [{"model": model} for model in profile.models],
        "evaluators": [{"model": model} for model in profile.evaluators],
    }
    committee = {"committee_size": min(3, len(profile.evaluators))}
    scenario = build({"population": people, "mechanism": committee}, Origins({}))
    summary = play(scenario, profile=profile).summary()
    summary.attrs["scenario"] = f"profile {profile.name}, one node each, default mechanism"
    summary.attrs["notes"] = reconstruction(profile)
    return summary


def _by_group(run: StoredRun) -> Iterator[Section]:
    if not run.has("nodes"):
        return
    treatments, notes = first_treatments(run)
    summary = run.summary(*treatments)
    counts = [int(n) if n.is_integer() else n for n in summary["nodes"]]
    summary["nodes"] = pd.Series(counts, summary.index, dtype=object)
    if run.has("epochs"):
        notes.append("Nodes: how many of the group were there at a time, on average.")
    if (summary["latency_source"] == "estimated").any():
        notes.append("Some latencies are estimated: nobody measured them on this hardware.")
    yield Section(
        "Who earned what",
        summary,
        with_treatment(run, "role", "group"),
        [("nodes", "nodes", ""), ("jobs_mean", "jobs", "per replication"),
         ("latency_ms", "latency", "ms"), ("cost", "charged", "C")],
        [("reward_mean", "reward_low", "reward_high", "reward paid", "tokens per job")],
        notes,
    ).with_calibration()  # fmt: skip


SECTIONS = (_by_group,)
FIGURES = (
    FigureKind(
        "figure6",
        "mean rewards of inference nodes and evaluators (profile or run)",
        lambda request: mean_reward_bars(_summary(request)),
        ("treatment",),
        of_one_treatment,
    ),
    FigureKind(
        "costs",
        "reward against cost, by group (profile or run)",
        lambda request: reward_against_cost(_summary(request)),
        ("treatment",),
        of_one_treatment,
    ),
)
