"""What the rounds of a batch are counted for, where nodes are paid when it has ended.

A round is one record that its committee scores. Pairs of members are counted by the bins of their
reports and by the half of the batch that the round belongs to (even or odd numbers): integers,
whose sums do not depend on who adds them in which order. Answers are added up by record and node.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.compilation import compiled, compiled_loop
from poq_abm.rules.committee import Committee
from poq_abm.rules.payment.payment import Counted
from poq_abm.simulation.arrays import GameArrays, Nodes, Rules, on_cache_lines
from poq_abm.simulation.ledger import MID_SCALE, ROW, add_to_row

if TYPE_CHECKING:
    from poq_abm.rules.payment import BatchPayment

__all__ = [
    "MOST_TABLE_BYTES",
    "BatchCounts",
    "answer_bytes",
    "clear_counts",
    "compare_columns_with_peers",
    "compare_columns_with_truth",
    "count_answer",
    "count_committee",
    "count_pairs_of_columns",
    "counted_for",
    "open_counts",
    "table_bytes",
]

MOST_TABLE_BYTES = 2**30
HALVES = 2
MOMENTS = 6  #: how many pairs of numbers, then the sums of x, y, x^2, y^2 and x y


class BatchCounts(NamedTuple):
    """The counts of a batch so far; arrays that nothing is counted in are empty."""

    tables: NDArray[np.uint32]  #: (M M 2 C C,) reports of pairs, by :attr:`Counted.PAIRS`
    answers: NDArray[np.float64]  #: (records, F, 2) how many, and the sum of their consensus
    moments: NDArray[np.float64]  #: (M, 8) of reports and what they are compared with; six in use


def table_bytes(evaluators: int, bins: int) -> int:
    """Return the memory that the tables of so many evaluators take.

    >>> table_bytes(50, 3)
    180000
    """
    return 4 * HALVES * (evaluators * bins) ** 2


def answer_bytes(records: int, nodes: int) -> int:
    """Return the memory that the answers of so many nodes, and their comparisons, take.

    >>> answer_bytes(400, 100)
    720000
    """
    return 8 * (2 * records * nodes + nodes**2)


def open_counts(rules: Rules, nodes: Nodes, records: int) -> BatchCounts:
    """Return the counts of a game before a batch's first round."""
    evaluators, bins = nodes.evaluator.size, nodes.score_cuts.shape[1] + 1
    pairs = table_bytes(evaluators, bins) // 4 if rules.counted == Counted.PAIRS else 0
    rows = evaluators if rules.counted in (Counted.PEERS, Counted.TRUTH) else 0
    return BatchCounts(
        np.zeros(pairs, np.uint32),
        np.zeros((records, nodes.model.size, 2) if rules.counts_answers else (0, 0, 2)),
        *on_cache_lines(((rows, ROW), np.float64)),
    )


def clear_counts(counts: BatchCounts) -> None:
    """Forget every round: another batch begins."""
    counts.tables.fill(0)
    counts.answers.fill(0.0)
    counts.moments.fill(0.0)


def counted_for(rule: type[BatchPayment], nodes: Nodes, counts: BatchCounts) -> NDArray[np.generic]:
    """Return the counts in the shape that a rule's merits take."""
    if rule.counted != Counted.PAIRS:
        return counts.moments[:, :MOMENTS]
    evaluators, bins = nodes.evaluator.size, nodes.score_cuts.shape[1] + 1
    return counts.tables.reshape(evaluators, evaluators, HALVES, bins, bins)


@compiled
def count_answer(record: int, node: int, consensus: float, counts: BatchCounts) -> None:
    """Count the answer of an inference node to a record, by the consensus on it."""
    counts.answers[record, node, 0] += 1.0
    counts.answers[record, node, 1] += consensus


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
        _count_pairs(number % HALVES, game.nodes.score_cuts, committee, counts.tables)
    elif game.rules.counted == Counted.PEERS:
        _compare_with_peers(committee, counts.moments)
    elif planted:
        for k in range(committee.members.size):
            own = committee.scores[k] - MID_SCALE
            _add_moments(counts.moments, committee.members[k], own, truth - MID_SCALE)


