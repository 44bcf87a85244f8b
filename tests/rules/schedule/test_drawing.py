from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from poq_abm.random import Purpose, below, fill_words
from poq_abm.rules.schedule.drawing import (
    Slot,
    draw_nodes,
    draw_records,
    draw_tasks,
    pick,
    thresholds,
    words_per_round,
)
from poq_abm.rules.schedule.schedules import DrawnBy

#: The probability that one statistical test here fails on perfect draws.
ALARM = 1e-7

ROUND = int(Purpose.ROUND)
property_test = settings(deadline=None, derandomize=True, max_examples=200)
share_lists = st.lists(
    st.floats(1e-9, 1e6) | st.sampled_from([0.0, 1e-12]), min_size=1, max_size=50
).filter(lambda shares: sum(shares) > 0.0)
words = st.integers(0, 2**32 - 1)


def drawn_words(seed: int, first: int, rounds: int, slots: int = 4) -> NDArray[np.uint32]:
    drawn = np.empty((slots, rounds), np.uint32)
    fill_words(drawn, seed, 0, ROUND, first)
    return drawn


def drawn_nodes(
    schedule: DrawnBy, weights: list[float], rounds: int, seed: int = 1, first: int = 0
) -> NDArray[np.uint32]:
    nodes = drawn_words(seed, first, rounds)[Slot.NODE]
    scratch = np.empty(rounds, np.uint32)
    draw_nodes(int(schedule), nodes, thresholds(weights), scratch, seed, 0, first)
    return nodes


# ------------------------------------------------------------------------- shares as thresholds


def test_thresholds_by_hand() -> None:
    assert thresholds([1.0]).tolist() == [2**32]
    assert thresholds([0.25, 0.75]).tolist() == [2**30, 2**32]
    assert thresholds([3, 1, 4]).tolist() == [3 * 2**29, 2**31, 2**32]


def test_pick_by_hand() -> None:
    limits = thresholds([0.25, 0.75])
    assert [pick(word, limits) for word in (0, 2**30 - 1, 2**30, 2**32 - 1)] == [0, 0, 1, 1]


@property_test
@given(share_lists)
def test_each_share_is_honoured_to_one_word(shares: list[float]) -> None:
    limits = thresholds(shares).astype(np.float64)
    assert limits[-1] == 2**32
    widths = np.diff(limits, prepend=0.0)
    assert np.all(widths >= 0.0)
    exact = np.array(shares) / sum(shares) * 2**32
    assert np.abs(widths - exact).max() <= 1.0 + 1e-4  # a floor at both ends; sums rounded in float


@property_test
@given(share_lists, st.lists(words, min_size=1, max_size=20))
def test_pick_is_a_search_in_the_thresholds(shares: list[float], drawn: list[int]) -> None:
    limits = thresholds(shares)
    edges = {0, 2**32 - 1, *(int(limit) - 1 for limit in limits if limit > 0)}
    edges |= {int(limit) for limit in limits if limit < 2**32}
    for word in {*drawn, *edges}:
        assert pick(word, limits) == np.searchsorted(limits, np.uint64(word), side="right")


@property_test
@given(st.lists(st.sampled_from([0.0, 0.2, 1.0]), min_size=1, max_size=12).filter(any), words)
def test_what_has_no_share_is_never_picked(shares: list[float], word: int) -> None:
    limits = thresholds(shares)
    for target in (word, 0, 2**32 - 1):
        assert shares[pick(target, limits)] > 0.0


@pytest.mark.parametrize("size", [1, 2, 3, 10_000])
def test_pick_finds_every_one_of_many_equal_items(size: int) -> None:
    limits = thresholds(np.ones(size))
    starts = [0, *limits[:-1].tolist()]
    assert [pick(start, limits) for start in starts] == list(range(size))


# --------------------------------------------------------------------------------- slots, words


def test_every_draw_of_a_round_has_a_slot_of_its_own() -> None:
    assert [int(slot) for slot in Slot] == [0, 1, 2, 3]


@given(st.integers(1, 10_000))
@property_test
def test_a_round_has_a_word_for_every_slot_in_whole_blocks(committee_size: int) -> None:
    words = words_per_round(committee_size)
    assert words % 4 == 0
    assert words - 4 < Slot.COMMITTEE + committee_size <= words


# ----------------------------------------------------------------------------- tasks and records


@property_test
@given(share_lists, st.integers(0, 2**63 - 1))
def test_tasks_are_picked_by_their_words(shares: list[float], seed: int) -> None:
    limits = thresholds(shares)
    tasks = drawn_words(seed, 0, 20)[Slot.TASK]
    expected = [pick(word, limits) for word in tasks.tolist()]
    draw_tasks(tasks, limits, np.empty_like(tasks))
    assert tasks.tolist() == expected


