"""When queries arrive: a rate that varies over the day, in bursts, in a surge, with the fee."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from poq_abm.jit import compiled_loop
from poq_abm.scenario.economy import Demand
from poq_abm.streams import Purpose, uniform

__all__ = ["BINS", "Clock", "arrive_at_random", "arrive_evenly", "most_queries"]

Array = NDArray[np.float64]

BINS = 60  #: stretches of an epoch in which the rate is constant
_DAY_HOURS = 24.0
_MOST_LOG_DEMAND = 100.0  # far more than can be played, and still a number
_SPARE = 10.0  # standard deviations above the mean: a Poisson number is never that large


class Clock:
    """The rate at which queries arrive, stretch by stretch, epoch after epoch.

    Life-cycle: :meth:`expected` once an epoch, in order, because a burst can span epochs.
    """

    def __init__(self, demand: Demand, queries: float, hours: float, seed: int, replication: int):
        self._demand = demand
        self._queries = queries
        self._hours = hours
        self._key = (seed, replication)
        self._bursting = False
        self._begun = False

    def scale(self, epoch: int, fee_ratio: float) -> float:
        """Return demand over its normal level: a surge, and what the fee does to it."""
        demand = self._demand
        surge = demand.surge
        factor = surge.factor if surge and surge.first <= epoch <= surge.last else 1.0
        if demand.elasticity > 0.0 and fee_ratio > 0.0:
            factor *= math.exp(min(-demand.elasticity * math.log(fee_ratio), _MOST_LOG_DEMAND))
        return factor

    def expected(self, epoch: int, fee_ratio: float = 1.0) -> Array:
        """Return the expected number of queries in each of the ``BINS`` stretches of an epoch."""
        mean = self._queries * self.scale(epoch, fee_ratio) / BINS
        kind = self._demand.arrivals
        if kind == "diurnal":
            return mean * self._of_day(epoch)
        if kind == "bursty":
            return mean * self._of_bursts(epoch)
        return np.full(BINS, mean)

    def _of_day(self, epoch: int) -> Array:
        hours = (epoch + (np.arange(BINS) + 0.5) / BINS) * self._hours
        phase = 2.0 * math.pi * (hours - self._demand.peak_hour) / _DAY_HOURS
        shape: Array = 1.0 + self._demand.amplitude * np.cos(phase)
        return shape

    def _of_bursts(self, epoch: int) -> Array:
        """Return the rate over its mean: a two-state chain that is stationary from the start."""
        demand = self._demand
        share = demand.burst_share
        # One who forgets may go on as before, so bursts last 1 / (1 - share) times as long.
        forgetting = 60.0 * self._hours / BINS / (demand.burst_minutes * (1.0 - share))
        forgetting = min(1.0, forgetting)
        calm = 1.0 / (1.0 + share * (demand.burst_factor - 1.0))
        rates, draws = np.empty(BINS), np.empty(BINS)
        _draw_bursts(draws, *self._key, epoch)
        for stretch, u in enumerate(draws.tolist()):
            forgets = 1.0 if not self._begun else forgetting
            if u < forgets:  # a new state, drawn from the stationary shares
                self._bursting = u < forgets * share
            self._begun = True
            rates[stretch] = calm * (demand.burst_factor if self._bursting else 1.0)
        return rates


def most_queries(expected: Array) -> int:
    """Return more queries than an epoch will have at random.

    >>> most_queries(np.full(BINS, 100.0 / BINS))
    210
    """
    mean = float(expected.sum())
    return math.ceil(mean + _SPARE * math.sqrt(mean) + _SPARE)


@compiled_loop
def _draw_bursts(draws: Array, seed: int, replication: int, epoch: int) -> None:
    for stretch in range(draws.size):
        draws[stretch] = uniform(seed, replication, Purpose.BURST, epoch, stretch)


@compiled_loop
def arrive_evenly(times: Array, queries: int, epoch_s: float) -> None:
    """Fill ``times`` with evenly spaced arrivals, each in the middle of its share of the epoch.

    >>> times = np.empty(2)
    >>> arrive_evenly(times, 2, 100.0)
    >>> times.tolist()
    [25.0, 75.0]
    """
    for i in range(queries):
        times[i] = (i + 0.5) * epoch_s / queries


@compiled_loop
def arrive_at_random(
    times: Array,
    expected: Array,
    epoch_s: float,
    seed: int,
    replication: int,
    first_round: int,
) -> int:
    """Fill ``times`` with a Poisson process of a rate constant by stretch; return their number.

    Unit-rate gaps -ln(u) are laid end to end and mapped to time through the cumulated rate, so
    that a higher rate moves arrivals forward and draws none anew.

    >>> times = np.empty(most_queries(np.full(BINS, 10.0)))
    >>> queries = arrive_at_random(times, np.full(BINS, 10.0), 3600.0, 1, 0, 0)
    >>> bool((np.diff(times[:queries]) >= 0).all() and 0 <= times[0] and times[queries - 1] < 3600)
    True
    """
    bins = expected.size
    width = epoch_s / bins
    stretch, passed, at, queries = 0, 0.0, 0.0, 0
    while queries < times.size:
        u = uniform(seed, replication, Purpose.ARRIVAL, first_round + queries, 0)
        at -= math.log(u)
        while stretch < bins and at >= passed + expected[stretch]:
            passed += expected[stretch]
            stretch += 1
        if stretch == bins:
            return queries
        times[queries] = (stretch + (at - passed) / expected[stretch]) * width
        queries += 1
    return queries
