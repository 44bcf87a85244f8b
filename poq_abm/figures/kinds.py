"""The kinds of figures ``poq plot`` draws: from a results folder or a profile to a picture."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from poq_abm.analysis.reading import Opened, open_results, select
from poq_abm.errors import InputError, nearest
from poq_abm.experiment.manifest import MANIFEST, read_manifest
from poq_abm.profile import Profile, load_profile

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["KINDS", "Kind", "Request", "draw", "kind_named"]


@dataclass(frozen=True)
class Request:
    """What to draw from: a results folder or a profile, and which part of it."""

    source: str
    treatment: str | None = None
    against: str | None = None  #: the other treatment of a difference
    role: str | None = None
    by: str | None = None
    metric: str | None = None
    x: str | None = None
    y: str | None = None
    where: dict[str, str] = field(default_factory=dict)

    @property
    def is_run(self) -> bool:
        """Whether the source is a results folder."""
        return (Path(self.source) / MANIFEST).is_file()

    def run(self) -> Opened:
        """Return the run, or say that there is none."""
        return open_results(self.source)

    def profile(self) -> Profile:
        """Return the profile: the source itself, or the one the run drew from."""
        if not self.is_run:
            return load_profile(self.source)
        return load_profile(str(read_manifest(Path(self.source))["profile"]))


class Kind(NamedTuple):
    """One kind of figure: what it shows, how it is drawn, and which parts of a request it heeds."""

    shows: str
    draw: Callable[[Request], Figure]
    takes: tuple[str, ...] = ()  #: fields of :class:`Request` besides the source


_OF_NODES = ("treatment", "role", "by")
_OF_AXES = ("x", "y", "metric", "where")


def draw(name: str, request: Request) -> Figure:
    """Return the figure of a kind.

    Raises
    ------
    InputError
        If there is no such kind, or the source does not have what it needs.
    """
    return kind_named(name).draw(request)


def kind_named(name: str) -> Kind:
    """Return the kind of this name, or raise :class:`~poq_abm.errors.InputError`."""
    if name not in KINDS:
        raise InputError(f"no kind of figure {name!r}; {nearest(name, KINDS)}")
    return KINDS[name]


def _told(frame: pd.DataFrame, opened: Opened) -> pd.DataFrame:
    """Attach the scenario's name and the warnings to a table."""
    frame.attrs |= {"scenario": opened.name, "notes": list(opened.notes)}
    return frame


def _one(opened: Opened, wanted: str | None) -> str:
    """Return the treatment asked for, or the only one."""
    known = [str(name) for name in opened.results.treatments["treatment"]]
    if wanted is None and len(known) > 1:
        raise InputError(f"{len(known)} treatments; name one with --treatment, as {known[0]!r}")
    if wanted is not None and wanted not in known:
        raise InputError(f"no treatment {wanted!r}; {nearest(wanted, known)}")
    return wanted or known[0]


def _nodes(request: Request, opened: Opened) -> pd.DataFrame:
    """Return the nodes of one treatment, and of one role where that is asked for."""
    chosen = _one(opened, request.treatment)
    return select(opened.results.nodes, treatment=chosen, role=request.role)


def _trilemma(request: Request) -> Figure:
    from poq_abm.analysis.trilemma import trilemma_of_run  # noqa: PLC0415
    from poq_abm.figures.verification import trilemma  # noqa: PLC0415

    opened = request.run()
    return trilemma(trilemma_of_run(opened.results, opened.name, request.where))


def _economy(request: Request) -> Figure:
    from poq_abm.figures.economy import epoch_bands, over_epochs  # noqa: PLC0415

    opened = request.run()
    table = over_epochs(opened.results.epochs, request.metric or "profit", request.treatment)
    return epoch_bands(_told(table, opened))


def _figure4(request: Request) -> Figure:
    from poq_abm.analysis.correlation import evaluator_correlations  # noqa: PLC0415
    from poq_abm.figures.profiles import evaluator_correlation_bars  # noqa: PLC0415

    profile = request.profile()
    return evaluator_correlation_bars(_of_profile(evaluator_correlations(profile), profile))


def _figure5(request: Request) -> Figure:
    from poq_abm.analysis.efficiency import quality_against_latency  # noqa: PLC0415
    from poq_abm.figures.profiles import quality_latency_points  # noqa: PLC0415

    profile = request.profile()
    return quality_latency_points(_of_profile(quality_against_latency(profile), profile))


def _of_profile(frame: pd.DataFrame, profile: Profile) -> pd.DataFrame:
    frame.attrs |= {
        "scenario": f"profile {profile.name}",
        "records": len(profile.records),
        "notes": _reconstruction(profile),
    }
    return frame


def _reconstruction(profile: Profile) -> list[str]:
    """Return what a figure of a profile that nobody measured has to say."""
    if "reconstruction" not in str(profile.provenance.get("summary", "")):
        return []
    return [
        f"profile {profile.name}: a reconstruction fitted to published aggregates, not measured"
    ]


