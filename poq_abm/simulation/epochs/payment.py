"""From what rounds are worth to tokens that change hands."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from poq_abm.scenario.schema.economy import Economy, Payment
from poq_abm.simulation.epochs.double_entry import Books, Fund, Holding

__all__ = [
    "collect_fees",
    "entitlements",
    "minted_for_pool",
    "pay_rewards",
    "points_are_tokens",
    "price_of_point",
]

Array = NDArray[np.float64]


def collect_fees(books: Books, payment: Payment, fees: float) -> None:
    """Let users pay; network and treasury take their shares, the rest goes to the pool."""
    if fees > 0.0:
        books.move(Fund.USERS, Fund.POOL, fees)
        books.move(Fund.POOL, Fund.NETWORK, fees * payment.network_share)
        books.move(Fund.POOL, Fund.TREASURY, fees * payment.treasury_share)


def minted_for_pool(payment: Payment, epoch: int) -> float:
    """Return the tokens minted for an epoch's pool: pool x decay^epoch.

    >>> minted_for_pool(Payment(scheme="pool", pool=8.0, decay=0.5), 2)
    2.0
    """
    return payment.pool * payment.decay**epoch


def points_are_tokens(economy: Economy) -> bool:
    """Return whether every point that a round gives is paid as one token and stays paid.

    So it is per round, unless audits can take the pay of an epoch back.
    """
    audits = economy.audits
    return economy.payment.scheme == "per_round" and not (audits.rate > 0.0 and audits.forfeit)


def price_of_point(payment: Payment, budget: float, points: Array, inference: int) -> Array:
    """Return what a point of an epoch is paid, in tokens, for every node; shape of ``points``.

    ``points`` are the sums of what the rounds gave, those of the ``inference`` inference nodes
    first. Per round, a point is a token. From a pool, each role's part of the ``budget`` is divided
    by the role's points; nodes with less than none do not count, and theirs are paid nothing.

    >>> pool = Payment(scheme="pool", evaluator_share=0.25)
    >>> price_of_point(pool, 8.0, np.array([1.0, 2.0, -1.0, 4.0]), 3).tolist()
    [2.0, 2.0, 0.0, 0.5]
    """
    if payment.scheme == "per_round":
        return np.ones_like(points)
    price = np.zeros_like(points)
    share = payment.evaluator_share
    for part, pool in (
        (slice(0, inference), budget * (1.0 - share)),
        (slice(inference, None), budget * share),
    ):
        total = np.maximum(points[part], 0.0).sum()
        if total > 0.0:
            price[part] = np.where(points[part] > 0.0, pool / total, 0.0)
    return price


def entitlements(payment: Payment, budget: float, points: Array, inference: int) -> Array:
    """Return what an epoch's points are worth in tokens, for every node.

    Arguments as of :func:`price_of_point`. Per round, a negative point is owed. From a pool, who
    has less than none gets nothing.

    >>> pool = Payment(scheme="pool", evaluator_share=0.25)
    >>> entitlements(pool, 8.0, np.array([1.0, 2.0, -1.0, 4.0]), 3).tolist()
    [2.0, 4.0, 0.0, 2.0]
    """
    if payment.scheme == "per_round":
        return points
    worth: Array = price_of_point(payment, budget, points, inference) * np.maximum(points, 0.0)
    return worth


def pay_rewards(books: Books, payment: Payment, minted: float, due: Array) -> float:
    """Pay what is due to every node out of the pool; return the tokens minted for it.

    A pool is fed with what is ``minted`` for it and with fees. Per round, fees come first, what
    they lack is minted, and what they leave goes to the treasury.
    """
    if payment.scheme == "per_round":
        minted = max(0.0, float(due.sum()) - float(books.funds[Fund.POOL]))
    if minted > 0.0:
        books.move(Fund.MINT, Fund.POOL, minted)
    books.move(Fund.POOL, Holding.WALLET, due)
    left = float(books.funds[Fund.POOL])
    if payment.scheme == "per_round" and left != 0.0:
        books.move(Fund.POOL, Fund.TREASURY, left)
    return minted
