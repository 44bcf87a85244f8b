"""What every evaluator behaviour reports, against its formula written out in NumPy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from behaviour_support import SCORES, Played, play, seats, tiny

from poq_abm.random import Purpose, normal, uniform
from poq_abm.rules.behaviour.base import is_lazy
from poq_abm.simulation.arrays import EvaluatorColumn
from poq_abm.simulation.replication import Counter, State

SEED = 1  # of the published scenario
LEARNING = {"update": "multiplicative", "rate": 0.5, "interval": 1}


def keyed(draw: Any, purpose: Purpose, played: Played, evaluator: int) -> np.ndarray:
    """An evaluator's draw of every round, by its seat."""
    where = enumerate(seats(played.trace, evaluator).tolist())
    return np.array([draw(SEED, 0, purpose, round_, seat) for round_, seat in where])


def trust_before(played: Played, evaluator: int) -> np.ndarray:
    """An evaluator's trust before every round, where a log of every round is kept."""
    log = played.memory.trust_log[:, evaluator, 0]
    return np.concatenate([[played.game.rules.trust_start], log[:-1]])


def test_honest_nodes_report_what_they_measure() -> None:
    played = play()
    assert np.array_equal(played.reports, played.table)


def test_only_the_node_that_deviates_deviates() -> None:
    played = play({"e1": {"name": "boost"}})
    assert np.array_equal(played.reports[:, [0, 2]], played.table[:, [0, 2]])


def test_boost_adds_three_points_and_stops_at_ten() -> None:
    played = play({"e0": {"name": "boost"}})
    pairs = set(zip(played.table[:, 0].tolist(), played.reports[:, 0].tolist(), strict=True))
    assert pairs == {(9.0, 10.0), (1.0, 4.0), (6.5, 9.5), (8.0, 10.0), (2.0, 5.0), (0.0, 3.0)}


def test_sabotage_takes_three_points_and_stops_at_zero() -> None:
    played = play({"e0": {"name": "sabotage"}})
    pairs = set(zip(played.table[:, 0].tolist(), played.reports[:, 0].tolist(), strict=True))
    assert pairs == {(9.0, 6.0), (1.0, 0.0), (6.5, 3.5), (8.0, 5.0), (2.0, 0.0), (0.0, 0.0)}


def test_a_constant_evaluator_does_not_look() -> None:
    played = play({"e0": {"name": "constant", "score": 7.25}, "e1": {"name": "constant"}})
    assert np.all(played.reports[:, 0] == 7.25)
    assert np.all(played.reports[:, 1] == 5.0)


def test_noise_is_sigma_times_the_keyed_normal() -> None:
    played = play({"e0": {"name": "noise", "sigma": 2.5}, "e2": {"name": "noise"}})
    for evaluator, sigma in ((0, 2.5), (2, 2.0)):
        z = keyed(normal, Purpose.ATTACK, played, evaluator)
        expected = np.clip(played.table[:, evaluator] + sigma * z, 0.0, 10.0)
        assert np.array_equal(played.reports[:, evaluator], expected)
        assert {0.0, 10.0} & set(expected.tolist())  # the scale cuts some of it


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_intermittent_is_on_with_its_probability(p: float) -> None:
    rounds = 2000
    inner = {"name": "sabotage", "b": 10.0}
    level = tiny(np.full_like(SCORES, 5.0))
    spec = {"name": "intermittent", "p": p, "inner": inner}
    played = play({"e1": spec}, rounds=rounds, profile=level)
    on = played.reports[:, 1] == 0.0
    assert np.array_equal(on, keyed(uniform, Purpose.GATE, played, 1) < p)
    assert np.all(played.reports[~on, 1] == 5.0)
    # Six standard deviations: fails with probability 2e-9 if the rounds are independent.
    assert abs(on.mean() - p) <= 6.0 * math.sqrt(p * (1.0 - p) / rounds)


