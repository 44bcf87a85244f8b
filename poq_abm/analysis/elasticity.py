"""How strongly demand and supply answer a price: arc elasticities between treatments of a sweep.

Between two treatments that differ in one swept field, with P and Q the mean price and quantity over
the last fifth of the epochs, the arc (midpoint) elasticity is

    e = ((Q_2 - Q_1) / (Q_1 + Q_2)) / ((P_2 - P_1) / (P_1 + P_2))

the same from either side (R. G. D. Allen, 1934, Review of Economic Studies 1, 226-229). It is that
of the whole economy in which everything else answers too, as a study sees it that compares two
markets: not the exponent of a demand curve, though it comes to that where only the price moves.

*Demand*: queries that arrive, by the fee. *Supply*: nodes of a role that are there, by their reward
per job, which is the price that a seller gets.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from poq_abm.analysis import questions
from poq_abm.analysis.questions import TREATMENTS, AnalysisRequest, TableKind, told
from poq_abm.analysis.sweeps import literal_values
from poq_abm.experiment.economy_study import first_of_last
from poq_abm.experiment.estimates import CONFIDENCE, mean_interval
from poq_abm.experiment.results import Results
from poq_abm.experiment.schemas import NETWORK

__all__ = ["TABLES", "arc_elasticity", "elasticities"]

Array = NDArray[np.float64]

_KEYS = ["treatment", "replication"]
#: what is bought, and which nodes sell it
_CURVES = ("demand", "inference supply", "evaluator supply")


def arc_elasticity(q1: float, q2: float, p1: float, p2: float) -> float:
    """Return the arc elasticity of a quantity between two prices; NaN where the price stays.

    >>> arc_elasticity(100.0, 50.0, 1.0, 2.0)
    -1.0
    """
    price = (p2 - p1) / (p1 + p2) if p1 + p2 else 0.0
    quantity = (q2 - q1) / (q1 + q2) if q1 + q2 else 0.0
    return quantity / price if price else math.nan


def elasticities(results: Results, confidence: float = CONFIDENCE) -> pd.DataFrame:
    """Return the arc elasticities of demand and supply between neighbours on every axis.

    Neighbours are two treatments that differ in one swept field alone, by one step of its values.
    The elasticity is that of the means over matched replications; its interval is Student's over
    the pseudo-values of the jackknife, which a ratio of means needs. Where the price is not shown
    to move (its paired change has an interval that contains 0), a ratio to it means nothing, and is
    missing.

    Returns
    -------
    DataFrame
        ``curve``, ``from``, ``to`` (treatments), ``elasticity``, ``low``, ``high``,
        ``price_from``, ``price_to`` (tokens), ``quantity_from``, ``quantity_to`` (queries, nodes),
        ``replications``, ``axis``.

    Raises
    ------
    InputError
        If the run is of no economy.
    """
    points = _points(results)
    rows = []
    for axis, first, second in _neighbours(results.treatments):
        if not {first, second} <= set(points.index.get_level_values("treatment")):
            continue
        both = points.loc[first].add_suffix("_from").join(points.loc[second].add_suffix("_to"))
        for curve in _CURVES:
            names = [f"{what} of {curve}_{end}" for what in ("quantity", "price")
                     for end in ("from", "to")]  # fmt: skip
            values = both[names].dropna().to_numpy()
            rows.append(_row(axis, (first, second), curve, values, confidence))
    return pd.DataFrame(rows)


def _row(
    axis: str, treatments: tuple[str, str], curve: str, values: Array, confidence: float
) -> dict[str, Any]:
    """Return the elasticity of one curve between two treatments; values (n, 4): q1, q2, p1, p2."""
    count = len(values)
    means = values.mean(axis=0) if count else np.full(4, math.nan)
    elasticity = low = high = math.nan
    if count and _moves(values[:, 3] - values[:, 2], confidence):
        elasticity = arc_elasticity(*means)
    if count > 1 and not math.isnan(elasticity):
        without = (values.sum(axis=0) - values) / (count - 1)
        others = np.array([arc_elasticity(*row) for row in without])
        pseudo = count * elasticity - (count - 1) * others
        elasticity, _, low, high = mean_interval(pseudo, confidence)
    return {
        "curve": curve,
        "from": treatments[0],
        "to": treatments[1],
        "elasticity": elasticity,
        "low": low,
        "high": high,
        "price_from": means[2],
        "price_to": means[3],
        "quantity_from": means[0],
        "quantity_to": means[1],
        "replications": count,
        "axis": axis,
    }


def _moves(changes: Array, confidence: float) -> bool:
    """Return whether a price is shown to move; of one replication, whether it does."""
    mean, _, low, high = mean_interval(changes, confidence)
    return mean != 0.0 if math.isnan(low) else low > 0.0 or high < 0.0


def _points(results: Results) -> pd.DataFrame:
    """Return price and quantity of every curve, by treatment and replication."""
    epochs = results.epochs
    count = int(epochs["epoch"].max()) + 1
    last = epochs[epochs["epoch"] >= first_of_last(count)]
    network = last[last["group"].astype(str) == NETWORK].groupby(_KEYS, observed=True)
    columns = ["nodes", "jobs", "reward"]
    epoch = ["treatment", "replication", "epoch", "role"]
    by_role = last.groupby(epoch, observed=True)[columns].sum().groupby(level=[0, 1, 3]).mean()
    points = {
        "quantity of demand": network["queries"].mean(),
        "price of demand": network["price"].mean(),
    }
    for curve in _CURVES[1:]:
        own = by_role.xs(curve.partition(" ")[0], level="role")
        points[f"quantity of {curve}"] = own["nodes"]
        points[f"price of {curve}"] = own["reward"] / own["jobs"]
    return pd.DataFrame(points)


def _neighbours(treatments: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Return every axis with two treatments that are one step of it apart, and alike in the rest.

    >>> _neighbours(pd.DataFrame({"treatment": list("abc"), "rounds": [10, 20, 30]}))
    [('rounds', 'a', 'b'), ('rounds', 'b', 'c')]
    """
    axes = [str(column) for column in treatments.columns if column != "treatment"]
    found = []
    for axis in axes:
        others = [literal_values(treatments[other]) for other in axes if other != axis]
        rest = list(zip(*others, strict=True)) if others else [()] * len(treatments)
        alike: dict[tuple[str, ...], list[str]] = {}
        for key, treatment in zip(rest, treatments["treatment"].astype(str), strict=True):
            alike.setdefault(key, []).append(treatment)
        found += [(axis, a, b) for group in alike.values() for a, b in pairwise(group)]
    return found


def _table(request: AnalysisRequest) -> pd.DataFrame:
    return told(elasticities(request.run.results), request.run)


TABLES = (
    TableKind(
        "elasticity",
        "economies: how demand and supply answer prices, between neighbours of a sweep",
        _table,
        needs=(questions.EPOCHS, TREATMENTS),
    ),
)
