"""Integrity, latency and cost of every protocol on one population, in one table and one figure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from poq_abm.analysis import questions
from poq_abm.analysis.figure_style import beside, canvas, caption
from poq_abm.analysis.questions import (
    AnalysisRequest,
    FigureKind,
    Section,
    TableKind,
    with_occurrence,
    with_treatment,
)
from poq_abm.analysis.stored_run import StoredRun, select
from poq_abm.errors import InputError, nearest
from poq_abm.experiment.estimates import POSITIVE, mean_interval
from poq_abm.experiment.query_study import query_interval
from poq_abm.rules.protocol.protocol import PROTOCOLS
from poq_abm.rules.registry import rules
from poq_abm.scenario.overlay import put
from poq_abm.scenario.schema.verification import Verification
from poq_abm.simulation.queries.market import open_market
from poq_abm.simulation.queries.query_replication import play_queries
from poq_abm.simulation.queries.query_tables import COSTS, QUERIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from poq_abm.experiment.results import Results
    from poq_abm.profile import Profile
    from poq_abm.scenario import Scenario

__all__ = [
    "BASELINE",
    "FIGURES",
    "MEASURES",
    "SECTIONS",
    "TABLES",
    "changed",
    "play_protocols",
    "trilemma",
    "trilemma_of_run",
    "trilemma_table",
]

BASELINE = "centralised"
AXIS = "verification.protocol"
#: what the table holds of each protocol, besides its throughput against the baseline
MEASURES = (
    "dishonest_stands",
    "cheating_share",
    *(f"{kind}_{part}_s" for kind in ("provisional", "economic") for part in ("p50", "p95", "p99")),
    *COSTS,
    "total_usd",
    "machine_s",
    "truth_mean",
    "capital_locked_usd",
)
_INK, _MUTED, _SECOND = "#1b4f72", "0.55", "#d55e00"
_DAY: Final = 86_400.0
_TICKS: Final = {1.0: "1 s", 60.0: "1 min", 3600.0: "1 h", _DAY: "1 day", 604_800.0: "7 days"}
_LEAST_USD, _MIDDLE_USD = 3e-5, 0.1
_SMALL_PITCH: Final = 0.14  # inches from a protocol to the next, where panels stand in rows
_READING: Final = (
    "in brackets the share of rational nodes who choose to cheat; waiting: dot p50, tick p95, line "
    "to p99; beside the cost its largest part; throughput: provers and watchers apart"
)


def changed(verification: Verification, settings: Mapping[str, Any]) -> Verification:
    """Return the section with other values at these dotted paths, validated as a file's is.

    >>> changed(Verification(), {"otr.proof_rate": 0.05}).otr.proof_rate
    0.05
    """
    data: Any = verification.model_dump(mode="json")
    for path, value in settings.items():
        data = put(data, tuple(path.split(".")), value, ("verification",))
    return Verification.model_validate(data)


def play_protocols(
    scenario: Scenario,
    profile: Profile,
    verification: Verification,
    protocols: Sequence[str] | None = None,
    replications: int = 20,
) -> pd.DataFrame:
    """Return a row per protocol and replication, on the same luck, with every measure.

    ``verification`` holds all that the protocols share; its own ``protocol`` is not looked at. The
    first two columns are ``protocol`` and ``replication``. Without names all protocols are played,
    the baseline first.
    """
    rows = []
    known = sorted(rules(PROTOCOLS), key=lambda name: name != BASELINE)
    for name in protocols or known:
        market = open_market(scenario, profile, changed(verification, {"protocol": name}))
        for replication in range(replications):
            keys = {"protocol": name, "replication": replication}
            rows.append({**keys, **play_queries(market, replication)})
    return pd.DataFrame(rows)


def trilemma_table(played: pd.DataFrame) -> pd.DataFrame:
    """Return a row per protocol: mean of each measure over replications with its 95% interval.

    ``played`` has the columns ``protocol``, ``replication`` and those of ``QUERIES``; the result,
    indexed by protocol, has ``MEASURE``, ``MEASURE_low`` and ``MEASURE_high`` for each of
    :data:`MEASURES` and for ``throughput``, which is paired with the baseline's, replication by
    replication. A measure that is missing in a replication is left out of its mean;
    ``attrs["caption"]`` says how much was played.

    Raises
    ------
    InputError
        If no row has the protocol ``centralised``.
    """
    table = played.set_index(["protocol", "replication"])
    if BASELINE not in table.index.get_level_values(0):
        raise InputError(f"throughput is measured against {BASELINE!r}, which was not played")
    base = table.loc[BASELINE, "throughput_per_s"]
    rows = {}
    for name in dict.fromkeys(played["protocol"]):
        own = table.loc[name]
        found = {measure: query_interval(own, measure) for measure in MEASURES}
        relative = (own["throughput_per_s"] / base).dropna().to_numpy()
        mean, _, low, high = mean_interval(relative, within=POSITIVE)
        found["throughput"] = (mean, low, high)
        row: dict[str, float] = {}
        for measure, (mean, low, high) in found.items():
            row |= {measure: mean, f"{measure}_low": low, f"{measure}_high": high}
        rows[name] = row
    result = pd.DataFrame.from_dict(rows, orient="index").rename_axis("protocol")
    queries, replications = int(played["queries"].iloc[0]), played["replication"].nunique()
    result.attrs["caption"] = (
        f"n = {replications} replications of {queries:,} queries each, same draws for every "
        "protocol; bars: 95% intervals over replications"
    )
    return result


def trilemma_of_run(
    results: Results, name: str, where: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Return :func:`trilemma_table` of a run whose sweep has the protocol as an axis.

    ``where`` picks one value of every other axis; ``name`` of the scenario goes into the caption.

    Raises
    ------
    InputError
        If the run played no protocols, no axis is the protocol, or treatments share a protocol.
    """
    played, axes = results.queries, results.treatments
    if AXIS not in axes:
        raise InputError(f"the run has no axis {AXIS!r}; sweep it to compare protocols")
    for path, value in (where or {}).items():
        if path not in axes:
            known = [str(column) for column in axes.columns if column != "treatment"]
            raise InputError(f"the run has no axis {path!r}; {nearest(path, known)}")
        axes = axes[axes[path].astype(str) == value]
    if axes[AXIS].duplicated().any():
        others = ", ".join(str(c) for c in axes.columns if c not in ("treatment", AXIS))
        raise InputError(f"several treatments have one protocol; pick values of {others}")
    protocols = dict(zip(axes["treatment"], axes[AXIS], strict=True))
    chosen = played[played["treatment"].isin(list(protocols))].copy()
    chosen["protocol"] = chosen["treatment"].astype(str).map(protocols)
    table = trilemma_table(chosen)
    table.attrs["caption"] = f"{name}: {table.attrs['caption']}"
    return table


