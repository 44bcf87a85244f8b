"""Logit equilibria of a game of two roles, and of a path that turns back."""

import numpy as np
import pytest

from poq_abm.analysis.equilibrium.logit_path import logit_path

ROWS = np.array([[9.0, 0.0], [0.0, 1.0]])
COLUMNS = np.array([[0.0, 1.0], [1.0, 0.0]])


def two_roles(shares):
    row, column = shares[:2], shares[2:]
    return np.concatenate([ROWS @ column, row @ COLUMNS])


def test_of_asymmetric_matching_pennies():
    """Figures of the reference, to its six digits."""
    path = logit_path(two_roles, [2, 2], [0.1, 0.5, 1.0, 3.0])
    assert path[:, 0] == pytest.approx([0.597516, 0.830671, 0.893576, 0.795384], abs=1e-6)
    assert path[:, 2] == pytest.approx([0.495124, 0.418077, 0.312780, 0.145256], abs=1e-6)
    assert path[:, :2].sum(axis=1) == pytest.approx(1.0)


def test_every_point_is_a_logit_response_to_itself():
    """Coordination with a bonus that the path leaves late: it stays on the risk-dominant side."""
    matrix = np.array([[2.0, 0.0], [1.9, 1.0]])
    precisions = [0.0, 0.5, 2.0, 10.0, 40.0]
    path = logit_path(lambda shares: matrix @ shares, [2], precisions)
    for precision, mix in zip(precisions, path, strict=True):
        response = np.exp(precision * (matrix @ mix))
        assert mix == pytest.approx(response / response.sum(), abs=1e-9)
    assert path[0].tolist() == [0.5, 0.5]
    assert path[-1, 1] > 0.999
