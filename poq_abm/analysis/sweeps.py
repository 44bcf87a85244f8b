"""A sweep as tables: a measure over any two axes, attack phases, quality against cost, trust."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from poq_abm.analysis.comparing import units_of
from poq_abm.analysis.rewards import taking_part
from poq_abm.errors import InputError, nearest
from poq_abm.experiment.estimates import CONFIDENCE, mean_interval
from poq_abm.experiment.results import Results
from poq_abm.experiment.schemas import RANGES, range_of

__all__ = [
    "attack_phases_of",
    "axis_named",
    "literal_values",
    "metric_over_axes",
    "quality_against_cost",
    "trust_bands",
]


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


def attack_phases_of(
    results: Results,
    field: str,
    *,
    where: Mapping[str, str] | None = None,
    confidence: float = CONFIDENCE,
) -> pd.DataFrame:
    """Return where attackers earn more than they would honestly, by share and another axis.

    From a run that sweeps ``malicious.share`` and ``field``. ``gain`` is what malicious evaluators
    earn per job less what the same nodes earn in the honest twin, where nobody deviates: the gain
    of them all together, where :func:`.audit.frontier.attack_phases` asks for one's. Columns:
    ``field``, ``value``, ``share``, ``drift``, ``gain``, ``gain_low``, ``gain_high``, ``phase``
    (``pays``, ``costs`` or ``undecided``), ``replications``. Cells without attackers are left out.
    """
    axes = ["malicious.share", field]
    gap = metric_over_axes(results, "reward_gap", axes, where=where, confidence=confidence)
    drift = metric_over_axes(results, "consensus_drift", axes, where=where, confidence=confidence)
    axis = axis_named(results.treatments, field)
    table = pd.DataFrame(
        {
            "field": axis,
            "value": gap[axis],
            "share": gap["malicious.share"],
            "drift": drift["mean"],
            "gain": -gap["mean"],
            "gain_low": -gap["high"],
            "gain_high": -gap["low"],
            "replications": gap["replications"],
        }
    )
    table["phase"] = np.select(
        [table["gain_low"] > 0.0, table["gain_high"] < 0.0], ["pays", "costs"], "undecided"
    )
    return table[table["gain"].notna()].reset_index(drop=True)


def quality_against_cost(nodes: pd.DataFrame, confidence: float = CONFIDENCE) -> pd.DataFrame:
    """Return the quality of each inference group beside its latency, and which are efficient.

    ``nodes`` are rows of one treatment. Columns: ``group``, ``latency_ms``, ``replications``,
    ``quality`` (mean consensus, 0-10) with ``low``, ``high`` over replications, ``truth``, and
    ``efficient``: whether no other group is at least as quick and at least as good, and better in
    one of the two.
    """
    chosen = nodes[(nodes["role"].astype(str) == "inference") & (nodes["jobs"] > 0)]
    if chosen.empty:
        raise InputError("no inference node had a job: there is no quality to show")
    rows = []
    for group, part in chosen.groupby("group", observed=True, sort=False):
        sums = part.assign(
            quality=part["consensus_mean"] * part["jobs"], truth=part["truth_mean"] * part["jobs"]
        )
        by_replication = sums.groupby("replication")[["quality", "truth", "jobs"]].sum()
        quality = by_replication["quality"] / by_replication["jobs"]
        mean, _, low, high = mean_interval(quality, confidence, RANGES["score 0-10"])
        truth = float((by_replication["truth"] / by_replication["jobs"]).mean())
        latency = float((part["latency_ms"] * part["jobs"]).sum() / part["jobs"].sum())
        rows.append((str(group), latency, len(quality), mean, low, high, truth))
    columns = ["group", "latency_ms", "replications", "quality", "low", "high", "truth"]
    table = pd.DataFrame(rows, columns=columns)
    quick, good = table["latency_ms"].to_numpy(), table["quality"].to_numpy()
    table["efficient"] = [
        not bool(np.any((quick <= q) & (good >= g) & ((quick < q) | (good > g))))
        for q, g in zip(quick, good, strict=True)
    ]
    return table


def trust_bands(
    trust: pd.DataFrame,
    nodes: pd.DataFrame,
    *,
    by: str = "behaviour",
    confidence: float = CONFIDENCE,
) -> pd.DataFrame:
    """Return mean trust by round, with its interval over replications, per treatment and class.

    ``trust`` and ``nodes`` are tables of one run; ``by`` is the column of ``nodes`` that makes the
    classes. Inside a replication the weights of a class's nodes, over all tasks, are averaged;
    nodes that never took part in it do not count.
    Columns: ``treatment``, ``by``'s, ``round``, ``nodes``, ``replications``, ``trust``, ``low``,
    ``high``.
    """
    if by not in ("behaviour", "group", "model", "hardware"):
        known = ["behaviour", "group", "model", "hardware"]
        raise InputError(f"trust cannot be split by {by!r}; {nearest(by, known)}")
    keys = ["treatment", "replication", "node"]
    who = nodes.loc[taking_part(nodes), [*keys, by]].astype({"treatment": str, by: str})
    joined = trust.astype({"treatment": str}).merge(who, on=keys)
    if joined.empty:
        raise InputError("the trust log is empty: the run is shorter than mechanism.trust.interval")
    cells = ["treatment", by, "round"]
    means = joined.groupby([*cells, "replication"], sort=False)["trust"].mean().reset_index()
    count = joined.groupby(["treatment", by])["node"].nunique()
    rows = [
        {**dict(zip(cells, key, strict=True)), **_band(part["trust"], confidence)}
        for key, part in means.groupby(cells, sort=False)
    ]
    table = pd.DataFrame(rows)
    table["nodes"] = [int(count[row]) for row in zip(table["treatment"], table[by], strict=True)]
    return table


def _band(values: pd.Series[float], confidence: float) -> dict[str, float]:
    mean, _, low, high = mean_interval(values, confidence, RANGES["weight"])
    return {"replications": len(values), "trust": mean, "low": low, "high": high}
