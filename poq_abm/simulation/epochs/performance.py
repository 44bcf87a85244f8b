"""What the rounds of an epoch add up to, for the network and node by node."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.compilation import compiled_loop
from poq_abm.rules.payment.formulas import SCORE_SCALE
from poq_abm.simulation.arrays import Assignments, Tables
from poq_abm.simulation.epochs.dispatch import Queries
from poq_abm.simulation.epochs.evaluator_weights import EvaluatorWeights
from poq_abm.simulation.histograms import LatencyCells, count_latency, open_cells
from poq_abm.simulation.ledger import NodeSum
from poq_abm.simulation.replication import Trace

__all__ = [
    "EpochTotals",
    "Performance",
    "ServiceTerms",
    "add_rounds",
    "clear_totals",
    "open_totals",
    "performance_of",
]

Array = NDArray[np.float64]


class ServiceTerms(NamedTuple):
    """What fees and planted records are judged by."""

    quickest_s: float  #: the shortest mean service time of all inference nodes
    latency_penalty: float  #: most that is added to a fee for fast service, as a share
    gold_tolerance: float  #: distance from truth / 10 that counts as wrong
    evaluators_from: int  #: node id of the first evaluator


class EpochTotals(NamedTuple):
    """What an epoch's rounds add up to, besides what the ledger holds."""

    busy_s: Array  #: (F,) seconds of service
    served: NDArray[np.int64]  #: (1,) queries answered
    sums: Array  #: (2,) truth, fee factors, over queries answered
    latencies: LatencyCells  #: of every inference node, over all epochs
    gold_seen: NDArray[np.int64]  #: (M,) planted records scored
    gold_failed: NDArray[np.int64]  #: (M,) of these, scored wrongly


def open_totals(inference: int, evaluators: int) -> EpochTotals:
    """Return the totals of a network before its first round."""
    return EpochTotals(
        busy_s=np.zeros(inference),
        served=np.zeros(1, np.int64),
        sums=np.zeros(2),
        latencies=open_cells(inference),
        gold_seen=np.zeros(evaluators, np.int64),
        gold_failed=np.zeros(evaluators, np.int64),
    )


def clear_totals(totals: EpochTotals) -> None:
    """Clear what is counted for each epoch anew; latencies go on."""
    for column in ("busy_s", "served", "sums", "gold_seen", "gold_failed"):
        getattr(totals, column)[:] = 0


@compiled_loop
def add_rounds(
    count: int,
    terms: ServiceTerms,
    tables: Tables,
    assigned: Assignments,
    queries: Queries,
    trace: Trace,
    totals: EpochTotals,
) -> None:
    """Add the first ``count`` rounds of an epoch to the totals.

    A user pays the fee times 1 + latency_penalty x min(1, quickest / latency): fast service costs
    more, up to that share.
    """
    for row in range(count):
        node = assigned.node[row]
        if node < 0:
            continue
        latency = queries.wait[row] + queries.service[row]
        totals.busy_s[node] += queries.service[row]
        totals.served[0] += 1
        count_latency(totals.latencies, node, latency)
        totals.sums[0] += trace.truth[row]
        speed = min(1.0, terms.quickest_s / latency) if latency > 0.0 else 1.0
        totals.sums[1] += 1.0 + terms.latency_penalty * speed
        if tables.gold[assigned.record[row]]:
            for k in range(trace.scores.shape[1]):
                member = trace.committee[row, k] - terms.evaluators_from
                wrong = (
                    abs(trace.scores[row, k] - trace.truth[row])
                    > terms.gold_tolerance * SCORE_SCALE
                )
                totals.gold_seen[member] += 1
                totals.gold_failed[member] += int(wrong)


class Performance(NamedTuple):
    """One epoch, node by node; F inference nodes, then M evaluators."""

    sums: Array  #: (N, 8) what the ledger took in
    jobs: Array  #: (N,) rounds a node took part in
    points: Array  #: (N,) sum of what the rounds gave it
    claims: Array  #: (N,) what its pay is in proportion to: points, or its shares under Yuma
    quality: Array  #: (F,) mean consensus / 10; NaN without a job
    distance: Array  #: (M,) mean distance from the reference / 10; NaN without a job
    gold_failed: Array  #: (M,) share of planted records scored wrongly; NaN without one
    acted: Array  #: (M,) rounds in which an evaluator did as its behaviour has it
    weights: EvaluatorWeights | None  #: under Yuma, what the next epoch goes on from


def performance_of(sums: Array, acted: Array, inference: int, totals: EpochTotals) -> Performance:
    """Return what an epoch brought: ``sums`` is what the ledger took in, shape (N, 8)."""
    jobs = sums[:, NodeSum.JOBS]
    with np.errstate(invalid="ignore", divide="ignore"):
        return Performance(
            sums=sums,
            jobs=jobs,
            points=sums[:, NodeSum.REWARD],
            claims=sums[:, NodeSum.REWARD],
            quality=sums[:inference, NodeSum.CONSENSUS] / jobs[:inference] / 10.0,
            distance=1.0 - sums[inference:, NodeSum.CLOSENESS] / jobs[inference:],
            gold_failed=totals.gold_failed / totals.gold_seen,
            acted=acted,
            weights=None,
        )
