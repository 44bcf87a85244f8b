"""What points came to once they were settled, and what every node did and earned by them.

A mechanism gives points; what is paid for them are tokens. In a plain run a point is a token and
everybody is there all the time; an economy settles the points of every epoch.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.simulation.game import Game
from poq_abm.simulation.ledger import NodeSum

__all__ = ["Settled", "node_columns", "settled_by_round", "spread_of_points"]

Array = NDArray[np.float64]


class Settled(NamedTuple):
    """What points came to for every node; arrays of shape (replications, nodes)."""

    reward: Array  #: tokens paid, less what audits took back
    spread: Array  #: sum over jobs of (tokens of the job - their mean)^2
    cost: Array  #: mean C charged per job; what stands there without a job is ignored
    latency_ms: Array  #: the same of the mean latency
    presence: Array  #: share of the run in which the node took part


def settled_by_round(game: Game, sums: Array) -> Settled:
    """Return what points came to in a plain run: everybody is there, and a point is a token."""
    nodes = game.nodes
    one = np.ones(sums.shape[:-1])
    return Settled(
        reward=sums[..., NodeSum.REWARD],
        spread=spread_of_points(game, sums),
        cost=one * np.concatenate([nodes.inference_cost, nodes.evaluator_cost]),
        latency_ms=one * game.population.latency_ms,
        presence=one,
    )


def spread_of_points(game: Game, sums: Array) -> Array:
    """Return each node's sum over jobs of (points - their mean)^2, from what its ledger holds."""
    jobs, points = sums[..., NodeSum.JOBS], sums[..., NodeSum.REWARD]
    # The constant about which the ledger takes each node's second moment.
    anchor = np.concatenate([game.nodes.inference_anchor, game.nodes.evaluator_anchor])
    mean = np.divide(points, jobs, out=np.full_like(points, np.nan), where=jobs > 0)
    distance = mean - anchor
    spread: Array = sums[..., NodeSum.SPREAD] - jobs * distance**2
    return spread


def node_columns(game: Game, sums: Array, settled: Settled) -> dict[str, NDArray[np.generic]]:
    """Return what every node did and earned, by the names of ``Results.nodes``.

    ``sums`` is what the ledgers hold, of shape (replications, nodes, 8); the columns have the shape
    (replications, nodes). A replication's values are the same bits whatever others stand beside it.
    """
    jobs = sums[..., NodeSum.JOBS]
    means = _over(sums, jobs[..., None])
    inference = game.population.role_is("inference")
    return {
        "presence": settled.presence,
        "jobs": jobs.astype(np.int64),
        "reward_total": settled.reward,
        "reward_mean": _over(settled.reward, jobs),
        "reward_sd": _sd(settled.spread, jobs),
        "points_total": sums[..., NodeSum.REWARD],
        "points_mean": means[..., NodeSum.REWARD],
        "points_sd": _sd(spread_of_points(game, sums), jobs),
        "consensus_mean": means[..., NodeSum.CONSENSUS],
        "truth_mean": means[..., NodeSum.TRUTH],
        "closeness_mean": np.where(inference, np.nan, means[..., NodeSum.CLOSENESS]),
        "cost": np.where(jobs > 0, settled.cost, np.nan),
        "latency_ms": np.where(jobs > 0, settled.latency_ms, np.nan),
    }


def _sd(spread: Array, jobs: Array) -> Array:
    """Return standard deviations over jobs, with n - 1; NaN below two jobs."""
    return np.sqrt(np.maximum(_over(spread, jobs - 1.0), 0.0))


def _over(top: Array, bottom: Array) -> Array:
    """Divide, with NaN where the divisor is not positive."""
    positive = np.broadcast_to(bottom > 0, top.shape)
    return np.divide(top, bottom, out=np.full_like(top, np.nan), where=positive)
