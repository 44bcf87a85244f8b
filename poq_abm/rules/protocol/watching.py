"""Watchers: how likely somebody disputes a dishonest answer in time, and how many check at all."""

from __future__ import annotations

import math
from typing import NamedTuple

from poq_abm.rules.protocol.inspection import answer_to_gain
from poq_abm.scenario.schema.verification import Verification, bisection_s
from poq_abm.scenario.schema.verification_figures import Opml, Otr

__all__ = ["Watch", "in_time", "watch"]


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


def watch(verification: Verification, figures: Opml | Otr, proof_rate: float) -> Watch:
    """Return what the watchers of an optimistic protocol do.

    n honest watchers who check with chance c each: phi = 1 - (1 - c t)^n, with t of
    :func:`in_time`; a colluding sequencer suppresses a share of the disputes. With
    ``check_probability: equilibrium`` the inspection game sets phi and the cheating chance, for the
    largest gain that is known.
    """
    watchers, adversaries = verification.watchers, verification.adversaries
    count = verification.honest_watchers
    timely = in_time(figures.window_s, bisection_s(figures), watchers.delay_s)
    heard = 1.0 - adversaries.collusion.censorship * adversaries.collusion.sequencer
    if watchers.check_probability != "equilibrium":
        chance = float(watchers.check_probability)
        disputed = heard * (1.0 - (1.0 - chance * timely) ** count)
        return Watch(disputed, count * chance, math.nan)
    gain = max(getattr(adversaries, name).gain_usd for name in adversaries.actions)
    economics = verification.economics
    at_risk = economics.stake_usd * economics.slash_share + economics.fee_usd
    reach = timely * heard if count else 0.0
    game = answer_to_gain(
        gain,
        at_risk,
        watchers.check_usd,
        economics.bounty_usd,
        proof_rate,
        reach,
        keeps=economics.keeps_gain_when_caught,
        refund=economics.bounty_usd * adversaries.collusion.watcher_share,
    )
    return Watch(game.checking * reach, game.checking, game.cheating)
