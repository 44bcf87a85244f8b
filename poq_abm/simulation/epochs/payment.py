"""From what rounds are worth to tokens that change hands, and what they were paid for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.rules.payment import earned_before_cost
from poq_abm.scenario.schema.economy import EconomySettings, Payment
from poq_abm.simulation.epochs.accounts import Accounts, Fund, Holding

if TYPE_CHECKING:
    from poq_abm.simulation.arrays import Rules
    from poq_abm.simulation.epochs.performance import Performance

__all__ = [
    "PARTS",
    "Parts",
    "collect_fees",
    "earned_for",
    "entitlements",
    "minted_for_pool",
    "parts_by_yuma",
    "pay_rewards",
    "points_are_tokens",
    "price_of_point",
]

Array = NDArray[np.float64]


#: columns of the nodes' accounts: name, unit, meaning
PARTS = (
    (
        "quality_paid",
        "tokens",
        "inference nodes: paid for quality, before cost and audits; under Yuma its incentive",
    ),
    (
        "closeness_paid",
        "tokens",
        "evaluators: paid for closeness, before cost; under Yuma its dividends",
    ),
    ("cost_charged", "tokens", "what pay was lowered by for the cost reported"),
    ("forfeited", "tokens", "rewards that audits took back"),
    ("fined", "tokens", "of the bonds lost, what audits took"),
    ("uncovered", "tokens", "fines that the bond did not cover: it had run out, or was too small"),
)


def collect_fees(accounts: Accounts, payment: Payment, fees: float) -> None:
    """Let users pay; network and treasury take their shares, the rest goes to the pool."""
    if fees > 0.0:
        accounts.move(Fund.USERS, Fund.POOL, fees)
        accounts.move(Fund.POOL, Fund.NETWORK, fees * payment.network_share)
        accounts.move(Fund.POOL, Fund.TREASURY, fees * payment.treasury_share)


def minted_for_pool(payment: Payment, epoch: int) -> float:
    """Return the tokens minted for an epoch's pool: pool x decay^epoch.

    >>> minted_for_pool(Payment(scheme="pool", pool=8.0, decay=0.5), 2)
    2.0
    """
    return payment.pool * payment.decay**epoch


def points_are_tokens(economy: EconomySettings) -> bool:
    """Return whether every point that a round gives is paid as one token and stays paid.

    So it is per round, unless audits can take the pay of an epoch back.
    """
    audits = economy.audits
    return economy.payment.scheme == "per_round" and not (audits.rate > 0.0 and audits.forfeit)


def price_of_point(payment: Payment, budget: float, points: Array, inference: int) -> Array:
    """Return what a point of an epoch is paid, in tokens, for every node; shape of ``points``.

    ``points`` are the sums of what the rounds gave, those of the ``inference`` inference nodes
    first. Per round, a point is a token. From a pool, each role's part of the ``budget`` is divided
    by the role's points; nodes with less than none do not count, and theirs are paid nothing. Under
    Yuma no point is paid anything.

    >>> pool = Payment(scheme="pool", evaluator_share=0.25)
    >>> price_of_point(pool, 8.0, np.array([1.0, 2.0, -1.0, 4.0]), 3).tolist()
    [2.0, 2.0, 0.0, 0.5]
    """
    if payment.scheme == "per_round":
        return np.ones_like(points)
    if payment.scheme == "yuma":
        return np.zeros_like(points)
    return _price_in_pool(payment, budget, points, inference)


def _price_in_pool(payment: Payment, budget: float, claims: Array, inference: int) -> Array:
    """Return what a claim to a pool is paid, in tokens, for every node."""
    price = np.zeros_like(claims)
    share = payment.evaluator_share
    for part, pool in (
        (slice(0, inference), budget * (1.0 - share)),
        (slice(inference, None), budget * share),
    ):
        total = np.maximum(claims[part], 0.0).sum()
        if total > 0.0:
            price[part] = np.where(claims[part] > 0.0, pool / total, 0.0)
    return price


def entitlements(payment: Payment, budget: float, claims: Array, inference: int) -> Array:
    """Return what an epoch brings every node, in tokens.

    ``claims`` are points or, under Yuma, shares; other arguments as of :func:`price_of_point`. Per
    round, a negative point is owed. From a pool, who has less than none gets nothing.

    >>> pool = Payment(scheme="pool", evaluator_share=0.25)
    >>> entitlements(pool, 8.0, np.array([1.0, 2.0, -1.0, 4.0]), 3).tolist()
    [2.0, 4.0, 0.0, 2.0]
    """
    if payment.scheme == "per_round":
        return claims
    worth: Array = _price_in_pool(payment, budget, claims, inference) * np.maximum(claims, 0.0)
    return worth


def pay_rewards(accounts: Accounts, payment: Payment, minted: float, due: Array) -> float:
    """Pay what is due to every node out of the pool; return the tokens minted for it.

    A pool is fed with what is ``minted`` for it and with fees. Per round, fees come first, what
    they lack is minted, and what they leave goes to the treasury.
    """
    if payment.scheme == "per_round":
        minted = max(0.0, float(due.sum()) - float(accounts.funds[Fund.POOL]))
    if minted > 0.0:
        accounts.move(Fund.MINT, Fund.POOL, minted)
    accounts.move(Fund.POOL, Holding.WALLET, due)
    left = float(accounts.funds[Fund.POOL])
    if payment.scheme == "per_round" and left != 0.0:
        accounts.move(Fund.POOL, Fund.TREASURY, left)
    return minted


class Parts(NamedTuple):
    """What pay was for, by the names of :data:`PARTS`; arrays of one entry per node, in tokens.

    pay = quality_paid + closeness_paid - cost_charged - forfeited
    """

    quality_paid: Array
    closeness_paid: Array
    cost_charged: Array
    forfeited: Array
    fined: Array  #: of the bond, not of pay
    uncovered: Array  #: of fines, what the bond did not cover


def earned_for(
    performance: Performance,
    rules: Rules,
    charged: Array,
    price: Array,
    *,
    forfeited: Array,
    fined: Array,
    uncovered: Array,
) -> Parts:
    """Return what an epoch's pay by points was for, in tokens at the ``price`` of a node's points.

    ``charged`` is the mean cost that its jobs were charged. At the coefficients of the epoch,
    :func:`~poq_abm.rules.payment.earned_before_cost` says what was earned; what a node's points
    fall short of that was charged for cost. All arrays have the shape (N,).
    """
    points, jobs, first = performance.points, performance.jobs, performance.quality.size
    quality, closeness = np.zeros_like(points), np.zeros_like(points)
    quality[:first] = earned_before_cost(
        points[:first], jobs[:first], performance.quality, charged[:first],
        (rules.alpha_inference, rules.beta_inference), for_merit=rules.charges_shortfall,
    )  # fmt: skip
    closeness[first:] = earned_before_cost(
        points[first:], jobs[first:], 1.0 - performance.distance, charged[first:],
        (rules.alpha_evaluator, rules.beta_evaluator), for_merit=rules.pays_closeness,
    )  # fmt: skip
    cost = quality + closeness - points
    return Parts(price * quality, price * closeness, price * cost, forfeited, fined, uncovered)


def parts_by_yuma(parts: Parts, paid: Array, inference: int) -> Parts:
    """Return the parts of a pay by Yuma: nobody is charged for cost."""
    by_role = np.zeros((2, paid.size))
    by_role[0, :inference], by_role[1, inference:] = paid[:inference], paid[inference:]
    return parts._replace(quality_paid=by_role[0], closeness_paid=by_role[1])
