"""Turns are interleaved and ratios are those of one turn."""

from __future__ import annotations

import pytest

from benchmarks.measuring import Contestant, contest, ratio
from benchmarks.values import measurement


def test_contestants_take_turns():
    order = []

    def player(name):
        return Contestant(name, lambda _: order.append(name), 0.0)

    rates = contest([player("a"), player("b")], 3)
    assert order[-6:] == ["a", "b"] * 3
    assert [len(values) for values in rates.values()] == [3, 3]


def test_ratio_of_medians_and_spread_of_turns():
    found = ratio({"a": [10.0, 20.0, 30.0], "b": [1.0, 4.0, 5.0]}, "a", "b")
    assert found is not None
    assert found["ratio"] == 5.0
    assert (found["min"], found["median"], found["max"]) == (5.0, 6.0, 10.0)


def test_no_ratio_to_an_absentee():
    assert ratio({"a": [1.0]}, "a", "b") is None


@pytest.mark.parametrize(
    ("values", "bounds", "met"),
    [
        ([1.0, 3.0], {"at_least": 2.0}, True),
        ([1.0, 2.9], {"at_least": 2.0}, False),
        ([1.0, 3.0], {"at_most": 2.0}, True),
        ([1.0, 3.1], {"at_most": 2.0}, False),
        ([1.0], {}, None),
        ([], {"at_most": 2.0}, None),
    ],
)
def test_verdicts(values, bounds, met):
    assert measurement("x", values, "s", **bounds)["met"] is met
