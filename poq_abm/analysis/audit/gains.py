"""What a deviation was worth to those who deviated, and how surely."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from poq_abm.analysis.audit.bench import Played
from poq_abm.analysis.audit.deviations import Deviation
from poq_abm.analysis.paired import holm, paired
from poq_abm.behaviour.resolving import spell
from poq_abm.experiment.estimates import CONFIDENCE
from poq_abm.network.population import Population

__all__ = ["VERDICTS", "earned_by", "gain_table", "places", "together_name"]

Array = NDArray[np.float64]

#: what the audit says of a deviation
VERDICTS = ("gains", "loses", "no evidence", "equal", "one replication")


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
    bond: float = 0.0,
) -> pd.DataFrame:
    """Return the gain of every deviation, with intervals alone and together.

    The gain is the members' reward per job when they deviate, less what the same nodes earn in the
    same replications when they do not; keyed draws make these matched pairs. Every interval
    ``low``, ``high`` holds by itself (Student, paired). ``family_low`` and ``family_high`` hold
    together at the same confidence: Student intervals at level 1 - (1 - confidence) / m for the m
    deviations audited (Bonferroni). ``p_adjusted`` is Holm's, of the paired t tests, and
    ``verdict`` follows it, so the chance of any false verdict is at most 1 - confidence.

    In an economy the gain is in profit per member and epoch, ``per`` says ``epoch``, and
    ``gain_per_epoch`` takes the place of ``gain_per_round``. ``bond`` is what a node of stake 1
    puts up there, in tokens.

    Returns
    -------
    DataFrame
        ``role``, ``group``, ``behaviour``, ``members``, ``bonds`` (tokens that the members put up),
        ``instead_of``, ``replications``, ``per`` (``job`` or ``epoch``),
        ``honest`` and ``deviating`` (tokens per job), ``gain`` (tokens per job of a member),
        ``low``, ``high``, ``family_low``, ``family_high``, ``gain_per_round`` (tokens per round,
        all members together), ``drift`` (mean consensus less that without the deviation, points of
        10), ``p_value``, ``p_adjusted``, ``verdict`` (one of :data:`VERDICTS`).
    """
    family = max(len(deviations), 1)
    rows = [
        _row(deviation, base, one, population, confidence, family)
        | {"bonds": bond * _stakes(population, deviation)}
        for deviation, one in zip(deviations, played, strict=True)
    ]
    table = pd.DataFrame(rows)
    table.insert(4, "bonds", table.pop("bonds"))
    table["p_adjusted"] = holm(table["p_value"])
    shown = (table["p_adjusted"] < 1.0 - confidence).to_numpy()
    gain = table["gain"].to_numpy()
    words = np.where(gain > 0, "gains", "loses").astype(object)
    words[~shown] = "no evidence"
    words[(table["low"] == 0.0).to_numpy() & (table["high"] == 0.0).to_numpy()] = "equal"
    words[table["low"].isna().to_numpy()] = "one replication"
    return table.assign(verdict=words)


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
        "behaviour": spell(deviation.behaviour),
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
        "p_value": alone.p_value,
    }