@pytest.mark.parametrize("shares", [[0.5, 0.5], [0.1, 0.6, 0.3], [0.0, 1.0, 0.0, 3.0]])
def test_tasks_come_in_their_shares(shares: list[float]) -> None:
    rounds = 50_000
    tasks = drawn_words(21, 0, rounds)[Slot.TASK]
    draw_tasks(tasks, thresholds(shares), np.empty_like(tasks))
    counts = np.bincount(tasks, minlength=len(shares))
    expected = np.array(shares) / sum(shares) * rounds
    assert np.all(counts[expected == 0.0] == 0)
    assert stats.chisquare(counts[expected > 0.0], expected[expected > 0.0]).pvalue > ALARM


def drawn_records(
    tasks: list[int], first: list[int], size: list[int], seed: int, start: int
) -> NDArray[np.uint32]:
    records = drawn_words(seed, start, len(tasks))[Slot.RECORD]
    draw_records(
        records,
        np.array(tasks, np.uint32),
        np.array(first, np.int64),
        np.array(size, np.int64),
        np.empty(len(tasks), np.uint32),
        seed,
        0,
        start,
    )
    return records


@property_test
@given(
    st.lists(st.integers(1, 400), min_size=1, max_size=6),
    st.integers(0, 2**63 - 1),
    st.integers(0, 2**40),
    st.data(),
)
def test_a_record_is_one_of_its_task(
    size: list[int], seed: int, start: int, data: st.DataObject
) -> None:
    first = [0, *np.cumsum(size)[:-1].tolist()]
    tasks = data.draw(st.lists(st.integers(0, len(size) - 1), min_size=1, max_size=20))
    records = drawn_records(tasks, first, size, seed, start)
    assert records.tolist() == [
        first[k] + below(seed, 0, ROUND, start + t, int(Slot.RECORD), size[k])
        for t, k in enumerate(tasks)
    ]


def test_records_of_a_task_are_equally_likely() -> None:
    rounds = 50_000
    records = drawn_records([1] * rounds, [0, 7], [7, 40], seed=22, start=0)
    assert stats.chisquare(np.bincount(records, minlength=47)[7:]).pvalue > ALARM
    assert records.min() == 7


# ------------------------------------------------------------------------------------- schedules


@property_test
@given(st.integers(1, 50), st.integers(0, 2**63 - 1), st.integers(0, 2**40))
def test_the_uniform_schedule_draws_below_the_number_of_nodes(
    count: int, seed: int, first: int
) -> None:
    """Weights are for another schedule."""
    weights = [float(i + 1) for i in range(count)]
    nodes = drawn_nodes(DrawnBy.UNIFORM, weights, 10, seed, first)
    assert nodes.tolist() == [
        below(seed, 0, ROUND, first + t, int(Slot.NODE), count) for t in range(10)
    ]


@property_test
@given(st.integers(1, 50), st.integers(0, 2**63 - 1), st.integers(0, 2**47))
def test_round_robin_gives_everybody_a_turn(count: int, seed: int, first: int) -> None:
    nodes = drawn_nodes(DrawnBy.ROUND_ROBIN, [1.0] * count, 2 * count, seed, first)
    assert nodes.tolist() == [(first + t) % count for t in range(2 * count)]


@property_test
@given(
    st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=50),
    st.integers(0, 2**63 - 1),
    st.integers(0, 2**40),
)
def test_the_weighted_schedule_picks_by_weight(weights: list[float], seed: int, first: int) -> None:
    drawn = drawn_words(seed, first, 10)[Slot.NODE]
    nodes = drawn_nodes(DrawnBy.WEIGHTED, weights, 10, seed, first)
    assert nodes.tolist() == [pick(word, thresholds(weights)) for word in drawn.tolist()]


@pytest.mark.parametrize(
    ("schedule", "weights", "shares"),
    [
        (DrawnBy.UNIFORM, [1.0, 5.0, 2.0], [1.0, 1.0, 1.0]),
        (DrawnBy.WEIGHTED, [1.0, 5.0, 2.0], [1.0, 5.0, 2.0]),
        (DrawnBy.WEIGHTED, [0.1] * 30, [1.0] * 30),
    ],
)
def test_nodes_get_their_share_of_the_jobs(
    schedule: DrawnBy, weights: list[float], shares: list[float]
) -> None:
    rounds = 50_000
    nodes = drawn_nodes(schedule, weights, rounds, seed=23)
    expected = np.array(shares) / sum(shares) * rounds
    assert stats.chisquare(np.bincount(nodes, minlength=len(shares)), expected).pvalue > ALARM


def test_huge_weights_do_not_overflow() -> None:
    assert thresholds([1e308, 1e308]).tolist() == [2**31, 2**32]
