"""What deviating evaluators earned and did to a replication, and how far trust has gone."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from poq_abm.network.columns import Trait
from poq_abm.network.game import Game
from poq_abm.network.ledger import Column
from poq_abm.network.memory import Counter, Memory

__all__ = ["adversary_measures", "majority_probability"]


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
    game: Game, sums: NDArray[np.float64], memory: Memory, rounds: int
) -> dict[str, float]:
    """Return pay by honesty, malicious majorities and the saturation of trust, for one replication.

    ``sums`` as the ledger holds them. The gap is honest minus malicious pay per job; it is missing
    where nobody of one kind had a job.
    """
    evaluators = sums[game.population.inference_count :]
    malicious = game.conduct.evaluators[:, Trait.MALICIOUS] == 1.0
    honest_pay, malicious_pay = _pay(evaluators[~malicious]), _pay(evaluators[malicious])
    saturated_round = int(memory.counters[Counter.SATURATED_ROUND])
    return {
        "honest_reward_mean": honest_pay,
        "malicious_reward_mean": malicious_pay,
        "reward_gap": honest_pay - malicious_pay,
        "malicious_majority": float(memory.counters[Counter.MAJORITY]) / rounds,
        "malicious_majority_expected": majority_probability(
            malicious.size, int(malicious.sum()), game.rules.committee_size
        ),
        "saturated_share": float(memory.counters[Counter.SATURATED]) / memory.trust.size,
        "saturated_round": float(saturated_round) if saturated_round >= 0 else math.nan,
    }


def _pay(rows: NDArray[np.float64]) -> float:
    jobs = rows[:, Column.JOBS].sum()
    return float(rows[:, Column.REWARD].sum() / jobs) if jobs > 0 else math.nan
