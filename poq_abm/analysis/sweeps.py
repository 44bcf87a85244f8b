"""Measures of the network: over a run, and at every value of the axes that a sweep has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from poq_abm.analysis.charts import (
    MOST_LINES,
    cells_of,
    legend,
    name_places,
    paint_cells,
    write_cells,
)
from poq_abm.analysis.figure_style import DASHES, MARKERS, canvas, caption, colours, count_of, need
from poq_abm.analysis.questions import (
    TREATMENTS,
    AnalysisRequest,
    FigureKind,
    Need,
    Section,
    told,
)
from poq_abm.analysis.stored_run import StoredRun
from poq_abm.errors import InputError, nearest
from poq_abm.experiment.estimates import CONFIDENCE, mean_interval
from poq_abm.experiment.labels import field_in_words, measure_in_words
from poq_abm.experiment.paired import units_of
from poq_abm.experiment.results import Results
from poq_abm.experiment.schemas import range_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "FIGURES",
    "FIRST_MEASURES",
    "SECTIONS",
    "axes_to_show",
    "axis_named",
    "fixed_axes",
    "heat_map",
    "literal_values",
    "metric_over_axes",
    "other_axis",
    "sweep_lines",
]

SHARE = "malicious.share"  #: the axis of attacks
_DUST = 1e-12  # a measure that varies less over treatments is not moved by the sweep
_REWARDS = ["inference_reward_mean", "evaluator_reward_mean"]
#: what a table of many treatments shows, where it varies; the first so many of these
FIRST_MEASURES = (
    "inference_reward_mean", "evaluator_reward_mean", "consensus_mean", "correlation", "bias",
    "reward_gap", "saturated_share", "closeness_mean", "inference_cost_mean",
)  # fmt: skip
_MOST_MEASURES = 5
_MOST_TICKS = 12  # values of an axis that are written out
_MOST_WRITTEN = 120  # cells; in more, numbers would not be read


def axis_named(treatments: pd.DataFrame, name: str) -> str:
    """Return the swept field of this name: its whole path, or the end of it if only one has it.

    Raises
    ------
    InputError
        If there is no such axis, or several.

    Examples
    --------
    >>> treatments = pd.DataFrame({"treatment": ["a"], "mechanism.committee_size": [3]})
    >>> axis_named(treatments, "committee_size")
    'mechanism.committee_size'
    """
    axes = [str(column) for column in treatments.columns if column != "treatment"]
    if name in axes:
        return name
    ending = [axis for axis in axes if axis.endswith(f".{name}")]
    if len(ending) == 1:
        return ending[0]
    if ending:
        raise InputError(f"several axes are called {name!r}: {', '.join(ending)}")
    if not axes:
        raise InputError(f"no axis {name!r}: this run has no sweep")
    short = {axis.rpartition(".")[2]: axis for axis in axes}
    raise InputError(f"no axis {name!r}; {nearest(name, [*axes, *short])}")


def metric_over_axes(
    results: Results,
    metric: str,
    axes: Sequence[str],
    *,
    where: Mapping[str, str] | None = None,
    confidence: float = CONFIDENCE,
) -> pd.DataFrame:
    """Return a measure's mean over replications, with its interval, at every value of some axes.

    Parameters
    ----------
    results
        A run with a sweep.
    metric
        A column of floats of :data:`poq_abm.experiment.schemas.REPLICATIONS`, or of
        :data:`poq_abm.simulation.queries.query_tables.QUERIES` where queries were played.
    axes
        Swept fields, by path or by the end of it.
    where
        Values of the other axes, as they stand in a treatment's id; every other axis with more than
        one value must be fixed, because treatments are not replications to average over.

    Returns
    -------
    DataFrame
        One column per axis (its path), ``replications``, ``mean``, ``low``, ``high``.

    Raises
    ------
    InputError
        If an axis or the metric is unknown (the nearest name is given), or an axis is left open.
    """
    played = results.main
    known = [str(c) for c in played.select_dtypes("float").columns]
    if metric not in known:
        raise InputError(f"no measure {metric!r}; {nearest(metric, known)}")
    names = [axis_named(results.treatments, axis) for axis in axes]
    kept = _fixed(results.treatments, names, where or {})
    within = range_of(metric, units_of(played)[metric])
    rows = []
    for entry in kept[["treatment", *names]].to_dict("records"):
        values = played.loc[played["treatment"].astype(str) == entry["treatment"], metric].dropna()
        mean, _, low, high = mean_interval(values, confidence, within)
        settings = {str(name): _plain(entry[name]) for name in names}
        rows.append(
            {**settings, "replications": len(values), "mean": mean, "low": low, "high": high}
        )
    return pd.DataFrame(rows)


def _fixed(
    treatments: pd.DataFrame, names: Sequence[str], where: Mapping[str, str]
) -> pd.DataFrame:
    """Return the treatments at these values of the other axes, refusing axes left open."""
    kept = treatments
    for name, value in where.items():
        axis = axis_named(treatments, name)
        texts = literal_values(kept[axis])
        if value not in texts:
            raise InputError(f"{axis} takes no value {value!r}; {nearest(value, set(texts))}")
        kept = kept[[text == value for text in texts]]
    for axis in (str(c) for c in kept.columns if c != "treatment" and c not in names):
        texts = list(dict.fromkeys(literal_values(kept[axis])))
        if len(texts) > 1:
            raise InputError(
                f"the axis {axis} takes {len(texts)} values here; fix it, as in {axis}={texts[0]}"
            )
    return kept


def literal_values(column: pd.Series[Any]) -> list[str]:
    """Return values as they stand in ids, so that 0.0 and 0, ``boost`` and {name: boost} agree."""
    return [str(_plain(value)) for value in column]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return str(value["name"]) if set(value) == {"name"} else str(dict(value))
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return str(value) if isinstance(value, list) else value


def sweep_lines(frame: pd.DataFrame, x: str, y: str | None = None, *, label: str = "") -> Figure:
    """Return a measure along one axis of a sweep, a line and 95% bars for each value of another.

    ``frame`` is :func:`metric_over_axes`; ``x`` and ``y`` are its columns.
    ``label`` names the measure and its unit. Values that are no numbers stand in the order of the
    sweep and are not joined.
    """
    need(frame, [x, "mean", "low", "high", *([y] if y else [])])
    figure, (axes,) = canvas(7.6 if y else 6.4, 4.0)
    is_number = pd.api.types.is_numeric_dtype(frame[x])
    parts: list[tuple[Any, pd.DataFrame]] = (
        [(None, frame)] if y is None else list(frame.groupby(y, sort=False))
    )
    paint = colours(range(min(len(parts), MOST_LINES)))
    ticks = list(dict.fromkeys(frame[x].astype(str)))
    drawn: dict[bytes, str] = {}  # a line that lies under another is named with it
    for number, (value, part) in enumerate(parts[:MOST_LINES]):
        line = part.sort_values(x) if is_number else part
        at = line[x] if is_number else line[x].astype(str).map(ticks.index)
        errors = [(line["mean"] - line["low"]).fillna(0.0), (line["high"] - line["mean"]).fillna(0)]
        name = str(value)
        ends = np.array([at, *(line[column] for column in ("mean", "low", "high"))], np.float64)
        first = drawn.setdefault(ends.tobytes(), name)
        axes.errorbar(
            at, line["mean"], yerr=errors, color=paint[number], capsize=3, linewidth=1.6,
            marker=MARKERS[number % len(MARKERS)], markersize=5,
            label=name if first == name else f"{name} (the same as {first})",
            linestyle=DASHES[number % len(DASHES)] if is_number else "none",
        )  # fmt: skip
    if len(ticks) <= _MOST_TICKS:
        places = list(dict.fromkeys(frame[x])) if is_number else range(len(ticks))
        name_places(axes, places, ticks)
    axes.set_xlabel(field_in_words(x))
    axes.set_ylabel(label or "mean")
    if y is not None:
        legend(axes, len(parts), field_in_words(y))
    left_out = len(parts) - MOST_LINES
    more = f"{left_out} more lines left out" if left_out > 0 else ""
    caption(figure, f"{_without_unit(label) or 'mean'} along {field_in_words(x)}", frame,
            count_of(frame), "means over replications, bars 95%", more)  # fmt: skip
    return figure


def heat_map(
    frame: pd.DataFrame, x: str, y: str, *, value: str = "mean", label: str = ""
) -> Figure:
    """Return a heat map of a measure over two axes of a sweep, its values written in the cells.

    ``frame`` is :func:`metric_over_axes`; ``x`` and ``y`` are two of its
    columns. Measures of both signs are coloured from a neutral zero. ``label`` names the measure
    and its unit. Cells of a single replication carry a star: they have no interval.
    """
    need(frame, [x, y, value])
    table = cells_of(frame, x, y, value)
    figure, (axes,) = canvas(
        max(5.0, 1.0 + 0.75 * table.shape[1]), max(3.2, 1.6 + 0.5 * len(table))
    )
    paint_cells(figure, axes, table, label or value)
    if table.size <= _MOST_WRITTEN:
        single = (
            cells_of(frame, x, y, "replications") < 2
            if "replications" in frame
            else table < -np.inf
        )
        digits = _digits(table.to_numpy())
        texts = table.map(lambda v: "" if np.isnan(v) else f"{v:.{digits}f}")
        write_cells(axes, table, texts + single.map(lambda alone: "*" if alone is True else ""))
    axes.set_xlabel(field_in_words(x))
    axes.set_ylabel(field_in_words(y))
    title = f"{_without_unit(label) or value} over {field_in_words(x)} and {field_in_words(y)}"
    starred = "replications" in frame and bool((frame["replications"] < 2).any())
    caption(figure, title, frame, count_of(frame), "means over replications",
            "* one replication: no interval" if starred else "")  # fmt: skip
    return figure


def _digits(values: np.ndarray) -> int:
    most = float(np.nanmax(np.abs(values)))
    return 3 if most < 1.0 else 2 if most < 100.0 else 0


def _without_unit(label: str) -> str:
    """Return a label up to the unit in brackets at its end; a title needs no unit."""
    return label.rpartition(" (")[0] if label.endswith(")") else label


def fixed_axes(where: Mapping[str, str]) -> list[str]:
    """Return what a figure says of the axes that it does not show."""
    return [f"{field_in_words(key)} = {value}" for key, value in where.items()]


def other_axis(run: StoredRun, wanted: str | None, option: str, but: Sequence[str] = ()) -> str:
    """Return the axis asked for, or the only one of a run that is not among some others.

    Raises
    ------
    InputError
        If none is asked for and there is not just one.
    """
    axes = [axis for axis in run.axes if axis not in but]
    if wanted is None and len(axes) != 1:
        raise InputError(f"{option}; this run sweeps {', '.join(axes) or 'none'}")
    return wanted or axes[0]


def _two_axes(request: AnalysisRequest, run: StoredRun) -> tuple[str, str]:
    axes = run.axes
    free = [axis for axis in axes if axis not in (request.x, request.y)]
    if request.x and request.y:
        return request.x, request.y
    if len(axes) != 2:
        raise InputError(
            f"name two axes with --x and --y; this run sweeps {', '.join(axes) or 'none'}"
        )
    return request.x or free[0], request.y or [a for a in free if a != request.x][-1]


def _measure(
    request: AnalysisRequest, run: StoredRun, axes: Sequence[str]
) -> tuple[pd.DataFrame, str]:
    """Return the measure asked for, or the study's usual one, over axes of a run, and its label."""
    units = units_of(run.results.main)
    usual = "profit_mean" if run.has("epochs") else "evaluator_reward_mean"
    metric = request.metric or ("dishonest_stands" if run.has("queries") else usual)
    frame = metric_over_axes(run.results, metric, axes, where=request.where)
    return told(frame, run, *fixed_axes(request.where)), measure_in_words(metric, units[metric])


