"""How much of a bond is lost: by severity, in steps, or by how many fail together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from poq_abm.scenario.schema.stake import Slashing

if TYPE_CHECKING:
    from poq_abm.simulation.epochs.performance import Performance

__all__ = ["TIERS", "bond_share_lost", "redistributed", "severity", "slashed_share"]

Array = NDArray[np.float64]

#: severity from which each share of the bond is lost; the 5 to 20 % of a production network
TIERS = ((0.0, 0.05), (0.25, 0.10), (0.5, 0.20))


def severity(measured: Array, limit: float | None) -> Array:
    """Return how far what was measured lies above its limit, over the room above it; in [0, 1].

    s = max(0, x - limit) / (1 - limit); 0 without a limit, and where nothing was measured (NaN).

    >>> severity(np.array([0.2, 0.4, np.nan]), 0.3).round(3).tolist()
    [0.0, 0.143, 0.0]
    """
    if limit is None or limit >= 1.0:
        return np.zeros_like(measured)
    above = np.where(measured > limit, measured - limit, 0.0)
    scaled: Array = above / (1.0 - limit)
    return scaled


def slashed_share(worst: Array, active: NDArray[np.bool_], rule: Slashing) -> Array:
    """Return the share of its bond that each node loses, in [0, 1].

    ``worst`` is each node's largest severity. Linear: rate x s. Tiered: :data:`TIERS`, whatever the
    rate. Correlated: rate x s x max(1, correlation x share of active nodes that fail).

    >>> one = np.array([True, True])
    >>> slashed_share(np.array([0.5, 0.0]), one, Slashing(rate=0.1)).tolist()
    [0.05, 0.0]
    >>> slashed_share(np.array([0.5, 0.0]), one, Slashing(rate=0.1, form="correlated")).round(3)
    array([0.075, 0.   ])
    """
    fails = worst > 0.0
    if rule.form == "tiered":
        share = np.zeros_like(worst)
        for least, lost in TIERS:
            share[fails & (worst >= least)] = lost
        return share
    share = rule.rate * worst
    if rule.form == "correlated" and active.any():
        together = float(fails[active].mean())
        share = share * max(1.0, rule.correlation * together)
    return np.minimum(share, 1.0)


def bond_share_lost(
    performance: Performance, downtime: Array, active: NDArray[np.bool_], rule: Slashing
) -> Array:
    """Return the share of its bond that each node loses for an epoch; ``downtime`` is (F,)."""
    if rule.deviation is None and rule.gold is None and rule.downtime is None:
        return np.zeros(active.size)
    evaluators = np.maximum(
        severity(performance.distance, rule.deviation), severity(performance.gold_failed, rule.gold)
    )
    worst = np.concatenate([severity(downtime, rule.downtime), evaluators])
    return slashed_share(np.where(active, worst, 0.0), active, rule)


def redistributed(slashed: Array, active: NDArray[np.bool_]) -> Array:
    """Return what every node gets of slashed bonds: equal parts for who is there and lost nothing.

    Where everybody lost something nobody gets any.

    >>> there = np.array([True, True, True, False])
    >>> redistributed(np.array([6.0, 0.0, 0.0, 0.0]), there).tolist()
    [0.0, 3.0, 3.0, 0.0]
    """
    spared = active & (slashed == 0.0)
    part = float(slashed.sum()) / max(1, int(spared.sum()))
    return np.where(spared, part, 0.0)
