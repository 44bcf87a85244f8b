"""What an epoch of rounds was worth to every node, and what it costs them in bonds."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.simulation.epochs.slashing import severity, slashed_share
from poq_abm.simulation.ledger import NodeSum

if TYPE_CHECKING:
    from poq_abm.scenario.schema.economy import Slashing
    from poq_abm.simulation.epochs.epoch_arrays import Takings

__all__ = ["Outcome", "bond_share_lost", "outcome_of"]

Array = NDArray[np.float64]


class Outcome(NamedTuple):
    """One epoch, node by node; F inference nodes, then M evaluators."""

    jobs: Array  #: (N,) rounds a node took part in
    points: Array  #: (N,) sum of what the rounds gave it
    spread: Array  #: (N,) sum over its rounds of (points - anchor)^2, the anchor as in the ledger
    quality: Array  #: (F,) mean consensus / 10; NaN without a job
    distance: Array  #: (M,) mean distance from the reference / 10; NaN without a job
    gold_failed: Array  #: (M,) share of planted records scored wrongly; NaN without one
    acted: Array  #: (M,) rounds in which an evaluator did as its behaviour has it


def outcome_of(sums: Array, acted: Array, inference: int, takings: Takings) -> Outcome:
    """Return the outcome of an epoch from what the ledger took in, shape (N, 8), and who acted."""
    jobs = sums[:, NodeSum.JOBS]
    with np.errstate(invalid="ignore", divide="ignore"):
        return Outcome(
            jobs=jobs,
            points=sums[:, NodeSum.REWARD],
            spread=sums[:, NodeSum.SPREAD],
            quality=sums[:inference, NodeSum.CONSENSUS] / jobs[:inference] / 10.0,
            distance=1.0 - sums[inference:, NodeSum.CLOSENESS] / jobs[inference:],
            gold_failed=takings.gold_failed / takings.gold_seen,
            acted=acted,
        )


def bond_share_lost(
    outcome: Outcome, downtime: Array, active: NDArray[np.bool_], rule: Slashing
) -> Array:
    """Return the share of its bond that each node loses for an epoch; ``downtime`` is (F,)."""
    evaluators = np.maximum(
        severity(outcome.distance, rule.deviation), severity(outcome.gold_failed, rule.gold)
    )
    worst = np.concatenate([severity(downtime, rule.downtime), evaluators])
    return slashed_share(np.where(active, worst, 0.0), active, rule)
