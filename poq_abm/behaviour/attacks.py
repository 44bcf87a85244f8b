"""What a deviating evaluator reports: small pure functions of what it measured.

``boost`` is published (arXiv 2601.21189, Eq. 18); noise and sabotage are named there and their
formulas are our reconstruction; the rest are ours.
"""

from __future__ import annotations

from enum import IntEnum

from poq_abm.jit import compiled

__all__ = ["HIGHEST", "LOWEST", "Attack", "attacked", "in_scale", "report"]

LOWEST, HIGHEST = 0.0, 10.0


class Attack(IntEnum):
    """The kinds of misreport; what ``amount`` means stands behind each."""

    HONEST = 0
    NOISE = 1  #: s.d. of the noise
    BOOST = 2  #: points added
    SABOTAGE = 3  #: points taken
    CONSTANT = 4  #: the score always reported
    COPYCAT = 5  #: not used
    COLLUDE = 6  #: points by which the ring shifts its agreed score
    PLUGIN = 7  #: what a user's own behaviour makes of it


@compiled
def in_scale(score: float) -> float:
    """Return the score, pulled into [0, 10].

    >>> in_scale(11.0)
    10.0
    """
    return min(max(score, LOWEST), HIGHEST)


@compiled
def attacked(  # noqa: PLR0911  (one line per attack)
    attack: int,
    amount: float,
    measured: float,
    normal: float,
    remembered: float,
    agreed: float,
    favoured: bool,
) -> float:
    """Return the score a deviating evaluator reports, in [0, 10].

    noise: clip(s + sigma z); boost: min(10, s + b); sabotage: max(0, s - b); constant: b; copycat:
    the mean consensus the node has seen; collude: clip(a + b) where the ring favours the answer's
    node and clip(a - b) elsewhere, with a the mean of all evaluator models' scores.

    >>> attacked(Attack.BOOST, 3.0, 8.0, 0.0, 5.0, 5.0, True)
    10.0
    >>> attacked(Attack.SABOTAGE, 3.0, 8.0, 0.0, 5.0, 5.0, True)
    5.0
    """
    if attack == Attack.NOISE:
        return in_scale(measured + amount * normal)
    if attack == Attack.BOOST:
        return in_scale(measured + amount)
    if attack == Attack.SABOTAGE:
        return in_scale(measured - amount)
    if attack == Attack.CONSTANT:
        return in_scale(amount)
    if attack == Attack.COPYCAT:
        return remembered
    if attack == Attack.COLLUDE:
        return in_scale(agreed + amount) if favoured else in_scale(agreed - amount)
    return measured


@compiled
def report(
    attack: int,
    amount: float,
    measured: float,
    probability: float,
    uniform: float,
    awake: bool,
    normal: float,
    remembered: float,
    agreed: float,
    favoured: bool,
) -> float:
    """Return what an evaluator reports: the attack while it is on, what it measured otherwise.

    The attack is on when the node is ``awake`` (trusted enough, long enough in the network, and
    faced with an answer it cares about) and ``uniform`` falls below ``probability``.

    >>> report(Attack.BOOST, 3.0, 5.0, 0.3, 0.5, True, 0.0, 5.0, 5.0, True)
    5.0
    """
    if awake and uniform < probability:
        return attacked(attack, amount, measured, normal, remembered, agreed, favoured)
    return measured
