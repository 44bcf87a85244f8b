"""Timing contestants turn by turn, so that what disturbs the machine disturbs all of them."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import NamedTuple

import numpy as np

__all__ = ["Contestant", "contest", "duels", "ratio", "spread"]

Rates = Mapping[str, Sequence[float]]  #: rounds per second, one entry per turn


class Contestant(NamedTuple):
    """Somebody who can play rounds: ``play(n)`` plays the next ``n``."""

    name: str
    play: Callable[[int], None]
    seconds: float  #: how long one turn should last


def contest(contestants: Sequence[Contestant], repeats: int) -> dict[str, list[float]]:
    """Return every contestant's rounds per second in each of ``repeats`` turns: A B C A B C ..."""
    rounds = {contestant.name: _rounds_for(contestant) for contestant in contestants}
    rates: dict[str, list[float]] = {contestant.name: [] for contestant in contestants}
    for _ in range(repeats):
        for contestant in contestants:
            gc.collect()
            count = rounds[contestant.name]
            rates[contestant.name].append(count / _seconds(contestant, count))
    return rates


def duels(
    baseline: Contestant, contestants: Sequence[Contestant], repeats: int
) -> dict[str, list[tuple[float, float]]]:
    """Return every contestant's rate in each turn, and the baseline's right next to it.

    Who of the two goes first changes from turn to turn, so that neither gains from what the other
    leaves behind or from a machine that quickens or slows; an equal contestant reads 1.
    """
    rounds = {player.name: _rounds_for(player) for player in (baseline, *contestants)}
    pairs: dict[str, list[tuple[float, float]]] = {player.name: [] for player in contestants}
    for turn in range(repeats):
        for contestant in contestants:
            gc.collect()
            order = (baseline, contestant) if turn % 2 == 0 else (contestant, baseline)
            rates = {id(p): rounds[p.name] / _seconds(p, rounds[p.name]) for p in order}
            pairs[contestant.name].append((rates[id(contestant)], rates[id(baseline)]))
    return pairs


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return median, quartiles and extremes.

    >>> spread([1.0, 2.0, 3.0, 4.0, 5.0])["upper_quartile"]
    4.0
    """
    low, quarter, middle, three, high = np.quantile(values, [0.0, 0.25, 0.5, 0.75, 1.0]).tolist()
    names = ("min", "lower_quartile", "median", "upper_quartile", "max")
    return dict(zip(names, (low, quarter, middle, three, high), strict=True))


def ratio(rates: Rates, top: str, bottom: str) -> dict[str, float] | None:
    """Return how many times as fast ``top`` is as ``bottom``; ``None`` if either did not play.

    ``ratio`` is that of the medians; the spread is that of the ratios turn by turn.

    >>> ratio({"a": [2.0, 8.0], "b": [1.0, 2.0]}, "a", "b")["max"]
    4.0
    """
    if not rates.get(top) or not rates.get(bottom):
        return None
    turns = [t / b for t, b in zip(rates[top], rates[bottom], strict=True)]
    return {"ratio": median(rates[top]) / median(rates[bottom]), **spread(turns)}


def _rounds_for(contestant: Contestant) -> int:
    """Return how many rounds fill a turn, found by playing ever more of them."""
    rounds = 1_000
    contestant.play(rounds)  # compiles, fills caches
    while (taken := _seconds(contestant, rounds)) < contestant.seconds / 4:
        rounds *= 4
    return max(1_000, round(rounds * contestant.seconds / taken))


def _seconds(contestant: Contestant, rounds: int) -> float:
    begun = time.perf_counter()
    contestant.play(rounds)
    return time.perf_counter() - begun
