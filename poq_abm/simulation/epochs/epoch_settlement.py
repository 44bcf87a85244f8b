"""The end of an epoch: fees, rewards, audits, costs, slashing, and what is left for every node."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from poq_abm.random import Purpose
from poq_abm.simulation.epochs.accounts import Fund, Holding
from poq_abm.simulation.epochs.epoch_end import EpochEnd, Flows
from poq_abm.simulation.epochs.payment import (
    collect_fees,
    earned_for,
    entitlements,
    minted_for_pool,
    parts_by_yuma,
    pay_rewards,
    price_of_point,
)
from poq_abm.simulation.epochs.prices import ResourceUse
from poq_abm.simulation.epochs.slashing import bond_share_lost, redistributed
from poq_abm.simulation.replication import State

if TYPE_CHECKING:
    from poq_abm.simulation.epochs.economy_state import EconomyState
    from poq_abm.simulation.epochs.epoch_rounds import PlayedEpoch

__all__ = ["settle_epoch"]

Array = NDArray[np.float64]

_MEMORY = 0.5  # weight of the last epoch in a node's smoothed profit


def settle_epoch(economy: EconomyState, played: PlayedEpoch) -> EpochEnd:
    """Settle an epoch in the accounts; return what every node got and lost."""
    active, was = economy.population.active.copy(), economy.population.behaviour.copy()
    economy.release()
    price = economy.coefficients.now(economy.epoch)["fee"]
    fees = price * float(economy.totals.sums[1])
    collect_fees(economy.accounts, economy.settings.payment, fees)
    pool = minted_for_pool(economy.settings.payment, economy.epoch)
    budget = pool + float(economy.accounts.funds[Fund.POOL])
    payment, performance = economy.settings.payment, played.performance
    first = economy.population.inference
    paid = entitlements(payment, budget, performance.claims, first)
    point_price = price_of_point(payment, budget, performance.points, first)
    minted = pay_rewards(economy.accounts, payment, pool, paid)
    forfeited, fines = _audit(economy, paid)
    use = _use(economy, played, active)
    running = _run_costs(economy, use)
    bond = economy.accounts.nodes[Holding.BOND].copy()
    by_rule = _slash(economy, played, active)
    slashed = np.minimum(by_rule + fines, bond)
    received = _redistribute(economy, slashed, active)
    _renew_identities(economy)
    locked = economy.accounts.nodes[Holding.BOND] + economy.accounts.nodes[Holding.UNBONDING]
    parts = earned_for(
        performance,
        played.game.rules,
        played.cost,
        point_price,
        forfeited=forfeited,
        fined=slashed - by_rule,
        uncovered=by_rule + fines - slashed,
    )
    if payment.scheme == "yuma":
        parts = parts_by_yuma(parts, paid, first)
    flows = Flows(
        paid=paid - forfeited,
        point_price=point_price,
        running=running,
        slashed=slashed,
        received=received,
        capital=economy.settings.stake.capital_rate * locked,
        fees=fees,
        minted=minted,
        parts=parts,
        bond=bond,
        fines=fines,
        use=use,
    )
    utilisation = _utilisation(economy)
    economy.coefficients.follow(utilisation)
    _remember(economy, played, flows, active)
    _eject(economy)
    _top_up(economy)
    return EpochEnd(
        economy, played, flows, budget, utilisation, price, active, was, economy.population.deviates
    )


def _utilisation(economy: EconomyState) -> float:
    """Return the share of their places' time in which active inference nodes worked."""
    active = economy.population.active[: economy.population.inference]
    places = float(active.sum()) * economy.settings.service.capacity
    return float(economy.totals.busy_s.sum()) / (places * 3600.0 * economy.hours)


def _audit(economy: EconomyState, paid: Array) -> tuple[Array, Array]:
    """Audit reported costs at random; return what was forfeited and the fines, in tokens."""
    rule, population = economy.settings.audits, economy.population
    nothing = np.zeros(population.size)
    if rule.rate == 0.0:
        return nothing, nothing
    draws = economy.draw(Purpose.AUDIT, 0, 1)[0, : population.inference]
    caught = np.zeros(population.size, dtype=np.bool_)
    caught[: population.inference] = population.misreports & (draws < rule.rate)
    caught &= population.active
    forfeited = np.where(caught & rule.forfeit, np.maximum(paid, 0.0), 0.0)
    economy.accounts.move(Holding.WALLET, Fund.TREASURY, forfeited)
    return forfeited, np.where(caught, rule.slash, 0.0)