def trilemma(table: pd.DataFrame) -> Figure:
    """Return a figure with a row per protocol: integrity, waiting, cost and throughput.

    ``table`` is what :func:`trilemma_table` returns. Where the panels have no room beside each
    other, the caption says what protocols are and how to read marks.
    """
    draws = (_integrity, _waiting, _money, _throughput)
    small = beside(len(draws)) < len(draws)
    grid: dict[str, Any] = {"sharey": True, "width_ratios": [1.1, 1.4, 1.2, 0.9]}
    height = _SMALL_PITCH * len(table) + 0.95 if small else 0.55 * len(table) + 2.2
    figure, panels = canvas(14.0, height, panels=len(draws), **grid)
    for panel, draw in zip(panels, draws, strict=True):
        draw(panel, table, small)
        panel.grid(axis="y", color="0.93", linewidth=4.0 if small else 5.0)
        panel.spines["left"].set_visible(False)
        panel.tick_params(axis="y", length=0, labelsize=7.5 if small else 9)
        if small:
            panel.tick_params(axis="x", labelsize=7.5)
            panel.xaxis.label.set_fontsize(8)
    names = [str(name) if small else _label(str(name)) for name in table.index]
    panels[0].set_yticks(range(len(table)), names)
    panels[0].set_ylim(len(table) - 0.5, -0.5)
    said = [str(table.attrs.get("caption", ""))]
    if small:
        said += [_READING, *(_label(str(name), ": ") for name in table.index)]
    title = "What each way of checking an AI answer lets through, costs and delays"
    caption(figure, title, table, *said)
    return figure


