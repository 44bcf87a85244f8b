"""How rewards are distributed over nodes: moments, quantiles, indices of inequality."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from poq_abm.analysis.questions import (
    AnalysisRequest,
    Section,
    TableKind,
    first_treatments,
    with_treatment,
)
from poq_abm.analysis.stored_run import StoredRun
from poq_abm.errors import InputError, nearest
from poq_abm.experiment.estimates import CONFIDENCE, COUNT, Range, mean_interval
from poq_abm.experiment.schemas import SCHEMAS, range_of
from poq_abm.simulation.inequality import gini, hhi, nakamoto_coefficient, theil

if TYPE_CHECKING:
    pass

__all__ = [
    "AMOUNTS",
    "AMOUNT_OPTIONS",
    "CELLS",
    "HOLDERS",
    "NODE_OPTIONS",
    "SECTIONS",
    "STATISTICS",
    "TABLES",
    "Amount",
    "Holder",
    "Nodes",
    "Samples",
    "cells",
    "class_asked",
    "presence_of",
    "reward_distribution",
    "rows_asked",
    "taking_part",
]

Array = NDArray[np.float64]
Amount = Literal["reward_total", "reward_mean", "reward", "profit"]
Holder = Literal["nodes", "operators"]
Nodes = pd.DataFrame | Iterable[pd.DataFrame]
#: what can be distributed, with its unit; the last two are columns of an economy's accounts
AMOUNTS: dict[str, str] = {
    "reward_total": "tokens",
    "reward_mean": "tokens per job",
    "reward": "tokens",
    "profit": "tokens",
}
#: per job, and so whatever share of the run a node was there
PER_JOB = ("reward_mean",)
#: who holds amounts: each node by itself, or its operator, who may have several
HOLDERS = ("nodes", "operators")
#: what can tell nodes apart
CELLS = ("role", "group", "model", "hardware", "behaviour")
QUANTILES = {"q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95}


class Samples(NamedTuple):
    """The nodes of a cell that took part, in replications with equally many of them: (R, n)."""

    amounts: Array  #: from the least to the most in every replication
    presence: Array  #: share of the run in which each took part, in (0, 1]: its weight


def _mean(samples: Samples) -> Array:
    amounts, presence = samples
    return np.asarray((presence * amounts).sum(axis=-1) / presence.sum(axis=-1))


def _sd(samples: Samples) -> Array:
    """Return the s.d. with reliability weights: with all there throughout, that with n - 1."""
    amounts, weight = samples
    total = weight.sum(axis=-1)
    freedom = total - (weight**2).sum(axis=-1) / total
    squares = (weight * (amounts - _mean(samples)[:, None]) ** 2).sum(axis=-1)
    known = (freedom > 0.0) & (amounts.shape[-1] > 1)
    variance = np.divide(squares, freedom, out=np.full(total.shape, np.nan), where=known)
    return np.asarray(np.sqrt(variance))


def _quantile(samples: Samples, q: float) -> Array:
    """Return a quantile, linear between the middles of the nodes' weights.

    The first node stands at 0 and the last at 1; with all there throughout, NumPy's default.
    """
    amounts, presence = samples
    if (presence == 1.0).all():
        place = q * (amounts.shape[-1] - 1)
        below, above = amounts[:, math.floor(place)], amounts[:, math.ceil(place)]
        return np.asarray(below + (place - math.floor(place)) * (above - below))
    middle = np.cumsum(presence, axis=-1) - presence / 2.0
    middle -= middle[:, :1]
    return np.array([np.interp(q * x[-1], x, y) for x, y in zip(middle, amounts, strict=True)])


def _skew(samples: Samples) -> Array:
    """Return the moment coefficient of skewness, m3 / m2^(3/2); missing without variation."""
    centred = samples.amounts - _mean(samples)[:, None]
    weight = samples.presence / samples.presence.sum(axis=-1, keepdims=True)
    spread = np.sqrt((weight * centred**2).sum(axis=-1, keepdims=True))
    spread[spread <= 1e-12 * np.abs(samples.amounts).max(axis=-1, keepdims=True)] = np.nan
    return np.asarray((weight * (centred / spread) ** 3).sum(axis=-1))


def _of_shares(index: Callable[..., Array]) -> Callable[[Samples], Array]:
    """Return an index that is missing, not an error, where somebody earned less than nothing."""

    def of(samples: Samples) -> Array:
        found = np.full(len(samples.amounts), np.nan)
        known = samples.amounts[:, 0] >= 0.0
        found[known] = index(samples.amounts[known], weights=samples.presence[known])
        return found

    return of


#: each statistic of one replication's nodes; None stands for the unit of the amount
STATISTICS: dict[str, tuple[Callable[[Samples], Array], str | None]] = {
    "mean": (_mean, None),
    "sd": (_sd, None),
    **{
        name: (lambda samples, q=q: _quantile(samples, q), None)  # type: ignore[misc]
        for name, q in QUANTILES.items()
    },
    "skew": (_skew, "1"),
    "gini": (_of_shares(gini), "0-1"),
    "theil": (_of_shares(theil), "nats"),
    "hhi": (_of_shares(hhi), "0-1"),
    "nakamoto": (_of_shares(nakamoto_coefficient), "nodes"),
}


def reward_distribution(
    nodes: Nodes,
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

    Counted are the nodes that took part, each by its presence, the share of the run in which it
    did: who was there for half of it is half a node. Its total then stands for a whole run at that
    pace, total / presence. Where everybody is there throughout, as in plain runs, these are the
    plain statistics of the totals; rows of nodes that never came change nothing.

    Parameters
    ----------
    nodes
        Rows of :data:`poq_abm.experiment.schemas.NODES`, of any number of treatments; or, for
        tokens paid and profits, of an economy's :data:`~poq_abm.experiment.schemas.ACCOUNTS`. Or
        parts of such a table, which hold whole replications.
    by
        What makes a cell besides the treatment: some of :data:`CELLS`.
    amount
        ``reward_total``, tokens over the run, or ``reward_mean``, tokens per job. Of accounts:
        ``reward``, which is the same as ``reward_total``, or ``profit``.
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
        (or operators: how many were there at a time, on average; those without a job are left out
        where the amount is per job), ``statistic``, ``unit``, ``replications`` (in which it is
        defined), ``undefined`` (in which it is not: a Gini coefficient with somebody below zero, a
        skew without variation, an s.d. of one node), ``estimate``, ``sd``, ``low``, ``high``. One
        replication has no interval: NaN.

    Raises
    ------
    InputError
        If no node took part, or a name is unknown.

    Examples
    --------
    >>> table = pd.DataFrame({"treatment": "base", "replication": [0, 0, 1, 1], "role": "evaluator",
    ...                       "reward_total": [1.0, 1.0, 0.0, 2.0]})
    >>> reward_distribution(table, statistics=["gini"])["estimate"].tolist()
    [0.25]
    """
    chosen = list(statistics) if statistics is not None else list(STATISTICS)
    for name in chosen:
        if name not in STATISTICS:
            raise InputError(f"no statistic {name!r}; {nearest(name, STATISTICS)}")
    found: dict[tuple[str, ...], list[Array]] = defaultdict(list)
    for key, replications in cells(nodes, by, amount, over):
        values = np.empty((1 + len(chosen), sum(len(at) for at, _ in replications)))
        for at, samples in replications:
            values[0, at] = samples.presence.sum(axis=-1)
            for row, name in zip(values[1:], chosen, strict=True):
                row[at] = STATISTICS[name][0](samples)
        found[key].append(values)
    rows = []
    for key, parts in found.items():
        there, *of_each = np.concatenate(parts, axis=1)
        for name, each in zip(chosen, of_each, strict=True):
            written = STATISTICS[name][1]
            unit = {"nodes": over, None: AMOUNTS[amount]}.get(written, str(written))
            rows.append(
                {
                    **dict(zip(["treatment", *by], key, strict=True)),
                    "nodes": float(there.mean()),
                    "statistic": name,
                    "unit": unit,
                    **_estimate(each, confidence, COUNT if unit == over else range_of(name, unit)),
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


def taking_part(nodes: pd.DataFrame) -> pd.Series[bool]:
    """Return which rows of ``nodes`` or ``accounts`` are of nodes that took part in their run.

    >>> taking_part(pd.DataFrame({"presence": [1.0, 0.0, 0.25]})).tolist()
    [True, False, True]
    """
    return presence_of(nodes) > 0.0


def presence_of(nodes: pd.DataFrame) -> pd.Series[float]:
    """Return the share of its run in which each node took part; where nobody says, all of it."""
    if "presence" in nodes:
        return nodes["presence"]
    return pd.Series(1.0, index=nodes.index)


def cells(
    nodes: Nodes, by: Sequence[str], amount: str, over: str
) -> Iterator[tuple[tuple[str, ...], list[tuple[NDArray[np.int64], Samples]]]]:
    """Yield each cell of each part of a table of nodes: its key, and its replications.

    Those with equally many nodes are one sample, and beside it their places among the cell's.

    Raises
    ------
    InputError
        If no node took part, or a name is unknown.
    """
    anybody, keys = False, ["treatment", *by]
    for part in [nodes] if isinstance(nodes, pd.DataFrame) else nodes:
        _check(part, by, amount, over)
        there = part.assign(presence=presence_of(part))[taking_part(part)]
        anybody |= not there.empty
        if over == "operators":
            owned = there.groupby([*keys, "replication", "operator"], observed=True, sort=False)
            there = owned.agg({amount: "sum", "presence": "max"}).reset_index()
        known = there[[*keys, "replication", "presence", amount]].dropna(subset=[amount])
        for key, cell in known.groupby(keys, observed=True, sort=False):
            yield tuple(map(str, key)), _samples(cell, amount)
    if not anybody:
        raise InputError("no nodes that took part: an empty group has no distribution")


def _samples(cell: pd.DataFrame, amount: str) -> list[tuple[NDArray[np.int64], Samples]]:
    cell = cell.sort_values("replication", kind="stable")
    presence = cell["presence"].to_numpy(dtype=np.float64)
    amounts = cell[amount].to_numpy(dtype=np.float64)
    amounts = amounts if amount in PER_JOB else amounts / presence
    starts = np.append(0, np.flatnonzero(np.diff(cell["replication"].to_numpy())) + 1)
    counts = np.diff(starts, append=len(cell))
    samples = []
    for count in np.unique(counts):
        places = np.flatnonzero(counts == count)
        rows = starts[places, None] + np.arange(count)
        order = np.argsort(amounts[rows], axis=-1, kind="stable")
        rows = np.take_along_axis(rows, order, -1)
        samples.append((places, Samples(amounts[rows], presence[rows])))
    return samples


def rows_asked(request: AnalysisRequest) -> tuple[Iterator[pd.DataFrame], dict[str, Any]]:
    """Return who is asked about, nodes or accounts, and how they are to be told apart."""
    asked = {"by": request.by or ["role"], "amount": request.amount, "over": request.over}
    of_accounts = request.amount in ("reward", "profit") or request.over == "operators"
    table = "accounts" if of_accounts else "nodes"
    wanted = ("presence", "operator", *CELLS, *AMOUNTS)
    known = SCHEMAS[table].names
    return request.rows(*(name for name in wanted if name in known), table=table), asked


def class_asked(request: AnalysisRequest, default: str) -> str:
    """Return the column that tells nodes apart in a figure."""
    by = next(iter(request.by), default)
    if by not in CELLS:
        raise InputError(f"nodes cannot be told apart by {by!r}; {nearest(by, CELLS)}")
    return by


def _inequality(run: StoredRun) -> Iterator[Section]:
    if not run.has("nodes"):
        return
    treatments, notes = first_treatments(run)
    if run.has("epochs"):
        notes.append("Of nodes that took part, each by the share of the run in which it did.")
    nodes = run.nodes("role", "presence", "reward_total", treatments=treatments)
    wanted = {"gini": "Gini", "theil": "Theil", "hhi": "HHI", "nakamoto": "Nakamoto"}
    try:
        frame = reward_distribution(nodes, by=["role"], statistics=list(wanted))
    except InputError:  # nobody took part
        return
    frame = frame[frame["estimate"].notna()].copy()
    if frame.empty:
        return
    frame["index"] = frame["statistic"].map(wanted)
    yield Section(
        "Inequality of rewards over nodes", frame, with_treatment(run, "role", "index"),
        estimates=[("estimate", "low", "high", "value", "")],
        notes=[*notes, "Of the tokens paid over a run. Where a node earned less than nothing, "
                       "shares mean nothing and the replication is left out."],
    )  # fmt: skip


def _table(request: AnalysisRequest) -> pd.DataFrame:
    rows, asked = rows_asked(request)
    return reward_distribution(rows, **asked)


AMOUNT_OPTIONS = ("treatment", "role", "group", "by", "amount", "over")
NODE_OPTIONS = ("treatment", "role", "by")
TABLES = (
    TableKind(
        "rewards",
        "distribution of rewards over nodes: moments, quantiles, Gini, Theil, HHI, Nakamoto",
        _table,
        AMOUNT_OPTIONS,
    ),
)
SECTIONS = (_inequality,)