def test_a_sleeper_is_honest_until_trusted_and_long_enough_there() -> None:
    spec = {"name": "sleeper", "trust": 2.0, "jobs": 20, "inner": {"name": "boost", "b": 10.0}}
    played = play({"e2": spec}, mechanism__trust=LEARNING)
    trust = trust_before(played, 2)
    awake = (trust >= 2.0) & (np.arange(200) >= 20)
    assert 2 < np.flatnonzero(trust >= 2.0)[0] < 20 < awake.sum()  # both conditions bind
    assert np.array_equal(played.reports[:, 2], np.where(awake, 10.0, played.table[:, 2]))


def test_a_sleeper_that_wakes_by_trust_alone() -> None:
    spec = {"name": "sleeper", "trust": 2.0, "inner": {"name": "sabotage", "b": 10.0}}
    played = play({"e2": spec}, mechanism__trust=LEARNING)
    awake = trust_before(played, 2) >= 2.0
    assert 0 < awake.sum() < 200
    assert np.array_equal(played.reports[:, 2], np.where(awake, 0.0, played.table[:, 2]))


def test_a_sleeper_that_nobody_trusts_never_wakes() -> None:
    played = play({"e2": {"name": "sleeper"}})
    assert np.array_equal(played.reports, played.table)


def test_targeted_play_cares_for_one_group_only() -> None:
    spec = {"name": "targeted", "group": "i1", "inner": {"name": "sabotage", "b": 2.0}}
    played = play({"e1": spec})
    measured, own = played.table[:, 1], played.trace.node == 1
    assert 50 < own.sum() < 150
    expected = np.where(own, np.maximum(measured - 2.0, 0.0), measured)
    assert np.array_equal(played.reports[:, 1], expected)


@pytest.mark.parametrize("favour", [None, "i0", "i1"])
def test_a_ring_agrees_on_one_shifted_score(favour: str | None) -> None:
    """The mean of what all three models measure, 2.5 points up for friends and down for others."""
    spec: dict[str, Any] = {"name": "collude", "b": 2.5}
    if favour is not None:
        spec["favour"] = favour
    played = play({"e0": spec, "e2": spec})
    friend = np.full(200, True) if favour is None else played.trace.node == int(favour[1])
    agreed = played.table.sum(axis=1) / 3.0
    expected = np.clip(np.where(friend, agreed + 2.5, agreed - 2.5), 0.0, 10.0)
    assert np.array_equal(played.reports[:, 0], played.reports[:, 2])
    # The mean of three scores below 10, added in any order.
    assert np.allclose(played.reports[:, 0], expected, rtol=0.0, atol=1e-14)
    assert np.array_equal(played.reports[:, 1], played.table[:, 1])


def test_a_copycat_repeats_the_mean_consensus_it_has_seen() -> None:
    played = play({"e0": {"name": "copycat"}})
    seen = np.cumsum(played.trace.consensus)[:-1] / np.arange(1, 200)  # added in the same order
    assert played.reports[0, 0] == played.table[0, 0]
    assert np.array_equal(played.reports[1:, 0], seen)


def test_whitewash_comes_back_with_fresh_trust() -> None:
    """It reports 0 where all others report 10: d = 2/3, a factor of 5/6; four rounds are enough.

    (5/6)^3 = 0.579 and (5/6)^4 = 0.482 < 0.5.
    """
    level = tiny(np.full_like(SCORES, 10.0))
    spec = {"name": "whitewash", "below": 0.5, "inner": {"name": "sabotage", "b": 10.0}}
    trust = {**LEARNING, "rate": 1.0}
    played = play({"e1": spec}, profile=level, rounds=42, mechanism__trust=trust)
    log = played.memory.trust_log[:, 1, 0]
    cycle = [5 / 6, (5 / 6) ** 2, (5 / 6) ** 3, 1.0]
    # Rounding of 2/3, of the factor and of three products.
    assert np.allclose(log, np.resize(cycle, 42), rtol=0.0, atol=1e-14)
    assert played.memory.state[:, State.IDENTITIES].tolist() == [0.0, 10.0, 0.0]
    assert np.all(played.reports[:, 1] == 0.0)


