"""What nodes know and can decide at the end of an epoch, and what they would have earned otherwise.

The epoch's rounds are played again with the same draws and the same assignments. What a node's own
behaviour changes is the difference between two such plays, not luck.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from poq_abm.simulation.epochs.accounts import Fund, Holding
from poq_abm.simulation.epochs.epoch_rounds import replay
from poq_abm.simulation.epochs.payment import entitlements
from poq_abm.simulation.epochs.performance import Performance, open_totals
from poq_abm.simulation.epochs.slashing import bond_share_lost, redistributed
from poq_abm.simulation.round_steps import NO_TASK, inference_points

if TYPE_CHECKING:
    from poq_abm.simulation.epochs.economy_population import EconomyPopulation
    from poq_abm.simulation.epochs.economy_state import EconomyState
    from poq_abm.simulation.epochs.epoch_rounds import PlayedEpoch
    from poq_abm.simulation.epochs.payment import Parts
    from poq_abm.simulation.epochs.prices import ResourceUse

__all__ = ["EpochEnd", "Flows"]

Array = NDArray[np.float64]


@dataclass
class Flows:
    """What moved in an epoch, in tokens; arrays have one entry for each node."""

    paid: Array  #: rewards, less what an audit took
    point_price: Array  #: tokens that a point of the node was worth, before audits
    running: Array  #: energy, machines, bandwidth, and what changing them costs
    slashed: Array  #: bond lost
    received: Array  #: of other nodes' slashed bonds
    capital: Array  #: what locked tokens would have earned elsewhere; no token moves for it
    fees: float
    minted: float
    parts: Parts  #: what pay was for, what audits took
    bond: Array  #: while the epoch was played
    fines: Array  #: that audits imposed, whether bonds covered them or not
    use: ResourceUse  #: of machines, which nodes pay for

    @property
    def profit(self) -> Array:
        """Return paid + received - running - slashed - capital."""
        return self.paid + self.received - self.running - self.slashed - self.capital


@dataclass
class EpochEnd:
    """A settled epoch, before nodes decide; what they decide holds from the next one on.

    It is what rules of adaptation are handed, as
    :class:`~poq_abm.rules.adaptation.base.SettledEpoch` describes it; all arrays have one entry for
    each node, inference nodes first.
    """

    economy: EconomyState
    played: PlayedEpoch
    flows: Flows
    budget: float  #: tokens in the pool of the epoch
    utilisation: float
    price: float  #: fee for a query, in tokens
    active: NDArray[np.bool_]  #: who was there while it was played
    was: NDArray[np.int64]  #: what each node did, as an index into the population's behaviours
    deviated: NDArray[np.bool_]  #: who did anything but play honestly

    @property
    def population(self) -> EconomyPopulation:
        """Who does what on what; as decided so far."""
        return self.economy.population

    @cached_property
    def profit(self) -> Array:
        """Profit of the epoch in tokens, as it was settled."""
        return self.flows.profit

    @property
    def group(self) -> NDArray[np.int64]:
        """The group of each node."""
        return self.population.initial.group

    @property
    def smoothed(self) -> Array:
        """Profit as entry and exit see it: smoothed over epochs."""
        return self.economy.smoothed

    @property
    def margin(self) -> Array:
        """Return paid - slashed - bond due x capital rate: what an identity brought."""
        bond = self.economy.bond_due * self.economy.settings.stake.capital_rate
        return self.flows.paid - self.flows.slashed - bond

    def leave(self, nodes: NDArray[np.bool_]) -> None:
        """Let nodes go; shape (N,)."""
        self.economy.leave(nodes)

    def enter(self, nodes: NDArray[np.bool_]) -> None:
        """Let nodes that are not there come in; shape (N,)."""
        self.economy.enter(nodes)

    def staying(self, role: str) -> NDArray[np.int64]:
        """Return the nodes of a role that were there and still are, as ids."""
        here: NDArray[np.int64] = np.flatnonzero(
            self.active & self.population.active & self.population.role_is(role)
        )
        return here

    def adopt(self, nodes: NDArray[np.int64], behaviours: NDArray[np.int64]) -> None:
        """Let nodes behave otherwise from now on."""
        if nodes.size:
            self.population.behaviour[nodes] = behaviours
            self.population.changed = True

    def change_machine(self, node: int, machine: int, price: float = 0.0) -> None:
        """Let an inference node run on another machine, for a price in tokens."""
        self.population.machine[node] = machine
        self.population.changed = True
        self.spend(node, price)

    def change_model(self, node: int, model: int) -> None:
        """Let an inference node run another model."""
        self.population.model[node] = model
        self.population.changed = True

    def spend(self, node: int, tokens: float) -> None:
        """Let a node pay somebody outside the network; it counts as a running cost."""
        if tokens > 0.0:
            amounts = np.zeros(self.population.size)
            amounts[node] = tokens
            self.economy.accounts.move(Holding.WALLET, Fund.OUTSIDE, amounts)
            self.flows.running[node] += tokens

    def payoff_if(self, node: int, behaviour: int) -> float:
        """Return what the epoch would have been worth to a node, had it behaved otherwise.

        All draws, assignments and other nodes are as they were: a paired counterfactual of its
        profit, in tokens, with what slashing others would have brought it and what it would have
        run. An audit of the node itself enters by what was to be expected of it.
        """
        return _payoff_if(self, node, behaviour)

    def worth_on(self, node: int, machine: int) -> float:
        """Return what the epoch would have been worth to an inference node on another machine."""
        return _worth_on(self, node, machine)


def _payoff_if(end: EpochEnd, node: int, behaviour: int) -> float:
    """Return the expected profit of ``node`` under ``behaviour``, in tokens."""
    population = end.population
    if behaviour == int(end.was[node]):
        return _worth(end, end.played.performance, node, behaviour)
    nodes, conduct = population.columns_with(node, behaviour)
    changed = end.played.game._replace(nodes=nodes, conduct=conduct)
    behaviours = end.was.copy()
    behaviours[node] = behaviour
    totals = open_totals(population.inference, population.size - population.inference)
    performance = replay(end.economy, end.played, changed, behaviours, totals)
    return _worth(end, performance, node, behaviour)


def _worth(end: EpochEnd, performance: Performance, node: int, behaviour: int) -> float:
    """Return the profit of one node, audits of it by expectation, all else as it was."""
    settings, first = end.economy.settings, end.population.inference
    paid = float(entitlements(settings.payment, end.budget, performance.claims, first)[node])
    worth = paid + _bonds(end, performance, node, 0.0) - _running(end, performance, node, behaviour)
    if node < first and end.population.misreports_with(behaviour):
        audits = settings.audits
        caught = _bonds(end, performance, node, audits.slash) - _bonds(end, performance, node, 0.0)
        worth += audits.rate * (caught - (max(paid, 0.0) if audits.forfeit else 0.0))
    return worth


def _bonds(end: EpochEnd, performance: Performance, node: int, fine: float) -> float:
    """Return what bonds bring a node that is fined so much: its part of others' less its own loss.

    Locked tokens cost what they would have earned elsewhere; of a bond lost that is saved.
    """
    flows, stake = end.flows, end.economy.settings.stake
    share = bond_share_lost(performance, end.played.downtime, end.active, stake.slashing)
    fines = flows.fines.copy()
    fines[node] = fine
    slashed = np.minimum(share * flows.bond + fines, flows.bond)
    received = 0.0
    if stake.slashing.goes_to == "redistributed":
        received = float(redistributed(slashed, end.active)[node])
    saved = stake.capital_rate * (slashed[node] - flows.slashed[node])
    return received - float(slashed[node]) - float(flows.capital[node] - saved)


def _running(end: EpochEnd, performance: Performance, node: int, behaviour: int) -> float:
    """Return what a node would have paid to run, and what it spent since."""
    economy, population, flows = end.economy, end.population, end.flows
    if not population.prices.in_money:
        return float(flows.running[node])
    use = population.use_with(flows.use, performance, node, behaviour)
    usd = population.prices.per_epoch(use)[node] - population.prices.per_epoch(flows.use)[node]
    return float(flows.running[node] + usd / economy.settings.cost.usd_per_token)


def _worth_on(end: EpochEnd, node: int, machine: int) -> float:
    """Return what an inference node would have earned on a machine, in tokens, by projection.

    Its jobs and their quality stay as they were; the cost that rewards charge and what the machine
    costs to run are those of the machine.
    """
    performance, rules = end.played.performance, end.played.game.rules
    jobs, quality = performance.jobs[node], performance.quality[node]
    cost, usd = end.population.costs_on(node, machine, float(jobs), end.economy.hours)
    running = usd / end.economy.settings.cost.usd_per_token
    if end.economy.settings.payment.scheme == "yuma":
        # Paid is by weights, which no machine changes.
        return float(end.flows.paid[node] + end.flows.parts.forfeited[node]) - running
    if jobs == 0.0:
        return -running
    reward = inference_points(rules, NO_TASK, 10.0 * float(quality), cost, end.economy.game.kernels)
    # A pool pays one price for all points of a role, but none to who has less than none.
    price = float(end.flows.point_price[: end.population.inference].max())
    points = float(jobs * reward)
    owed = end.economy.settings.payment.scheme == "per_round"
    return price * (points if owed else max(points, 0.0)) - running
