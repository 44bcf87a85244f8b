"""What one node would have earned in an epoch, had it alone behaved or run otherwise.

The epoch's rounds are played again with the same draws and the same assigned. What the node's own
behaviour changes is the difference between two such plays, not luck.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from poq_abm.simulation.epochs.epoch_arrays import open_takings
from poq_abm.simulation.epochs.epoch_rounds import replay
from poq_abm.simulation.epochs.outcome import Outcome, bond_share_lost
from poq_abm.simulation.epochs.payment import entitlements
from poq_abm.simulation.epochs.slashing import redistributed
from poq_abm.simulation.round_steps import NO_TASK, inference_points

if TYPE_CHECKING:
    from poq_abm.simulation.epochs.epoch_end import EpochEnd

__all__ = ["payoff_if", "worth_on"]


def payoff_if(end: EpochEnd, node: int, behaviour: int) -> float:
    """Return the expected profit of ``node`` under ``behaviour``, in tokens."""
    roster = end.roster
    if behaviour == int(end.was[node]):
        return _worth(end, end.played.outcome, node, behaviour)
    nodes, conduct = roster.columns_with(node, behaviour)
    takings = open_takings(roster.inference, roster.size - roster.inference)
    return _worth(end, replay(end.economy, end.played, nodes, conduct, takings), node, behaviour)


def _worth(end: EpochEnd, outcome: Outcome, node: int, behaviour: int) -> float:
    """Return the profit of one node, audits of it by expectation, all else as it was."""
    settings, first = end.economy.settings, end.roster.inference
    paid = float(entitlements(settings.payment, end.budget, outcome.points, first)[node])
    worth = paid + _bonds(end, outcome, node, 0.0) - _running(end, outcome, node, behaviour)
    if node < first and end.roster.misreports_with(behaviour):
        audits = settings.audits
        caught = _bonds(end, outcome, node, audits.slash) - _bonds(end, outcome, node, 0.0)
        worth += audits.rate * (caught - (max(paid, 0.0) if audits.forfeit else 0.0))
    return worth


def _bonds(end: EpochEnd, outcome: Outcome, node: int, fine: float) -> float:
    """Return what bonds bring a node that is fined so much: its part of others' less its own loss.

    Locked tokens cost what they would have earned elsewhere; of a bond lost that is saved.
    """
    flows, stake = end.flows, end.economy.settings.stake
    share = bond_share_lost(outcome, end.played.downtime, end.active, stake.slashing)
    fines = flows.fines.copy()
    fines[node] = fine
    slashed = np.minimum(share * flows.bond + fines, flows.bond)
    received = 0.0
    if stake.slashing.goes_to == "redistributed":
        received = float(redistributed(slashed, end.active)[node])
    saved = stake.capital_rate * (slashed[node] - flows.slashed[node])
    return received - float(slashed[node]) - float(flows.capital[node] - saved)


def _running(end: EpochEnd, outcome: Outcome, node: int, behaviour: int) -> float:
    """Return what a node would have paid to run, and what it spent since."""
    economy, roster, flows = end.economy, end.roster, end.flows
    if not roster.prices.in_money:
        return float(flows.running[node])
    use = roster.use_with(flows.use, outcome, node, behaviour)
    usd = roster.prices.per_epoch(use)[node] - roster.prices.per_epoch(flows.use)[node]
    return float(flows.running[node] + usd / economy.settings.cost.usd_per_token)


def worth_on(end: EpochEnd, node: int, machine: int) -> float:
    """Return what an inference node would have earned on a machine, in tokens, by projection.

    Its jobs and their quality stay as they were; the cost that rewards charge and what the machine
    costs to run are those of the machine.
    """
    outcome, rules = end.played.outcome, end.played.rules
    jobs, quality = outcome.jobs[node], outcome.quality[node]
    cost, running = end.roster.costs_on(end.economy, node, machine, float(jobs))
    if jobs == 0.0:
        return -running
    reward = inference_points(rules, NO_TASK, 10.0 * float(quality), cost, end.economy.game.kernels)
    # A pool pays one price for all points of a role, but none to who has less than none.
    price = float(end.flows.point_price[: end.roster.inference].max())
    points = float(jobs * reward)
    owed = end.economy.settings.payment.scheme == "per_round"
    return price * (points if owed else max(points, 0.0)) - running
