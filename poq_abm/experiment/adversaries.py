"""What deviating evaluators earned and did to a replication, and how far trust has gone."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from poq_abm.simulation.arrays import EvaluatorColumn
from poq_abm.simulation.game import Game
from poq_abm.simulation.ledger import NodeSum
from poq_abm.simulation.replication import Counter

__all__ = ["adversary_measures", "majority_probability", "total"]


def majority_probability(evaluators: int, malicious: int, committee_size: int) -> float:
    """Return the chance that more than half of a committee is malicious.

    P(X > K / 2), X hypergeometric: K drawn without replacement from M of whom ``malicious`` are.

    >>> round(majority_probability(20, 6, 3), 3)
    0.202
    """

    def choose(n: int, k: int) -> float:
        return float(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))

    honest = evaluators - malicious
    least = committee_size // 2 + 1
    whole = choose(evaluators, committee_size)
    return math.fsum(
        math.exp(choose(malicious, x) + choose(honest, committee_size - x) - whole)
        for x in range(least, min(committee_size, malicious) + 1)
        if committee_size - x <= honest
    )


def adversary_measures(
    game: Game,
    sums: NDArray[np.float64],
    counters: NDArray[np.int64],
    weights: int,
    rounds: NDArray[np.int64],
) -> dict[str, NDArray[np.float64]]:
    """Return pay by honesty, malicious majorities and the saturation of trust.

    One value for each replication: ``sums`` has the shape (replications, nodes, 8), ``counters``
    (replications, 5); ``weights`` is the number of trust weights there are. Pay per job is missing
    where nobody of its kind had a job.
    """
    evaluators = sums[:, game.population.inference_count :]
    malicious = game.conduct.evaluators[:, EvaluatorColumn.MALICIOUS] == 1.0
    expected = majority_probability(malicious.size, int(malicious.sum()), game.rules.committee_size)
    saturated_round = counters[:, Counter.SATURATED_ROUND]
    return {
        "honest_reward_mean": _pay(evaluators[:, ~malicious]),
        "malicious_reward_mean": _pay(evaluators[:, malicious]),
        "malicious_majority": counters[:, Counter.MAJORITY] / rounds,
        "malicious_majority_expected": np.full(len(sums), expected),
        "saturated_share": counters[:, Counter.SATURATED] / weights,
        "saturated_round": np.where(saturated_round >= 0, saturated_round, math.nan),
    }


def total(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum over nodes of values of shape (replications, nodes).

    Each row is summed on its own and in one order: without the copy, the order in which NumPy adds,
    and with it the last bit, would depend on the number of rows.

    >>> total(np.array([[1.0, 2.0], [3.0, 4.0]])).tolist()
    [3.0, 7.0]
    """
    sums: NDArray[np.float64] = np.ascontiguousarray(values).sum(axis=1)
    return sums


def _pay(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the reward per job of the nodes together, one value for each replication."""
    jobs = total(rows[..., NodeSum.JOBS])
    pay: NDArray[np.float64] = np.full_like(jobs, np.nan)
    np.divide(total(rows[..., NodeSum.REWARD]), jobs, out=pay, where=jobs > 0)
    return pay
