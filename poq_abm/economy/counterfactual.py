"""What one node would have earned in an epoch, had it alone behaved otherwise.

The epoch's rounds are played again with the same draws and the same orders. What the node's own
behaviour changes is the difference between two such plays, not luck.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from poq_abm.economy.books import Holding
from poq_abm.economy.columns import open_takings
from poq_abm.economy.outcome import Outcome, bond_share_lost
from poq_abm.economy.payment import entitlements
from poq_abm.economy.playing import replay

if TYPE_CHECKING:
    from poq_abm.economy.epoch_end import EpochEnd

__all__ = ["payoff_if"]


def payoff_if(end: EpochEnd, node: int, behaviour: int) -> float:
    """Return the expected payoff of ``node`` under ``behaviour``, in tokens."""
    roster = end.roster
    if behaviour == int(end.was[node]):
        return _worth(end, end.played.outcome, node, behaviour)
    nodes, conduct = roster.columns_with(node, behaviour)
    takings = open_takings(roster.inference, roster.size - roster.inference)
    return _worth(end, replay(end.economy, end.played, nodes, conduct, takings), node, behaviour)


def _worth(end: EpochEnd, outcome: Outcome, node: int, behaviour: int) -> float:
    """Return pay less expected audits, slashing and running costs of one node.

    What slashing takes, it takes of the bond as it was while the epoch was played.
    """
    economy, roster = end.economy, end.roster
    settings = economy.settings
    paid = float(entitlements(settings.payment, end.budget, outcome.points, roster.inference)[node])
    bond = float(economy.books.nodes[Holding.BOND][node] + end.flows.slashed[node])
    if node < roster.inference and roster.misreports_with(behaviour):
        audits = settings.audits
        lost = min(audits.slash, bond) + (max(paid, 0.0) if audits.forfeit else 0.0)
        paid -= audits.rate * lost
    share = bond_share_lost(outcome, end.played.downtime, end.active, settings.stake.slashing)
    return paid - float(share[node]) * bond - float(np.asarray(end.flows.running)[node])
