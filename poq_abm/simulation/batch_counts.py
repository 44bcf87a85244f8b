"""What the rounds of a batch are counted for, where evaluators are paid when it has ended.

A round is one record that its committee scores. Pairs of members are counted by the bins of their
reports and by the half of the batch that the round belongs to (even or odd numbers): integers,
whose sums do not depend on who adds them in which order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.compilation import compiled_loop
from poq_abm.rules.committee import Committee
from poq_abm.rules.payment.payment import Counted
from poq_abm.simulation.arrays import GameArrays, Nodes, Rules

if TYPE_CHECKING:
    from poq_abm.rules.payment import BatchPayment

__all__ = [
    "MOST_TABLE_BYTES",
    "BatchCounts",
    "clear_counts",
    "count_committee",
    "counted_for",
    "open_counts",
    "table_bytes",
]

MOST_TABLE_BYTES = 2**30
HALVES = 2
MOMENTS = 6  #: how many pairs of numbers, then the sums of x, y, x^2, y^2 and x y
MID_SCALE = 5.0  # about which moments are taken


class BatchCounts(NamedTuple):
    """The counts of a batch so far; arrays that nothing is counted in are empty."""

    tables: NDArray[np.uint32]  #: (M M 2 C C,) reports of pairs, by :attr:`Counted.PAIRS`
    moments: NDArray[np.float64]  #: (M, 6) of reports and what they are compared with
    bins: NDArray[np.int64]  #: (K,) scratch


def table_bytes(evaluators: int, bins: int) -> int:
    """Return the memory that the tables of so many evaluators take.

    >>> table_bytes(50, 3)
    180000
    """
    return 4 * HALVES * (evaluators * bins) ** 2


def open_counts(rules: Rules, nodes: Nodes) -> BatchCounts:
    """Return the counts of a game before a batch's first round."""
    evaluators, bins = nodes.evaluator.size, nodes.score_cuts.shape[1] + 1
    pairs = table_bytes(evaluators, bins) // 4 if rules.counted == Counted.PAIRS else 0
    rows = evaluators if rules.counted in (Counted.PEERS, Counted.TRUTH) else 0
    return BatchCounts(
        np.zeros(pairs, np.uint32),
        np.zeros((rows, MOMENTS)),
        np.zeros(rules.committee_size, np.int64),
    )


def clear_counts(counts: BatchCounts) -> None:
    """Forget every round: another batch begins."""
    counts.tables.fill(0)
    counts.moments.fill(0.0)


def counted_for(rule: type[BatchPayment], nodes: Nodes, counts: BatchCounts) -> NDArray[np.generic]:
    """Return the counts in the shape that a rule's merits take."""
    if rule.counted != Counted.PAIRS:
        return counts.moments
    evaluators, bins = nodes.evaluator.size, nodes.score_cuts.shape[1] + 1
    return counts.tables.reshape(evaluators, evaluators, HALVES, bins, bins)


@compiled_loop
def count_committee(
    number: int,
    truth: float,
    planted: bool,
    game: GameArrays,
    committee: Committee,
    counts: BatchCounts,
) -> None:
    """Count a round by what its committee reported of an answer with this truth."""
    if game.rules.counted == Counted.PAIRS:
        _count_pairs(number % HALVES, game.nodes.score_cuts, committee, counts)
    elif game.rules.counted == Counted.PEERS:
        _compare_with_peers(committee, counts.moments)
    elif planted:
        for k in range(committee.members.size):
            row = counts.moments[committee.members[k]]
            _add_moments(row, committee.scores[k] - MID_SCALE, truth - MID_SCALE)


@compiled_loop
def _count_pairs(
    half: int, cuts: NDArray[np.float64], committee: Committee, counts: BatchCounts
) -> None:
    """Count every two members' bins."""
    members, scores, bins = committee.members, committee.scores, counts.bins
    evaluators, others = cuts.shape
    width = np.uint64(others + 1)
    for k in range(members.size):
        member, score, found = np.uint64(members[k]), scores[k], 0
        for cut in range(others):
            found += int(score >= cuts[member, cut])
        bins[k] = found
    for k in range(members.size):
        row = np.uint64(members[k]) * np.uint64(evaluators)
        for other in range(k + 1, members.size):
            place = (row + np.uint64(members[other])) * np.uint64(HALVES) + np.uint64(half)
            place = (place * width + np.uint64(bins[k])) * width + np.uint64(bins[other])
            counts.tables[place] += np.uint32(1)


@compiled_loop
def _compare_with_peers(committee: Committee, moments: NDArray[np.float64]) -> None:
    """Add every member's report, and the mean of the other members' reports."""
    members, scores = committee.members, committee.scores
    total = 0.0
    for k in range(members.size):
        total += scores[k] - MID_SCALE
    for k in range(members.size):
        own = scores[k] - MID_SCALE
        _add_moments(moments[members[k]], own, (total - own) / (members.size - 1))


@compiled_loop
def _add_moments(row: NDArray[np.float64], x: float, y: float) -> None:
    row[0] += 1.0
    row[1] += x
    row[2] += y
    row[3] += x * x
    row[4] += y * y
    row[5] += x * y
