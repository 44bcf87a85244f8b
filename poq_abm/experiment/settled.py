"""What points came to once they were settled: tokens paid, cost charged, and who was there."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.simulation.game import Game
from poq_abm.simulation.ledger import Column

__all__ = ["Settled", "settled_by_round", "spread_of_points"]


class Settled(NamedTuple):
    """What points came to for every node; arrays of shape (replications, nodes)."""

    reward: NDArray[np.float64]  #: tokens paid, less what audits took back
    spread: NDArray[np.float64]  #: sum over jobs of (tokens of the job - their mean)^2
    cost: NDArray[np.float64]  #: mean C charged per job; what stands there without a job is ignored
    latency_ms: NDArray[np.float64]  #: the same of the mean latency
    presence: NDArray[np.float64]  #: share of the run in which the node took part


def settled_by_round(game: Game, sums: NDArray[np.float64]) -> Settled:
    """Return what points came to in a plain run: everybody is there, and a point is a token."""
    nodes = game.nodes
    one = np.ones(sums.shape[:-1])
    return Settled(
        reward=sums[..., Column.REWARD],
        spread=spread_of_points(game, sums),
        cost=one * np.concatenate([nodes.inference_cost, nodes.evaluator_cost]),
        latency_ms=one * game.population.latency_ms,
        presence=one,
    )


def spread_of_points(game: Game, sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each node's sum over jobs of (points - their mean)^2, from what its ledger holds."""
    jobs, points = sums[..., Column.JOBS], sums[..., Column.REWARD]
    # The constant about which the ledger takes each node's second moment.
    anchor = np.concatenate([game.nodes.inference_anchor, game.nodes.evaluator_anchor])
    mean = np.divide(points, jobs, out=np.full_like(points, np.nan), where=jobs > 0)
    distance = mean - anchor
    spread: NDArray[np.float64] = sums[..., Column.SPREAD] - jobs * distance**2
    return spread
