"""What a deviation was worth to those who deviated, and how surely."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtrit

from poq_abm.analysis.audit.bench import Played
from poq_abm.analysis.audit.deviations import Deviation
from poq_abm.analysis.paired import holm, paired
from poq_abm.experiment.estimates import CONFIDENCE
from poq_abm.simulation.population import Population

__all__ = [
    "RELATIVE_EPSILON",
    "VERDICTS",
    "earned_by",
    "gain_table",
    "places",
    "replications_to_decide",
    "together_name",
]

Array = NDArray[np.float64]

#: what the audit says of a deviation
VERDICTS = (
    "gains",  # more than nothing, by Holm over the audit
    "loses",
    "bounded",  # its simultaneous upper end lies below epsilon
    "equal",  # every pair is
    "undecided",
    "never acted",  # it changed nothing, so nothing was tested
    "one replication",
)
RELATIVE_EPSILON: Final = 0.01  #: of what the same nodes get without deviating, where none is given
_MOST_REPLICATIONS: Final = 10**9  # beyond this a number says no more than "too many"


def places(population: Population, deviation: Deviation) -> NDArray[np.int64]:
    """Return the node ids of the members of a deviation."""
    first = 0 if deviation.role == "inference" else population.inference_count
    return np.asarray(deviation.members, dtype=np.int64) + first


def earned_by(played: Played, nodes: NDArray[np.int64]) -> Array:
    """Return what some nodes together had per job (in an economy, per epoch), by replication.

    NaN without a job.
    """
    jobs = played.jobs[:, nodes].sum(axis=1)
    rewards = played.rewards[:, nodes].sum(axis=1)
    paid: Array = np.divide(rewards, jobs, out=np.full(jobs.shape, np.nan), where=jobs > 0)
    return paid


def gain_table(
    deviations: Sequence[Deviation],
    base: Played,
    played: Sequence[Played],
    population: Population,
    confidence: float = CONFIDENCE,
    *,
    bond: float = 0.0,
    epsilon: float | None = None,
    acted: Sequence[float] | None = None,
) -> pd.DataFrame:
    """Return the gain of every deviation, with intervals alone and together.

    The gain is the members' reward per job when they deviate, less what the same nodes earn in the
    same replications when they do not; keyed draws make these matched pairs. Every interval
    ``low``, ``high`` holds by itself (Student, paired). ``family_low`` and ``family_high`` hold
    together at the same confidence: Student intervals at level 1 - (1 - confidence) / m for the m
    deviations audited (Bonferroni). ``p_adjusted`` is Holm's, of the paired t tests, and ``gains``
    and ``loses`` follow it, so the chance of any false one is at most 1 - confidence.

    That no gain was shown is no verdict. ``bounded`` needs ``family_high`` below ``epsilon``: the
    gain, in tokens per job, that is too small to matter (default: :data:`RELATIVE_EPSILON` of the
    honest pay of these very nodes). What neither shows is ``undecided``, with the number of
    replications that would decide it (:func:`replications_to_decide`).

    ``acted`` is, by deviation, the share of the members' jobs in which it changed anything
    (:func:`.activation.activation_rate`). One that is 0, and left all pay as it was, ``never
    acted``: nothing was tested.

    In an economy the gain (and epsilon) is in profit per member and epoch, ``per`` says ``epoch``,
    and ``gain_per_epoch`` takes the place of ``gain_per_round``. ``bond`` is what a node of stake 1
    puts up there, in tokens.

    Returns
    -------
    DataFrame
        ``role``, ``group``, ``behaviour``, ``members``, ``bonds`` (tokens that the members put up),
        ``instead_of``, ``replications``, ``per`` (``job`` or ``epoch``),
        ``honest`` and ``deviating`` (tokens per job), ``gain`` (tokens per job of a member),
        ``low``, ``high``, ``family_low``, ``family_high``, ``gain_per_round`` (tokens per round,
        all members together), ``drift`` (mean consensus less that without the deviation, points of
        10), ``ran_out`` (replications in which a member's bond did not cover a fine), ``p_value``,
        ``acted`` (NaN where not known), ``epsilon``, ``p_adjusted``, ``verdict``
        (one of :data:`VERDICTS`), ``needed`` (replications that would decide; NaN where decided).
    """
    family = max(len(deviations), 1)
    rates = [math.nan] * len(deviations) if acted is None else acted
    rows = [
        _row(deviation, base, one, population, confidence, family)
        | {"bonds": bond * _stakes(population, deviation), "acted": rate}
        for deviation, one, rate in zip(deviations, played, rates, strict=True)
    ]
    table = pd.DataFrame(rows)
    table.insert(4, "bonds", table.pop("bonds"))
    table["epsilon"] = RELATIVE_EPSILON * table["honest"].abs() if epsilon is None else epsilon
    table["p_adjusted"] = holm(table["p_value"])
    table["verdict"] = _verdicts(table, confidence)
    level = 1.0 - (1.0 - confidence) / family
    undecided = table["verdict"] == "undecided"
    table["needed"] = [
        replications_to_decide(row, level) if open_ else math.nan
        for row, open_ in zip(table.to_dict("records"), undecided, strict=True)
    ]
    return table


def _verdicts(table: pd.DataFrame, confidence: float) -> NDArray[np.object_]:
    shown = (table["p_adjusted"] < 1.0 - confidence).to_numpy()
    words = np.where(table["gain"].to_numpy() > 0, "gains", "loses").astype(object)
    words[~shown] = "undecided"
    words[~shown & (table["family_high"] < table["epsilon"]).to_numpy()] = "bounded"
    equal = ((table["low"] == 0.0) & (table["high"] == 0.0)).to_numpy()
    words[equal] = "equal"
    words[table["low"].isna().to_numpy()] = "one replication"
    same = equal | ((table["gain"] == 0.0) & table["low"].isna()).to_numpy()
    words[same & (table["acted"] == 0.0).to_numpy()] = "never acted"
    return words


def replications_to_decide(row: Any, level: float) -> float:
    """Return about how many replications would decide an undecided deviation.

    Were the estimate and the spread of ``row`` (columns of :func:`gain_table`) the true ones, an
    interval of half-width t_{n-1} s / sqrt(n) at the simultaneous ``level`` decides once it clears
    zero or, for a bound, epsilon: the nearer to be had of the two. NaN without an interval, and
    infinite where nothing varies or no number below a thousand million does.

    >>> row = {"gain": 0.0, "family_low": -0.5, "family_high": 0.5, "epsilon": 0.1,
    ...        "replications": 10}
    >>> replications_to_decide(row, 0.95)
    191.0
    """
    first = int(row["replications"])
    half = (row["family_high"] - row["family_low"]) / 2.0
    margin = max(abs(row["gain"]), row["epsilon"] - row["gain"])
    if first < 2 or math.isnan(half):
        return math.nan
    if not margin > 0.0 or half == 0.0:
        return math.inf
    spread = half * math.sqrt(first) / _t(first, level)
    low, high = 1, 2
    while _t(high, level) * spread / math.sqrt(high) > margin:
        low, high = high, 2 * high
        if high > _MOST_REPLICATIONS:
            return math.inf
    while high - low > 1:
        middle = (low + high) // 2
        wide = _t(middle, level) * spread / math.sqrt(middle) > margin
        low, high = (middle, high) if wide else (low, middle)
    return float(high)


def _t(count: int, level: float) -> float:
    return float(stdtrit(count - 1, (1.0 + level) / 2.0))


def together_name(per: str) -> str:
    """Return the column of what all members together gain: per round, or per epoch."""
    return "gain_per_round" if per == "job" else "gain_per_epoch"


def _stakes(population: Population, deviation: Deviation) -> float:
    """Return the sum of the members' stakes, which bonds are multiples of."""
    stakes = np.array([group.stake for group in population.groups])
    return float(stakes[population.group[places(population, deviation)]].sum())


def _row(
    deviation: Deviation,
    base: Played,
    played: Played,
    population: Population,
    confidence: float,
    family: int,
) -> dict[str, Any]:
    nodes = places(population, deviation)
    before, after = earned_by(base, nodes)[: len(played.rewards)], earned_by(played, nodes)
    alone = paired(before, after, confidence)
    together = paired(before, after, 1.0 - (1.0 - confidence) / family)
    count = len(after)
    moved = played.rewards[:, nodes].sum(axis=1) - base.rewards[:count, nodes].sum(axis=1)
    drift = paired(base.consensus[:count], played.consensus, confidence)
    return {
        "role": deviation.role,
        "group": deviation.group,
        "behaviour": deviation.doing,
        "members": len(deviation.members),
        "instead_of": deviation.instead_of,
        "replications": alone.replications,
        "per": played.per,
        "honest": alone.mean_a,
        "deviating": alone.mean_b,
        "gain": alone.difference,
        "low": alone.low,
        "high": alone.high,
        "family_low": together.low,
        "family_high": together.high,
        together_name(played.per): float(moved.mean()) / played.rounds,
        "drift": drift.difference,
        "ran_out": played.ran_out(nodes),
        "p_value": alone.p_value,
    }
