"""The end of an epoch: fees, rewards, audits, costs, slashing, and what is left for every node."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from poq_abm.random import Purpose
from poq_abm.simulation.epochs.accounting import earned_for
from poq_abm.simulation.epochs.double_entry import Fund, Holding
from poq_abm.simulation.epochs.epoch_draws import node_uniforms
from poq_abm.simulation.epochs.epoch_end import EpochEnd, Flows
from poq_abm.simulation.epochs.outcome import bond_share_lost
from poq_abm.simulation.epochs.payment import (
    collect_fees,
    entitlements,
    minted_for_pool,
    pay_rewards,
    price_of_point,
)
from poq_abm.simulation.epochs.prices import Use
from poq_abm.simulation.epochs.slashing import redistributed
from poq_abm.simulation.replication import State

if TYPE_CHECKING:
    from poq_abm.simulation.epochs.economy import Economy
    from poq_abm.simulation.epochs.epoch_rounds import Played

__all__ = ["close_epoch", "utilisation_of"]

Array = NDArray[np.float64]

_MEMORY = 0.5  # weight of the last epoch in a node's smoothed profit


def close_epoch(economy: Economy, played: Played) -> EpochEnd:
    """Settle an epoch in the books; return what every node got and lost."""
    active, was = economy.roster.active.copy(), economy.roster.behaviour.copy()
    economy.release()
    price = economy.coefficients.now(economy.epoch)["fee"]
    fees = price * float(economy.takings.sums[1])
    collect_fees(economy.books, economy.settings.payment, fees)
    pool = minted_for_pool(economy.settings.payment, economy.epoch)
    budget = pool + float(economy.books.funds[Fund.POOL])
    earned = (budget, played.outcome.points, economy.roster.inference)
    paid = entitlements(economy.settings.payment, *earned)
    point_price = price_of_point(economy.settings.payment, *earned)
    minted = pay_rewards(economy.books, economy.settings.payment, pool, paid)
    forfeited, fines = _audit(economy, paid)
    use = _use(economy, played, active)
    running = _run_costs(economy, use)
    bond = economy.books.nodes[Holding.BOND].copy()
    by_rule = _slash(economy, played, active)
    slashed = np.minimum(by_rule + fines, bond)
    received = _redistribute(economy, slashed, active)
    _renew_identities(economy)
    locked = economy.books.nodes[Holding.BOND] + economy.books.nodes[Holding.UNBONDING]
    flows = Flows(
        paid=paid - forfeited,
        point_price=point_price,
        running=running,
        slashed=slashed,
        received=received,
        capital=economy.settings.stake.capital_rate * locked,
        fees=fees,
        minted=minted,
        parts=earned_for(
            played,
            point_price,
            forfeited=forfeited,
            fined=slashed - by_rule,
            uncovered=by_rule + fines - slashed,
        ),
        bond=bond,
        fines=fines,
        use=use,
    )
    utilisation = utilisation_of(economy)
    economy.coefficients.follow(utilisation)
    _remember(economy, played, flows, active)
    _eject(economy)
    _top_up(economy)
    return EpochEnd(
        economy, played, flows, budget, utilisation, price, active, was, economy.roster.deviates
    )


def utilisation_of(economy: Economy) -> float:
    """Return the share of their places' time in which active inference nodes worked."""
    active = economy.roster.active[: economy.roster.inference]
    places = float(active.sum()) * economy.settings.service.capacity
    return float(economy.takings.busy_s.sum()) / (places * 3600.0 * economy.hours)


def _audit(economy: Economy, paid: Array) -> tuple[Array, Array]:
    """Audit reported costs at random; return what was forfeited and the fines, in tokens."""
    rule, roster = economy.settings.audits, economy.roster
    nothing = np.zeros(roster.size)
    if rule.rate == 0.0:
        return nothing, nothing
    draws = node_uniforms(economy, Purpose.AUDIT, 0, 1)[0, : roster.inference]
    caught = np.zeros(roster.size, dtype=np.bool_)
    caught[: roster.inference] = roster.misreports & (draws < rule.rate)
    caught &= roster.active
    forfeited = np.where(caught & rule.forfeit, np.maximum(paid, 0.0), 0.0)
    economy.books.move(Holding.WALLET, Fund.TREASURY, forfeited)
    return forfeited, np.where(caught, rule.slash, 0.0)


