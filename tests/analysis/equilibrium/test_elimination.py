"""Gaussian elimination against NumPy's."""

import numpy as np
import pytest

from poq_abm.analysis.equilibrium.elimination import solve_linear


@pytest.mark.parametrize("size", [1, 2, 5, 8])
def test_it_solves_what_numpy_solves(size):
    matrix = np.random.default_rng(size).normal(size=(size, size))
    right = np.arange(size, dtype=float)
    assert solve_linear(matrix, right) == pytest.approx(np.linalg.solve(matrix, right))


@pytest.mark.parametrize("matrix", [np.zeros((2, 2)), np.ones((3, 3)), np.full((2, 2), np.nan)])
def test_a_singular_one_has_no_solution(matrix):
    assert solve_linear(matrix, np.ones(len(matrix))) is None
