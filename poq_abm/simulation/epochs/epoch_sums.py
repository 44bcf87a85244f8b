"""What the rounds of an epoch add up to: service, latency, planted records."""

from __future__ import annotations

from poq_abm.compilation import compiled_loop
from poq_abm.rules.payment.formulas import SCORE_SCALE
from poq_abm.simulation.arrays import Assignments, Tables
from poq_abm.simulation.epochs.epoch_arrays import Queries, Takings
from poq_abm.simulation.histograms import count_latency
from poq_abm.simulation.replication import Trace

__all__ = ["begin_epoch", "settle"]


def begin_epoch(takings: Takings) -> None:
    """Clear what is counted for each epoch anew."""
    for column in ("busy_s", "served", "sums", "gold_seen", "gold_failed"):
        getattr(takings, column)[:] = 0


@compiled_loop
def settle(
    count: int,
    quickest_s: float,
    latency_penalty: float,
    gold_tolerance: float,
    tables: Tables,
    evaluators_from: int,
    assigned: Assignments,
    queries: Queries,
    trace: Trace,
    takings: Takings,
) -> None:
    """Add the first ``count`` rounds of an epoch to the takings.

    A user pays the fee times 1 + latency_penalty x min(1, quickest / latency): fast service costs
    more, up to that share. ``evaluators_from`` is the node id of the first evaluator.
    """
    for row in range(count):
        node = assigned.node[row]
        if node < 0:
            continue
        latency = queries.wait[row] + queries.service[row]
        takings.busy_s[node] += queries.service[row]
        takings.served[0] += 1
        count_latency(takings.latencies, node, latency)
        takings.sums[0] += trace.truth[row]
        speed = min(1.0, quickest_s / latency) if latency > 0.0 else 1.0
        takings.sums[1] += 1.0 + latency_penalty * speed
        if tables.gold[assigned.record[row]]:
            for k in range(trace.scores.shape[1]):
                member = trace.committee[row, k] - evaluators_from
                wrong = abs(trace.scores[row, k] - trace.truth[row]) > gold_tolerance * SCORE_SCALE
                takings.gold_seen[member] += 1
                takings.gold_failed[member] += int(wrong)