def _use(economy: EconomyState, played: PlayedEpoch, active: NDArray[np.bool_]) -> ResourceUse:
    """Return what nodes used; an evaluator works where it runs its model, and does not queue."""
    population, jobs = economy.population, played.performance.jobs
    first = population.inference
    run = jobs[first:] - played.performance.acted * population.lazy[population.behaviour[first:]]
    scoring = run * population.service_s[first:]
    bought = np.full(population.size, np.nan)
    bought[:first] = population.bought_with(np.arange(first), population.behaviour[:first])
    return ResourceUse(
        machine=population.machine.copy(),
        busy_s=np.concatenate([economy.totals.busy_s, scoring]),
        worked_s=np.concatenate([played.worked_s, scoring]),
        jobs=jobs,
        bought=bought,
        hours=economy.hours,
        operator=population.operator.copy(),
        held=population.machines_held(active),
    )


def _run_costs(economy: EconomyState, use: ResourceUse) -> Array:
    """Let nodes pay for energy, machines and bandwidth, in tokens."""
    running: Array = economy.population.prices.per_epoch(use) / economy.settings.cost.usd_per_token
    economy.accounts.move(Holding.WALLET, Fund.OUTSIDE, running)
    return running


def _slash(economy: EconomyState, played: PlayedEpoch, active: NDArray[np.bool_]) -> Array:
    """Return what the epoch's failures cost in bonds, in tokens."""
    rule = economy.settings.stake.slashing
    share = bond_share_lost(played.performance, played.downtime, active, rule)
    slashed: Array = share * economy.accounts.nodes[Holding.BOND]
    return slashed


def _redistribute(economy: EconomyState, slashed: Array, active: NDArray[np.bool_]) -> Array:
    """Take slashed bonds to where they go; return what other nodes get of them, in tokens."""
    if not slashed.any():
        return np.zeros(slashed.size)
    goes_to = economy.settings.stake.slashing.goes_to
    if goes_to == "redistributed":
        received = redistributed(slashed, active)
        if received.any():
            economy.accounts.move(Holding.BOND, Fund.POOL, slashed)
            economy.accounts.move(Fund.POOL, Holding.WALLET, received)
            return received
    fund = Fund.TREASURY if goes_to == "treasury" else Fund.BURNED
    economy.accounts.move(Holding.BOND, fund, slashed)
    return np.zeros(slashed.size)


def _renew_identities(economy: EconomyState) -> None:
    """Let evaluators who came back as somebody new put up a bond anew; the old one unbonds."""
    state, first = economy.memory.state, economy.population.inference
    new = state[:, State.IDENTITIES] - economy.identities
    if new.any():
        economy.identities = state[:, State.IDENTITIES].copy()
        renewed = np.zeros(economy.population.size, dtype=np.bool_)
        renewed[first:] = (new > 0.0) & economy.population.active[first:]
        economy.unbond(np.where(renewed, economy.accounts.nodes[Holding.BOND], 0.0))
        economy.bond(renewed)


def _remember(
    economy: EconomyState, played: PlayedEpoch, flows: Flows, active: NDArray[np.bool_]
) -> None:
    """Update reputations and smoothed profits."""
    weight = economy.settings.service.memory
    quality = played.performance.quality
    seen = ~np.isnan(quality)
    economy.reputation[seen] += weight * (quality[seen] - economy.reputation[seen])
    profit, smoothed = flows.profit, economy.smoothed
    fresh = active & np.isnan(smoothed)
    smoothed[fresh] = profit[fresh]
    old = active & ~fresh
    smoothed[old] += _MEMORY * (profit[old] - smoothed[old])


def _eject(economy: EconomyState) -> None:
    """Let nodes go whose bond has fallen too low."""
    least = economy.settings.stake.eject_below
    if least > 0.0 and economy.settings.stake.bond > 0.0:
        economy.leave(economy.accounts.nodes[Holding.BOND] < least * economy.bond_due)


def _top_up(economy: EconomyState) -> None:
    """Let nodes that are still there put up anew what their bonds lack, where they have to."""
    if economy.settings.stake.top_up:
        lacking = np.maximum(economy.bond_due - economy.accounts.nodes[Holding.BOND], 0.0)
        economy.accounts.move(
            Fund.OUTSIDE, Holding.BOND, np.where(economy.population.active, lacking, 0.0)
        )