def _label(name: str, between: str = "\n") -> str:
    known = rules(PROTOCOLS)
    gloss = known[name].gloss if name in known else ""
    if between != "\n":
        gloss = gloss.replace("\n", " ")
    return f"{name}{between}{gloss}" if gloss else name


def _title(axes: Axes, name: str, reading: str = "") -> None:
    axes.set_title(f"{name}{reading}", fontsize=8.5 if not reading else 9.5, loc="left")


def _points(axes: Axes, table: pd.DataFrame, measure: str, size: float, scale: float = 1.0) -> None:
    """Draw the means of a measure as points, with their intervals."""
    mean = table[measure].to_numpy() * scale
    ends = [table[f"{measure}_{end}"].to_numpy() * scale for end in ("low", "high")]
    error = np.clip([mean - ends[0], ends[1] - mean], 0.0, None)
    axes.errorbar(mean, np.arange(len(table)), xerr=error, fmt="o", color=_INK, markersize=size)


def _integrity(axes: Axes, table: pd.DataFrame, small: bool) -> None:
    places = np.arange(len(table))
    share = table["dishonest_stands"].to_numpy() * 100.0
    axes.barh(places, share, height=0.5, color=_SECOND, zorder=2)
    ends = [table[f"dishonest_stands_{end}"].to_numpy() * 100.0 for end in ("low", "high")]
    error = np.clip([share - ends[0], ends[1] - share], 0.0, None)
    axes.errorbar(share, places, xerr=error, fmt="none", color="0.2", linewidth=1.0, zorder=3)
    for place, (value, cheats) in enumerate(
        zip(share, table["cheating_share"].to_numpy(), strict=True)
    ):
        said = f"{value:.2g}%"
        if cheats == cheats:  # noqa: PLR0124  (missing where nobody is rational)
            said += f" ({cheats:.0%})" if small else f"  ({cheats:.0%} choose to cheat)"
        axes.text(max(value, error[1][place] + value) + 5.0, place, said, va="center",
                  fontsize=7 if small else 8)  # fmt: skip
    axes.set_xlim(0.0, 155.0 if small else 195.0)
    axes.set_xticks([0, 50, 100])
    axes.set_xlabel("dishonest answers that are paid\nand never undone, % of queries")
    _title(axes, "Integrity",
           "" if small else " (in brackets: rational nodes\nwho choose to cheat)")  # fmt: skip


def _waiting(axes: Axes, table: pd.DataFrame, small: bool) -> None:
    places = np.arange(len(table))
    size, p50 = (4.0, "") if small else (6.0, ": p50")
    for name, colour, shift, marker, said in (
        ("provisional", _INK, -0.13, "o", "answer in hand"),
        ("economic", _SECOND, 0.13, "s", "payment final"),
    ):
        low, high = table[f"{name}_p50_s"].to_numpy(), table[f"{name}_p99_s"].to_numpy()
        middle = table[f"{name}_p95_s"].to_numpy()
        axes.hlines(places + shift, low, high, color=colour, linewidth=0.3 * size)
        axes.plot(low, places + shift, marker, color=colour, markersize=size, label=said + p50)
        axes.plot(middle, places + shift, "|", color=colour, markersize=size + 2.0)
    axes.set_xscale("log")
    axes.set_xlim(0.3, 3e6)
    ticks = {at: said for at, said in _TICKS.items() if not (small and at == _DAY)}
    axes.set_xticks(list(ticks), list(ticks.values()), fontsize=8)
    axes.minorticks_off()
    reading = "" if small else " scale;\ndot p50, tick p95, line to p99"
    axes.set_xlabel(f"time from the question (log{reading})")
    _title(axes, "Waiting")
    axes.legend(frameon=False, fontsize=7 if small else 8, loc="upper right")