def _heat(request: AnalysisRequest) -> Figure:
    run = request.run
    x, y = (axis_named(run.results.treatments, axis) for axis in _two_axes(request, run))
    frame, label = _measure(request, run, [x, y])
    return heat_map(frame, x, y, label=label)


def _lines(request: AnalysisRequest) -> Figure:
    run, treatments = request.run, request.run.results.treatments
    x = axis_named(treatments, other_axis(run, request.x, "name an axis with --x"))
    y = axis_named(treatments, request.y) if request.y else None
    frame, label = _measure(request, run, [x, y] if y else [x])
    return sweep_lines(frame, x, y, label=label)


def axes_to_show(run: StoredRun) -> tuple[str, str, dict[str, str]]:
    """Return two axes of a sweep that a report shows, and at what it holds the others."""
    axes = run.moving_axes
    x = SHARE if SHARE in axes else axes[0]
    y = next(axis for axis in axes if axis != x) if SHARE in axes else axes[1]
    return x, y, _middle(run, [axis for axis in axes if axis not in (x, y)])


def _middle(run: StoredRun, axes: list[str]) -> dict[str, str]:
    """Fix the axes that are not shown: at what the scenario itself says, or at their middle."""
    fixed = {}
    for axis in axes:
        texts = list(dict.fromkeys(literal_values(run.results.treatments[axis])))
        value: Any = run.scenario
        for part in axis.split("."):
            value = getattr(value, part, None)
        own = f"{value:g}" if isinstance(value, int | float) else str(value)
        fixed[axis] = own if own in texts else texts[len(texts) // 2]
    return fixed


def _telling(run: StoredRun) -> list[str]:
    """Return the measures that a report shows along axes: those that the sweep moves."""
    attacked = SHARE in run.moving_axes
    metrics = ["bias", "reward_gap"] if attacked else _REWARDS
    means = run.results.replications.groupby("treatment", observed=True)[metrics].mean()
    known = [name for name in metrics if means[name].notna().any()]
    return [name for name in known if float(np.ptp(means[name].dropna())) > _DUST]


def _lines_fit(run: StoredRun) -> Iterator[dict[str, Any]]:
    if not run.is_swept or not run.has("replications"):
        return
    if len(run.moving_axes) == 1:
        for metric in _telling(run):
            yield {"x": run.moving_axes[0], "metric": metric}
        return
    x, y, where = axes_to_show(run)
    for metric in _telling(run)[:1]:
        yield {"x": x, "y": y, "metric": metric, "where": where}


def _heat_fits(run: StoredRun) -> Iterator[dict[str, Any]]:
    if run.is_swept and run.has("replications") and len(run.moving_axes) > 1:
        x, y, where = axes_to_show(run)
        for metric in _telling(run):
            yield {"x": x, "y": y, "metric": metric, "where": where}


def _network(run: StoredRun) -> Iterator[Section]:
    if not run.has("replications"):
        return
    played = run.results.replications
    names = [str(n) for n in played.select_dtypes("float").columns if played[n].notna().any()]
    if run.is_swept:
        yield _network_by_treatment(run, played, names)
        return
    units = units_of(played)
    rows = []
    for name in names:
        values = played[name].dropna()
        mean, _, low, high = _mean_of(values, name, units)
        if mean != 0.0 or values.any():
            rows.append((name, units[name], mean, low, high, len(values)))
    frame = pd.DataFrame(rows, columns=["measure", "unit", "mean", "low", "high", "replications"])
    yield Section("The network", frame, ["measure", "unit"],
                  estimates=[("mean", "low", "high", "mean", "")],
                  notes=["Measures that are 0 throughout are not shown."])  # fmt: skip


def _network_by_treatment(run: StoredRun, played: pd.DataFrame, names: list[str]) -> Section:
    """One row per treatment, for the telling measures that the sweep moves."""
    groups = played.groupby(played["treatment"].astype(str), sort=False)
    varies = [name for name in names if float(np.ptp(groups[name].mean().dropna())) > _DUST]
    economy = [name for name in varies if name not in FIRST_MEASURES and run.has("epochs")]
    chosen = [name for name in FIRST_MEASURES if name in varies][:_MOST_MEASURES] + economy[:2]
    units = units_of(played)
    parts = {str(name): part for name, part in groups}
    rows = []
    for treatment in run.treatments:
        part = parts[treatment]
        row: dict[str, Any] = {"treatment": treatment, "replications": len(part)}
        for name in chosen:
            mean, _, low, high = _mean_of(part[name].dropna(), name, units)
            row |= {name: mean, f"{name} low": low, f"{name} high": high}
        rows.append(row)
    return Section(
        "The network, by treatment", pd.DataFrame(rows), ["treatment"],
        [("replications", "replications", "")],
        [(name, f"{name} low", f"{name} high", name, units[name]) for name in chosen],
        ["Each interval holds for itself; differences between treatments stand below."],
    )  # fmt: skip


def _mean_of(
    values: pd.Series[float], name: str, units: Mapping[str, str]
) -> tuple[float, float, float, float]:
    return mean_interval(values, within=range_of(name, units[name]))


SECTIONS = (_network,)
_TWO_AXES = Need("two swept axes", lambda run: len(run.axes) > 1)
_OF_AXES = ("x", "y", "metric", "where")
FIGURES = (
    FigureKind(
        "lines",
        "a measure along an axis of a sweep (--x, --y, --metric)",
        _lines,
        _OF_AXES,
        _lines_fit,
        (TREATMENTS,),
    ),
    FigureKind(
        "heatmap",
        "a measure over two axes of a sweep (--x, --y, --metric)",
        _heat,
        _OF_AXES,
        _heat_fits,
        (_TWO_AXES,),
    ),
)
