"""From what rounds are worth to tokens that change hands."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from poq_abm.economy.books import Books, Fund, Holding
from poq_abm.scenario.economy import Payment

__all__ = ["collect_fees", "entitlements", "minted_for_pool", "pay_rewards", "shared"]

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


def shared(pool: float, points: Array) -> Array:
    """Return a pool shared in proportion to points; who has less than none gets nothing.

    >>> shared(6.0, np.array([1.0, 2.0, -1.0])).tolist()
    [2.0, 4.0, 0.0]
    """
    counted = np.maximum(points, 0.0)
    total = counted.sum()
    result: Array = counted * (pool / total) if total > 0.0 else np.zeros_like(counted)
    return result


def entitlements(payment: Payment, budget: float, points: Array, inference: int) -> Array:
    """Return what an epoch's points are worth in tokens, for every node.

    ``points`` are the sums of the rounds' rewards, those of the ``inference`` inference nodes
    first. Per round, a point is a token, and a negative one is owed. From a pool, the ``budget`` is
    shared by role and then by points.
    """
    if payment.scheme == "per_round":
        return points
    share = payment.evaluator_share
    return np.concatenate(
        [
            shared(budget * (1.0 - share), points[:inference]),
            shared(budget * share, points[inference:]),
        ]
    )


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
