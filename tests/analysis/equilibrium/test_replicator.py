"""Replicator dynamics: attractors and basins of games solved by hand."""

import numpy as np
import pytest

from poq_abm.analysis.equilibrium.replicator import replicator_basins, simplex_grid


def of_two(matrix):
    return lambda mixes: (np.asarray(matrix)[None] * mixes[:, None]).sum(axis=2)


def test_basins_of_coordination_meet_where_both_earn_the_same():
    found = replicator_basins(of_two([[2.0, 0.0], [0.0, 1.0]]), simplex_grid(100, 2))
    assert found.attractors == pytest.approx(np.eye(2), abs=1e-4)
    assert found.basins == pytest.approx([66 / 99, 33 / 99])


def test_hawks_and_doves_settle_in_a_mix_and_a_cycle_never_does():
    found = replicator_basins(of_two([[-0.5, 2.0], [0.0, 1.0]]), simplex_grid(10, 2))
    assert found.attractors == pytest.approx(np.array([[2 / 3, 1 / 3]]), abs=1e-4)
    assert found.basins.tolist() == [1.0]
    cycle = [[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]
    starts = np.array([[0.5, 0.3, 0.2]])
    assert replicator_basins(of_two(cycle), starts).basins.size == 0
    same = replicator_basins(of_two(np.ones((2, 2))), simplex_grid(4, 2))
    assert same.basins == pytest.approx([1 / 3] * 3)  # nothing moves
