"""The tables of results that a report shows, every estimate with its interval."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from poq_abm.analysis.rewards import reward_distribution, taking_part
from poq_abm.experiment.estimates import Range, mean_interval, summarise
from poq_abm.experiment.schemas import REPLICATIONS, range_of
from poq_abm.report.subject import MOST_TREATMENTS, Subject
from poq_abm.report.tables import MOST_ROWS, Cell, Column, Table, estimate, of_frame
from poq_abm.simulation.queries.query_tables import QUERIES

__all__ = ["result_tables"]

_UNITS = {field.name: field.metadata[b"unit"].decode() for field in REPLICATIONS}
#: what a table of many treatments shows, where it varies; the first so many of these
_TELLING = (
    "inference_reward_mean", "evaluator_reward_mean", "consensus_mean", "correlation", "bias",
    "reward_gap", "saturated_share", "closeness_mean", "inference_cost_mean",
)  # fmt: skip
_MOST_MEASURES = 5


def result_tables(subject: Subject) -> list[Table]:
    """Return the tables of a run: who earned what, the network, inequality, the economy."""
    if subject.has_queries:
        return [_queries(subject), *_precision(subject)]
    return [*_by_group(subject), *_network(subject), *_inequality(subject), *_economy(subject),
            *_precision(subject)]  # fmt: skip


def _shown(subject: Subject, frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows of the first treatments, and what to say of the others."""
    left_out = len(subject.treatments) - MOST_TREATMENTS
    if left_out <= 0:
        return frame, []
    kept = frame["treatment"].astype(str).isin(subject.treatments[:MOST_TREATMENTS])
    said = f"The first {MOST_TREATMENTS} treatments; Results.summary() has the {left_out:,} others."
    return frame[kept], [said]


def _range_of(name: str) -> Range:
    return range_of(name, _UNITS.get(name, ""))


def _words(subject: Subject, *more: str) -> list[str]:
    return (["treatment"] if subject.is_swept else []) + list(more)


def _by_group(subject: Subject) -> Iterator[Table]:
    nodes, notes = _shown(subject, subject.results.nodes)
    summary = summarise(nodes)
    counts = [int(n) if n.is_integer() else n for n in summary["nodes"]]
    summary["nodes"] = pd.Series(counts, summary.index, dtype=object)
    if subject.has_economy:
        notes.append("Nodes: how many of the group were there at a time, on average.")
    if (summary["latency_source"] == "estimated").any():
        notes.append("Some latencies are estimated: nobody measured them on this hardware.")
    yield of_frame(
        "Who earned what",
        summary,
        _words(subject, "role", "group"),
        [("nodes", "nodes", ""), ("jobs_mean", "jobs", "per replication"),
         ("latency_ms", "latency", "ms"), ("cost", "cost charged", "C")],
        [("reward_mean", "reward_low", "reward_high", "reward paid", "tokens per job")],
        notes,
    )  # fmt: skip


def _network(subject: Subject) -> Iterator[Table]:
    played = subject.results.replications
    names = [str(n) for n in played.select_dtypes("float").columns if played[n].notna().any()]
    if subject.is_swept:
        yield _network_by_treatment(subject, played, names)
        return
    rows = []
    for name in names:
        values = played[name].dropna()
        mean, _, low, high = mean_interval(values, within=_range_of(name))
        if mean == 0.0 and not values.any():
            continue
        rows.append((name, _UNITS.get(name, ""), mean, low, high, len(values)))
    frame = pd.DataFrame(rows, columns=["measure", "unit", "mean", "low", "high", "replications"])
    yield of_frame("The network", frame, ["measure", "unit"],
                   estimates=[("mean", "low", "high", "mean", "")],
                   notes=["Measures that are 0 throughout are not shown."])  # fmt: skip


