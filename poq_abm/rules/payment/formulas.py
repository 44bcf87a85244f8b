"""What quality, closeness and cost are, and the linear reward of both node classes.

Of arXiv 2512.16317 these are equations (1), the consensus quality Q; (2), the reward R_F of an
inference node; (3), the deviation d; (4), the closeness C^close; and (5), the reward R_M of an
evaluator. The normalisation of cost is described there (section 3.3) and carries no number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "SCORE_SCALE",
    "closeness",
    "evaluator_reward",
    "inference_reward",
    "min_max_cost",
    "quality",
]

SCORE_SCALE = 10.0


def min_max_cost(latency_ms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each node's cost: its latency, min-max normalised inside its node class.

    C_i = (l_i - min l) / (max l - min l), the paper's C_F and C_M, "linearly scaled into [0, 1]"
    (no equation number); l in ms, C in [0, 1]. Where all latencies are
    equal there is nothing to tell the nodes apart and every cost is 0.

    >>> import numpy as np
    >>> min_max_cost(np.array([1000.0, 1500.0, 2000.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    low, high = float(latency_ms.min()), float(latency_ms.max())
    return (latency_ms - low) / (high - low if high > low else 1.0)


def quality(consensus: float) -> float:
    """Return the quality of an answer, Q = c / 10: equation (1); c in [0, 10], Q in [0, 1].

    >>> quality(6.0)
    0.6
    """
    return consensus / SCORE_SCALE


def closeness(score: float, reference: float) -> float:
    """Return how close a score is to its reference, 1 - |s - c| / 10, in [0, 1].

    Equation (4), C^close = 1 - d, of the deviation d = |s - c| / 10 of equation (3).

    >>> closeness(7.0, 5.0)
    0.8
    """
    return 1.0 - abs(score - reference) / SCORE_SCALE


def inference_reward(alpha: float, beta: float, consensus: float, cost: float) -> float:
    """Return what an inference node is paid: R_F = alpha_F Q - beta_F C_F, equation (2).

    alpha weighs quality, beta weighs cost; both are at least 0 and the reward may be negative.

    >>> inference_reward(1.0, 0.5, 6.0, 0.5)
    0.35
    """
    return alpha * quality(consensus) - beta * cost


def evaluator_reward(alpha: float, beta: float, near: float, cost: float) -> float:
    """Return what an evaluator is paid: R_M = alpha_M C^close - beta_M C_M, equation (5).

    >>> evaluator_reward(1.0, 0.5, 0.75, 0.5)
    0.5
    """
    return alpha * near - beta * cost
