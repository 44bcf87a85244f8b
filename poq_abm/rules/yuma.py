"""Yuma: what a network pays by that lets staked evaluators set weights, instead of scoring answers.

Evaluators (its validators) give each inference node (its miners) a share of their trust. What less
than a majority of stake supports is cut off; nodes are paid by the stake behind what is left, and
evaluators by the bonds that they have built up with nodes others came to value. Formulas are those
of the epoch of Bittensor's subtensor, from which three published epochs are matched in the tests.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BOND_LEVELS",
    "YumaEpoch",
    "YumaTerms",
    "bond_rates",
    "normalised",
    "settle_weights",
    "stake_majority",
    "stored",
]

Array = NDArray[np.float64]

BOND_LEVELS: Final = 65_535  #: bonds are kept in sixteen bits
_QUARTILES: Final = (0.25, 0.75)  #: of the consensus, where the rate of bonds is low, and high
_ROUNDING: Final = 1e-9  #: of a sum of stakes, and of a stored level


class YumaTerms(NamedTuple):
    """The parameters of an epoch.

    >>> YumaTerms().kappa
    0.5
    """

    kappa: float = 0.5  #: share of stake that has to support a weight, in (0, 1]
    bond_rate: float = 0.1  #: alpha, weight of an epoch in the moving average of bonds
    bond_penalty: float = 1.0  #: beta, share of what was cut off that buys no bonds
    bond_rate_low: float | None = None  #: alpha where the consensus is low; with it, alpha varies
    bond_rate_high: float | None = None  #: and where it is high


class YumaEpoch(NamedTuple):
    """An epoch of M evaluators and F inference nodes as Yuma settles it."""

    consensus: Array  #: (F,) the largest weight that a majority of stake supports
    ranks: Array  #: (F,) stake behind what is left of the weights
    incentive: Array  #: (F,) what each inference node is paid, as a share; sums to 1 or 0
    validator_trust: Array  #: (M,) what is left of an evaluator's weights, in [0, 1]
    bonds: Array  #: (M, F) the moving average, before it is stored
    dividends: Array  #: (M,) what each evaluator is paid, as a share; sums to 1 or 0


def normalised(amounts: Array, axis: int = 0) -> Array:
    """Return amounts, at least 0, over their sum along an axis; 0 where that is 0.

    >>> normalised(np.array([[1.0, 3.0], [0.0, 0.0]]), axis=1).tolist()
    [[0.25, 0.75], [0.0, 0.0]]
    """
    total = amounts.sum(axis=axis, keepdims=True)
    shares: Array = np.divide(amounts, total, out=np.zeros_like(amounts), where=total > 0.0)
    return shares


def stored(bonds: Array) -> Array:
    """Return bonds as the network keeps them: cut down to sixteen bits.

    >>> (stored(np.array([0.01])) * BOND_LEVELS).tolist()
    [655.0]
    """
    levels: Array = np.floor(bonds * BOND_LEVELS + _ROUNDING)
    return levels / BOND_LEVELS


def stake_majority(weights: Array, stake: Array, kappa: float) -> Array:
    """Return the largest weight of each node that at least ``kappa`` of stake supports, (F,).

    max {w : sum_i S_i [W_ij >= w] >= kappa}; 0 where no weight has that much. ``weights`` has the
    shape (M, F), ``stake`` (M,) and sums to 1 or less.

    >>> stake_majority(np.array([[0.9], [0.4], [0.1]]), np.array([0.3, 0.3, 0.4]), 0.5).tolist()
    [0.4]
    """
    order = np.argsort(-weights, axis=0, kind="stable")
    support = np.cumsum(stake[order], axis=0)
    supported = np.take_along_axis(weights, order, axis=0)
    enough = support >= kappa - _ROUNDING
    first = enough.argmax(axis=0)
    found: Array = np.take_along_axis(supported, first[None], axis=0)[0]
    return np.where(enough.any(axis=0), found, 0.0)


def bond_rates(consensus: Array, terms: YumaTerms) -> Array:
    """Return the rate at which bonds with each node follow its weights, (F,), in [0, 1].

    alpha; or, where a low and a high rate are given ("liquid alpha"), 1 / (1 + exp(b - a C_j)) by
    the consensus C_j, with a and b such that it is the low rate at the lower quartile of the
    consensus above 0 and the high one at the upper, between which it stays; where the quartiles are
    one, it is 1/2 as far as that lies between the two rates.

    >>> liquid = YumaTerms(bond_rate_low=0.1, bond_rate_high=0.3)
    >>> bond_rates(np.array([0.0, 0.1, 0.2, 0.3, 0.4, 0.5]), liquid).round(3).tolist()
    [0.1, 0.1, 0.1, 0.179, 0.3, 0.3]
    """
    flat = np.full_like(consensus, terms.bond_rate)
    low, high = terms.bond_rate_low, terms.bond_rate_high
    positive = consensus[consensus > 0.0]
    if low is None or high is None:
        return flat
    if positive.size == 0:
        return np.full_like(consensus, low)
    lower, upper = np.quantile(positive, _QUARTILES)
    if not lower < upper:
        return np.full_like(consensus, min(max(0.5, low), high))
    odds_low, odds_high = math.log(1.0 / low - 1.0), math.log(1.0 / high - 1.0)
    slope = (odds_low - odds_high) / (upper - lower)
    # NumPy's own exponential differs between processors.
    logits = [odds_low - slope * (c - lower) for c in consensus.tolist()]
    rates = [1.0 / (1.0 + math.exp(min(logit, 700.0))) for logit in logits]
    return np.clip(rates, low, high)


def settle_weights(weights: Array, stake: Array, bonds: Array, terms: YumaTerms) -> YumaEpoch:
    """Return an epoch as Yuma settles it.

    With weights W, stakes S and the consensus C of :func:`stake_majority`: clipped weights
    min(W_ij, C_j); ranks R_j = sum_i S_i min(W_ij, C_j); incentive I_j = R_j / sum R. Bonds move by
    the rate alpha_j of :func:`bond_rates` towards S_i ((1 - beta) W_ij + beta min(W_ij, C_j)) over
    its sum for node j; dividends are S_i sum_j B_ij I_j over their sum, with B over its own sum for
    each node. Source: opentensor/subtensor, epoch of the subtensor pallet.

    Parameters
    ----------
    weights
        Shape (M, F), at least 0; a row sums to 1, or to 0 of who sets none.
    stake
        Shape (M,), sums to 1; 0 of who is not there.
    bonds
        Shape (M, F), as they were :func:`stored` at the end of the epoch before.
    terms
        The parameters.

    Examples
    --------
    >>> alike = np.array([[0.25, 0.75], [0.25, 0.75]])
    >>> epoch = settle_weights(alike, np.array([0.5, 0.5]), np.zeros((2, 2)), YumaTerms())
    >>> epoch.incentive.tolist(), epoch.dividends.tolist()
    ([0.25, 0.75], [0.5, 0.5])
    """
    consensus = stake_majority(weights, stake, terms.kappa)
    clipped = np.minimum(weights, consensus)
    ranks = (stake[:, None] * clipped).sum(axis=0)
    incentive = normalised(ranks)
    bought = (1.0 - terms.bond_penalty) * weights + terms.bond_penalty * clipped
    target = normalised(stake[:, None] * bought)
    rates = bond_rates(consensus, terms)
    moved = rates * target + (1.0 - rates) * bonds
    held = (normalised(moved) * incentive).sum(axis=1)
    return YumaEpoch(
        consensus, ranks, incentive, clipped.sum(axis=1), moved, normalised(stake * held)
    )