def _network_by_treatment(subject: Subject, played: pd.DataFrame, names: list[str]) -> Table:
    """One row per treatment, for the telling measures that the sweep moves."""
    groups = played.groupby(played["treatment"].astype(str), sort=False)
    varies = [name for name in names if float(np.ptp(groups[name].mean().dropna())) > 1e-12]
    economy = [name for name in varies if name not in _TELLING and subject.has_economy]
    chosen = [name for name in _TELLING if name in varies][:_MOST_MEASURES] + economy[:2]
    columns = [Column("treatment"), Column("replications", "", True)]
    for name in chosen:
        columns += [Column(name, _UNITS[name], True), Column("95% interval", _UNITS[name], True)]
    parts = {str(name): part for name, part in groups}
    rows = []
    for treatment in subject.treatments[:MOST_ROWS]:
        part = parts[treatment]
        row = [Cell(treatment, treatment), Cell(f"{len(part):,}", float(len(part)))]
        for name in chosen:
            values = part[name].dropna()
            mean, _, low, high = mean_interval(values, within=_range_of(name))
            row += estimate(mean, low, high, len(values))
        rows.append(row)
    notes = ["Each interval holds for itself; differences between treatments stand below."]
    if len(subject.treatments) > MOST_ROWS:
        notes.append(f"The first {MOST_ROWS} treatments; replications.parquet has all of them.")
    return Table("The network, by treatment", columns, rows, notes)


def _inequality(subject: Subject) -> Iterator[Table]:
    nodes, notes = _shown(subject, subject.results.nodes)
    if not taking_part(nodes).any():
        return
    if subject.has_economy:
        notes.append("Of nodes that took part, each by the share of the run in which it did.")
    frame = reward_distribution(nodes, by=["role"])
    wanted = {"gini": "Gini", "theil": "Theil", "hhi": "HHI", "nakamoto": "Nakamoto"}
    frame = frame[frame["statistic"].isin(wanted) & frame["estimate"].notna()].copy()
    if frame.empty:
        return
    frame["index"] = frame["statistic"].map(wanted)
    yield of_frame(
        "Inequality of rewards over nodes", frame, _words(subject, "role", "index"),
        estimates=[("estimate", "low", "high", "value", "")],
        notes=[*notes, "Of the tokens paid over a run. Where a node earned less than nothing, "
                       "shares mean nothing and the replication is left out."],
    )  # fmt: skip


def _economy(subject: Subject) -> Iterator[Table]:
    if not subject.has_economy:
        return
    summary = subject.results.economy_summary()
    if subject.is_swept:
        summary = summary[summary["group"].astype(str) == "network"]
    summary = summary[(summary["first"].fillna(0.0) != 0.0) | (summary["last"].fillna(0.0) != 0.0)]
    summary = _with_occurrence(summary)
    notes = ["First epoch, and the mean of the last fifth of the epochs.",
             "Measures that are 0 throughout are not shown."]  # fmt: skip
    halted = subject.results.replications["halted_epoch"]
    if halted.notna().any():
        notes.append(f"The network halted in {int(halted.notna().sum())} of {len(halted)} "
                     "replications: too few nodes were left.")  # fmt: skip
    yield of_frame(
        "The economy", summary, _words(subject, "group", "measure", "unit", "not 0 in"),
        [("first", "first epoch", "")], [("last", "low", "high", "last epochs", "")], notes,
    )  # fmt: skip


def _with_occurrence(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the summary with a column that says where only some replications were not 0."""
    some = (summary["occurred"] > 0) & (summary["occurred"] < summary["replications"])
    seen = summary["occurred"].astype(str) + " of " + summary["replications"].astype(str)
    return summary.assign(**{"not 0 in": seen.where(some, "")})


def _queries(subject: Subject) -> Table:
    summary = subject.results.query_summary()
    summary = _with_occurrence(summary[summary["mean"].notna()])
    units = {field.name: field.metadata[b"unit"].decode() for field in QUERIES}
    summary["unit"] = summary["measure"].map(units)
    return of_frame("What the protocols let through, take and cost", summary,
                    _words(subject, "measure", "unit", "not 0 in"),
                    estimates=[("mean", "low", "high", "estimate", "")])  # fmt: skip


def _precision(subject: Subject) -> Iterator[Table]:
    reached = subject.results.precision
    if reached is None or reached.empty:
        return
    yield of_frame(
        "Precision reached", reached, ["treatment", "state"],
        [("replications", "replications", ""), ("half_width", "half-width", "")],
        [("mean", "low", "high", "mean", "")],
        ["The level holds for each treatment alone, however often it was looked at."],
    )  # fmt: skip
