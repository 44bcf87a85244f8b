"""What nodes were paid in tokens: what for, what audits took, and how it varied over jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from poq_abm.simulation.epochs.economy import Economy
    from poq_abm.simulation.epochs.epoch_end import EpochEnd
    from poq_abm.simulation.epochs.epoch_rounds import Played

__all__ = ["PARTS", "Parts", "Pay", "earned_for"]

Array = NDArray[np.float64]

#: columns of the nodes' accounts, in the order of :class:`Parts`: name, unit, meaning
PARTS = (
    ("quality_paid", "tokens", "inference nodes: paid for quality, before cost and audits"),
    ("closeness_paid", "tokens", "evaluators: paid for closeness, before cost"),
    ("cost_charged", "tokens", "what pay was lowered by for the cost reported"),
    ("forfeited", "tokens", "rewards that audits took back"),
    ("fined", "tokens", "of the bonds lost, what audits took"),
    ("uncovered", "tokens", "fines that the bond did not cover: it had run out, or was too small"),
)


class Parts(NamedTuple):
    """Arrays of one entry per node, in tokens: pay = quality + closeness - cost - forfeited."""

    quality: Array
    closeness: Array
    cost: Array
    forfeited: Array
    fined: Array  #: of the bond, not of pay
    uncovered: Array  #: of fines, what the bond did not cover


def earned_for(
    played: Played, price: Array, *, forfeited: Array, fined: Array, uncovered: Array
) -> Parts:
    """Return what an epoch's pay was for, in tokens at the ``price`` of a node's points.

    With J jobs at mean quality Q an inference node earned alpha_F J Q points, an evaluator alpha_M
    J times its mean closeness, at the coefficients of the epoch; what its points fall short of that
    was charged for cost. Where a rule pays for quality or for scores by anything else, beta J C was
    charged, with C the mean cost, and the rest was earned. All arrays have the shape (N,).
    """
    outcome, rules = played.outcome, played.rules
    points, jobs, first = outcome.points, outcome.jobs, outcome.quality.size
    quality, closeness = np.zeros_like(points), np.zeros_like(points)
    if rules.pays_closeness:
        near = np.nan_to_num(1.0 - outcome.distance)
        closeness[first:] = rules.alpha_evaluator * jobs[first:] * near
    else:
        closeness[first:] = points[first:] + rules.beta_evaluator * _sums(jobs, played.cost)[first:]
    if rules.charges_shortfall:
        quality[:first] = rules.alpha_inference * jobs[:first] * np.nan_to_num(outcome.quality)
    else:
        quality[:first] = points[:first] + rules.beta_inference * _sums(jobs, played.cost)[:first]
    cost = quality + closeness - points
    return Parts(price * quality, price * closeness, price * cost, forfeited, fined, uncovered)


def _sums(jobs: Array, mean: Array) -> Array:
    """Return jobs x mean; 0 where there was no job, and so perhaps no mean."""
    return np.where(jobs > 0.0, jobs * mean, 0.0)


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

    def __init__(self, economy: Economy) -> None:
        roster = economy.roster
        self._anchor = np.concatenate(
            [economy.game.nodes.inference_anchor, economy.game.nodes.evaluator_anchor]
        )
        self._jobs: Array = np.zeros(roster.size)
        self._mean: Array = np.zeros(roster.size)
        self.reward: Array = np.zeros(roster.size)
        self.spread: Array = np.zeros(roster.size)
        self.deviating_jobs: Array = np.zeros(roster.size)
        self.deviating_reward: Array = np.zeros(roster.size)
        # Means are kept about their first value: what never changes stays what it was, to the bit.
        self._first = np.full((2, roster.size), np.nan)
        self._beyond: Array = np.zeros((2, roster.size))

    def add(self, end: EpochEnd) -> None:
        """Count an epoch that was settled, before the roster is brought up to date."""
        outcome, flows = end.played.outcome, end.flows
        jobs, paid = outcome.jobs, flows.paid
        worked = jobs > 0.0
        some = np.where(worked, jobs, 1.0)
        price = np.where(flows.parts.forfeited > 0.0, 0.0, flows.point_price)
        mean_points = outcome.points / some
        within = np.maximum(outcome.spread - jobs * (mean_points - self._anchor) ** 2, 0.0)
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