def _use(economy: Economy, played: Played, active: NDArray[np.bool_]) -> Use:
    """Return what nodes used; an evaluator works where it runs its model, and does not queue."""
    roster, jobs = economy.roster, played.outcome.jobs
    first = roster.inference
    run = jobs[first:] - played.outcome.acted * roster.lazy[roster.behaviour[first:]]
    scoring = run * roster.service_s[first:]
    return Use(
        machine=roster.machine.copy(),
        busy_s=np.concatenate([economy.takings.busy_s, scoring]),
        worked_s=np.concatenate([played.worked_s, scoring]),
        jobs=jobs,
        hours=economy.hours,
        operator=roster.operator.copy(),
        held=roster.machines_held(active),
    )


def _run_costs(economy: Economy, use: Use) -> Array:
    """Let nodes pay for energy, machines and bandwidth, in tokens."""
    running: Array = economy.roster.prices.per_epoch(use) / economy.settings.cost.usd_per_token
    economy.books.move(Holding.WALLET, Fund.OUTSIDE, running)
    return running


def _slash(economy: Economy, played: Played, active: NDArray[np.bool_]) -> Array:
    """Return what the epoch's failures cost in bonds, in tokens."""
    rule = economy.settings.stake.slashing
    share = bond_share_lost(played.outcome, played.downtime, active, rule)
    slashed: Array = share * economy.books.nodes[Holding.BOND]
    return slashed


def _redistribute(economy: Economy, slashed: Array, active: NDArray[np.bool_]) -> Array:
    """Take slashed bonds to where they go; return what other nodes get of them, in tokens."""
    goes_to = economy.settings.stake.slashing.goes_to
    if goes_to == "redistributed":
        received = redistributed(slashed, active)
        if received.any():
            economy.books.move(Holding.BOND, Fund.POOL, slashed)
            economy.books.move(Fund.POOL, Holding.WALLET, received)
            return received
    if slashed.any():
        fund = Fund.TREASURY if goes_to == "treasury" else Fund.BURNED
        economy.books.move(Holding.BOND, fund, slashed)
    return np.zeros(slashed.size)


def _renew_identities(economy: Economy) -> None:
    """Let evaluators who came back as somebody new put up a bond anew; the old one unbonds."""
    state, first = economy.memory.state, economy.roster.inference
    new = state[:, State.IDENTITIES] - economy.identities
    if new.any():
        economy.identities = state[:, State.IDENTITIES].copy()
        renewed = np.zeros(economy.roster.size, dtype=np.bool_)
        renewed[first:] = (new > 0.0) & economy.roster.active[first:]
        economy.unbond(np.where(renewed, economy.books.nodes[Holding.BOND], 0.0))
        economy.bond(renewed)


def _remember(economy: Economy, played: Played, flows: Flows, active: NDArray[np.bool_]) -> None:
    """Update reputations and smoothed profits."""
    weight = economy.settings.service.memory
    quality = played.outcome.quality
    seen = ~np.isnan(quality)
    economy.reputation[seen] += weight * (quality[seen] - economy.reputation[seen])
    profit, smoothed = flows.profit, economy.smoothed
    fresh = active & np.isnan(smoothed)
    smoothed[fresh] = profit[fresh]
    old = active & ~fresh
    smoothed[old] += _MEMORY * (profit[old] - smoothed[old])


def _eject(economy: Economy) -> None:
    """Let nodes go whose bond has fallen too low."""
    least = economy.settings.stake.eject_below
    if least > 0.0 and economy.settings.stake.bond > 0.0:
        economy.leave(economy.books.nodes[Holding.BOND] < least * economy.bond_due)


def _top_up(economy: Economy) -> None:
    """Let nodes that are still there put up anew what their bonds lack, where they have to."""
    if economy.settings.stake.top_up:
        lacking = np.maximum(economy.bond_due - economy.books.nodes[Holding.BOND], 0.0)
        economy.books.move(
            Fund.OUTSIDE, Holding.BOND, np.where(economy.roster.active, lacking, 0.0)
        )
