"""What points came to once they were settled, and what every node did and earned by them.

A mechanism gives points; what is paid for them are tokens. In a plain run a point is a token and
everybody is there all the time; an economy settles the points of every epoch.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.rules.payment import BatchPayment
from poq_abm.simulation.arrays import GameArrays
from poq_abm.simulation.batch_counts import counted_for
from poq_abm.simulation.game import Game
from poq_abm.simulation.ledger import Ledger, NodeSum
from poq_abm.simulation.replication import Counter, Memory

__all__ = [
    "EpochPay",
    "Settled",
    "node_columns",
    "settle_batch",
    "settled_by_round",
    "spread_of_points",
]

Array = NDArray[np.float64]


class Settled(NamedTuple):
    """What points came to for every node; arrays of shape (replications, nodes), or (nodes,)."""

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


def settle_batch(
    game: Game, now: GameArrays, ledger: Ledger, memory: Memory, before: Array | None = None
) -> None:
    """Pay for the batch of rounds that has ended those nodes whose pay is by batch.

    Each of a node's J jobs in the batch earns alpha m besides what its round was charged, m being
    the merit that its role's rule sees in the counts: of evaluators
    (:mod:`poq_abm.rules.payment.batch_payment`) and of inference nodes
    (:attr:`~poq_abm.rules.payment.InferencePayment.by_batch`). ``now`` has the coefficients of the
    batch, and ``before`` is what stood in the ledger when it began, of shape (N, 8); by default
    nothing did.
    """
    rules, nodes, first = now.rules, now.nodes, now.nodes.model.size
    answers, scores = game.in_play.inference_payment, game.in_play.evaluator_payment
    if not (answers.by_batch or issubclass(scores, BatchPayment)):
        return
    sums = ledger.nodes() if before is None else ledger.nodes() - before
    if answers.by_batch:
        values = dict(zip(answers.parameters, rules.inference_parameters[-1].tolist(), strict=True))
        merits = answers.merits(memory.counts.answers, values)
        earned, anchor = rules.alpha_inference * merits.merit, nodes.inference_anchor
        _pay_jobs(ledger.node_total[:first], sums[:first], earned, anchor)
        memory.counters[Counter.THIN] += merits.thin
    if issubclass(scores, BatchPayment):
        values = dict(zip(scores.parameters, rules.evaluator_parameters.tolist(), strict=True))
        merits = scores.merits(counted_for(scores, nodes, memory.counts), values)
        earned, anchor = rules.alpha_evaluator * merits.merit, nodes.evaluator_anchor
        _pay_jobs(ledger.node_total[first:], sums[first:], earned, anchor)
        memory.counters[Counter.THIN] += merits.thin


def _pay_jobs(rows: Array, sums: Array, per_job: Array, anchor: Array) -> None:
    """Add to the ledger's rows of some nodes what every job of the batch earned each of them.

    ``sums`` is what the ledger took in during the batch. All jobs of a node earn the same: their
    spread about the mean is that of the charges.
    """
    jobs, charged = sums[:, NodeSum.JOBS], sums[:, NodeSum.REWARD]
    earned = per_job * jobs
    mean = _over(np.stack([charged, charged + earned]), jobs)
    distance = np.nan_to_num(mean - anchor)
    rows[:, NodeSum.REWARD] += earned
    rows[:, NodeSum.SPREAD] += jobs * (distance[1] ** 2 - distance[0] ** 2)


class EpochPay:
    """What points came to where every epoch is settled at a price of its own, node by node.

    In an epoch a node is paid one price r for each of its points (0 where an audit takes the
    epoch's pay, or where a pool does not count who has less than none), so that a job worth p
    points is paid r p. Within an epoch the spread of tokens is r^2 times that of the points;
    between epochs J (r p_mean - mean)^2 is added (Chan, Golub and LeVeque, 1983).

    Attributes
    ----------
    reward, spread
        As of :class:`Settled`, of the epochs so far; shape (N,).
    deviating_jobs, deviating_reward
        Jobs and tokens of the epochs in which the node did anything but play honestly.
    """

    def __init__(self, game: Game) -> None:
        self._game, size = game, game.population.size
        self._jobs: Array = np.zeros(size)
        self._mean: Array = np.zeros(size)
        self.reward: Array = np.zeros(size)
        self.spread: Array = np.zeros(size)
        self.deviating_jobs: Array = np.zeros(size)
        self.deviating_reward: Array = np.zeros(size)
        # Means are kept about their first value: what never changes stays what it was, to the bit.
        self._first: Array = np.full((2, size), np.nan)
        self._beyond: Array = np.zeros((2, size))

    def add(
        self,
        sums: Array,
        paid: Array,
        price: Array,
        deviated: NDArray[np.bool_],
        cost: Array,
        latency_ms: Array,
    ) -> None:
        """Count an epoch that was settled.

        ``sums`` is what the ledger took in, shape (N, 8); ``paid`` and ``price`` are tokens, in all
        and for a point; ``cost`` and ``latency_ms`` are means over the epoch's jobs.
        """
        jobs = sums[:, NodeSum.JOBS]
        worked = jobs > 0.0
        within = np.maximum(spread_of_points(self._game, sums), 0.0)
        total = np.maximum(self._jobs + jobs, 1.0)
        step = paid / np.where(worked, jobs, 1.0) - self._mean
        self.spread += np.where(
            worked, price**2 * within + step**2 * self._jobs * jobs / total, 0.0
        )
        self._mean += np.where(worked, step * jobs / total, 0.0)
        self._jobs += jobs
        self.reward += paid
        self.deviating_jobs += np.where(deviated, jobs, 0.0)
        self.deviating_reward += np.where(deviated, paid, 0.0)
        for row, mean in enumerate((cost, latency_ms)):
            fresh = worked & np.isnan(self._first[row])
            self._first[row, fresh] = mean[fresh]
            self._beyond[row, worked] += (jobs * (mean - self._first[row]))[worked]

    def settled(self, presence: Array, ledger: Array | None = None) -> Settled:
        """Return what points have come to.

        With ``ledger``, what the ledger of the replication holds, a point was paid as a token all
        along, and tokens are those of the ledger, to the bit.
        """
        cost, latency_ms = self._first + self._beyond / np.maximum(self._jobs, 1.0)
        reward, spread = self.reward, self.spread
        if ledger is not None:
            reward, spread = ledger[:, NodeSum.REWARD], spread_of_points(self._game, ledger)
        return Settled(reward, spread, cost, latency_ms, presence)


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
    return np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom > 0)
