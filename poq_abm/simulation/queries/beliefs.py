"""What rational nodes expect of cheating, and whether they do."""

from __future__ import annotations

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.rules.payment.formulas import SCORE_SCALE
from poq_abm.rules.protocol.protocol import VerificationProtocol
from poq_abm.rules.protocol.terms import Terms
from poq_abm.rules.settling import disputed, pay_by_score

__all__ = ["Action", "Choice", "best_choice", "expected_advantage", "named_action"]


Floats = NDArray[np.float64]


class Action(IntEnum):
    """What a node does with a query; scenarios write the names in small letters."""

    HONEST = 0
    DOWNGRADE = 1
    CACHED = 2
    JUDGE_HACK = 3


class Choice(NamedTuple):
    """What a rational node does, and what it expects to gain over honesty, in USD per query."""

    action: Action
    probability: float
    advantage: float


def named_action(name: str) -> Action:
    """Return the action that a scenario names.

    >>> named_action("judge_hack").value
    3
    """
    return Action[name.upper()]


def expected_advantage(
    protocol: VerificationProtocol,
    gain: float,
    cheating: Floats,
    honest: Floats,
    *,
    broken: bool,
    points: tuple[Floats, Floats] | None = None,
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
    points
        What the two would earn by the mechanism's reward, per record; by default Q, consensus / 10.
    """
    terms = protocol.terms
    earned = (cheating / SCORE_SCALE, honest / SCORE_SCALE) if points is None else points
    pays = [_mean_pay(terms, *each) for each in zip((cheating, honest), earned, strict=True)]
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
    scores: Floats,
    *,
    broken: bool,
    can_downgrade: bool = True,
    points: Floats | None = None,
) -> Choice:
    """Return the known way to cheat that promises most, if it promises anything.

    ``scores`` has shape (4, records): the consensus expected for each :class:`Action`, of
    evaluators who are honest; ``points`` what it would earn, as in :func:`expected_advantage`.
    In the inspection game's equilibrium the node mixes with the chance x* that keeps watchers
    indifferent, wherever watchers are what stands against it.
    """
    if protocol.terms.trusted:
        return Choice(Action.HONEST, 0.0, 0.0)
    best = Choice(Action.HONEST, 0.0, 0.0)
    for name, gain in protocol.conditions.gains.items():
        action = named_action(name)
        if action != Action.CACHED and not can_downgrade:
            continue
        expected = expected_advantage(
            protocol,
            gain,
            scores[action],
            scores[Action.HONEST],
            broken=broken,
            points=None if points is None else (points[action], points[Action.HONEST]),
        )
        mixed = _mixing(protocol, broken=broken)
        if not math.isnan(mixed):
            first = best.action == Action.HONEST or expected > best.advantage
            best = Choice(action, mixed, expected) if first else best
        elif expected > best.advantage:
            best = Choice(action, 1.0, expected)
    return best


def _mean_pay(terms: Terms, scores: Floats, points: Floats) -> float:
    """Return the mean pay over records; those with the same score and points are one term."""
    pairs, counts = np.unique(np.stack([scores, points], axis=1), axis=0, return_counts=True)
    return float(
        sum(
            pay_by_score(terms, score, earned) * (count / scores.size)
            for (score, earned), count in zip(pairs, counts, strict=True)
        )
    )


def _mixing(protocol: VerificationProtocol, *, broken: bool) -> float:
    """Return x*, or NaN where no inspection game is played."""
    if protocol.terms.attests and not broken:
        return math.nan
    return protocol.terms.cheating
