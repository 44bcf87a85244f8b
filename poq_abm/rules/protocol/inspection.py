"""The inspection game between a node that may cheat and a watcher who may check."""

from __future__ import annotations

import math
from typing import NamedTuple

__all__ = ["Equilibrium", "answer_to_gain", "inspection_equilibrium", "learn_by_playing"]


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
