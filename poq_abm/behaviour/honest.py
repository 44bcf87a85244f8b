"""Honest play: an evaluator reports the score its model gave."""

from __future__ import annotations

from poq_abm.jit import compiled

__all__ = ["honest_report"]


@compiled
def honest_report(score: float) -> float:
    """Return the score an honest evaluator reports: the one it measured, in [0, 10].

    >>> honest_report(7.5)
    7.5
    """
    return score
