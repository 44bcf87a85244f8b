"""What can be asked of a run or of a profile, each question declared where it is answered.

A question is one module of :mod:`poq_abm.analysis`: its table, its figure, its sentence. What it
offers to others it declares there, as ``TABLES`` (``poq analyse``), ``FIGURES`` (``poq plot``, and
the report where they fit) and ``SECTIONS`` (tables of the report). :data:`MODULES` names them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from poq_abm.analysis.stored_run import StoredRun, open_results, selected
from poq_abm.errors import InputError, nearest
from poq_abm.experiment.calibration_error import WIDENED
from poq_abm.experiment.manifest import MANIFEST
from poq_abm.profile import Profile, load_profile
from poq_abm.simulation.playable import SYNTHETIC

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "EPOCHS",
    "MODULES",
    "NODES",
    "QUERIES",
    "TREATMENTS",
    "TRUST_LOG",
    "AnalysisRequest",
    "FigureKind",
    "Need",
    "Section",
    "TableKind",
    "draw",
    "drawn_from_a_profile",
    "figures",
    "first_treatments",
    "make",
    "of_one_treatment",
    "of_profile",
    "reconstruction",
    "sections",
    "tables",
    "told",
    "with_occurrence",
    "with_treatment",
]

#: where questions are answered, in the order in which lists and reports show them
MODULES = (
    "mean_rewards",
    "sweeps",
    "axis_effects",
    "rewards",
    "distributions",
    "lorenz",
    "alignment",
    "pay_and_accuracy",
    "dose_response",
    "explanation",
    "comparison",
    "audit.attacks",
    "epochs",
    "surplus",
    "elasticity",
    "trust",
    "quality_latency",
    "evaluator_correlation",
    "cascade",
    "composite",
    "trilemma",
)

MOST_TREATMENTS = 12  #: tables of every group stop here; those of whole networks do not


@dataclass(frozen=True)
class AnalysisRequest:
    """What is asked of: a results folder or a profile, and which part of it."""

    source: str
    treatment: str | None = None
    against: str | None = None  #: the other treatment of a difference
    role: str | None = None
    group: str | None = None
    by: Sequence[str] = ()
    amount: str = "reward_total"
    over: str = "nodes"
    metric: str | None = None
    x: str | None = None
    y: str | None = None
    where: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, run: StoredRun, **asked: Any) -> AnalysisRequest:
        """Return what is asked of a run that is open already."""
        request = cls(str(run.folder), **asked)
        request.__dict__["run"] = run
        return request

    @property
    def is_run(self) -> bool:
        """Whether the source is a results folder."""
        return (Path(self.source) / MANIFEST).is_file()

    @cached_property
    def run(self) -> StoredRun:
        """The run; an error says that there is none."""
        return open_results(self.source)

    @cached_property
    def profile(self) -> Profile:
        """The profile: the source itself, or the one the run drew from."""
        return self.run.profile if self.is_run else load_profile(self.source)

    def rows(self, *columns: str, table: str = "nodes") -> Iterator[pd.DataFrame]:
        """Yield columns of the nodes of the treatment, role and group asked for, part by part.

        With them come treatment, replication, role and group; every replication is whole.

        Raises
        ------
        InputError
            If the run has no such table, or there are no such rows.
        """
        wanted, known = self.treatment, self.run.treatments
        if wanted is not None and wanted not in known:
            raise InputError(f"no rows with treatment {wanted!r}; {nearest(wanted, known)}")
        rows = self.run.nodes(
            *dict.fromkeys(["role", "group", *columns]),
            treatments=None if wanted is None else [wanted],
            table=table,
        )
        return selected(rows, role=self.role, group=self.group)


class Need(NamedTuple):
    """What a run must have for a table or a figure to be made of it."""

    words: str
    is_met: Callable[[StoredRun], bool]


NODES = Need("nodes that are paid for rounds", lambda run: run.has("nodes"))
EPOCHS = Need("an economy", lambda run: run.has("epochs"))
QUERIES = Need("verification protocols", lambda run: run.has("queries"))
TRUST_LOG = Need("a trust log (mechanism.trust.interval)", lambda run: run.has("trust"))
TREATMENTS = Need("several treatments", lambda run: run.is_swept)


class TableKind(NamedTuple):
    """One table of ``poq analyse``: what it says, how it is made, which options it heeds."""

    name: str
    says: str
    make: Callable[[AnalysisRequest], pd.DataFrame]
    takes: tuple[str, ...] = ()  #: fields of :class:`AnalysisRequest` besides the source
    needs: tuple[Need, ...] = (NODES,)  #: what a run must have
    of_profiles: bool = False  #: whether a profile will do as well


def _never(_: StoredRun) -> Iterable[dict[str, Any]]:
    return ()


class FigureKind(NamedTuple):
    """One figure of ``poq plot``: what it shows, how it is drawn, which options it heeds."""

    name: str
    shows: str
    draw: Callable[[AnalysisRequest], Figure]
    takes: tuple[str, ...] = ()  #: fields of :class:`AnalysisRequest` besides the source
    #: what a report asks of it, once for each figure that fits the run
    fits: Callable[[StoredRun], Iterable[dict[str, Any]]] = _never
    needs: tuple[Need, ...] = (NODES,)  #: what a run must have


_OF_CALIBRATION = (
    "The first interval is that of the replications, on the records as measured. With calibration "
    "error, it also holds how far other records would have moved the estimate: their share of the "
    "variance would shrink with more records, and with no number of replications."
)


class Section(NamedTuple):
    """A table of a report: a frame, and which of its columns are shown as what."""

    title: str
    frame: pd.DataFrame
    words: Sequence[str]  #: columns of text
    numbers: Sequence[tuple[str, str, str]] = ()  #: column, title, unit
    #: column of the mean, of its lower and its upper end, title, unit
    estimates: Sequence[tuple[str, str, str, str, str]] = ()
    notes: Sequence[str] = ()

    def with_calibration(self) -> Section:
        """Return the section with the interval that holds the calibration's error, if it has one.

        It is that of the last estimate.
        """
        if WIDENED[0] not in self.frame:
            return self
        mean, *_, unit = self.estimates[-1]
        low, high, share, *ends = WIDENED
        return self._replace(
            estimates=[
                *self.estimates,
                (mean, low, high, "with calibration error", unit),
                (share, ends[0], ends[1], "calibration's share", "of the variance"),
            ],
            notes=[*self.notes, _OF_CALIBRATION],
        )


def of_one_treatment(run: StoredRun) -> Iterator[dict[str, Any]]:
    """Yield what a report asks of a figure of one treatment's nodes: where there are no others."""
    if not run.is_swept and run.has("nodes"):
        yield {}


