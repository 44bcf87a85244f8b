"""Two treatments side by side, replication by replication.

Treatments that share a seed share every keyed draw, so replication r of one and replication r of
the other saw the same luck. They are a matched pair, and their difference is what the treatment
did.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from poq_abm.analysis.paired import holm, paired
from poq_abm.errors import InputError, nearest
from poq_abm.experiment.estimates import CONFIDENCE
from poq_abm.experiment.schemas import REPLICATIONS, range_of
from poq_abm.simulation.queries.query_tables import QUERIES

__all__ = ["REWARD_OF", "Moved", "compare", "group_rewards", "units_of"]

REWARD_OF = "reward of "  #: begins the metrics of population groups: `reward of evaluator ce_bert`

Moved = Literal["up", "down", "no evidence"]


def units_of(table: pd.DataFrame) -> dict[str, str]:
    """Return the unit of every column that a table of replications, or of queries, may have.

    >>> units_of(pd.DataFrame({"queries": [1000]}))["economic_p50_s"]
    's'
    """
    schema = QUERIES if "queries" in table and "rounds" not in table else REPLICATIONS
    return {field.name: field.metadata[b"unit"].decode() for field in schema}


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
        or ``down`` where ``p_adjusted`` is below 1 - confidence, else ``no evidence``.

    Raises
    ------
    InputError
        If a table holds several treatments, no replication is in both, or a metric is unknown.

    Notes
    -----
    :func:`poq_abm.analysis.paired.paired` says what the intervals assume. Each interval holds by
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
    left, right = _metrics(a, nodes_a, "A"), _metrics(b, nodes_b, "B")
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
    shown = (table["p_adjusted"] < 1.0 - confidence).to_numpy()
    ways = np.where(table["difference"].to_numpy() > 0, "up", "down")
    table["moved"] = np.where(shown, ways, "no evidence").astype(object)
    return table


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


def _metrics(table: pd.DataFrame, nodes: pd.DataFrame | None, name: str) -> pd.DataFrame:
    """Return all metrics of one treatment, a column each, by replication."""
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
