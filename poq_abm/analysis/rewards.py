"""How rewards are distributed over nodes, by role, group, behaviour and treatment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from poq_abm.errors import InputError, nearest
from poq_abm.experiment.columns import range_of
from poq_abm.experiment.estimates import CONFIDENCE, COUNT, Range, mean_interval
from poq_abm.inequality import gini, hhi, lorenz, nakamoto_coefficient, theil

__all__ = ["AMOUNTS", "CELLS", "HOLDERS", "STATISTICS", "lorenz_curves", "reward_distribution"]

Array = NDArray[np.float64]
Amount = Literal["reward_total", "reward_mean", "reward", "profit"]
Holder = Literal["nodes", "operators"]

#: what can be distributed, with its unit; the last two are columns of an economy's accounts
AMOUNTS: dict[str, str] = {
    "reward_total": "tokens",
    "reward_mean": "tokens per job",
    "reward": "tokens",
    "profit": "tokens",
}
#: who holds amounts: each node by itself, or its operator, who may have several
HOLDERS = ("nodes", "operators")
#: what can tell nodes apart
CELLS = ("role", "group", "model", "hardware", "behaviour")

QUANTILES = {"q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95}


def _sd(amounts: Array) -> float:
    return float(amounts.std(ddof=1)) if amounts.size > 1 else float("nan")


def _skew(amounts: Array) -> float:
    """Return the moment coefficient of skewness, m3 / m2^(3/2); missing without variation."""
    centred = amounts - amounts.mean()
    spread = float(np.sqrt(np.mean(centred**2)))
    if spread <= 1e-12 * float(np.abs(amounts).max()):
        return float("nan")
    return float(np.mean((centred / spread) ** 3))


def _of_shares(index: Callable[[Array], float]) -> Callable[[Array], float]:
    """Return an index that is missing, not an error, where somebody earned less than nothing."""
    return lambda amounts: index(amounts) if amounts.min() >= 0.0 else float("nan")


#: each statistic of one replication's nodes; None stands for the unit of the amount
STATISTICS: dict[str, tuple[Callable[[Array], float], str | None]] = {
    "mean": (lambda amounts: float(amounts.mean()), None),
    "sd": (_sd, None),
    **{
        name: (lambda amounts, q=q: float(np.quantile(amounts, q)), None)  # type: ignore[misc]
        for name, q in QUANTILES.items()
    },
    "skew": (_skew, "1"),
    "gini": (_of_shares(gini), "0-1"),
    "theil": (_of_shares(theil), "nats"),
    "hhi": (_of_shares(hhi), "0-1"),
    "nakamoto": (_of_shares(nakamoto_coefficient), "nodes"),
}


def reward_distribution(
    nodes: pd.DataFrame,
    *,
    by: Sequence[str] = ("role",),
    amount: Amount = "reward_total",
    over: Holder = "nodes",
    statistics: Sequence[str] | None = None,
    confidence: float = CONFIDENCE,
) -> pd.DataFrame:
    """Return statistics of the nodes' rewards with intervals across replications.

    Each statistic is taken over the nodes of a cell inside one replication; its estimate and
    interval (:func:`poq_abm.experiment.estimates.mean_interval`, inside the statistic's range) are
    over replications, which are independent. The interval is close for statistics of many nodes or
    rounds, and rough for the Nakamoto coefficient, which is a count.

    Parameters
    ----------
    nodes
        Rows of :data:`poq_abm.experiment.tables.NODES`, of any number of treatments; or, for tokens
        paid and profits, of an economy's :data:`~poq_abm.experiment.economies.ACCOUNTS`.
    by
        What makes a cell besides the treatment: some of :data:`CELLS`.
    amount
        ``reward_total``, tokens over the run, or ``reward_mean``, tokens per job. Of accounts:
        ``reward``, the tokens paid (where a pool pays, ``reward_total`` is points), or ``profit``.
    over
        ``operators`` adds up what nodes of a cell with the same operator have (accounts only).
    statistics
        Some of :data:`STATISTICS`; default: all.
    confidence
        Level of the intervals, in (0, 1).

    Returns
    -------
    DataFrame
        One row per treatment, cell and statistic: ``treatment``, the columns of ``by``, ``nodes``
        (or operators; of a replication, those without a job left out where the amount is per job),
        ``statistic``, ``unit``, ``replications`` (in which it is defined), ``undefined`` (in which
        it is not: a Gini coefficient with somebody below zero, a skew without variation, an s.d. of
        one node), ``estimate``, ``sd``, ``low``, ``high``. One replication has no interval: NaN.

    Raises
    ------
    InputError
        If there are no nodes, or a name is unknown.

    Examples
    --------
    >>> table = pd.DataFrame({"treatment": "base", "replication": [0, 0, 1, 1], "role": "evaluator",
    ...                       "reward_total": [1.0, 1.0, 0.0, 2.0]})
    >>> reward_distribution(table, statistics=["gini"])["estimate"].tolist()
    [0.25]
    """
    _check(nodes, by, amount, over)
    chosen = list(statistics) if statistics is not None else list(STATISTICS)
    for name in chosen:
        if name not in STATISTICS:
            raise InputError(f"no statistic {name!r}; {nearest(name, STATISTICS)}")
    rows = []
    for key, samples in _cells(nodes, by, amount, over):
        for name in chosen:
            function, unit = STATISTICS[name]
            values = np.array([function(sample) for sample in samples])
            unit = {"nodes": over, None: AMOUNTS[amount]}.get(unit, unit)
            within = COUNT if unit == over else range_of(name, str(unit))
            rows.append(
                {
                    **key,
                    "nodes": round(float(np.mean([sample.size for sample in samples]))),
                    "statistic": name,
                    "unit": unit,
                    **_estimate(values, confidence, within),
                }
            )
    return pd.DataFrame(rows)


def _estimate(values: Array, confidence: float, within: Range) -> dict[str, Any]:
    defined = values[np.isfinite(values)]
    mean, sd, low, high = mean_interval(defined, confidence, within)
    return {
        "replications": int(defined.size),
        "undefined": int(values.size - defined.size),
        "estimate": mean,
        "sd": sd,
        "low": low,
        "high": high,
    }


def lorenz_curves(
    nodes: pd.DataFrame,
    *,
    by: Sequence[str] = ("role",),
    amount: Amount = "reward_total",
    over: Holder = "nodes",
) -> pd.DataFrame:
    """Return the Lorenz curve of each cell, averaged over replications point by point.

    Columns: ``treatment``, those of ``by``, ``nodes``, ``replications``, ``holders`` and ``held``,
    both in [0, 1], ``gini``, the mean coefficient. Replications in which a node earned less than
    nothing, or all together nothing, have no curve and are left out, as are those whose number of
    nodes with a job differs from the cell's first; a cell without any left has no rows.

    >>> table = pd.DataFrame({"treatment": "base", "replication": 0, "role": "evaluator",
    ...                       "reward_total": [1.0, 3.0]})
    >>> lorenz_curves(table)["held"].tolist()
    [0.0, 0.25, 1.0]
    """
    _check(nodes, by, amount, over)
    parts = []
    for key, samples in _cells(nodes, by, amount, over):
        usable = [s for s in samples if s.min() >= 0.0 and s.max() > 0.0]
        usable = [s for s in usable if s.size == usable[0].size]
        if usable:
            held = np.mean([lorenz(sample)[1] for sample in usable], axis=0)
            curve = pd.DataFrame({"holders": lorenz(usable[0])[0], "held": held})
            index = float(np.mean([gini(sample) for sample in usable]))
            cell = {**key, "nodes": usable[0].size, "replications": len(usable), "gini": index}
            parts.append(curve.assign(**cell)[[*cell, "holders", "held"]])
    columns = ["treatment", *by, "nodes", "replications", "gini", "holders", "held"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def _check(nodes: pd.DataFrame, by: Sequence[str], amount: str, over: str) -> None:
    for name in by:
        if name not in CELLS:
            raise InputError(f"nodes cannot be told apart by {name!r}; {nearest(name, CELLS)}")
    if amount not in AMOUNTS:
        raise InputError(f"no amount {amount!r}; {nearest(amount, AMOUNTS)}")
    if over not in HOLDERS:
        raise InputError(f"amounts are held by nodes or by operators, not {over!r}")
    table = "nodes" if amount.startswith("reward_") else "accounts"
    if amount not in nodes:
        raise InputError(f"{amount} is a column of the table {table}; only economies have accounts")
    if over == "operators" and "operator" not in nodes:
        raise InputError("only the accounts of an economy say whose nodes are; amount: reward")
    if nodes.empty:
        raise InputError("no nodes: an empty group has no distribution")


def _cells(
    nodes: pd.DataFrame, by: Sequence[str], amount: str, over: str
) -> Iterator[tuple[dict[str, Any], list[Array]]]:
    """Yield each cell's key and the amounts of its nodes, an array per replication."""
    keys = ["treatment", *by]
    if over == "operators":
        owned = nodes.groupby([*keys, "replication", "operator"], observed=True, sort=False)
        nodes = owned[amount].sum().reset_index()
    known = nodes[[*keys, "replication", amount]].dropna(subset=[amount])
    for key, cell in known.groupby(keys, observed=True, sort=False):
        cell = cell.sort_values("replication", kind="stable")  # noqa: PLW2901
        values = cell[amount].to_numpy(dtype=np.float64)
        starts = np.flatnonzero(np.diff(cell["replication"].to_numpy())) + 1
        yield dict(zip(keys, key, strict=True)), np.split(values, starts)
