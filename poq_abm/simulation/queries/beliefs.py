"""What rational nodes expect of cheating, and whether they do."""

from __future__ import annotations

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.rules.protocol.protocol import VerificationProtocol
from poq_abm.rules.protocol.settling import disputed, pay_by_score

__all__ = ["Choice", "Conduct", "best_choice", "expected_advantage", "named_conduct"]


class Conduct(IntEnum):
    """What a node does with a query; scenarios write the names in small letters."""

    HONEST = 0
    DOWNGRADE = 1
    CACHED = 2
    JUDGE_HACK = 3


class Choice(NamedTuple):
    """What a rational node does, and what it expects to gain over honesty, in USD per query."""

    conduct: Conduct
    probability: float
    advantage: float


def named_conduct(name: str) -> Conduct:
    """Return the conduct that a scenario names.

    >>> named_conduct("judge_hack").value
    3
    """
    return Conduct[name.upper()]


def expected_advantage(
    protocol: VerificationProtocol,
    gain: float,
    cheating: NDArray[np.float64],
    honest: NDArray[np.float64],
    *,
    broken: bool,
    cost: float = 0.0,
    alpha: float = 1.0,
    beta: float = 0.3,
) -> float:
    """Return what a node expects cheating to bring over honesty, in USD per query.

    E[kept gain + pay - penalty + what its watchers get back] - E[honest pay], with detection as
    believed and pay averaged over the records' consensus; without a committee this is
    G - p (S + F), or (1 - p) G - p (S + F) where a caught node keeps nothing.

    Parameters
    ----------
    gain
        G, what cheating saves, in USD.
    cheating, honest
        Consensus that the cheat's and the honest answers would have, per record, in [0, 10].
    broken
        Whether the node's enclave can be made to sign anything.
    """
    terms = protocol.terms
    pays = [
        sum(
            pay_by_score(terms, alpha, beta, score, cost) * (count / scores.size)
            for score, count in zip(*np.unique(scores, return_counts=True), strict=True)
        )
        for scores in (cheating, honest)
    ]
    refused = float((cheating < terms.accept_score).mean()) if terms.committee else 0.0
    caught = protocol.detection(broken=broken)
    kept = 1.0 if terms.keeps_gain else (1.0 - caught) * (1.0 - refused)
    return float(
        gain * kept
        + (1.0 - caught) * pays[0]
        - caught * terms.slash
        + disputed(terms, broken) * terms.refund
        - pays[1]
    )


def best_choice(
    protocol: VerificationProtocol,
    scores: NDArray[np.float64],
    *,
    broken: bool,
    can_downgrade: bool = True,
    cost: float = 0.0,
    alpha: float = 1.0,
    beta: float = 0.3,
) -> Choice:
    """Return the known way to cheat that promises most, if it promises anything.

    ``scores`` has shape (4, records): the consensus expected for each :class:`Conduct`.
    In the inspection game's equilibrium the node mixes with the chance x* that keeps watchers
    indifferent, wherever watchers are what stands against it.
    """
    if protocol.terms.trusted:
        return Choice(Conduct.HONEST, 0.0, 0.0)
    best = Choice(Conduct.HONEST, 0.0, 0.0)
    for name, gain in protocol.conditions.gains.items():
        conduct = named_conduct(name)
        if conduct != Conduct.CACHED and not can_downgrade:
            continue
        expected = expected_advantage(
            protocol,
            gain,
            scores[conduct],
            scores[Conduct.HONEST],
            broken=broken,
            cost=cost,
            alpha=alpha,
            beta=beta,
        )
        mixed = _mixing(protocol, broken=broken)
        if not math.isnan(mixed):
            first = best.conduct == Conduct.HONEST or expected > best.advantage
            best = Choice(conduct, mixed, expected) if first else best
        elif expected > best.advantage:
            best = Choice(conduct, 1.0, expected)
    return best


def _mixing(protocol: VerificationProtocol, *, broken: bool) -> float:
    """Return x*, or NaN where no inspection game is played."""
    if protocol.terms.attests and not broken:
        return math.nan
    return protocol.terms.cheating
