"""What strategies earn against mixes, by counting."""

import itertools

import numpy as np
import pytest

from poq_abm.analysis.equilibrium.mixture_payoffs import compositions, mixture_payoffs


def test_compositions_are_all_and_each_once():
    found = compositions(4, 3)
    assert found.shape == (15, 3)
    assert (found.sum(axis=1) == 4).all()
    assert len({tuple(row) for row in found}) == 15
    assert compositions(3, 1).tolist() == [[3]]


def test_the_mean_over_what_each_of_the_others_draws():
    others = compositions(3, 2)
    payoffs = np.random.default_rng(0).normal(size=(2, len(others)))
    mix = np.array([0.3, 0.7])
    expected = np.zeros(2)
    for drawn in itertools.product((0, 1), repeat=3):
        counts = [drawn.count(0), drawn.count(1)]
        (way,) = np.flatnonzero((others == counts).all(axis=1))
        expected += mix[list(drawn)].prod() * payoffs[:, way]
    assert mixture_payoffs(payoffs, others, mix[None])[0] == pytest.approx(expected)
    stacked = mixture_payoffs(np.stack([payoffs, 2 * payoffs]), others, mix[None])
    assert stacked.shape == (2, 1, 2)
    assert stacked[1, 0] == pytest.approx(2 * expected)
