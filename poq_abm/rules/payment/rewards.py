"""What a round pays: the linear, cost-aware rewards of both node classes.

Of arXiv 2512.16317 these are equations (1), the consensus quality Q; (2), the reward R_F of an
inference node; (3), the deviation d; (4), the closeness C^close; and (5), the reward R_M of an
evaluator. The normalisation of cost is described there (section 3.3) and carries no number. Reward
families other than the linear one are ours.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from poq_abm.compilation import compiled

__all__ = [
    "SCORE_SCALE",
    "RewardFamily",
    "closeness",
    "evaluator_reward",
    "family_reward",
    "inference_reward",
    "min_max_cost",
    "quality",
]

SCORE_SCALE = 10.0


class RewardFamily(IntEnum):
    """How quality and cost become an inference node's reward."""

    LINEAR = 0  #: alpha Q - beta C, published: equation (2)
    CONVEX_COST = 1  #: alpha Q - beta C^p
    RATIO = 2  #: alpha Q / (1 + beta C)
    THRESHOLD = 3  #: alpha where Q is at least p, else 0, minus beta C
    TASK_WEIGHTED = 4  #: w alpha Q - beta C, w by task


def min_max_cost(latency_ms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each node's cost: its latency, min-max normalised inside its node class.

    C_i = (l_i - min l) / (max l - min l), the paper's C_F and C_M, "linearly scaled into [0, 1]"
    (no equation number); l in ms, C in [0, 1]. Where all latencies are
    equal there is nothing to tell the nodes apart and every cost is 0.

    >>> min_max_cost(np.array([1000.0, 1500.0, 2000.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    low, high = float(latency_ms.min()), float(latency_ms.max())
    if high == low:
        return np.zeros_like(latency_ms)
    return (latency_ms - low) / (high - low)


@compiled
def quality(consensus: float) -> float:
    """Return the quality of an answer, Q = c / 10: equation (1); c in [0, 10], Q in [0, 1].

    >>> quality(6.0)
    0.6
    """
    return consensus / SCORE_SCALE


@compiled
def closeness(score: float, reference: float) -> float:
    """Return how close a score is to its reference, 1 - |s - c| / 10, in [0, 1].

    Equation (4), C^close = 1 - d, of the deviation d = |s - c| / 10 of equation (3).

    >>> closeness(7.0, 5.0)
    0.8
    """
    return 1.0 - abs(score - reference) / SCORE_SCALE


@compiled
def inference_reward(alpha: float, beta: float, consensus: float, cost: float) -> float:
    """Return what an inference node is paid: R_F = alpha_F Q - beta_F C_F, equation (2).

    alpha weighs quality, beta weighs cost; both are at least 0 and the reward may be negative.

    >>> inference_reward(1.0, 0.5, 6.0, 0.5)
    0.35
    """
    return alpha * quality(consensus) - beta * cost


@compiled
def evaluator_reward(alpha: float, beta: float, near: float, cost: float) -> float:
    """Return what an evaluator is paid: R_M = alpha_M C^close - beta_M C_M, equation (5).

    >>> evaluator_reward(1.0, 0.5, 0.75, 0.5)
    0.5
    """
    return alpha * near - beta * cost


@compiled
def family_reward(
    family: int,
    parameter: float,
    weight: float,
    alpha: float,
    beta: float,
    consensus: float,
    cost: float,
) -> float:
    """Return what an inference node is paid under a reward family, by :class:`RewardFamily`.

    ``parameter`` is p of the formulas there and ``weight`` the task's w; others ignore them.

    >>> family_reward(RewardFamily.RATIO, 0.0, 1.0, 1.0, 1.0, 6.0, 0.5)
    0.39999999999999997
    >>> family_reward(RewardFamily.THRESHOLD, 0.7, 1.0, 1.0, 1.0, 6.0, 0.5)
    -0.5
    """
    if family == RewardFamily.LINEAR:
        return inference_reward(alpha, beta, consensus, cost)
    if family == RewardFamily.CONVEX_COST:
        return inference_reward(alpha, beta, consensus, cost**parameter)
    if family == RewardFamily.RATIO:
        return alpha * quality(consensus) / (1.0 + beta * cost)
    if family == RewardFamily.THRESHOLD:
        full = SCORE_SCALE if quality(consensus) >= parameter else 0.0
        return inference_reward(alpha, beta, full, cost)
    return inference_reward(weight * alpha, beta, consensus, cost)
