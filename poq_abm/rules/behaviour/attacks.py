"""What a deviating evaluator reports: small pure functions of what it measured.

``boost`` is published (arXiv 2601.21189, Eq. 18); noise and sabotage are named there and their
formulas are our reconstruction; the rest are ours.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from poq_abm.compilation import compiled

__all__ = ["HIGHEST", "LOWEST", "Attack", "Recipe", "attacked", "in_scale", "recipe"]

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
    LINEAR = 7  #: not used; what it is made of, its behaviour says
    PLUGIN = 8  #: what a user's own behaviour makes of it


class Recipe(NamedTuple):
    """What an attack is made of: the weights of three scores, and the points added to them."""

    own: float  #: weight of the score measured
    seen: float  #: weight of the mean consensus the node has seen
    agreed: float  #: weight of the mean score of all evaluator models
    shift: float  #: points added
    spread: float  #: s.d. of the points added at random
    favour: float  #: points added for favoured nodes and taken from others


@compiled
def in_scale(score: float) -> float:
    """Return the score, pulled into [0, 10].

    >>> in_scale(11.0)
    10.0
    """
    return min(max(score, LOWEST), HIGHEST)


def recipe(attack: int, amount: float) -> Recipe:
    """Return what an attack of a size is made of; an honest node reports what it measured.

    noise: s + sigma z; boost: s + b; sabotage: s - b; constant: b; copycat: r; collude: a + b where
    the ring favours the answer's node and a - b elsewhere.

    >>> recipe(Attack.SABOTAGE, 3.0)
    Recipe(own=1.0, seen=0.0, agreed=0.0, shift=-3.0, spread=0.0, favour=0.0)
    """
    own = Recipe(1.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    return {
        Attack.NOISE: own._replace(spread=amount),
        Attack.BOOST: own._replace(shift=amount),
        Attack.SABOTAGE: own._replace(shift=-amount),
        Attack.CONSTANT: Recipe(0.0, 0.0, 0.0, amount, 0.0, 0.0),
        Attack.COPYCAT: Recipe(0.0, 1.0, 0.0, 0.0, 0.0, 0.0),
        Attack.COLLUDE: Recipe(0.0, 0.0, 1.0, 0.0, 0.0, amount),
    }.get(Attack(attack), own)


@compiled
def attacked(
    made: Recipe,
    measured: float,
    remembered: float,
    mean: float,
    normal: float,
    favoured: bool,
) -> float:
    """Return the score a deviating evaluator reports, in [0, 10].

    clip(own s + seen r + agreed a + shift + spread z +- favour) with s what it measured, r the mean
    consensus it has seen, a the mean of all evaluator models' scores and z a standard normal; plus
    where the ring favours the answer's node. One formula for all attacks: a processor would guess
    wrong which of a committee's members attacks, and how.

    >>> boost = recipe(Attack.BOOST, 3.0)
    >>> attacked(boost, 8.0, 5.0, 5.0, 0.0, True), attacked(boost, 5.0, 5.0, 5.0, 0.0, True)
    (10.0, 8.0)
    """
    points = made.shift + made.spread * normal + (made.favour if favoured else -made.favour)
    return in_scale(made.own * measured + made.seen * remembered + made.agreed * mean + points)
