"""Which fields of a scenario an outcome depends on: Morris' screening and Sobol' indices.

SALib (Herman and Usher, Journal of Open Source Software 2, 2017) makes the designs and computes the
indices; it is an extra: ``pip install "poq-abm[sensitivity]"``.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from poq_abm.errors import InputError, nearest
from poq_abm.experiment.estimates import CONFIDENCE, mean_interval
from poq_abm.experiment.results import Results
from poq_abm.experiment.running import run
from poq_abm.experiment.study import Progress
from poq_abm.scenario import Scenario
from poq_abm.scenario.paths import fault, split, value_at

__all__ = ["METHODS", "Method", "Sensitivity", "sensitivity"]

Array = NDArray[np.float64]
Method = Literal["morris", "sobol"]
METHODS: tuple[Method, ...] = get_args(Method)
Span = tuple[float, float] | Sequence[Any]  #: low and high of a number, or a list of choices

_LEVELS = 4  # of Morris' grid
_MAX_SEED = 2**32  # of NumPy's legacy generator, which SALib uses
_INDICES = {"morris": ("mu_star", "mu", "sigma"), "sobol": ("S1", "ST")}


@dataclass(frozen=True)
class Sensitivity:
    """What an analysis found.

    Attributes
    ----------
    indices
        ``field``, ``index``, ``estimate``, ``low``, ``high`` (Student interval over replications),
        ``design_half_width`` (what another design of the same size could change, by SALib's
        bootstrap, at the same confidence; missing for ``mu`` and ``sigma``), ``replications``.
    noise
        One row: ``parameter_variance``, of the outcome over the design, without replication noise;
        ``replication_variance``, inside a point of the design; ``noise_share``, the second over the
        sum of both.
    points
        The design as it was played: a column per field, ``mean`` of the outcome and ``sd`` over
        replications.
    """

    metric: str
    method: Method
    indices: pd.DataFrame
    noise: pd.DataFrame
    points: pd.DataFrame


def sensitivity(
    scenario: Scenario,
    fields: Mapping[str, Span],
    metric: str,
    *,
    method: Method = "morris",
    samples: int | None = None,
    confidence: float = CONFIDENCE,
    n_jobs: int = 1,
    progress: Progress | None = None,
) -> Sensitivity:
    """Return how strongly an outcome depends on fields of a scenario, inside given ranges.

    Every point of the design is played with the same keys. An index is computed for each
    replication by itself, in which luck is the same at every point and therefore no part of the
    variance that is explained; the estimate is the mean of those indices, and its interval says
    what replication noise leaves open.

    ``morris``: mean absolute elementary effect ``mu_star``, mean ``mu`` and s.d. ``sigma``, each
    for a step over the whole range (Morris, Technometrics 33, 1991; Campolongo and others 2007):
    ``sigma`` large beside ``mu_star`` means curvature or interaction. ``samples`` trajectories of
    fields + 1 points, default 10: a screening. ``sobol``: first-order ``S1`` and total ``ST``
    shares of the variance (Sobol' 1993; Saltelli and others 2010), ``samples`` x (fields + 2)
    points, a power of two, default 128.

    Parameters
    ----------
    scenario
        Without a sweep.
    fields
        Dotted paths to (low, high), rounded where the scenario has a whole number, or to a list of
        choices of any kind, equally likely (then an order has no meaning, and ``mu`` neither).
    metric
        A column of floats of ``replications``, or of ``queries``.
    n_jobs, progress
        As in :func:`poq_abm.run`.

    Raises
    ------
    InputError
        If SALib is missing, a name is unknown, a range is empty, or the metric is undefined
        somewhere.
    """
    if scenario.resample_profile:
        raise InputError("resample_profile does nothing in a sensitivity: set it to false")
    library = _salib(method)
    problem = _problem(scenario, fields)
    count = samples if samples is not None else (10 if method == "morris" else 128)
    if count < 2 or (method == "sobol" and count & (count - 1)):
        need = "at least 2" if method == "morris" else "a power of two, at least 2"
        raise InputError(f"{method} needs {need} samples, got {count}")
    seed = scenario.seed % _MAX_SEED
    units = _design(library, problem, method, count, seed)
    settings = [
        {name: _value(row[i], span, _now(scenario, name)) for i, (name, span) in
         enumerate(fields.items())}
        for row in units
    ]  # fmt: skip
    outcome, points = _play(scenario, settings, metric, n_jobs, progress)
    indices = _indices(library, problem, method, units, outcome, seed, confidence)
    return Sensitivity(metric, method, indices, _noise(outcome, points), points)


def _salib(method: str) -> Any:
    """Return SALib's module of a method's designs and that of its analysis."""
    if method not in METHODS:
        raise InputError(f"no method {method!r}; {nearest(method, METHODS)}")
    try:
        from importlib import import_module  # noqa: PLC0415

        return import_module(f"SALib.sample.{method}"), import_module(f"SALib.analyze.{method}")
    except ImportError:
        raise InputError(
            'sensitivity analysis needs an extra: pip install "poq-abm[sensitivity]"'
        ) from None


def _now(scenario: Scenario, name: str) -> Any:
    return value_at(split(name), scenario.resolved())


def _problem(scenario: Scenario, fields: Mapping[str, Span]) -> dict[str, Any]:
    """Return the design's ranges, all in [0, 1], after checking what they stand for."""
    if len(scenario.treatments()) > 1:
        raise InputError(f"{scenario.name} has a sweep; sensitivity analysis takes one treatment")
    if len(fields) < 2:
        raise InputError("name two fields or more: there is nothing to tell apart")
    for name, span in fields.items():
        if (said := fault(split(name), scenario.resolved())) is not None:
            raise InputError(f"{name}: {said}")
        if _is_range(span) and not span[0] < span[1]:
            raise InputError(f"{name}: the range {span[0]:g} to {span[1]:g} is empty")
        if not _is_range(span) and len(span) < 2:
            raise InputError(f"{name}: name two choices or more")
    bounds = [[0.0, 1.0]] * len(fields)
    return {"num_vars": len(fields), "names": list(fields), "bounds": bounds}


def _is_range(span: Span) -> bool:
    return isinstance(span, tuple) and len(span) == 2


def _value(unit: float, span: Span, now: Any) -> Any:
    """Return what a number in [0, 1] stands for: a choice, a whole number, or a number.

    >>> _value(0.5, (0.0, 4.0), 1.0), _value(0.99, (1, 5), 3), _value(0.5, ["a", "b"], "a")
    (2.0, 5, 'b')
    """
    if not _is_range(span):
        return span[min(int(unit * len(span)), len(span) - 1)]
    low, high = float(span[0]), float(span[1])
    if isinstance(now, int) and not isinstance(now, bool):
        return round(low) + min(
            int(unit * (round(high) - round(low) + 1)), round(high) - round(low)
        )
    return low + unit * (high - low)


def _design(library: Any, problem: dict[str, Any], method: Method, count: int, seed: int) -> Array:
    sampler = library[0]
    if method == "morris":
        made = sampler.sample(problem, count, num_levels=_LEVELS, seed=seed)
    else:
        made = sampler.sample(problem, count, calc_second_order=False, seed=seed)
    return np.asarray(made, dtype=np.float64)


def _play(
    scenario: Scenario,
    settings: list[dict[str, Any]],
    metric: str,
    n_jobs: int,
    progress: Progress | None,
) -> tuple[Array, pd.DataFrame]:
    """Return the outcome, shape (replications, points), and the points; equal ones play once."""
    texts = [repr(row) for row in settings]
    distinct = dict(zip(texts, settings, strict=True))
    ids = {text: f"p{number}" for number, text in enumerate(distinct)}
    listed = [{**row, "id": ids[text]} for text, row in distinct.items()]
    swept = scenario.replace({"sweep": {"list": listed}})
    results = run(swept, n_jobs=n_jobs, progress=progress)
    wide = _outcomes(results, metric)
    outcome = wide[[ids[text] for text in texts]].to_numpy(dtype=np.float64)
    points = pd.DataFrame(list(distinct.values()))
    distinct_outcome = wide[list(ids.values())]
    points["mean"] = distinct_outcome.mean().to_numpy()
    points["sd"] = distinct_outcome.std(ddof=1).to_numpy()
    return outcome, points


def _outcomes(results: Results, metric: str) -> pd.DataFrame:
    """Return the metric by replication (rows) and treatment (columns)."""
    played = results.main
    known = [str(name) for name in played.select_dtypes("float").columns]
    if metric not in known:
        raise InputError(f"no measure {metric!r}; {nearest(metric, known)}")
    wide = played.assign(treatment=played["treatment"].astype(str)).pivot_table(
        index="replication", columns="treatment", values=metric, dropna=False
    )
    missing = int(wide.isna().any().sum())
    if missing:
        raise InputError(
            f"{metric} is undefined at {missing} of {wide.shape[1]} points of the design"
        )
    return wide


def _indices(
    library: Any,
    problem: dict[str, Any],
    method: Method,
    units: Array,
    outcome: Array,
    seed: int,
    confidence: float,
) -> pd.DataFrame:
    def analyse(values: Array) -> dict[str, Array]:
        options: dict[str, Any] = {"conf_level": confidence, "seed": seed}
        if not np.ptp(values) > 0.0:  # nothing depends on anything, and SALib divides by zero
            nothing = 0.0 if method == "morris" else np.nan
            return {name: np.full(len(problem["names"]), nothing) for name in _INDICES[method]}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its own plans, and divisions that end as NaN
            if method == "morris":
                found = library[1].analyze(problem, units, values, num_levels=_LEVELS, **options)
            else:
                found = library[1].analyze(problem, values, calc_second_order=False, **options)
        return {str(key): np.ma.filled(found[key], np.nan) for key in found if key != "names"}

    each = [analyse(values) for values in outcome]
    whole = analyse(outcome.mean(axis=0))
    rows = []
    for name in _INDICES[method]:
        spread = whole.get(f"{name}_conf", np.full(len(problem["names"]), np.nan))
        for i, field in enumerate(problem["names"]):
            values = np.array([found[name][i] for found in each])
            mean, _, low, high = mean_interval(values, confidence)
            rows.append((field, name, mean, low, high, float(spread[i]), values.size))
    columns = ["field", "index", "estimate", "low", "high", "design_half_width", "replications"]
    return pd.DataFrame(rows, columns=columns)


def _noise(outcome: Array, points: pd.DataFrame) -> pd.DataFrame:
    """Return the variance that parameters make and the one that replications make."""
    count = outcome.shape[0]
    inside = float((points["sd"] ** 2).mean()) if count > 1 else np.nan
    means = outcome.mean(axis=0)
    # Keyed luck moves all points together; only what it moves apart clouds a mean over points.
    apart = outcome - outcome.mean(axis=1, keepdims=True)
    clouding = float(apart.var(axis=0, ddof=1).mean()) / count if count > 1 else 0.0
    between = max(float(means.var(ddof=1)) - clouding, 0.0)
    share = inside / (inside + between) if inside + between > 0.0 else np.nan
    row = {
        "parameter_variance": between,
        "replication_variance": inside,
        "noise_share": share,
    }
    return pd.DataFrame([row])