def _figure6(request: Request) -> Figure:
    from poq_abm.figures.profiles import mean_reward_bars  # noqa: PLC0415

    return mean_reward_bars(_summary(request))


def _costs(request: Request) -> Figure:
    from poq_abm.figures.profiles import reward_against_cost  # noqa: PLC0415

    return reward_against_cost(_summary(request))


def _summary(request: Request) -> pd.DataFrame:
    """Return who earned what in one treatment of a run, or in one that is played of a profile."""
    if not request.is_run:
        return _played(request)
    opened = request.run()
    summary = opened.results.summary()
    summary = summary[summary["treatment"].astype(str) == _one(opened, request.treatment)]
    told = _told(summary.copy(), opened)
    with contextlib.suppress(InputError):  # a run can be drawn without the profile it drew from
        told.attrs["notes"] += _reconstruction(request.profile())
    return told


def _played(request: Request) -> pd.DataFrame:
    """Return the rewards of one node per model and evaluator of a profile, default mechanism."""
    from poq_abm.experiment.running import run  # noqa: PLC0415
    from poq_abm.scenario.checks.problems import Origins  # noqa: PLC0415
    from poq_abm.scenario.scenario import build  # noqa: PLC0415

    profile = request.profile()
    people = {
        "inference": [{"model": model} for model in profile.models],
        "evaluators": [{"model": model} for model in profile.evaluators],
    }
    committee = {"committee_size": min(3, len(profile.evaluators))}
    scenario = build({"population": people, "mechanism": committee}, Origins({}))
    summary = run(scenario, profile=profile).summary()
    summary.attrs["scenario"] = f"profile {profile.name}, one node each, default mechanism"
    summary.attrs["notes"] = _reconstruction(profile)
    return summary


def _ecdf(request: Request) -> Figure:
    from poq_abm.figures.rewards import reward_ecdf  # noqa: PLC0415

    opened = request.run()
    return reward_ecdf(_told(_nodes(request, opened).copy(), opened), by=_class(request, "role"))


def _violins(request: Request) -> Figure:
    from poq_abm.figures.rewards import reward_violins  # noqa: PLC0415

    opened = request.run()
    nodes = _told(_nodes(request, opened).copy(), opened)
    return reward_violins(nodes, by=_class(request, "group"))


def _lorenz(request: Request) -> Figure:
    from poq_abm.analysis.rewards import lorenz_curves  # noqa: PLC0415
    from poq_abm.figures.rewards import lorenz_figure  # noqa: PLC0415

    opened = request.run()
    nodes = select(opened.results.nodes, treatment=request.treatment, role=request.role)
    curves = lorenz_curves(nodes, by=[_class(request, "role")])
    if curves.empty:
        raise InputError("somebody earned less than nothing in every replication: no Lorenz curve")
    return lorenz_figure(_told(curves, opened))


def _class(request: Request, default: str) -> str:
    from poq_abm.analysis.rewards import CELLS  # noqa: PLC0415

    if request.by is not None and request.by not in CELLS:
        raise InputError(f"nodes cannot be told apart by {request.by!r}; "
                         f"{nearest(request.by, CELLS)}")  # fmt: skip
    return request.by or default


def _heat(request: Request) -> Figure:
    from poq_abm.analysis.comparing import units_of  # noqa: PLC0415
    from poq_abm.analysis.sweeps import axis_named, metric_over_axes  # noqa: PLC0415
    from poq_abm.figures.sweeps import heat_map  # noqa: PLC0415

    opened = request.run()
    treatments = opened.results.treatments
    x, y = (axis_named(treatments, axis) for axis in _two_axes(request, treatments))
    units = units_of(opened.results.main)
    usual = "dishonest_stands" if "dishonest_stands" in units else "evaluator_reward_mean"
    metric = request.metric or usual
    frame = _told(metric_over_axes(opened.results, metric, [x, y], where=request.where), opened)
    fixed = [f"{key} = {value}" for key, value in request.where.items()]
    frame.attrs["notes"] = [*fixed, *frame.attrs["notes"]]
    return heat_map(frame, x, y, label=f"{metric} ({units[metric]})")


def _lines(request: Request) -> Figure:
    from poq_abm.analysis.comparing import units_of  # noqa: PLC0415
    from poq_abm.analysis.sweeps import axis_named, metric_over_axes  # noqa: PLC0415
    from poq_abm.figures.lines import sweep_lines  # noqa: PLC0415

    opened = request.run()
    treatments = opened.results.treatments
    axes = [str(column) for column in treatments.columns if column != "treatment"]
    if request.x is None and len(axes) != 1:
        raise InputError(f"name an axis with --x; this run sweeps {', '.join(axes) or 'none'}")
    x = axis_named(treatments, request.x or axes[0])
    y = axis_named(treatments, request.y) if request.y else None
    units = units_of(opened.results.main)
    usual = "dishonest_stands" if "dishonest_stands" in units else "evaluator_reward_mean"
    metric = request.metric or usual
    chosen = [x, y] if y else [x]
    frame = _told(metric_over_axes(opened.results, metric, chosen, where=request.where), opened)
    fixed = [f"{key} = {value}" for key, value in request.where.items()]
    frame.attrs["notes"] = [*fixed, *frame.attrs["notes"]]
    return sweep_lines(frame, x, y, label=f"{metric} ({units[metric]})")