@compiled_loop
def _count_pairs(
    half: int, cuts: NDArray[np.float64], committee: Committee, tables: NDArray[np.uint32]
) -> None:
    """Count every two members' bins."""
    members, scores, bins = committee.members, committee.scores, committee.ordered
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
            tables[place] += np.uint32(1)


@compiled_loop
def _compare_with_peers(committee: Committee, moments: NDArray[np.float64]) -> None:
    """Add every member's report, and the mean of the other members' reports."""
    members, scores = committee.members, committee.scores
    total = 0.0
    for k in range(members.size):
        total += scores[k] - MID_SCALE
    for k in range(members.size):
        own = scores[k] - MID_SCALE
        _add_moments(moments, members[k], own, (total - own) / (members.size - 1))


@compiled
def _add_moments(moments: NDArray[np.float64], member: int, x: float, y: float) -> None:
    add_to_row(moments, np.uint64(member), (1.0, x, y, x * x, y * y, x * y))


@compiled_loop
def count_pairs_of_columns(
    start: int,
    rounds: int,
    members: NDArray[np.uint32],
    scores: NDArray[np.float64],
    cuts: NDArray[np.float64],
    counts: BatchCounts,
    rows: NDArray[np.uint32],
    columns: NDArray[np.uint32],
) -> None:
    """Count the pairs of many rounds from ``start`` on, as :func:`count_committee` does of one.

    A round is a column of ``members`` and ``scores``, of shape (K, rounds); ``rows`` and
    ``columns`` are scratch: the part of a cell's place that either member of a pair decides.
    """
    size, width = members.shape[0], np.uint32(cuts.shape[1] + 1)
    cells = np.uint32(HALVES) * width * width
    row = cells * np.uint32(cuts.shape[0])
    for k in range(size):
        for t in range(rounds):
            member, score, found = np.uint64(members[k, t]), scores[k, t], np.uint32(0)
            for cut in range(cuts.shape[1]):
                found += np.uint32(score >= cuts[member, cut])
            half = np.uint32((start + t) % HALVES) * width * width
            rows[k, t] = members[k, t] * row + half + found * width
            columns[k, t] = members[k, t] * cells + found
    for k in range(size):
        for other in range(k + 1, size):
            ours, theirs = rows[k], columns[other]
            for t in range(rounds):
                counts.tables[np.uint64(ours[t] + theirs[t])] += np.uint32(1)


@compiled_loop
def compare_columns_with_peers(
    rounds: int,
    members: NDArray[np.uint32],
    scores: NDArray[np.float64],
    moments: NDArray[np.float64],
    totals: NDArray[np.float64],
) -> None:
    """Add the moments of many rounds, in their order; ``totals`` is scratch, a number a round."""
    size = members.shape[0]
    for t in range(rounds):
        totals[t] = 0.0
    for k in range(size):
        reported = scores[k]
        for t in range(rounds):
            totals[t] += reported[t] - MID_SCALE
    for t in range(rounds):
        for k in range(size):
            own = scores[k, t] - MID_SCALE
            _add_moments(moments, int(members[k, t]), own, (totals[t] - own) / (size - 1))


@compiled_loop
def compare_columns_with_truth(
    rounds: int,
    members: NDArray[np.uint32],
    scores: NDArray[np.float64],
    planted: NDArray[np.bool_],
    records: NDArray[np.uint32],
    truth: NDArray[np.float64],
    moments: NDArray[np.float64],
) -> None:
    """Add the moments of many rounds, of those on planted records; ``planted`` is by record."""
    for t in range(rounds):
        if planted[np.uint64(records[t])]:
            for k in range(members.shape[0]):
                own = scores[k, t] - MID_SCALE
                _add_moments(moments, int(members[k, t]), own, truth[t] - MID_SCALE)