def test_whitewash_without_need_keeps_its_name() -> None:
    played = play({"e1": {"name": "whitewash"}}, mechanism__trust=LEARNING)
    assert not played.memory.state[:, State.IDENTITIES].any()


def test_a_linear_report_is_its_formula() -> None:
    """On everything it scores, with chance p, while trusted; h for one group alone."""
    spec = {"name": "linear_report", "a": 2.0, "b": 0.5, "g": 0.25, "h": 1.5, "group": "i1",
            "p": 0.6, "trust": 0.9}  # fmt: skip
    played = play({"e1": spec}, mechanism__trust=LEARNING)
    s = played.table[:, 1]
    before = np.concatenate([[0.0], np.cumsum(played.trace.consensus)[:-1]])
    seen = np.divide(before, np.arange(200), out=s.copy(), where=np.arange(200) > 0)
    report = 2.0 + 0.5 * s + 0.25 * (seen - s) + 1.5 * (played.trace.node == 1)
    on = (keyed(uniform, Purpose.GATE, played, 1) < 0.6) & (trust_before(played, 1) >= 0.9)
    assert 10 < on.sum() < 120
    expected = np.where(on, np.clip(report, 0.0, 10.0), s)
    assert np.allclose(played.reports[:, 1], expected, rtol=0.0, atol=1e-12)


@pytest.mark.parametrize(
    ("known", "line"),
    [
        ({"name": "boost", "b": 2.0}, {"a": 2.0, "b": 1.0}),
        ({"name": "boost", "b": 2.0}, {"a": 0.5, "b": 1.0, "h": 1.5}),
        ({"name": "sabotage", "b": 2.0}, {"a": -2.0, "b": 1.0}),
        ({"name": "constant", "score": 7.25}, {"a": 7.25, "b": 0.0}),
        ({"name": "copycat"}, {"a": 0.0, "b": 1.0, "g": 1.0}),
        ({"name": "honest"}, {"a": 0.0, "b": 1.0}),
        ({"name": "intermittent", "p": 0.3}, {"a": 3.0, "b": 1.0, "p": 0.3}),
        ({"name": "sleeper", "trust": 1.01}, {"a": 3.0, "b": 1.0, "trust": 1.01}),
    ],
)
def test_declared_attacks_are_corners_of_the_linear_family(
    known: dict[str, Any], line: dict[str, Any]
) -> None:
    """To the last bit, and lazy where they are."""
    spec = {"name": "linear_report", **line}
    one, other = (play({"e1": s}, mechanism__trust=LEARNING).reports for s in (known, spec))
    assert np.array_equal(one, other)
    assert is_lazy("evaluator", known) == is_lazy("evaluator", spec)


def test_gates_nest() -> None:
    """Honest until it has had ten jobs, then hostile to one group, half of the time."""
    act = {"name": "constant", "score": 0.25}
    gate = {"name": "targeted", "group": "i0", "inner": {"name": "intermittent", "p": 0.5,
            "inner": act}}  # fmt: skip
    played = play({"e0": {"name": "sleeper", "trust": 0.0, "jobs": 10, "inner": gate}})
    on = keyed(uniform, Purpose.GATE, played, 0) < 0.5
    on &= (played.trace.node == 0) & (np.arange(200) >= 10)
    assert 20 < on.sum() < 80
    assert np.array_equal(played.reports[:, 0], np.where(on, 0.25, played.table[:, 0]))


def test_who_deviates_counts_as_malicious() -> None:
    harmless = {"name": "intermittent", "inner": {"name": "honest"}}
    played = play({"e0": {"name": "copycat"}, "e1": harmless, "e2": {"name": "sleeper"}})
    assert played.game.conduct.evaluators[:, EvaluatorColumn.MALICIOUS].tolist() == [1.0, 0.0, 1.0]
    assert played.memory.counters[Counter.MAJORITY] == 200  # two of three, in every round
    alone = play({"e0": {"name": "copycat"}})
    assert alone.memory.counters[Counter.MAJORITY] == 0
