"""What nodes were paid in tokens over all epochs, and how it varied over jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from poq_abm.simulation.epochs.economy_state import EconomyState
    from poq_abm.simulation.epochs.epoch_end import EpochEnd

__all__ = ["Pay"]

Array = NDArray[np.float64]


class Pay:
    """Means and squared deviations over the jobs of every node; arrays of shape (N,).

    Attributes
    ----------
    reward
        Tokens paid, less what audits took back.
    spread
        Sum over jobs of (tokens of the job - their mean)^2. In an epoch a node is paid one price r
        for each of its points (0 where an audit takes the epoch's pay, or where a pool does not
        count who has less than none), so that a job worth p points is paid r p. Within an epoch the
        sum is r^2 times that of the points; between epochs J (r p_mean - mean)^2 is added (Chan,
        Golub and LeVeque, 1983).
    deviating_jobs, deviating_reward
        Jobs and tokens of the epochs in which the node did anything but play honestly.
    cost, latency_ms
        Mean over jobs of the cost C that was charged, and of the mean latency of what the node was
        paid for; NaN without a job.
    """

    def __init__(self, economy: EconomyState) -> None:
        population = economy.population
        self._anchor = np.concatenate(
            [economy.game.nodes.inference_anchor, economy.game.nodes.evaluator_anchor]
        )
        self._jobs: Array = np.zeros(population.size)
        self._mean: Array = np.zeros(population.size)
        self.reward: Array = np.zeros(population.size)
        self.spread: Array = np.zeros(population.size)
        self.deviating_jobs: Array = np.zeros(population.size)
        self.deviating_reward: Array = np.zeros(population.size)
        # Means are kept about their first value: what never changes stays what it was, to the bit.
        self._first = np.full((2, population.size), np.nan)
        self._beyond: Array = np.zeros((2, population.size))

    def add(self, end: EpochEnd) -> None:
        """Count an epoch that was settled, before the population is brought up to date."""
        performance, flows = end.played.performance, end.flows
        jobs, paid = performance.jobs, flows.paid
        worked = jobs > 0.0
        some = np.where(worked, jobs, 1.0)
        price = np.where(flows.parts.forfeited > 0.0, 0.0, flows.point_price)
        mean_points = performance.points / some
        within = np.maximum(performance.spread - jobs * (mean_points - self._anchor) ** 2, 0.0)
        total = np.maximum(self._jobs + jobs, 1.0)
        step = paid / some - self._mean
        self.spread += np.where(
            worked, price**2 * within + step**2 * self._jobs * jobs / total, 0.0
        )
        self._mean += np.where(worked, step * jobs / total, 0.0)
        self._jobs += jobs
        self.reward += paid
        self.deviating_jobs += np.where(end.deviated, jobs, 0.0)
        self.deviating_reward += np.where(end.deviated, paid, 0.0)
        for row, mean in enumerate((end.played.cost, end.played.latency_ms)):
            fresh = worked & np.isnan(self._first[row])
            self._first[row, fresh] = mean[fresh]
            self._beyond[row, worked] += (jobs * (mean - self._first[row]))[worked]

    @property
    def cost(self) -> Array:
        """Mean over jobs of the cost C that was charged, as the node reported it."""
        return self._mean_of(0)

    @property
    def latency_ms(self) -> Array:
        """Mean over jobs of the mean latency of what the node was paid for."""
        return self._mean_of(1)

    def _mean_of(self, row: int) -> Array:
        mean: Array = self._first[row] + self._beyond[row] / np.maximum(self._jobs, 1.0)
        return mean
