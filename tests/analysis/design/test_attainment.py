"""Repeated searches: what all of them attain, what one found by luck, and how far each came."""

import numpy as np
import pytest

from poq_abm.analysis.design.attainment import attained, traces
from poq_abm.analysis.design.found import Looked


def look_of(*losses):
    points = np.array(losses, dtype=float)
    settings = [{"x": n} for n in range(len(points))]
    return Looked(settings, points, [(2, 1), (4, len(points))], [], np.empty((0, 1)))


def test_what_all_searches_reach_is_told_from_what_one_did():
    looks = [look_of([1, 3], [3, 1]), look_of([1, 3], [3.05, 1]), look_of([1, 3], [4, 4])]
    strict = attained(looks, np.zeros(2), 10)
    assert [(one.losses.tolist(), one.share) for one in strict] == [
        ([1, 3], 1.0),
        ([3, 1], pytest.approx(1 / 3)),
    ]
    loose = attained(looks, np.full(2, 0.1), 10)
    assert [one.share for one in loose] == [1.0, pytest.approx(2 / 3)]
    assert all(one.low < one.share <= one.high for one in loose)


def test_searches_are_measured_by_one_box():
    first, second = traces([look_of([0, 2], [2, 0]), look_of([2, 2], [0, 0])])
    assert first == [(2, 0.0), (4, 0.0)]
    assert second == [(2, 0.0), (4, 1.0)]


def test_a_search_without_a_feasible_design_attains_nothing():
    nobody = Looked([], np.empty((0, 2)), [(4, 0)], [{"x": 0}], np.ones((1, 1)))
    (one,) = attained([look_of([1, 1]), nobody], np.zeros(2), 5)
    assert one.share == 0.5
    assert traces([nobody]) == [[]]
