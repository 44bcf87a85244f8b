"""The geometric median of score vectors: closed forms, symmetries, and what liars cannot do."""

from __future__ import annotations

import numpy as np
import pytest

from poq_abm.rules.aggregation.geometric_median import geometric_median


def test_of_collinear_vectors_it_is_the_median() -> None:
    places = np.array([0.3, 9.1, 4.7, 2.2, 8.0])
    along = np.array([0.6, 0.8])
    found = geometric_median(places[:, None] * along)
    np.testing.assert_allclose(found, 4.7 * along, atol=1e-12)
    even = geometric_median(np.array([[1.0], [2.0], [5.0], [9.0]]))[0]
    assert 2.0 <= even <= 5.0


def test_the_fermat_point_of_a_triangle_and_the_diagonals_of_a_square() -> None:
    height = np.sqrt(3.0) / 2.0
    equal_sides = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, height]])
    np.testing.assert_allclose(geometric_median(equal_sides), [0.5, height / 3.0], atol=1e-10)
    flat = np.array([[0.0, 0.0], [10.0, 0.0], [5.0, 0.5]])  # an angle over 120 degrees
    assert geometric_median(flat).tolist() == [5.0, 0.5]
    convex = np.array([[0.0, 0.0], [4.0, 0.0], [6.0, 6.0], [0.0, 3.0]])
    np.testing.assert_allclose(geometric_median(convex), [12.0 / 7.0] * 2, atol=1e-9)


def test_it_turns_and_moves_with_the_vectors() -> None:
    vectors = np.random.default_rng(3).uniform(0.0, 10.0, size=(7, 2))
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    found = geometric_median((vectors[:, None, :] * turn).sum(axis=2) + 3.0)
    expected = (geometric_median(vectors) * turn).sum(axis=1) + 3.0
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("liars", [1, 3, 4])
def test_fewer_than_half_cannot_carry_it_away(liars: int) -> None:
    vectors = np.random.default_rng(liars).uniform(4.0, 6.0, size=(9, 3))
    far = np.sqrt(((vectors[liars:] - 5.0) ** 2).sum(axis=1)).max()
    vectors[:liars] = 1e9
    share = liars / 9
    moved = np.sqrt(((geometric_median(vectors) - 5.0) ** 2).sum())
    assert moved <= 2.0 * (1.0 - share) / (1.0 - 2.0 * share) * far
    assert np.abs(vectors.mean(axis=0) - 5.0).min() > 1e8


def test_no_vector_and_no_number_are_refused() -> None:
    for wrong in (np.empty((0, 2)), np.array([1.0]), np.array([[np.nan, 1.0]])):
        with pytest.raises(ValueError, match="finite scores"):
            geometric_median(wrong)
