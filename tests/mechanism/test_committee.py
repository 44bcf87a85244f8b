from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from poq_abm.mechanism.committee import draw_steps, seat_committee
from poq_abm.mechanism.schedule import Slot, words_per_round
from poq_abm.streams import Purpose, below, fill_words

#: The probability that one statistical test here fails on perfect draws.
ALARM = 1e-7

ROUND = int(Purpose.ROUND)
property_test = settings(deadline=None, derandomize=True, max_examples=200)
sizes = st.integers(1, 60).flatmap(lambda m: st.tuples(st.integers(1, m), st.just(m)))


def steps_of(
    size: int, evaluators: int, seed: int, replication: int, first: int, rounds: int
) -> NDArray[np.uint32]:
    words = np.empty((words_per_round(size), rounds), np.uint32)
    fill_words(words, seed, replication, ROUND, first)
    draw_steps(words, size, evaluators, np.empty(rounds, np.uint32), seed, replication, first)
    return words


def committees(
    size: int, evaluators: int, seed: int = 1, first: int = 0, rounds: int = 1
) -> NDArray[np.int64]:
    """The committees of a stretch of rounds, shape (rounds, K)."""
    steps = steps_of(size, evaluators, seed, 0, first, rounds)
    order, swapped = np.arange(evaluators), np.empty(size, np.int64)
    seated = np.empty((rounds, size), np.int64)
    for t in range(rounds):
        seat_committee(seated[t], order, swapped, steps, t)
    return seated


def by_swapping(steps: list[int], evaluators: int) -> list[int]:
    """Fisher and Yates on a whole list, for comparison."""
    order = list(range(evaluators))
    for i, step in enumerate(steps):
        order[i], order[i + step] = order[i + step], order[i]
    return order[: len(steps)]


def test_a_committee_by_hand() -> None:
    """Steps 2, 0, 1 through 0 1 2 3: take 2 (2 1 0 3), take 1 (2 1 0 3), take 3 (2 1 3 0)."""
    steps = np.zeros((Slot.COMMITTEE + 3, 1), np.uint32)
    steps[Slot.COMMITTEE :, 0] = [2, 0, 1]
    committee, order = np.empty(3, np.int64), np.arange(4)
    seat_committee(committee, order, np.empty(3, np.int64), steps, 0)
    assert committee.tolist() == [2, 1, 3]
    assert order.tolist() == [0, 1, 2, 3]


@property_test
@given(sizes, st.integers(0, 2**63 - 1), st.integers(0, 2**40))
def test_members_are_distinct_evaluators(size: tuple[int, int], seed: int, first: int) -> None:
    k, m = size
    (committee,) = committees(k, m, seed, first)
    assert len(set(committee.tolist())) == k
    assert committee.min() >= 0
    assert committee.max() < m


@property_test
@given(sizes, st.data())
def test_a_committee_is_the_prefix_of_a_shuffle(size: tuple[int, int], data: st.DataObject) -> None:
    k, m = size
    chosen = [data.draw(st.integers(0, m - 1 - i)) for i in range(k)]
    steps = np.zeros((Slot.COMMITTEE + k, 1), np.uint32)
    steps[Slot.COMMITTEE :, 0] = chosen
    committee, order = np.empty(k, np.int64), np.arange(m)
    seat_committee(committee, order, np.empty(k, np.int64), steps, 0)
    assert committee.tolist() == by_swapping(chosen, m)


@property_test
@given(sizes, st.data())
def test_the_identity_is_put_back_whatever_was_taken(
    size: tuple[int, int], data: st.DataObject
) -> None:
    k, m = size
    steps = np.zeros((Slot.COMMITTEE + k, 1), np.uint32)
    steps[Slot.COMMITTEE :, 0] = [data.draw(st.integers(0, m - 1 - i)) for i in range(k)]
    order = np.arange(m)
    seat_committee(np.empty(k, np.int64), order, np.empty(k, np.int64), steps, 0)
    assert np.array_equal(order, np.arange(m))


@property_test
@given(sizes, st.integers(0, 2**63 - 1), st.integers(0, 2**40))
def test_a_smaller_committee_is_a_prefix_of_a_larger_one(
    size: tuple[int, int], seed: int, first: int
) -> None:
    k, m = size
    whole = committees(m, m, seed, first, rounds=3)
    assert np.array_equal(committees(k, m, seed, first, rounds=3), whole[:, :k])
    assert np.array_equal(np.sort(whole, axis=1), np.tile(np.arange(m), (3, 1)))


@property_test
@given(sizes, st.integers(0, 2**63 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**40))
def test_each_seat_has_a_slot_of_its_own(
    size: tuple[int, int], seed: int, replication: int, first: int
) -> None:
    k, m = size
    steps = steps_of(k, m, seed, replication, first, rounds=2)
    for i in range(k):
        slot = Slot.COMMITTEE + i
        assert steps[slot].tolist() == [
            below(seed, replication, ROUND, first + t, slot, m - i) for t in range(2)
        ]


def test_drawing_steps_leaves_the_other_slots_alone() -> None:
    words = np.empty((8, 5), np.uint32)
    fill_words(words, 1, 0, ROUND, 0)
    before = words.copy()
    draw_steps(words, 2, 9, np.empty(5, np.uint32), 1, 0, 0)
    untouched = [0, 1, 2, 5, 6, 7]
    assert np.array_equal(words[untouched], before[untouched])


@pytest.mark.parametrize(("size", "evaluators"), [(1, 5), (2, 4), (3, 3), (3, 5), (4, 5)])
def test_every_ordered_selection_is_equally_likely(size: int, evaluators: int) -> None:
    rounds = 30_000  # at least 250 expected in each of at most 120 cells
    seated = committees(size, evaluators, seed=11, rounds=rounds)
    cells = {selection: i for i, selection in enumerate(permutations(range(evaluators), size))}
    counts = np.bincount([cells[tuple(c)] for c in seated.tolist()], minlength=len(cells))
    assert stats.chisquare(counts).pvalue > ALARM


def test_neighbouring_rounds_have_unrelated_committees() -> None:
    """The first members of two rounds in a row: every one of the 25 pairs equally likely."""
    first = committees(1, 5, seed=12, rounds=30_001)[:, 0]
    pairs = np.bincount(5 * first[:-1] + first[1:], minlength=25)
    # Overlapping pairs of independent uniform draws: the statistic for pairs minus that for singles
    # is chi-square with 25 - 5 degrees of freedom (Good's serial test).
    singles = np.bincount(first, minlength=5)
    statistic = stats.chisquare(pairs).statistic - stats.chisquare(singles).statistic
    assert stats.chi2.sf(statistic, 20) > ALARM
