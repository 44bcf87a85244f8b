"""Fronts: who dominates whom, what they cover, and how surely."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from poq_abm.analysis.design.fronts import (
    compared,
    hypervolume,
    non_dominated,
    probabilities,
    spread_out,
)

POINTS = arrays(np.float64, st.tuples(st.integers(1, 8), st.integers(1, 3)),
                elements=st.integers(0, 5).map(float))  # fmt: skip


@given(POINTS)
def test_a_front_is_what_no_other_dominates_and_covers_what_all_cover(points):
    kept = non_dominated(points)
    assert kept.any()
    for i, j in itertools.product(range(len(points)), repeat=2):
        if (points[j] <= points[i]).all() and (points[j] < points[i]).any():
            assert not kept[i]
    corner = np.full(points.shape[1], 6.0)
    assert hypervolume(points[kept], corner) == hypervolume(points, corner)


@given(POINTS)
def test_the_hypervolume_is_the_count_of_unit_cells_that_are_dominated(points):
    cells = itertools.product(range(6), repeat=points.shape[1])
    count = sum((points <= np.array(cell)).all(axis=1).any() for cell in cells)
    assert hypervolume(points, [6.0] * points.shape[1]) == count


def test_what_noise_alone_sets_apart_is_undecided_and_matching_decides_it():
    rng = np.random.default_rng(3)
    luck = rng.normal(size=(40, 1, 1))
    members = np.array([[[0.0, 1.0], [0.2, 1.2], [1.0, 0.0]]])
    shared = compared(luck + members, 0.99, [0.0, 0.0])
    assert shared.states == ["in", "out", "in"]
    assert shared.dominated[1].tolist() == [True, False, False]
    apart = compared(members + 3.0 * rng.normal(size=(40, 3, 2)), 0.99, [0.0, 0.0])
    assert set(apart.states) == {"undecided"}


def test_a_difference_below_the_tolerance_is_none():
    members = np.tile([[[1.0, 0.0], [1.001, -1.0]]], (5, 1, 1))
    assert compared(members, 0.95, [0.0, 0.0]).states == ["in", "in"]
    assert compared(members, 0.95, [0.01, 0.0]).states == ["out", "in"]


def test_probabilities_are_one_half_for_two_alike_and_sum_to_one_for_one_objective():
    played = np.random.default_rng(0).normal(size=(400, 2, 1))
    played -= played.mean(axis=0)
    found = probabilities(played, 2_000)
    assert found.sum() == pytest.approx(1.0)
    assert found[0] == pytest.approx(0.5, abs=0.05)


def test_a_short_front_keeps_its_ends():
    line = np.column_stack([np.arange(11.0), np.arange(11.0)[::-1]])
    assert spread_out(line, 3) == [0, 10, 5]
    assert sorted(spread_out(line, 99)) == list(range(11))
    assert spread_out(np.empty((0, 2)), 3) == []