def _money(axes: Axes, table: pd.DataFrame, small: bool) -> None:
    _points(axes, table, "total_usd", 4.0 if small else 6.0)
    parts = table[list(COSTS)]
    for place, name in enumerate(table.index):
        total = float(table.loc[name, "total_usd"])
        largest = str(parts.loc[name].idxmax())
        share = float(parts.loc[name, largest]) / total if total > 0 else 0.0
        said = f"${_plain(total)}: {share:.0%} {largest.removesuffix('_usd')}"
        left = small and total > _MIDDLE_USD
        low, high = (float(table.loc[name, f"total_usd_{end}"]) for end in ("low", "high"))
        end = np.fmin(total, low) if left else np.fmax(total, high)
        axes.annotate(said, (max(end, _LEAST_USD), place), (-6 if left else 6, 0),
                      textcoords="offset points", va="center", ha="right" if left else "left",
                      fontsize=7.0 if small else 7.5)  # fmt: skip
    axes.set_xscale("log")
    axes.set_xlim(_LEAST_USD, 3e2 if small else 5e4)
    axes.set_xticks([1e-4, 1e-2, 1.0, 100.0], ["$0.0001", "$0.01", "$1", "$100"], fontsize=8)
    axes.minorticks_off()
    axes.set_xlabel(
        "resources per query, USD (log)"
        if small
        else "resources used per query, USD\n(log scale; text: the largest part)"
    )
    _title(axes, "Cost")


def _plain(value: float) -> str:
    """Return a number in two digits, without an exponent.

    >>> _plain(7.9e-05), _plain(0.0692), _plain(45.0)
    ('0.000079', '0.069', '45')
    """
    decimals = max(0, 1 - math.floor(math.log10(value))) if value > 0.0 else 0
    return f"{value:.{decimals}f}"


def _throughput(axes: Axes, table: pd.DataFrame, small: bool) -> None:
    _points(axes, table, "throughput", 4.0 if small else 6.0, 100.0)
    axes.axvline(100.0, color=_MUTED, linewidth=0.8, linestyle="--")
    axes.set_xlim(0.0, max(115.0, 105.0 * float(table["throughput_high"].max())))
    axes.set_xlabel("queries per second,\n% of centralised")
    _title(axes, "Throughput", "" if small else "\n(provers and watchers apart)")


def _drawn(request: AnalysisRequest) -> Figure:
    run = request.run
    return trilemma(trilemma_of_run(run.results, run.name, request.where))


def _fits(run: StoredRun) -> Iterator[dict[str, Any]]:
    if run.has("queries") and AXIS in run.axes:
        yield {}


def _section(run: StoredRun) -> Iterator[Section]:
    if not run.has("queries"):
        return
    summary = run.results.query_summary()
    summary = with_occurrence(summary[summary["mean"].notna()])
    units = {field.name: field.metadata[b"unit"].decode() for field in QUERIES}
    summary["unit"] = summary["measure"].map(units)
    found = Section("What the protocols let through, take and cost", summary,
                    with_treatment(run, "measure", "unit", "not 0 in"),
                    estimates=[("mean", "low", "high", "estimate", "")])  # fmt: skip
    yield found.with_calibration()


_SWEPT = questions.Need("a sweep of verification.protocol", lambda run: AXIS in run.axes)
TABLES = (
    TableKind(
        "queries",
        "verification protocols: every measure of every treatment, with its interval",
        lambda request: select(
            request.run.results.query_summary(every=True), treatment=request.treatment
        ),
        ("treatment",),
        (questions.QUERIES,),
    ),
)
FIGURES = (
    FigureKind(
        "trilemma",
        "verification protocols: integrity, delay, cost, throughput",
        _drawn,
        ("where",),
        _fits,
        (questions.QUERIES, _SWEPT),
    ),
)
SECTIONS = (_section,)
