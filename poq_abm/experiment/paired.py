"""Two treatments side by side, replication by replication: differences of matched pairs.

Treatments that share a seed share every keyed draw, so replication r of one and replication r of
the other saw the same luck. They are a matched pair, and their difference is what the treatment
did: its size, its interval, and what matching was worth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy  # which imports scipy.special where it is first used: .2 s
from numpy.typing import NDArray

from poq_abm.errors import InputError, nearest
from poq_abm.experiment.calibration_error import stacked, widen
from poq_abm.experiment.estimates import (
    CONFIDENCE,
    UNBOUNDED,
    Range,
    ends_of_difference,
    mean_interval,
)
from poq_abm.experiment.schemas import REPLICATIONS, range_of
from poq_abm.simulation.queries.query_tables import QUERIES

__all__ = [
    "REWARD_OF",
    "Pairs",
    "SideTables",
    "compare",
    "compare_sides",
    "group_rewards",
    "holm",
    "metrics_of",
    "paired",
    "units_of",
    "variance_reduction_interval",
    "verdicts",
]

# Means over thousands of rounds differ in their last digits by the order of a sum, about 1e-13 of
# their size at worst; luck moves them by 1e-6 and more. What lies below is rounding, not variation.
_DUST = 1e-12
_FLOOR = 1e-14  # the same for figures near zero that are differences of scores
REWARD_OF = "reward of "  #: begins the metrics of population groups: `reward of evaluator ce_bert`


class Pairs(NamedTuple):
    """What matched pairs say about B minus A; NaN where the pairs are too few to say it."""

    replications: int
    mean_a: float
    mean_b: float
    difference: float
    low: float
    high: float
    variance_reduction: float
    variance_reduction_low: float
    variance_reduction_high: float
    p_value: float


def paired(a: Any, b: Any, confidence: float = CONFIDENCE, within: Range = UNBOUNDED) -> Pairs:
    """Return mean difference of B and A over matched pairs, its interval, and what matching saves.

    With d = b - a over the n pairs in which both are numbers: the interval of their mean by
    :func:`~poq_abm.experiment.estimates.mean_interval`, inside the range that differences of
    figures ``within`` their own can have (Student's where they have none), the p-value of Student's
    paired test of no difference, and the variance reduction (s_a^2 + s_b^2) / s_d^2, by which
    matching divides the variance that as many independent replications of each would leave. The
    interval is exact for normal differences without a range, and otherwise close for means over
    many rounds.

    A difference without variation has no width, and the variance reduction is infinite (missing if
    neither a nor b varies); if it is zero in every pair there is nothing to test, and the p-value
    is missing. But where all of a and of b lie at one end of their range, as the share of an event
    that was not seen in either, each may still be off by what that end's interval says, and so may
    their difference. One pair has a difference and nothing else.

    >>> pairs = paired([1.0, 2.0, 3.0], [2.0, 4.0, 3.0])
    >>> pairs.difference, round(pairs.low, 3), round(pairs.high, 3), pairs.variance_reduction
    (1.0, -1.484, 3.484, 2.0)
    """
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    whole = np.isfinite(a) & np.isfinite(b)
    a, b = a[whole], b[whole]
    n = a.size
    if n == 0:
        return Pairs(0, *(math.nan,) * 9)
    dust = _DUST * float(max(np.abs(a).max(), np.abs(b).max())) + _FLOOR
    d = np.where(np.abs(b - a) <= dust, 0.0, b - a)
    mean, sd, _, _ = mean_interval(d)
    if n < 2:
        return Pairs(n, float(a[0]), float(b[0]), mean, *(math.nan,) * 6)
    sd = sd if sd > dust else 0.0
    half = float(scipy.special.stdtrit(n - 1, (1.0 + confidence) / 2.0)) * sd / math.sqrt(n)
    low, high = ends_of_difference(a, a + d, half, within, confidence)
    sd_a, sd_b = (s if s > dust else 0.0 for s in (float(a.std(ddof=1)), float(b.std(ddof=1))))
    reduction = _over(sd_a**2 + sd_b**2, sd**2)
    ends = variance_reduction_interval(sd_a, sd_b, sd, n, confidence)
    t = _over(abs(mean), sd / math.sqrt(n))
    p_value = float(2.0 * scipy.special.stdtr(n - 1, -t))
    return Pairs(n, float(a.mean()), float(b.mean()), mean, low, high, reduction, *ends, p_value)


def variance_reduction_interval(
    sd_a: float, sd_b: float, sd_difference: float, n: int, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Return the two ends of the confidence interval of a variance reduction.

    With sum S = a + b and difference D = b - a, the reduction is (1 + var S / var D) / 2, and the
    ratio of the variances of two correlated normal figures has an exact interval:
    F (k -+ sqrt(k^2 - 1)), F = s_S^2 / s_D^2, k = 1 + 2 (1 - r^2) t^2 / (n - 2), where r is the
    correlation of S and D and t Student's quantile with n - 2 degrees of freedom (Pitman 1939;
    Morgan 1939). Far from normal, it is an approximation. Fewer than three pairs have none (NaN);
    where the difference does not vary, both ends are infinite.

    >>> [round(end, 2) for end in variance_reduction_interval(1.0, 1.0, 0.5, 12)]
    [2.52, 28.38]
    """
    total, difference = sd_a**2 + sd_b**2, sd_difference**2
    if n < 3 or difference == 0.0:
        end = _over(total, difference) if n >= 3 else math.nan
        return end, end
    sums = max(2.0 * total - difference, 0.0)
    r_squared = _over((sd_b**2 - sd_a**2) ** 2, sums * difference) if sums > 0.0 else 0.0
    t = float(scipy.special.stdtrit(n - 2, (1.0 + confidence) / 2.0))
    k = 1.0 + 2.0 * max(1.0 - r_squared, 0.0) * t**2 / (n - 2)
    # k - sqrt(k^2 - 1) loses its digits for large k; its product with the other end is one.
    stretch = k + math.sqrt(k * k - 1.0)
    ratio = sums / difference
    return (1.0 + ratio / stretch) / 2.0, (1.0 + ratio * stretch) / 2.0


def holm(p_values: Any) -> NDArray[np.float64]:
    """Return p-values adjusted for their number, so that all verdicts hold together (Holm 1979).

    The i-th smallest of m becomes max over j <= i of min(1, (m - j + 1) p_j). Missing ones stay
    missing and do not count.

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")[: int(np.isfinite(p).sum())]  # NaN sorts last
    factors = order.size - np.arange(order.size)
    adjusted = np.full(p.shape, np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(factors * p[order]), 1.0)
    return adjusted


def _over(top: float, bottom: float) -> float:
    """Divide; a positive number over zero is infinite, zero over zero is missing."""
    if bottom > 0.0:
        return top / bottom
    return math.inf if top > 0.0 else math.nan


def units_of(table: pd.DataFrame) -> dict[str, str]:
    """Return the unit of every column that a table of replications, or of queries, may have.

    >>> units_of(pd.DataFrame({"queries": [1000]}))["economic_p50_s"]
    's'
    """
    schema = QUERIES if "queries" in table and "rounds" not in table else REPLICATIONS
    return {field.name: field.metadata[b"unit"].decode() for field in schema}


class SideTables(NamedTuple):
    """The rows of one treatment: one per replication, and those of its nodes if it has any."""

    main: pd.DataFrame
    nodes: pd.DataFrame | None = None
    resampled_main: pd.DataFrame | None = None  #: the same, of resampled profiles
    resampled_nodes: pd.DataFrame | None = None
    fewest_records: int | None = None  #: of a task in play, where profiles were resampled


def compare_sides(a: SideTables, b: SideTables, on: Sequence[str] | None = None) -> pd.DataFrame:
    """Return what :func:`compare` does and, where both sides have them, the widened intervals.

    Those are the columns :data:`~poq_abm.experiment.calibration_error.WIDENED`: of the differences
    between B and A on the same resamples. What ``moved`` says holds for the profile as it is.
    """
    table = compare(a.main, b.main, on=on, nodes_a=a.nodes, nodes_b=b.nodes)
    known = [side.fewest_records for side in (a, b) if side.fewest_records is not None]
    if len(known) < 2:
        return table
    names = table["metric"].tolist()
    differences = []
    for main_a, main_b, nodes_a, nodes_b in (
        (a.main, b.main, a.nodes, b.nodes),
        (a.resampled_main, b.resampled_main, a.resampled_nodes, b.resampled_nodes),
    ):
        assert main_a is not None
        assert main_b is not None
        wide = metrics_of(main_b, nodes_b, "B")[names] - metrics_of(main_a, nodes_a, "A")[names]
        differences.append(stacked(wide, "metric"))
    within = [
        range_of(name, unit).of_difference for name, unit in zip(names, table["unit"], strict=True)
    ]
    ends = ("difference", "low", "high")
    return widen(table, tuple(differences), ends, min(known), within=within)


def compare(
    a: pd.DataFrame,
    b: pd.DataFrame,
    *,
    on: Sequence[str] | None = None,
    nodes_a: pd.DataFrame | None = None,
    nodes_b: pd.DataFrame | None = None,
    confidence: float = CONFIDENCE,
) -> pd.DataFrame:
    """Return one row per metric: its mean in A and in B, and the paired difference B minus A.

    Parameters
    ----------
    a, b
        The rows of one treatment each, one per replication, with the columns of
        :data:`poq_abm.experiment.schemas.REPLICATIONS` or, both of them, those of
        :data:`poq_abm.simulation.queries.query_tables.QUERIES`. They must come from the same seed,
        which the tables do not tell.
    on
        Metrics to compare; default: every column of floats that has a number in both of some pair.
    nodes_a, nodes_b
        The rows of :data:`poq_abm.experiment.schemas.NODES` of the same treatments, if rewards per
        job of the population groups that both have are wanted as metrics, named
        ``reward of ROLE GROUP``.
    confidence
        Level of the intervals, in (0, 1).

    Returns
    -------
    DataFrame
        ``metric``, ``unit``; ``replications``, the pairs without a missing value, over which all
        that follows is taken; ``mean_a``, ``mean_b``; ``difference`` with its interval ``low``,
        ``high``, inside the range of such differences; ``variance_reduction``, by which matching
        divides the variance of the difference, with ``variance_reduction_low`` and
        ``variance_reduction_high``; ``p_value`` of the paired t test, missing where the pairs are
        too few or all equal; ``p_adjusted``, Holm's over the rows with a p-value; ``moved``: ``up``
        or ``down`` where :func:`verdicts` says so, else ``no evidence``.

    Raises
    ------
    InputError
        If a table holds several treatments, no replication is in both, or a metric is unknown.

    Notes
    -----
    :func:`poq_abm.experiment.paired.paired` says what the intervals assume. Each interval holds by
    itself; the verdicts hold together, at a chance of 1 - confidence of any false one.

    Examples
    --------
    >>> a = pd.DataFrame({"replication": [0, 1, 2], "correlation": [0.1, 0.2, 0.3]})
    >>> b = pd.DataFrame({"replication": [2, 1, 0], "correlation": [0.5, 0.41, 0.29]})
    >>> compare(a, b)[["metric", "difference", "moved"]].to_string(header=False, index=False)
    'correlation         0.2    up'
    """
    if not 0.0 < confidence < 1.0:
        raise InputError(f"confidence must lie between 0 and 1, got {confidence!r}")
    if (nodes_a is None) != (nodes_b is None):
        raise InputError("rewards of groups need the nodes of both A and B; one is missing")
    left, right = metrics_of(a, nodes_a, "A"), metrics_of(b, nodes_b, "B")
    shared = left.index.intersection(right.index)
    if shared.empty:
        raise InputError("A and B have no replication in common; there is no pair to compare")
    left, right = left.loc[shared], right.loc[shared]
    names = _chosen(left, right, on)
    known = units_of(a)
    units = [known.get(name, "tokens per job" * name.startswith(REWARD_OF)) for name in names]
    rows = [
        paired(left[name], right[name], confidence, range_of(name, unit))
        for name, unit in zip(names, units, strict=True)
    ]
    table = pd.DataFrame(rows, columns=paired([], [])._fields)
    table.insert(0, "metric", pd.Series(names, dtype=object))
    table.insert(1, "unit", pd.Series(units, dtype=object))
    table["p_adjusted"] = holm(table["p_value"])
    table["moved"] = verdicts(table, confidence)
    return table


def verdicts(table: pd.DataFrame, confidence: float) -> NDArray[np.object_]:
    """Return of each row of a comparison whether its metric moved, and which way.

    ``up`` or ``down`` where ``p_adjusted`` is below 1 - confidence and the interval leaves out 0;
    of shares in few pairs the test and the interval may disagree.

    >>> row = {"difference": 0.2, "low": 0.1, "high": 0.3, "p_adjusted": 0.01}
    >>> verdicts(pd.DataFrame([row, {**row, "low": -0.1}, {**row, "p_adjusted": 0.2}]), 0.95)
    array(['up', 'no evidence', 'no evidence'], dtype=object)
    """
    apart = (table["low"] > 0.0) | (table["high"] < 0.0)
    shown = (table["p_adjusted"] < 1.0 - confidence) & apart
    ways = np.where(table["difference"] > 0.0, "up", "down")
    return np.where(shown, ways, "no evidence").astype(object)


def group_rewards(nodes: pd.DataFrame) -> pd.DataFrame:
    """Return the reward per job of every population group, a row per replication.

    A group's reward over its jobs, as in :func:`poq_abm.experiment.estimates.summarise`; missing
    where it had no job. Columns are named ``reward of ROLE GROUP``.
    """
    keys = ["replication", "role", "group"]
    sums = nodes.groupby(keys, observed=True, sort=False)[["reward_total", "jobs"]].sum()
    reward = (sums["reward_total"] / sums["jobs"].where(sums["jobs"] > 0)).reset_index(
        name="reward"
    )
    reward["metric"] = REWARD_OF + reward["role"].astype(str) + " " + reward["group"].astype(str)
    order = reward["metric"].unique()
    wide = reward.pivot_table(  # `dropna=False` keeps a group that never had a job
        index="replication", columns="metric", values="reward", dropna=False
    )
    return wide.reindex(columns=order)


def metrics_of(table: pd.DataFrame, nodes: pd.DataFrame | None, name: str) -> pd.DataFrame:
    """Return all metrics of one treatment, a column each, by replication; errors say ``name``."""
    for part in (table, nodes):
        if part is not None and "replication" not in part:
            raise InputError(f"{name} is no table of replications: it has no column 'replication'")
        if part is not None and "treatment" in part and len(part["treatment"].unique()) > 1:
            raise InputError(f"{name} holds several treatments; select the rows of one")
    metrics = table.set_index("replication")
    if metrics.index.has_duplicates:
        raise InputError(f"{name} has several rows of one replication; select one treatment")
    metrics = metrics.select_dtypes("float")
    return metrics if nodes is None else metrics.join(group_rewards(nodes))


def _chosen(left: pd.DataFrame, right: pd.DataFrame, on: Sequence[str] | None) -> list[str]:
    """Return the metrics to compare, each once."""
    known = [str(name) for name in left.columns if name in right.columns]
    if on is None:
        return [name for name in known if (left[name].notna() & right[name].notna()).any()]
    for name in on:
        if name not in known:
            raise InputError(f"A and B share no metric {name!r}; {nearest(name, known)}")
    return list(dict.fromkeys(on))
