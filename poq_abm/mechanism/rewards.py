"""What a round pays: the linear, cost-aware rewards of both node classes.

Equations (1)-(5) of arXiv 2512.16317 define the normalised cost, the consensus and its quality, the
closeness and the two rewards. What they say is published; which number each carries inside that
range is not known to us, so none is given below. Reward families other than the linear one are
ours.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from poq_abm.jit import compiled

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

    LINEAR = 0  #: alpha Q - beta C, published
    CONVEX_COST = 1  #: alpha Q - beta C^p
    RATIO = 2  #: alpha Q / (1 + beta C)
    THRESHOLD = 3  #: alpha where Q is at least p, else 0, minus beta C
    TASK_WEIGHTED = 4  #: w alpha Q - beta C, w by task


def min_max_cost(latency_ms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each node's cost: its latency, min-max normalised inside its node class.

    C_i = (l_i - min l) / (max l - min l); l in ms, C in [0, 1]. Where all latencies are
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
    """Return the quality of an answer, Q = c / 10; c in [0, 10], Q in [0, 1].

    >>> quality(6.0)
    0.6
    """
    return consensus / SCORE_SCALE


@compiled
def closeness(score: float, reference: float) -> float:
    """Return how close a score is to its reference, 1 - |s - c| / 10, in [0, 1].

    >>> closeness(7.0, 5.0)
    0.8
    """
    return 1.0 - abs(score - reference) / SCORE_SCALE


@compiled
def inference_reward(alpha: float, beta: float, consensus: float, cost: float) -> float:
    """Return what an inference node is paid: R = alpha Q - beta C.

    alpha weighs quality, beta weighs cost; both are at least 0 and the reward may be negative.

    >>> inference_reward(1.0, 0.5, 6.0, 0.5)
    0.35
    """
    return alpha * quality(consensus) - beta * cost


@compiled
def evaluator_reward(alpha: float, beta: float, near: float, cost: float) -> float:
    """Return what an evaluator is paid: R = alpha closeness - beta C.

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