def _two_axes(request: Request, treatments: pd.DataFrame) -> tuple[str, str]:
    axes = [str(column) for column in treatments.columns if column != "treatment"]
    free = [axis for axis in axes if axis not in (request.x, request.y)]
    if request.x and request.y:
        return request.x, request.y
    if len(axes) != 2:
        raise InputError(
            f"name two axes with --x and --y; this run sweeps {', '.join(axes) or 'none'}"
        )
    return request.x or free[0], request.y or [a for a in free if a != request.x][-1]


def _trust(request: Request) -> Figure:
    from poq_abm.analysis.sweeps import trust_bands  # noqa: PLC0415
    from poq_abm.figures.trust import trust_figure  # noqa: PLC0415

    opened = request.run()
    log = select(opened.results.trust, treatment=request.treatment)
    bands = trust_bands(log, opened.results.nodes, by=request.by or "behaviour")
    return trust_figure(_told(bands, opened))


def _forest(request: Request) -> Figure:
    from poq_abm.figures.differences import difference_forest  # noqa: PLC0415

    opened = request.run()
    known = [str(name) for name in opened.results.treatments["treatment"]]
    if len(known) < 2:
        raise InputError("a difference needs two treatments, and this run has one")
    a, b = request.treatment or known[0], request.against or known[-1]
    table = _told(opened.results.compare(a, b), opened)
    table.attrs["sides"] = (a, b)
    return difference_forest(table)


def _quality(request: Request) -> Figure:
    from poq_abm.analysis.sweeps import quality_against_cost  # noqa: PLC0415
    from poq_abm.figures.frontiers import quality_cost_figure  # noqa: PLC0415

    opened = request.run()
    nodes = select(opened.results.nodes, treatment=_one(opened, request.treatment))
    return quality_cost_figure(_told(quality_against_cost(nodes), opened))


def _phases(request: Request) -> Figure:
    from poq_abm.analysis.sweeps import attack_phases_of  # noqa: PLC0415
    from poq_abm.figures.sweeps import attack_phase_diagram  # noqa: PLC0415

    opened = request.run()
    axes = [str(c) for c in opened.results.treatments.columns
            if c not in ("treatment", "malicious.share")]  # fmt: skip
    if request.y is None and len(axes) != 1:
        raise InputError(
            f"name the other axis with --y; this run sweeps {', '.join(axes) or 'none'}"
        )
    table = attack_phases_of(opened.results, request.y or axes[0], where=request.where)
    table.attrs["gain_against"] = "their honest twins"
    frame = _told(table, opened)
    fixed = [f"{key} = {value}" for key, value in request.where.items()]
    frame.attrs["notes"] = [*fixed, *frame.attrs["notes"]]
    return attack_phase_diagram(frame)


#: every kind by its name on the command line
KINDS: dict[str, Kind] = {
    "figure4": Kind("correlation of evaluators with truth and judge (profile or run)", _figure4),
    "figure5": Kind("quality of models against their latency (profile or run)", _figure5),
    "figure6": Kind(
        "mean rewards of inference nodes and evaluators (profile or run)", _figure6, ("treatment",)
    ),
    "costs": Kind("reward against cost, by group (profile or run)", _costs, ("treatment",)),
    "ecdf": Kind("distribution function of rewards over nodes", _ecdf, _OF_NODES),
    "violins": Kind("rewards by group, as violins", _violins, _OF_NODES),
    "lorenz": Kind("Lorenz curves of rewards", _lorenz, _OF_NODES),
    "heatmap": Kind("a measure over two axes of a sweep (--x, --y, --metric)", _heat, _OF_AXES),
    "lines": Kind("a measure along an axis of a sweep (--x, --y, --metric)", _lines, _OF_AXES),
    "trust": Kind("trust over time, with bands", _trust, ("treatment", "by")),
    "forest": Kind(
        "paired differences of two treatments (--treatment, --against)",
        _forest,
        ("treatment", "against"),
    ),
    "frontier": Kind("quality against latency of inference groups", _quality, ("treatment",)),
    "trilemma": Kind(
        "verification protocols: integrity, delay, cost, throughput", _trilemma, ("where",)
    ),
    "economy": Kind(
        "an economy epoch by epoch (--metric, a column of epochs)",
        _economy,
        ("metric", "treatment"),
    ),
    "phases": Kind(
        "where an attack pays, by malicious share and another axis (--y)", _phases, ("y", "where")
    ),
}
