"""What the rounds of an epoch add up to: service, latency, planted records."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from poq_abm.economy.columns import LATENCY_CELLS, Queries, Takings
from poq_abm.jit import compiled, compiled_loop
from poq_abm.mechanism.rewards import SCORE_SCALE
from poq_abm.network.columns import Orders, Tables
from poq_abm.network.trace import Trace

__all__ = ["begin_epoch", "latency_quantile", "settle"]

_SHORTEST_S, _DECADES = 1e-3, 8.0


@compiled
def _latency_cell(seconds: float) -> int:
    place = math.log10(max(seconds, _SHORTEST_S) / _SHORTEST_S) * (LATENCY_CELLS / _DECADES)
    return min(int(place), LATENCY_CELLS - 1)


def latency_quantile(counts: NDArray[np.int64], q: float) -> float:
    """Return the q-quantile in seconds of latencies counted in cells; NaN where there are none.

    The middle, on the log scale, of the cell that holds it: off by at most 0.9 %.

    >>> counts = np.zeros(LATENCY_CELLS, np.int64)
    >>> counts[_latency_cell(2.0)] = 5
    >>> abs(latency_quantile(counts, 0.5) / 2.0 - 1.0) < 0.01
    True
    """
    total = int(counts.sum())
    if total == 0:
        return math.nan
    cell = int(np.searchsorted(np.cumsum(counts), q * total, side="left"))
    return float(_SHORTEST_S * 10.0 ** ((cell + 0.5) * _DECADES / LATENCY_CELLS))


def begin_epoch(takings: Takings) -> None:
    """Clear what is counted for each epoch anew."""
    for column in ("busy_s", "served", "sums", "latencies", "gold_seen", "gold_failed"):
        getattr(takings, column)[:] = 0


@compiled_loop
def settle(
    count: int,
    quickest_s: float,
    latency_penalty: float,
    gold_tolerance: float,
    tables: Tables,
    evaluators_from: int,
    orders: Orders,
    queries: Queries,
    trace: Trace,
    takings: Takings,
) -> None:
    """Add the first ``count`` rounds of an epoch to the takings.

    A user pays the fee times 1 + latency_penalty x min(1, quickest / latency): fast service costs
    more, up to that share. ``evaluators_from`` is the node id of the first evaluator.
    """
    for row in range(count):
        node = orders.node[row]
        if node < 0:
            continue
        latency = queries.wait[row] + queries.service[row]
        cell = _latency_cell(latency)
        takings.busy_s[node] += queries.service[row]
        takings.served[0] += 1
        takings.latencies[cell] += 1
        takings.node_latencies[node, cell] += 1
        takings.sums[0] += trace.truth[row]
        speed = min(1.0, quickest_s / latency) if latency > 0.0 else 1.0
        takings.sums[1] += 1.0 + latency_penalty * speed
        if tables.gold[orders.record[row]]:
            for k in range(trace.scores.shape[1]):
                member = trace.committee[row, k] - evaluators_from
                wrong = abs(trace.scores[row, k] - trace.truth[row]) > gold_tolerance * SCORE_SCALE
                takings.gold_seen[member] += 1
                takings.gold_failed[member] += int(wrong)