def drawn_from_a_profile(run: StoredRun) -> Iterator[dict[str, Any]]:
    """Yield what a report asks of a figure of the profile: where it is known as it was."""
    if run.has("nodes") and run.values("profile") != [SYNTHETIC] and not run.profiles[1]:
        yield {}


@cache
def tables() -> dict[str, TableKind]:
    """Return every table of ``poq analyse`` by its name."""
    return {kind.name: kind for kind in _declared("TABLES")}


@cache
def figures() -> dict[str, FigureKind]:
    """Return every figure of ``poq plot`` by its name."""
    return {kind.name: kind for kind in _declared("FIGURES")}


def sections(run: StoredRun) -> Iterator[Section]:
    """Yield the tables that the report of a run shows."""
    for of_run in _declared("SECTIONS"):
        yield from of_run(run)


def _declared(what: str) -> Iterator[Any]:
    for name in MODULES:
        yield from getattr(import_module(f"poq_abm.analysis.{name}"), what, ())


def make(name: str, request: AnalysisRequest) -> pd.DataFrame:
    """Return the table of a kind.

    Raises
    ------
    InputError
        If there is no such kind, or the run does not have what it needs.
    """
    if name not in tables():
        raise InputError(f"no table {name!r}; {nearest(name, tables())}")
    if request.is_run or not tables()[name].of_profiles:
        _refuse_unfit("analyse", name, tables(), request.run)
    return tables()[name].make(request)


def draw(name: str, request: AnalysisRequest) -> Figure:
    """Return the figure of a kind.

    Raises
    ------
    InputError
        If there is no such kind, or the source does not have what it needs.
    """
    if name not in figures():
        raise InputError(f"no kind of figure {name!r}; {nearest(name, figures())}")
    if request.is_run:
        _refuse_unfit("plot", name, figures(), request.run)
    return figures()[name].draw(request)


def _refuse_unfit(
    verb: str, name: str, kinds: Mapping[str, TableKind | FigureKind], run: StoredRun
) -> None:
    """Refuse a kind that a run has not what it takes for; the message names those that fit."""
    missing = [need.words for need in kinds[name].needs if not need.is_met(run)]
    if missing:
        fitting = (n for n, kind in kinds.items() if all(one.is_met(run) for one in kind.needs))
        raise InputError(
            f"`poq {verb} {name}` needs {' and '.join(missing)}, and {run.folder} is a run of "
            f"{run.studied}; what fits it: {', '.join(fitting)}"
        )


def told(frame: pd.DataFrame, run: StoredRun, *first: str) -> pd.DataFrame:
    """Attach the scenario's name and the warnings, after some others, to a table.

    Warnings of treatments are those of the ones that it is about: its ``sides``, or its treatments.
    """
    some: list[str] = list(frame.attrs.get("sides", ()))
    if not some and "treatment" in frame:
        some = frame["treatment"].astype(str).unique().tolist()
    notes = run.notes_on(some) if some and set(some) < set(run.treatments) else run.notes
    frame.attrs |= {"scenario": run.name, "notes": [*first, *notes]}
    return frame


def of_profile(frame: pd.DataFrame, profile: Profile) -> pd.DataFrame:
    """Attach to a table what a figure of a profile has to say of it."""
    frame.attrs |= {
        "scenario": f"profile {profile.name}",
        "records": len(profile.records),
        "notes": reconstruction(profile),
    }
    return frame


def reconstruction(profile: Profile) -> list[str]:
    """Return what has to be said of a profile that nobody measured."""
    if "reconstruction" not in str(profile.provenance.get("summary", "")):
        return []
    return [
        f"profile {profile.name}: a reconstruction fitted to published aggregates, not measured"
    ]


def first_treatments(run: StoredRun) -> tuple[list[str], list[str]]:
    """Return the first treatments of a run, and what to say of the others."""
    left_out = len(run.treatments) - MOST_TREATMENTS
    said = f"The first {MOST_TREATMENTS} treatments; Results.summary() has the {left_out:,} others."
    return run.treatments[:MOST_TREATMENTS], [said] if left_out > 0 else []


def with_treatment(run: StoredRun, *words: str) -> list[str]:
    """Return columns of text, before them the treatment where there are several."""
    return (["treatment"] if run.is_swept else []) + list(words)


def with_occurrence(summary: pd.DataFrame) -> pd.DataFrame:
    """Return a summary with a column that says where only some replications were not 0."""
    some = (summary["occurred"] > 0) & (summary["occurred"] < summary["replications"])
    seen = summary["occurred"].astype(str) + " of " + summary["replications"].astype(str)
    return summary.assign(**{"not 0 in": seen.where(some, "")})
