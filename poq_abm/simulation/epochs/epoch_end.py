"""What nodes know and can decide at the end of an epoch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from poq_abm.simulation.epochs.counterfactual import payoff_if, worth_on
from poq_abm.simulation.epochs.double_entry import Fund, Holding

if TYPE_CHECKING:
    from poq_abm.simulation.epochs.accounting import Parts
    from poq_abm.simulation.epochs.economy import Economy
    from poq_abm.simulation.epochs.epoch_rounds import Played
    from poq_abm.simulation.epochs.prices import Use
    from poq_abm.simulation.epochs.roster import Roster

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
    use: Use  #: of machines, which nodes pay for

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

    economy: Economy
    played: Played
    flows: Flows
    budget: float  #: tokens in the pool of the epoch
    utilisation: float
    price: float  #: fee for a query, in tokens
    active: NDArray[np.bool_]  #: who was there while it was played
    was: NDArray[np.int64]  #: what each node did, as an index into the roster's behaviours
    deviated: NDArray[np.bool_]  #: who did anything but play honestly

    @property
    def roster(self) -> Roster:
        """Who does what on what; as decided so far."""
        return self.economy.roster

    @cached_property
    def profit(self) -> Array:
        """Profit of the epoch in tokens, as it was settled."""
        return self.flows.profit

    @property
    def group(self) -> NDArray[np.int64]:
        """The group of each node."""
        return self.roster.population.group

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
            self.active & self.roster.active & self.roster.role_is(role)
        )
        return here

    def adopt(self, nodes: NDArray[np.int64], behaviours: NDArray[np.int64]) -> None:
        """Let nodes behave otherwise from now on."""
        self.roster.behaviour[nodes] = behaviours
        self.roster.changed = True

    def change_machine(self, node: int, machine: int, price: float = 0.0) -> None:
        """Let an inference node run on another machine, for a price in tokens."""
        self.roster.machine[node] = machine
        self.roster.changed = True
        self.spend(node, price)

    def change_model(self, node: int, model: int) -> None:
        """Let an inference node run another model."""
        self.roster.model[node] = model
        self.roster.changed = True

    def spend(self, node: int, tokens: float) -> None:
        """Let a node pay somebody outside the network; it counts as a running cost."""
        if tokens > 0.0:
            amounts = np.zeros(self.roster.size)
            amounts[node] = tokens
            self.economy.books.move(Holding.WALLET, Fund.OUTSIDE, amounts)
            self.flows.running[node] += tokens

    def payoff_if(self, node: int, behaviour: int) -> float:
        """Return what the epoch would have been worth to a node, had it behaved otherwise.

        All draws, assigned and other nodes are as they were: a paired counterfactual of its profit,
        in tokens, with what slashing others would have brought it and what it would have run.
        An audit of the node itself enters by what was to be expected of it.
        """
        return payoff_if(self, node, behaviour)

    def worth_on(self, node: int, machine: int) -> float:
        """Return what the epoch would have been worth to an inference node on another machine."""
        return worth_on(self, node, machine)
