"""Watchers: whether they check by the inspection game, and whether they dispute in time."""

from __future__ import annotations

import math
from typing import NamedTuple

from poq_abm.rules.protocol.protocol import Conditions

__all__ = [
    "Equilibrium",
    "Watch",
    "answer_to_gain",
    "in_time",
    "inspection_equilibrium",
    "learn_by_playing",
    "watch",
]


class Watch(NamedTuple):
    """What watchers do about one query."""

    disputed: float  #: phi: chance that a dishonest answer is disputed in time
    checks: float  #: expected number of checks
    cheating: float  #: chance x* with which a rational node cheats; NaN outside the equilibrium


def in_time(window_s: float, bisection: float, delay_s: float) -> float:
    """Return the chance that a check ends early enough for one bisection to fit in the window.

    1 - exp(-(W - bisection) / delay), the check taking an exponential time of mean ``delay_s``.

    >>> in_time(40.0, 40.0, 600.0), round(in_time(3600.0, 40.0, 600.0), 4)
    (0.0, 0.9974)
    """
    return 1.0 - math.exp(-max(0.0, window_s - bisection) / delay_s)


def watch(conditions: Conditions, window_s: float, bisection: float, proof_rate: float) -> Watch:
    """Return what the watchers of an optimistic protocol do.

    n honest watchers who check with chance c each: phi = 1 - (1 - c t)^n, with t of
    :func:`in_time`; a colluding sequencer suppresses a share of the disputes. Without a chance of
    their own the inspection game sets phi and the cheating chance, for the largest gain known.
    """
    count, chance = conditions.honest_watchers, conditions.check_probability
    timely = in_time(window_s, bisection, conditions.delay_s)
    heard = 1.0 - conditions.suppressed
    if chance is not None:
        disputed = heard * (1.0 - (1.0 - chance * timely) ** count)
        return Watch(disputed, count * chance, math.nan)
    at_risk = conditions.stake_usd * conditions.slash_share + conditions.fee_usd
    reach = timely * heard if count else 0.0
    game = answer_to_gain(
        max(conditions.gains.values()),
        at_risk,
        conditions.check_usd,
        conditions.bounty_usd,
        proof_rate,
        reach,
        keeps=conditions.keeps_gain,
        refund=conditions.bounty_usd * conditions.colluding_watchers,
    )
    return Watch(game.checking * reach, game.checking, game.cheating)


class Equilibrium(NamedTuple):
    """Mixed strategies of the two players, each a probability."""

    cheating: float  #: x*
    checking: float  #: y*


def inspection_equilibrium(
    gain: float, stake: float, fee: float, check_cost: float, bounty: float
) -> Equilibrium:
    """Return the mixed equilibrium x* = c_check / bounty, y* = G / (G + S + F).

    The watcher is indifferent where x bounty = c_check; the node, who loses the gain with stake and
    fee when caught, where (1 - y) G = y (S + F). All in USD, all positive; x* above 1 means that
    nobody checks, and is returned as 1 with y* = 0.

    >>> inspection_equilibrium(gain=1.0, stake=8.0, fee=1.0, check_cost=0.2, bounty=2.0)
    Equilibrium(cheating=0.1, checking=0.1)
    """
    return answer_to_gain(gain, stake + fee, check_cost, bounty, 0.0, 1.0, keeps=False)


def answer_to_gain(
    gain: float,
    at_risk: float,
    check_cost: float,
    bounty: float,
    proof_rate: float,
    reach: float,
    *,
    keeps: bool,
    refund: float = 0.0,
) -> Equilibrium:
    """Return the equilibrium where random proofs find some cheats first, and not every check bites.

    ``proof_rate`` is the chance rho that a proof finds the cheat without any watcher, ``reach`` the
    chance that a check leads to a conviction in time, ``at_risk`` S + F, ``keeps`` whether a caught
    node keeps G, ``refund`` what its own watchers get of a bounty. The node is indifferent at a
    total detection p* = G / (S + F), or G / (G + S + F) if it does not keep G, which asks of the
    watchers y* = (p* - rho) / (1 - rho) / reach, times at_risk / (at_risk - refund); the watcher at
    x* = c_check / ((1 - rho) reach bounty). Where proofs alone deter nobody cheats and nobody
    checks; where checking never pays nobody checks; where not even certain checks deter all cheat
    and, if it pays, all check.

    >>> answer_to_gain(1.0, 9.0, 0.2, 2.0, 0.0, 1.0, keeps=False)
    Equilibrium(cheating=0.1, checking=0.1)
    >>> answer_to_gain(0.01, 9.0, 0.2, 2.0, 0.5, 1.0, keeps=True)
    Equilibrium(cheating=0.0, checking=0.0)
    """
    total = at_risk if keeps else at_risk + gain
    needed = gain / total if total > 0.0 else math.inf
    if gain <= 0.0 or needed <= proof_rate:
        return Equilibrium(0.0, 0.0)
    reward = (1.0 - proof_rate) * reach * bounty
    if reward <= check_cost:
        return Equilibrium(1.0, 0.0)
    if refund >= total:
        return Equilibrium(1.0, 1.0)
    checking = (needed - proof_rate) / (1.0 - proof_rate) / reach * (total / (total - refund))
    if checking >= 1.0:
        return Equilibrium(1.0, 1.0)
    return Equilibrium(check_cost / reward, checking)


def learn_by_playing(
    gain: float, stake: float, fee: float, check_cost: float, bounty: float, rounds: int
) -> Equilibrium:
    """Return how often each side acted when both answer the other's record of ``rounds`` rounds.

    Fictitious play: nothing but the four payoffs is known to the players, and in a game of two
    actions each the frequencies converge to the equilibrium (Miyasawa 1961; Robinson 1951 for
    zero-sum games), at a rate of about one over the square root of the rounds.

    >>> game = learn_by_playing(1.0, 8.0, 1.0, 0.2, 2.0, 20_000)
    >>> round(game.cheating, 2), round(game.checking, 2)
    (0.09, 0.1)
    """
    cheated = checked = 0.5  # one imagined round in which each did both
    for n in range(1, rounds + 1):
        checking, cheating = checked / n, cheated / n
        cheated += float((1.0 - checking) * gain - checking * (stake + fee) > 0.0)
        checked += float(cheating * bounty > check_cost)
    return Equilibrium(cheated / (rounds + 1), checked / (rounds + 1))
