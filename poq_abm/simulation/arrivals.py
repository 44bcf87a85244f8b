"""When queries arrive: one after the other, by day, in bursts, in a surge, and with the fee."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.compilation import compiled, compiled_loop
from poq_abm.random import Purpose, uniform
from poq_abm.scenario.schema.service import MOST_DEMAND, QueryDemand

__all__ = [
    "BINS",
    "ArrivalRate",
    "Stretches",
    "arrive_at_random",
    "arrive_evenly",
    "gap",
    "most_queries",
]

Array = NDArray[np.float64]

BINS = 60  #: least number of stretches in which an epoch, or a day, is cut
_DAY_HOURS = 24.0
_MOST_AT_ONCE = 2**20  # lengths of bursts drawn
_SPARE = 10.0  # standard deviations above the mean: a Poisson number is never that large


class Stretches(NamedTuple):
    """An epoch cut into n stretches of a constant rate each."""

    edges: Array  #: (n + 1,) where they begin and end, from 0, in any unit of time
    queries: Array  #: (n,) expected number of queries in each


class ArrivalRate:
    """The rate at which queries arrive, stretch by stretch, epoch after epoch.

    The rate is a function of the hour, not of how time is cut into epochs: its mean, the swing over
    a day and the length of bursts are the same whatever ``hours`` an epoch has.

    Life-cycle: :meth:`expected` once an epoch, in order, because a burst can span epochs.
    """

    def __init__(
        self, demand: QueryDemand, queries: float, hours: float, seed: int, replication: int
    ):
        self._demand = demand
        self._queries = queries
        self._hours = hours
        self._bursts = _Bursts(demand, seed, replication) if demand.arrivals == "bursty" else None

    def scale(self, epoch: int, fee_ratio: float) -> float:
        """Return demand over its normal level: a surge, and what the fee does to it."""
        demand = self._demand
        surge = demand.surge
        factor = surge.factor if surge and surge.first <= epoch <= surge.last else 1.0
        if demand.elasticity > 0.0 and fee_ratio > 0.0:
            power = -demand.elasticity * math.log(fee_ratio)
            factor *= math.exp(min(power, math.log(MOST_DEMAND)))
        return factor

    def expected(self, epoch: int, fee_ratio: float = 1.0) -> Stretches:
        """Return the stretches of an epoch, with the expected number of queries in each."""
        mean = self._queries * self.scale(epoch, fee_ratio)
        if self._demand.arrivals == "diurnal":
            edges, shares = _day(self._demand, epoch * self._hours, self._hours)
        elif self._bursts is not None:
            begin = 60.0 * self._hours * epoch
            edges, shares = self._bursts.between(begin, begin + 60.0 * self._hours)
        else:
            edges, shares = np.arange(BINS + 1.0), np.ones(BINS)
        return Stretches(edges, mean / edges[-1] * shares)


def _day(demand: QueryDemand, first_hour: float, hours: float) -> tuple[Array, Array]:
    """Return edges, and what a rate of 1 + A cos 2 pi (t - peak) / 24 comes to in between.

    Integrated, not sampled: over a stretch of w hours about t the mean rate is
    1 + A cos(2 pi (t - peak) / 24) sin(pi w / 24) / (pi w / 24). Stretches are equal, at least
    ``BINS`` an epoch and a day.
    """
    count = max(BINS, math.ceil(BINS * hours / _DAY_HOURS))
    half = math.pi * hours / count / _DAY_HOURS
    swing = demand.amplitude * math.sin(half) / half
    start = 2.0 * math.pi * ((first_hour - demand.peak_hour) % _DAY_HOURS) / _DAY_HOURS
    # math.cos, because NumPy's differs in the last bit between processors
    shares = [1.0 + swing * math.cos(start + (2 * i + 1) * half) for i in range(count)]
    return np.arange(count + 1.0), np.array(shares)


class _Bursts:
    """Bursts and calm in turn, each of a random length: a two-state Markov chain in time.

    Lengths are exponential, of mean ``burst_minutes`` and burst_minutes (1 - share) / share, keyed
    by their number since the beginning. The chain is stationary: its first state is drawn from the
    shares, and what is left of a state has the law of a whole one.
    """

    def __init__(self, demand: QueryDemand, seed: int, replication: int) -> None:
        self._key = (seed, replication)
        share, minutes = demand.burst_share, demand.burst_minutes
        self._means = (minutes * (1.0 - share) / share, minutes)  #: of calm and burst
        self._per_minute = 2.0 * share / minutes  #: changes of state
        calm = 1.0 / (1.0 + share * (demand.burst_factor - 1.0))
        self._rates = np.array([calm, calm * demand.burst_factor])
        self._first = int(uniform(seed, replication, int(Purpose.BURST), 0, 0) < share)
        self._drawn = 0  #: lengths drawn so far
        self._ends = np.zeros(1)  #: minutes at which the last of them end; the first is past

    def between(self, first: float, last: float) -> tuple[Array, Array]:
        """Return the edges of the states from one minute to another, and their weights."""
        while self._ends[-1] <= last:
            lengths = np.empty(min(_MOST_AT_ONCE, BINS + int((last - first) * self._per_minute)))
            calm_first = (self._first + self._drawn) % 2 == 0
            means = self._means if calm_first else self._means[::-1]
            _draw_lengths(lengths, *means, *self._key, self._drawn)
            self._drawn += lengths.size
            ends = self._ends[-1] + np.cumsum(lengths)
            self._ends = np.concatenate([self._ends[self._ends <= first][-1:],
                                         self._ends[self._ends > first], ends])  # fmt: skip
        inside = self._ends[(self._ends > first) & (self._ends < last)]
        edges = np.concatenate([[0.0], inside - first, [last - first]])
        passed = int(np.searchsorted(self._ends, first, side="right"))
        number = self._first + self._drawn - (self._ends.size - passed)
        states = (number + np.arange(inside.size + 1)) % 2
        return edges, self._rates[states] * np.diff(edges)


def most_queries(expected: Array) -> int:
    """Return more queries than an epoch will have at random.

    >>> most_queries(np.full(BINS, 100.0 / BINS))
    210
    """
    mean = float(expected.sum())
    return math.ceil(mean + _SPARE * math.sqrt(mean) + _SPARE)


@compiled
def gap(u: float, rate: float) -> float:
    """Return the exponential time between two arrivals of a Poisson process, for a uniform ``u``.

    -ln(u) / rate, in seconds for a rate per second.

    >>> round(gap(0.5, 1.0), 4)
    0.6931
    """
    return -math.log(u) / rate


@compiled_loop
def _draw_lengths(
    lengths: Array, first: float, second: float, seed: int, replication: int, number: int
) -> None:
    """Fill ``lengths`` from the given number on; their means take turns."""
    for i in range(lengths.size):
        u = uniform(seed, replication, Purpose.BURST, 0, 1 + number + i)
        lengths[i] = gap(u, 1.0) * (first if i % 2 == 0 else second)


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
    edges: Array,
    expected: Array,
    epoch_s: float,
    seed: int,
    replication: int,
    first_round: int,
) -> int:
    """Fill ``times`` with a Poisson process of a rate constant by stretch; return their number.

    Unit-rate gaps -ln(u) are laid end to end and mapped to time through the cumulated rate, so
    that a higher rate moves arrivals forward and draws none anew. The last of ``edges`` is the
    epoch's end.

    >>> rates = np.full(BINS, 10.0)
    >>> times = np.empty(most_queries(rates))
    >>> queries = arrive_at_random(times, np.arange(BINS + 1.0), rates, 3600.0, 1, 0, 0)
    >>> bool((np.diff(times[:queries]) >= 0).all() and 0 <= times[0] and times[queries - 1] < 3600)
    True
    """
    stretches = expected.size
    unit = epoch_s / edges[stretches]
    stretch, passed, at, queries = 0, 0.0, 0.0, 0
    while queries < times.size:
        u = uniform(seed, replication, Purpose.ARRIVAL, first_round + queries, 0)
        at += gap(u, 1.0)
        while stretch < stretches and at >= passed + expected[stretch]:
            passed += expected[stretch]
            stretch += 1
        if stretch == stretches:
            return queries
        part = (at - passed) / expected[stretch]
        times[queries] = (edges[stretch] + part * (edges[stretch + 1] - edges[stretch])) * unit
        queries += 1
    return queries
