"""Turns are interleaved and ratios are those of one turn."""

from __future__ import annotations

import pytest

from benchmarks import measuring
from benchmarks.measuring import Contestant, contest, duels, ratio
from benchmarks.reporting import measurement


def test_contestants_take_turns():
    order = []

    def player(name):
        return Contestant(name, lambda _: order.append(name), 0.0)

    rates = contest([player("a"), player("b")], 3)
    assert order[-6:] == ["a", "b"] * 3
    assert [len(values) for values in rates.values()] == [3, 3]


def test_every_turn_of_a_duel_stands_next_to_one_of_the_baseline():
    order = []

    def player(name):
        return Contestant(name, lambda _: order.append(name), 0.0)

    pairs = duels(player("base"), [player("a"), player("b")], 2)
    assert order[-8:] == ["base", "a", "base", "b", "a", "base", "b", "base"]
    assert {name: len(turns) for name, turns in pairs.items()} == {"a": 2, "b": 2}


def test_a_duel_tells_the_contestant_from_the_baseline(monkeypatch):
    seconds = {"base": 1.0, "a": 4.0}
    monkeypatch.setattr(measuring, "_seconds", lambda player, _: seconds[player.name])
    monkeypatch.setattr(measuring, "_rounds_for", lambda _: 8)
    base, a = (Contestant(name, lambda _: None, 0.0) for name in seconds)
    assert duels(base, [a], 2) == {"a": [(2.0, 8.0)] * 2}


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
