from __future__ import annotations

from collections import Counter
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from poq_abm.random import Purpose, below, fill_words
from poq_abm.rules.schedule.committee import (
    draw_steps,
    seat_by_weight,
    seat_committee,
    seat_weights,
)
from poq_abm.rules.schedule.drawing import Slot, words_per_round

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


# ---------------------------------------------------------------------------------- seats by weight


def weighted(
    weights: list[float], size: int, rounds: int, seed: int = 1, replication: int = 0
) -> NDArray[np.int64]:
    """Committees by weight, shape (rounds, K)."""
    seats = seat_weights(np.array(weights))
    seated = np.empty((rounds, size), np.int64)
    for t in range(rounds):
        seat_by_weight(seated[t], seats, seed, replication, t)
    return seated


def successive(weights: list[float], order: tuple[int, ...]) -> float:
    """The chance that seats go to ``order``, one after the other: the definition, enumerated."""
    chance, left = 1.0, dict(enumerate(weights))
    for member in order:
        chance *= left[member] / sum(left.values())
        del left[member]
    return chance


@pytest.mark.parametrize(
    ("weights", "size"),
    [
        ([1.0, 1.0, 1.0, 1.0, 1.0], 2),
        ([1.0, 2.0, 3.0, 4.0, 10.0], 3),
        ([100.0, 1.0, 1.0, 1.0, 20.0], 3),
        ([1e12, 1.0, 1.0, 2.0], 2),
        ([5.0, 1.0, 3.0], 3),
    ],
)
def test_seats_by_weight_are_successive_sampling(weights: list[float], size: int) -> None:
    """Chi-square of ordered committees against enumeration, at a false alarm of 1e-7 a case."""
    rounds = 60_000
    assigned = list(permutations(range(len(weights)), size))
    expected = rounds * np.array([successive(weights, order) for order in assigned])
    found = Counter(map(tuple, weighted(weights, size, rounds).tolist()))
    counts = np.array([found[order] for order in assigned])
    likely = expected >= 5.0
    assert counts[~likely].sum() <= 5 + 6 * np.sqrt(expected[~likely].sum())
    statistic = ((counts - expected)[likely] ** 2 / expected[likely]).sum()
    assert stats.chi2.sf(statistic, likely.sum() - 1) > ALARM


def test_equal_stakes_sit_equally_beside_large_ones() -> None:
    """Five of stake 1 beside 3, 8, 20, 60, 150, 400, 1000: 3.3 % each; stake 20: 60 %.

    Exact inclusion by enumeration over the order of the other members would take 12!/7! terms; the
    integral of Efraimidis and Spirakis' exponential race gives it to any precision.
    """
    weights = [1.0] * 5 + [3.0, 8.0, 20.0, 60.0, 150.0, 400.0, 1000.0]
    rounds, size = 40_000, 5
    seated = weighted(weights, size, rounds)
    share = np.array([(seated == member).any(axis=1).mean() for member in range(len(weights))])
    exact = inclusion(weights, size)
    assert exact[0] == pytest.approx(0.033, abs=0.001)
    assert exact[7] == pytest.approx(0.60, abs=0.01)
    sd = np.sqrt(exact * (1.0 - exact) / rounds)
    assert (np.abs(share - exact) < 5.5 * sd + 1e-12).all()
    assert np.ptp(share[:5]) < 5.5 * np.sqrt(2.0) * sd[0]


def inclusion(weights: list[float], size: int) -> NDArray[np.float64]:
    """The chance of a seat: member m arrives first at Exp(w_m), and the first K have seats."""
    times = np.exp(np.linspace(-20.0, 8.0, 20_001))
    arrived = 1.0 - np.exp(-np.outer(weights, times))
    result = np.empty(len(weights))
    for member, weight in enumerate(weights):
        others = np.delete(arrived, member, axis=0)
        before = np.zeros((size, times.size))  # chance that so many others came earlier
        before[0] = 1.0
        for p in others:
            before[1:] = before[1:] * (1.0 - p) + before[:-1] * p
            before[0] *= 1.0 - p
        density = weight * np.exp(-weight * times) * before.sum(axis=0) * times
        result[member] = np.trapezoid(density, np.log(times))
    return result


any_weights = st.lists(
    st.one_of(st.just(0.0), st.floats(1e-300, 1e300)), min_size=1, max_size=40
).flatmap(lambda weights: st.tuples(st.just(weights), st.integers(1, len(weights))))


@property_test
@given(any_weights, st.integers(0, 2**63 - 1))
def test_any_weights_seat_distinct_members_heavy_ones_first(
    case: tuple[list[float], int], seed: int
) -> None:
    weights, size = case
    seats = seat_weights(np.array(weights))
    before = seats.tree.copy()
    committee = np.empty(size, np.int64)
    seat_by_weight(committee, seats, seed, 0, 7)
    assert np.array_equal(seats.tree, before)
    assert len(set(committee.tolist())) == size
    has_weight = (seats.weights > 0.0)[committee]
    assert np.array_equal(has_weight, np.sort(has_weight)[::-1])
    smaller = np.empty(size - 1, np.int64)
    seat_by_weight(smaller, seats, seed, 0, 7)
    assert np.array_equal(smaller, committee[:-1])


def test_members_without_weight_share_what_is_left_equally() -> None:
    seated = weighted([0.0, 3.0, 0.0, 0.0], 2, 30_000)
    assert set(seated[:, 0]) == {1}
    counts = np.bincount(seated[:, 1], minlength=4)[[0, 2, 3]]
    assert stats.chisquare(counts).pvalue > ALARM
