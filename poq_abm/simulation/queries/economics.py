"""When honesty pays, and what it costs to make it pay: formulas in plain numbers.

Money in USD, times in seconds, probabilities and shares in [0, 1].
"""

from __future__ import annotations

import math
from typing import NamedTuple

from poq_abm.rules.protocol.protocol import SECONDS_PER_YEAR

__all__ = [
    "Deterrence",
    "break_even_slash",
    "capital_cost",
    "cheapest_deterrence",
    "detection_after",
    "detection_if_broken",
    "deterrence_threshold",
    "is_deterred",
    "queries_to_detect",
    "sampling_threshold",
    "verifier_cost",
]


def detection_if_broken(proof_rate: float, watched: float) -> float:
    """Return p = 1 - (1 - rho)(1 - phi), the detection once an enclave is broken.

    >>> round(detection_if_broken(0.01, 0.5), 3)
    0.505
    """
    return 1.0 - (1.0 - proof_rate) * (1.0 - watched)


def deterrence_threshold(gain: float, stake: float, fee: float) -> float:
    """Return the smallest detection that deters, p = G / (S + F); above 1 where nothing does.

    ``stake`` is S, what is slashed besides the fee: all of a bond, or ``slash_share`` of it.

    >>> deterrence_threshold(0.5, 4.0, 1.0)
    0.1
    """
    at_risk = stake + fee
    return gain / at_risk if at_risk > 0.0 else math.inf


def is_deterred(detection: float, gain: float, stake: float, fee: float) -> bool:
    """Return whether honesty pays: p (S + F) >= G.

    >>> is_deterred(0.1, 0.5, 4.0, 1.0), is_deterred(0.1, 0.51, 4.0, 1.0)
    (True, False)
    """
    return detection * (stake + fee) >= gain


def detection_after(queries: int, rate: float) -> float:
    """Return the chance that n cheats in a row are noticed, 1 - (1 - rho)^n.

    >>> round(detection_after(230, 0.01), 3)
    0.901
    """
    return 1.0 - (1.0 - rate) ** queries


def queries_to_detect(target: float, rate: float) -> int:
    """Return the fewest cheats in a row that are noticed with chance ``target`` or more.

    ceil(log(1 - target) / log(1 - rho)); ``target`` below 1, ``rate`` in (0, 1].

    >>> queries_to_detect(0.90, 0.01), queries_to_detect(0.99, 0.01)
    (230, 459)
    """
    if rate >= 1.0:
        return 1
    return math.ceil(math.log(1.0 - target) / math.log(1.0 - rate))


def capital_cost(stake: float, rate_per_year: float, window_s: float) -> float:
    """Return what a bond B costs while a query is in flight, B r W / year.

    >>> round(capital_cost(5.0, 0.08, 7 * 86_400.0), 5)
    0.00767
    """
    return stake * rate_per_year * window_s / SECONDS_PER_YEAR


def verifier_cost(
    attestation: float,
    proof_rate: float,
    proof: float,
    watched: float,
    recheck: float,
    disputed: float,
    dispute: float,
) -> float:
    """Return c_attest + rho c_zk + phi c_recheck + P(dispute) c_dispute, per query.

    ``watched`` is the expected number of checks: phi for one watcher who is always in time, n c for
    n watchers who each check with chance c.

    >>> round(verifier_cost(0.06, 0.01, 1.0, 0.0, 0.0, 0.0, 0.0), 2)
    0.07
    """
    return attestation + proof_rate * proof + watched * recheck + disputed * dispute


def sampling_threshold(saved: float, reward: float, slash: float, colluding: float) -> float:
    """Return the challenge probability above which honesty is the only pure equilibrium.

    q > C / ((1 - r)(R + S)); source: arXiv 2405.00295. C is what cheating saves (our G), R the fee
    (our F), S what is slashed besides it: a convicted node loses R + S, the fee once.

    >>> sampling_threshold(1.0, 1.0, 9.0, 0.5)
    0.2
    """
    return saved / ((1.0 - colluding) * (reward + slash)) if colluding < 1.0 else math.inf


def break_even_slash(reward: float, probability: float) -> float:
    """Return the slash at which cheating brings nothing, S = R (1 - p) / p.

    Source: the probabilistic proofs of Pocket Network, where nothing is kept when caught.

    >>> break_even_slash(10.0, 0.2)
    40.0
    """
    return reward * (1.0 - probability) / probability


class Deterrence(NamedTuple):
    """Parameters that deter a gain, and what they cost per query."""

    stake: float
    proof_rate: float
    watched: float
    detection: float
    cost: float  #: checks and capital


def cheapest_deterrence(
    gain: float,
    fee: float,
    proof_usd: float,
    recheck_usd: float,
    rate_per_year: float,
    window_s: float,
    least_stake: float = 0.0,
) -> Deterrence:
    """Return the stake, proof rate and watching that deter ``gain`` for the least cost per query.

    Minimises rho c_zk + phi c_recheck + S r W / year subject to p (S + F) >= G and S >=
    ``least_stake`` (the bounty, say), all of the bond slashed. For a given p the cost is concave
    along (1 - rho)(1 - phi) = 1 - p, so only one of the two checks is used, the cheaper at c; what
    is left is c G / (S + F) + k S with k = r W / year, least at S = sqrt(c G / k) - F, inside the
    bounds that p <= 1 sets. Where capital costs nothing the stake is unbounded: ValueError.

    >>> best = cheapest_deterrence(0.05, 0.1, 7.0, 1e-3, 0.08, 3600.0)
    >>> round(best.stake, 2), best.proof_rate, round(best.detection, 4)
    (2.24, 0.0, 0.0214)
    """
    if gain <= 0.0:
        cost = capital_cost(least_stake, rate_per_year, window_s)
        return Deterrence(least_stake, 0.0, 0.0, 0.0, cost)
    holding = capital_cost(1.0, rate_per_year, window_s)
    check = min(proof_usd, recheck_usd)
    if holding <= 0.0 < check:
        raise ValueError("capital costs nothing: the larger the stake the cheaper, without end")
    wanted = math.sqrt(check * gain / holding) - fee if check > 0.0 else 0.0
    stake = max(wanted, least_stake, gain - fee, 0.0)
    detection = deterrence_threshold(gain, stake, fee)
    watching = recheck_usd <= proof_usd
    rates = (0.0, detection) if watching else (detection, 0.0)
    return Deterrence(stake, *rates, detection, check * detection + holding * stake)
