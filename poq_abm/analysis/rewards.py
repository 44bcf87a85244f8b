"""How rewards are distributed over nodes: statistics, distribution functions, violins."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import union_categoricals

from poq_abm.analysis.figure_style import DASHES, canvas, caption, colours, need
from poq_abm.analysis.questions import (
    AnalysisRequest,
    FigureKind,
    Section,
    TableKind,
    first_treatments,
    of_one_treatment,
    told,
    with_treatment,
)
from poq_abm.analysis.stored_run import StoredRun, selected
from poq_abm.errors import InputError, nearest
from poq_abm.experiment.estimates import CONFIDENCE, COUNT, Range, mean_interval
from poq_abm.experiment.schemas import SCHEMAS, range_of
from poq_abm.simulation.inequality import gini, hhi, nakamoto_coefficient, theil

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "AMOUNTS",
    "AMOUNT_OPTIONS",
    "CELLS",
    "FIGURES",
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
    "reward_distribution",
    "reward_ecdf",
    "reward_violins",
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
_MOST_CLASSES = 10
_MOST_STEPS, _MOST_DOTS = 10_000, 2_000  #: of a class that are drawn
_QUARTERS = [0.25, 0.5, 0.75]
_JITTER, _GOLDEN = 0.15, 0.6180339887498949  # steps of which no two points of an interval share
#: what an amount is called along an axis; rewards are tokens paid
_NAMES = {
    "reward_mean": "reward (tokens paid per job)",
    "reward_total": "reward (tokens paid per run)",
    "points_mean": "points of the reward formula (per job)",
    "points_total": "points of the reward formula (per run)",
    "cost": "cost charged (C)",
}


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
    return _presence(nodes) > 0.0


def _presence(nodes: pd.DataFrame) -> pd.Series[float]:
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
        there = part.assign(presence=_presence(part))[taking_part(part)]
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


def reward_ecdf(frame: pd.DataFrame, *, by: str = "role", amount: str = "reward_mean") -> Figure:
    """Return the empirical distribution function of the nodes' rewards, a step line per class.

    ``frame`` holds rows of :data:`poq_abm.experiment.schemas.NODES`; every node that has the amount
    (of a mean, that had a job) counts in every replication by its presence, the share of the run in
    which it took part.
    """
    frame = _counted(frame, by, amount)
    figure, (axes,) = canvas()
    classes = _classes(frame, by)
    paint = colours(classes)
    for number, name in enumerate(classes):
        part = frame[frame[by] == name]
        order = np.argsort(part[amount].to_numpy(), kind="stable")
        shares = np.cumsum(part["presence"].to_numpy()[order])
        some = _some(order.size, _MOST_STEPS)
        axes.step(part[amount].to_numpy()[order[some]], shares[some] / shares[-1], where="post",
                  color=paint[name], linewidth=1.6, linestyle=DASHES[number % len(DASHES)],
                  label=name)  # fmt: skip
    axes.set_xlabel(_NAMES.get(amount, amount))
    axes.set_ylabel(f"share of nodes at or below{_weighted(frame)}")
    axes.set_ylim(0.0, 1.02)
    axes.legend(frameon=False, fontsize=8)
    caption(figure, "Distribution of rewards over nodes", frame, _nodes(frame))
    return figure


def reward_violins(
    frame: pd.DataFrame, *, by: str = "group", amount: str = "reward_mean"
) -> Figure:
    """Return violins of the nodes' rewards by class, with quartiles and every value as a dot.

    ``frame`` as in :func:`reward_ecdf`, but every node that took part counts once. The width of a
    violin is a kernel estimate of the density, cut at the least and the largest value. Of many
    values some thousand stand for all, evenly spaced by rank, the least and the largest among them.
    """
    frame = _counted(frame, by, amount)
    classes = _classes(frame, by)
    figure, (axes,) = canvas(max(6.4, 0.9 * len(classes)), 4.2)
    values = [np.sort(frame.loc[frame[by] == name, amount].to_numpy()) for name in classes]
    shown = [part[_some(part.size, _MOST_DOTS)] for part in values]
    places = np.arange(len(classes))
    drawn: dict[str, Any] = axes.violinplot(
        shown, places, widths=0.8, showextrema=False, quantiles=[_QUARTERS] * len(classes)
    )
    for body, colour in zip(drawn["bodies"], colours(classes).values(), strict=True):
        body.set(facecolor=colour, edgecolor="0.15", alpha=0.85, linewidth=0.8)
    drawn["cquantiles"].set(color="0.15", linewidth=0.8, linestyle="--")
    for place, part in zip(places, shown, strict=True):
        aside = _JITTER * (2.0 * (np.arange(part.size) * _GOLDEN % 1.0) - 1.0)
        axes.scatter(place + aside, part, s=3.0, color="0.15", alpha=0.6, linewidths=0.0)
    axes.set_xticks(places, classes, rotation=20, fontsize=8)
    axes.set_ylabel(_NAMES.get(amount, amount))
    thinned = any(part.size > _MOST_DOTS for part in values)
    caption(figure, f"Rewards by {by}", frame, _nodes(frame), "lines: quartiles",
            f"{_MOST_DOTS:,} of a class drawn, evenly by rank" if thinned else "")  # fmt: skip
    return figure


def _some(count: int, most: int) -> NDArray[np.int64]:
    """Return at most so many places, evenly spaced, the first and the last among them.

    >>> _some(3, 5).tolist(), _some(9, 3).tolist()
    ([0, 1, 2], [0, 4, 8])
    """
    return np.round(np.linspace(0, count - 1, min(count, most))).astype(np.int64)


def _counted(frame: pd.DataFrame, by: str, amount: str) -> pd.DataFrame:
    """Return the nodes that took part and have the amount, with their presence."""
    need(frame, [by, amount])
    counted = taking_part(frame) & frame[amount].notna()
    known = frame if counted.all() else frame[counted]
    need(known, [])
    known = known.assign(presence=_presence(known))
    known[by] = known[by].astype("category")
    known.attrs = frame.attrs
    return known


def _weighted(frame: pd.DataFrame) -> str:
    return ", by presence" if (frame["presence"] < 1.0).any() else ""


def _classes(frame: pd.DataFrame, by: str) -> list[str]:
    return list(map(str, frame[by].unique()))[:_MOST_CLASSES]


def _nodes(frame: pd.DataFrame) -> str:
    count = frame["replication"].nunique() if "replication" in frame else 1
    one = f"{count:,} replication{'s' * (count != 1)}"
    return f"n = {len(frame):,} nodes that took part, in {one}"


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


def _drawn(request: AnalysisRequest, by: str) -> pd.DataFrame:
    """Return the nodes of one treatment, and of one role where that is asked for."""
    run = request.run
    one = [run.one_treatment(request.treatment)]
    rows = run.nodes("role", by, "presence", "reward_mean", treatments=one)
    names = ["replication", "presence", "reward_mean"]
    parts, words = [], []
    for part in selected(rows, role=request.role):
        counted = part[taking_part(part) & part["reward_mean"].notna()]
        parts.append(counted[names])
        words.append(counted[by])
    return told(pd.concat(parts).assign(**{by: union_categoricals(words)}), run)


def _ecdf(request: AnalysisRequest) -> Figure:
    by = class_asked(request, "role")
    return reward_ecdf(_drawn(request, by), by=by)


def _violins(request: AnalysisRequest) -> Figure:
    by = class_asked(request, "group")
    return reward_violins(_drawn(request, by), by=by)


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
FIGURES = (
    FigureKind("ecdf", "distribution function of rewards over nodes", _ecdf, NODE_OPTIONS),
    FigureKind("violins", "rewards by group, as violins", _violins, NODE_OPTIONS, of_one_treatment),
)
SECTIONS = (_inequality,)
