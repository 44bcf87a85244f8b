"""What an epoch's points were earned for, and what audits took: the parts a ledger explains."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.mechanism.rewards import RewardFamily

if TYPE_CHECKING:
    from poq_abm.economy.playing import Played

__all__ = ["PARTS", "Parts", "earned_for"]

Array = NDArray[np.float64]

#: families in which the charge for cost is what the reward falls short of alpha Q
_SHORTFALL = (RewardFamily.LINEAR, RewardFamily.CONVEX_COST, RewardFamily.RATIO)
_SCALE = "tokens; points where a pool pays"

#: columns of the nodes' accounts, in the order of :class:`Parts`: name, unit, meaning
PARTS = (
    ("quality_paid", _SCALE, "inference nodes: rewards for quality, before cost"),
    ("closeness_paid", _SCALE, "evaluators: rewards for closeness, before cost"),
    ("cost_charged", _SCALE, "what rewards were lowered by for the cost reported"),
    ("forfeited", "tokens", "rewards that audits took back"),
    ("fined", "tokens", "of the bonds lost, what audits took"),
    ("uncovered", "tokens", "fines that the bond did not cover: it had run out, or was too small"),
)


class Parts(NamedTuple):
    """Arrays of one entry per node: points = quality + closeness - cost."""

    quality: Array
    closeness: Array
    cost: Array
    forfeited: Array  #: tokens
    fined: Array  #: tokens
    uncovered: Array  #: tokens


def earned_for(
    played: Played, reported: Array, *, forfeited: Array, fined: Array, uncovered: Array
) -> Parts:
    """Return what an epoch's points were earned for.

    With J jobs at mean quality Q an inference node earned alpha_F J Q, an evaluator alpha_M J times
    its mean closeness, at the coefficients of the epoch; what its points fall short of that was
    charged for cost. Where quality counts by threshold or task, beta_F J C was charged, with C as
    ``reported``, shape (F,), and the rest was earned for quality.
    """
    outcome, rules = played.outcome, played.rules
    points, jobs, first = outcome.points, outcome.jobs, outcome.quality.size
    quality, closeness = np.zeros_like(points), np.zeros_like(points)
    closeness[first:] = rules.alpha_evaluator * jobs[first:] * np.nan_to_num(1.0 - outcome.distance)
    if rules.reward_family in _SHORTFALL:
        quality[:first] = rules.alpha_inference * jobs[:first] * np.nan_to_num(outcome.quality)
    else:
        quality[:first] = points[:first] + rules.beta_inference * jobs[:first] * reported
    return Parts(quality, closeness, quality + closeness - points, forfeited, fined, uncovered)
