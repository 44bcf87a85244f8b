"""Symmetric equilibria of games solved by hand, and Nashpy's where it is there."""

import numpy as np
import pytest

from poq_abm.analysis.equilibrium.mixture_payoffs import compositions, mixture_payoffs
from poq_abm.analysis.equilibrium.symmetric import symmetric_equilibria

MATRICES = [
    np.array([[2.0, 0.0], [0.0, 1.0]]),
    np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]),
    np.array([[3.0, 0.0, 1.0], [0.0, 2.0, 1.0], [1.0, 1.0, 1.2]]),
]


def found_of(matrix):
    others = compositions(1, len(matrix))
    return symmetric_equilibria(lambda x: mixture_payoffs(matrix, others, x), len(matrix))


def test_of_coordination_and_of_a_cycle():
    assert found_of(MATRICES[0]) == pytest.approx(np.array([[1, 0], [0, 1], [1 / 3, 2 / 3]]))
    assert found_of(MATRICES[1]) == pytest.approx(np.array([[1 / 3] * 3]))


def test_of_many_players():
    """Volunteers: one of n pays c so that all have 1; in equilibrium q^(n - 1) = c do not."""
    players, cost = 5, 0.3
    others = compositions(players - 1, 2)  # volunteers, idlers
    payoffs = np.array([np.full(players, 1.0 - cost), (others[:, 0] > 0).astype(float)])
    (mix,) = symmetric_equilibria(lambda x: mixture_payoffs(payoffs, others, x), 2)
    assert mix[1] == pytest.approx(cost ** (1 / (players - 1)))


@pytest.mark.parametrize("matrix", MATRICES)
def test_nashpy_finds_the_same(matrix):
    nashpy = pytest.importorskip("nashpy")
    theirs = [
        row
        for row, column in nashpy.Game(matrix, matrix.T).support_enumeration()
        if np.allclose(row, column)
    ]
    ours = found_of(matrix)
    assert sorted(map(tuple, ours.round(6))) == sorted(tuple(np.round(r, 6)) for r in theirs)
