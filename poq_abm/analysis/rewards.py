"""How rewards are distributed over nodes: statistics, distribution functions, Lorenz curves."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

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
from poq_abm.analysis.stored_run import StoredRun, select
from poq_abm.errors import InputError, nearest
from poq_abm.experiment.estimates import CONFIDENCE, COUNT, Range, mean_interval
from poq_abm.experiment.schemas import range_of
from poq_abm.simulation.inequality import gini, hhi, lorenz, nakamoto_coefficient, theil

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "AMOUNTS",
    "CELLS",
    "FIGURES",
    "HOLDERS",
    "SECTIONS",
    "STATISTICS",
    "TABLES",
    "Sample",
    "lorenz_curves",
    "lorenz_figure",
    "reward_distribution",
    "reward_ecdf",
    "reward_violins",
    "taking_part",
]

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
#: per job, and so whatever share of the run a node was there
PER_JOB = ("reward_mean",)
#: who holds amounts: each node by itself, or its operator, who may have several
HOLDERS = ("nodes", "operators")
#: what can tell nodes apart
CELLS = ("role", "group", "model", "hardware", "behaviour")
QUANTILES = {"q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95}
_MOST_CLASSES = 10
#: what an amount is called along an axis; rewards are tokens paid
_NAMES = {
    "reward_mean": "reward (tokens paid per job)",
    "reward_total": "reward (tokens paid per run)",
    "points_mean": "points of the reward formula (per job)",
    "points_total": "points of the reward formula (per run)",
    "cost": "cost charged (C)",
}


class Sample(NamedTuple):
    """The nodes of a cell in one replication that took part in it."""

    amounts: Array
    presence: Array  #: share of the run in which each took part, in (0, 1]: its weight


def _mean(sample: Sample) -> float:
    return float((sample.presence * sample.amounts).sum() / sample.presence.sum())


def _sd(sample: Sample) -> float:
    """Return the s.d. with reliability weights: with all there throughout, that with n - 1."""
    weight = sample.presence
    freedom = float(weight.sum() - (weight**2).sum() / weight.sum())
    if weight.size < 2 or freedom <= 0.0:
        return float("nan")
    return math.sqrt(float((weight * (sample.amounts - _mean(sample)) ** 2).sum()) / freedom)


def _quantile(sample: Sample, q: float) -> float:
    """Return a quantile, linear between the middles of the nodes' weights.

    The first node stands at 0 and the last at 1; with all there throughout, NumPy's default.
    """
    order = np.argsort(sample.amounts, kind="stable")
    middle = np.cumsum(sample.presence[order]) - sample.presence[order] / 2.0
    place = middle - middle[0]
    return float(np.interp(q * place[-1], place, sample.amounts[order]))


def _skew(sample: Sample) -> float:
    """Return the moment coefficient of skewness, m3 / m2^(3/2); missing without variation."""
    centred, weight = sample.amounts - _mean(sample), sample.presence / sample.presence.sum()
    spread = math.sqrt(float((weight * centred**2).sum()))
    if spread <= 1e-12 * float(np.abs(sample.amounts).max()):
        return float("nan")
    return float((weight * (centred / spread) ** 3).sum())


def _of_shares(index: Callable[..., float]) -> Callable[[Sample], float]:
    """Return an index that is missing, not an error, where somebody earned less than nothing."""

    def of(sample: Sample) -> float:
        if sample.amounts.min() < 0.0:
            return float("nan")
        return index(sample.amounts, weights=sample.presence)

    return of


#: each statistic of one replication's nodes; None stands for the unit of the amount
STATISTICS: dict[str, tuple[Callable[[Sample], float], str | None]] = {
    "mean": (_mean, None),
    "sd": (_sd, None),
    **{
        name: (lambda sample, q=q: _quantile(sample, q), None)  # type: ignore[misc]
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

    Counted are the nodes that took part, each by its presence, the share of the run in which it
    did: who was there for half of it is half a node. Its total then stands for a whole run at that
    pace, total / presence. Where everybody is there throughout, as in plain runs, these are the
    plain statistics of the totals; rows of nodes that never came change nothing.

    Parameters
    ----------
    nodes
        Rows of :data:`poq_abm.experiment.schemas.NODES`, of any number of treatments; or, for
        tokens paid and profits, of an economy's :data:`~poq_abm.experiment.schemas.ACCOUNTS`.
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
                    "nodes": float(np.mean([sample.presence.sum() for sample in samples])),
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

    Nodes count by their presence, as in :func:`reward_distribution`. Columns: ``treatment``, those
    of ``by``, ``nodes``, ``replications``, ``holders`` and ``held``, both in [0, 1], ``gini``, the
    mean coefficient. Replications in which a node earned less than nothing, or all together
    nothing, have no curve and are left out; a cell without any left has no rows. Where nodes or
    their presence differ over replications, curves are averaged at hundredths of the holders.

    >>> table = pd.DataFrame({"treatment": "base", "replication": 0, "role": "evaluator",
    ...                       "reward_total": [1.0, 3.0]})
    >>> lorenz_curves(table)["held"].tolist()
    [0.0, 0.25, 1.0]
    """
    _check(nodes, by, amount, over)
    parts = []
    for key, samples in _cells(nodes, by, amount, over):
        usable = [s for s in samples if s.amounts.min() >= 0.0 and s.amounts.max() > 0.0]
        if usable:
            curve = _mean_curve([lorenz(*sample) for sample in usable])
            cell = {
                **key,
                "nodes": float(np.mean([sample.presence.sum() for sample in usable])),
                "replications": len(usable),
                "gini": float(np.mean([gini(*sample) for sample in usable])),
            }
            parts.append(curve.assign(**cell)[[*cell, "holders", "held"]])
    columns = ["treatment", *by, "nodes", "replications", "gini", "holders", "held"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def _mean_curve(curves: list[tuple[Array, Array]]) -> pd.DataFrame:
    """Return the mean of Lorenz curves, at their own points where they share them."""
    holders = curves[0][0]
    if not all(np.array_equal(one, holders) for one, _ in curves):
        holders = np.linspace(0.0, 1.0, 101)
    held = np.mean([np.interp(holders, *curve) for curve in curves], axis=0)
    return pd.DataFrame({"holders": holders, "held": held})


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
    if nodes.empty or not taking_part(nodes).any():
        raise InputError("no nodes that took part: an empty group has no distribution")


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


def _cells(
    nodes: pd.DataFrame, by: Sequence[str], amount: str, over: str
) -> Iterator[tuple[dict[str, Any], list[Sample]]]:
    """Yield each cell's key and its nodes, a sample per replication."""
    keys = ["treatment", *by]
    nodes = nodes.assign(presence=_presence(nodes))[taking_part(nodes)]
    if over == "operators":
        owned = nodes.groupby([*keys, "replication", "operator"], observed=True, sort=False)
        nodes = owned.agg({amount: "sum", "presence": "max"}).reset_index()
    known = nodes[[*keys, "replication", "presence", amount]].dropna(subset=[amount])
    for key, cell in known.groupby(keys, observed=True, sort=False):
        cell = cell.sort_values("replication", kind="stable")  # noqa: PLW2901
        presence = cell["presence"].to_numpy(dtype=np.float64)
        values = cell[amount].to_numpy(dtype=np.float64)
        values = values if amount in PER_JOB else values / presence
        starts = np.flatnonzero(np.diff(cell["replication"].to_numpy())) + 1
        parts = zip(np.split(values, starts), np.split(presence, starts), strict=True)
        yield dict(zip(keys, key, strict=True)), [Sample(*part) for part in parts]


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
        part = frame[frame[by].astype(str) == name].sort_values(amount, kind="stable")
        shares = part["presence"].cumsum() / part["presence"].sum()
        axes.step(part[amount], shares, where="post", color=paint[name], linewidth=1.6,
                  linestyle=DASHES[number % len(DASHES)], label=name)  # fmt: skip
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
    violin is a kernel estimate of the density, cut at the least and the largest value.
    """
    import seaborn as sns  # noqa: PLC0415

    frame = _counted(frame, by, amount)
    classes = _classes(frame, by)
    known = frame.assign(**{by: frame[by].astype(str)})
    known = known[known[by].isin(classes)]
    figure, (axes,) = canvas(max(6.4, 0.9 * len(classes)), 4.2)
    shown = {"data": known, "x": by, "y": amount, "hue": by, "legend": False, "ax": axes}
    shown |= {"order": classes, "hue_order": classes, "palette": "colorblind"}
    sns.violinplot(**shown, inner="quart", cut=0, linewidth=0.8, density_norm="width")
    sns.stripplot(**shown | {"palette": ["0.15"] * len(classes)}, size=1.8, jitter=0.15, alpha=0.6)
    axes.tick_params(axis="x", labelrotation=20, labelsize=8)
    axes.set_xlabel("")
    axes.set_ylabel(_NAMES.get(amount, amount))
    caption(figure, f"Rewards by {by}", frame, _nodes(frame), "lines: quartiles")
    return figure


def lorenz_figure(frame: pd.DataFrame) -> Figure:
    """Return Lorenz curves: what share of all rewards the poorest share of nodes holds.

    Rewards are tokens paid, nodes count by their presence. ``frame`` is
    :func:`poq_abm.analysis.rewards.lorenz_curves`; a line per cell, its mean Gini coefficient in
    the legend.
    """
    need(frame, ["holders", "held", "gini", "replications", "nodes"])
    cells = [str(c) for c in frame.columns
             if c not in ("nodes", "replications", "gini", "holders", "held")]  # fmt: skip
    told = [c for c in cells if len(frame[c].astype(str).unique()) > 1] or cells[-1:]
    figure, (axes,) = canvas(5.2, 4.6)
    axes.plot([0, 1], [0, 1], color="0.6", linewidth=0.9)
    groups = list(frame.groupby(cells, sort=False, observed=True))
    paint = colours(range(len(groups)))
    for number, (_, part) in enumerate(groups):
        label = ", ".join(str(part[c].iloc[0]) for c in told)
        axes.plot(part["holders"], part["held"], color=paint[number], linewidth=1.6,
                  linestyle=DASHES[number % len(DASHES)],
                  label=f"{label} (Gini {part['gini'].iloc[0]:.3f})")  # fmt: skip
    axes.set_xlabel("share of nodes, poorest first (0-1)")
    axes.set_ylabel("share of all tokens paid (0-1)")
    axes.set_aspect("equal")
    axes.legend(frameon=False, fontsize=7.5)
    counts = sorted({int(n) for n in frame["replications"]})
    span = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    caption(figure, "How unevenly rewards are shared", frame, f"mean of n = {span} replications",
            "of nodes that took part, each by the share of the run in which it did")  # fmt: skip
    return figure


def _counted(frame: pd.DataFrame, by: str, amount: str) -> pd.DataFrame:
    """Return the nodes that took part and have the amount, with their presence."""
    need(frame, [by, amount])
    known = frame.assign(presence=frame.get("presence", 1.0))[
        taking_part(frame) & frame[amount].notna()
    ]
    known.attrs = frame.attrs
    need(known, [])
    return known


def _weighted(frame: pd.DataFrame) -> str:
    return ", by presence" if (frame["presence"] < 1.0).any() else ""


def _classes(frame: pd.DataFrame, by: str) -> list[str]:
    return list(dict.fromkeys(frame[by].astype(str)))[:_MOST_CLASSES]


def _nodes(frame: pd.DataFrame) -> str:
    count = frame["replication"].nunique() if "replication" in frame else 1
    one = f"{count:,} replication{'s' * (count != 1)}"
    return f"n = {len(frame):,} nodes that took part, in {one}"


def _rows(request: AnalysisRequest) -> pd.DataFrame:
    """Return who is asked about: nodes, or accounts where the amount or its holder needs them."""
    paid = request.amount in ("reward", "profit") or request.over == "operators"
    return request.rows("accounts" if paid else "nodes")


def _asked(request: AnalysisRequest) -> dict[str, Any]:
    by = request.by or ["role"]
    return {"by": by, "amount": request.amount, "over": request.over}


def _class(request: AnalysisRequest, default: str) -> str:
    by = next(iter(request.by), default)
    if by not in CELLS:
        raise InputError(f"nodes cannot be told apart by {by!r}; {nearest(by, CELLS)}")
    return by


def _drawn(request: AnalysisRequest) -> pd.DataFrame:
    """Return the nodes of one treatment, and of one role where that is asked for."""
    run = request.run
    chosen = run.one_treatment(request.treatment)
    return told(select(run.results.nodes, treatment=chosen, role=request.role).copy(), run)


def _lorenz(request: AnalysisRequest) -> Figure:
    run = request.run
    nodes = select(run.results.nodes, treatment=request.treatment, role=request.role)
    curves = lorenz_curves(nodes, by=[_class(request, "role")])
    if curves.empty:
        raise InputError("somebody earned less than nothing in every replication: no Lorenz curve")
    return lorenz_figure(told(curves, run))


def _lorenz_fits(run: StoredRun) -> Iterator[dict[str, Any]]:
    if run.has("nodes") and run.few_curves:
        yield {"role": "inference"}


def _inequality(run: StoredRun) -> Iterator[Section]:
    if not run.has("nodes"):
        return
    nodes, notes = first_treatments(run, run.results.nodes)
    if not taking_part(nodes).any():
        return
    if run.has("epochs"):
        notes.append("Of nodes that took part, each by the share of the run in which it did.")
    frame = reward_distribution(nodes, by=["role"])
    wanted = {"gini": "Gini", "theil": "Theil", "hhi": "HHI", "nakamoto": "Nakamoto"}
    frame = frame[frame["statistic"].isin(wanted) & frame["estimate"].notna()].copy()
    if frame.empty:
        return
    frame["index"] = frame["statistic"].map(wanted)
    yield Section(
        "Inequality of rewards over nodes", frame, with_treatment(run, "role", "index"),
        estimates=[("estimate", "low", "high", "value", "")],
        notes=[*notes, "Of the tokens paid over a run. Where a node earned less than nothing, "
                       "shares mean nothing and the replication is left out."],
    )  # fmt: skip


_AMOUNTS = ("treatment", "role", "group", "by", "amount", "over")
_OF_NODES = ("treatment", "role", "by")
TABLES = (
    TableKind(
        "rewards",
        "distribution of rewards over nodes: moments, quantiles, Gini, Theil, HHI, Nakamoto",
        lambda request: reward_distribution(_rows(request), **_asked(request)),
        _AMOUNTS,
    ),
    TableKind(
        "lorenz",
        "Lorenz curves, point by point",
        lambda request: lorenz_curves(_rows(request), **_asked(request)),
        _AMOUNTS,
    ),
)
FIGURES = (
    FigureKind(
        "ecdf",
        "distribution function of rewards over nodes",
        lambda request: reward_ecdf(_drawn(request), by=_class(request, "role")),
        _OF_NODES,
    ),
    FigureKind(
        "violins",
        "rewards by group, as violins",
        lambda request: reward_violins(_drawn(request), by=_class(request, "group")),
        _OF_NODES,
        of_one_treatment,
    ),
    FigureKind("lorenz", "Lorenz curves of rewards", _lorenz, _OF_NODES, _lorenz_fits),
)
SECTIONS = (_inequality,)
