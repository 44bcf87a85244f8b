"""Trust: every update by hand, its bounds, and what the published rule comes to in play."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import poq_abm
from poq_abm.profile.synthetic import SyntheticSettings, synthetic_profile
from poq_abm.rules.compiled import number_of, typical_deviation, update_weight
from poq_abm.rules.registry import shipped
from poq_abm.rules.trust import TRUST_REFERENCE, TRUST_UPDATE, TrustUpdate, Typical
from poq_abm.rules.trust.ema import Ema
from poq_abm.rules.trust.hedge import Hedge, exponential
from poq_abm.rules.trust.multiplicative import Multiplicative
from poq_abm.rules.trust.relative import Relative
from poq_abm.rules.trust.update import clip, deviation
from poq_abm.simulation.arrays import EvaluatorColumn
from poq_abm.simulation.game import build_game
from poq_abm.simulation.model import PoQModel
from poq_abm.simulation.replication import Counter, Trace, open_trace

property_test = settings(deadline=None, derandomize=True, max_examples=200)
UPDATES = shipped(TRUST_UPDATE)
updates = st.sampled_from([update for update in UPDATES.values() if update.learns])
shares = st.floats(0.0, 1.0)
rates = st.floats(0.0, 1.0, exclude_min=True)
bounds = st.tuples(st.floats(0.01, 6.0), st.floats(0.01, 6.0)).map(sorted)
members = st.lists(st.tuples(shares, shares), min_size=1, max_size=20)


def updated(
    update: type[TrustUpdate],
    weights: list[float],
    deviations: list[float],
    rate: float = 0.5,
    low: float = 0.1,
    high: float = 5.0,
) -> list[float]:
    """The weights after one round; the scratch starts as NaN."""
    scratch, total = np.full(len(weights), np.nan), sum(deviations)
    typical = typical_deviation(update.typical, total, np.array(deviations), scratch)
    given = (number_of(update), np.array([rate, low, high]), None)
    return [update_weight(*given, w, d, typical) for w, d in zip(weights, deviations, strict=True)]


# ------------------------------------------------------------------------------------- by hand


def test_a_deviation_is_a_share_of_the_scale() -> None:
    assert deviation(7.0, 5.0) == 0.2
    assert deviation(5.0, 7.0) == 0.2
    assert deviation(10.0, 0.0) == 1.0
    assert deviation(4.0, 4.0) == 0.0


def test_clip() -> None:
    assert [clip(weight, 0.5, 2.0) for weight in (0.25, 0.5, 1.0, 2.0, 4.0)] == [
        0.5,
        0.5,
        1.0,
        2.0,
        2.0,
    ]


@pytest.mark.parametrize(
    ("d", "expected"),
    [(0.0, 2.5), (0.25, 2.25), (0.5, 2.0), (0.75, 1.75), (1.0, 1.5)],
)
@pytest.mark.parametrize("update", ["multiplicative", "gold"])
def test_the_published_update_gains_below_one_half(update: str, d: float, expected: float) -> None:
    """2 (1 + 0.5 (0.5 - d))."""
    assert Multiplicative.kernel(2.0, d, 0.0, 0.5, 0.1, 5.0) == expected
    assert updated(UPDATES[update], [2.0], [d]) == [expected]


def test_relative_trust_turns_about_the_median_deviation() -> None:
    """Median 0.25: 2 (1 + 0.5 (0.25 - d)); with four members, the mean of the middle two."""
    assert Relative.kernel(2.0, 0.75, 0.25, 0.5, 0.1, 5.0) == 1.5
    found = updated(Relative, [2.0, 2.0, 2.0], [0.75, 0.25, 0.0])
    assert found == [1.5, 2.0, 2.25]
    even = updated(Relative, [1.0] * 4, [0.0, 0.25, 0.75, 1.0])
    assert even == [1.25, 1.125, 0.875, 0.75]


def test_hedge_turns_about_the_mean_deviation() -> None:
    """Mean 0.5: w exp(0.5 (0.5 - d))."""
    assert Hedge.kernel(2.0, 0.5, 0.5, 0.5, 0.1, 5.0) == 2.0
    found = updated(Hedge, [2.0, 1.0, 3.0, 1.0], [0.0, 0.25, 0.75, 1.0])
    expected = [2.0 * math.exp(0.25), math.exp(0.125), 3.0 * math.exp(-0.125), math.exp(-0.25)]
    assert found == pytest.approx(expected, rel=1e-15)  # one rounding of exp, one of the product


def test_hedge_keeps_the_product_of_equally_many_weights() -> None:
    """The exponents sum to 0, as long as no bound cuts in."""
    weights, deviations = [1.0, 1.5, 0.8], [0.1, 0.4, 0.7]
    found = updated(Hedge, weights, deviations)
    assert math.prod(found) == pytest.approx(math.prod(weights), rel=1e-14)


def test_the_moving_average_goes_to_a_level_set_by_closeness() -> None:
    """0.75 x 2 + 0.25 (1 + 4 (1 - d)) with bounds 1 and 5."""
    assert Ema.kernel(2.0, 0.5, 0.0, 0.25, 1.0, 5.0) == 2.25
    found = updated(Ema, [2.0] * 3, [0.0, 0.5, 1.0], 0.25, 1.0, 5.0)
    assert found == [2.75, 2.25, 1.75]
    weight = 5.0
    for _ in range(200):
        weight = Ema.kernel(weight, 0.25, 0.0, 0.25, 1.0, 5.0)
    assert weight == pytest.approx(4.0, rel=1e-14)  # 1 + 4 x 0.75; 0.75^200 is 1e-25


def test_only_the_committee_says_what_is_typical() -> None:
    deviations = np.array([0.0, 0.5])
    for typical in (Typical.MEDIAN, Typical.MEAN):
        assert typical_deviation(typical, 0.5, deviations, np.empty(2)) == 0.25
    assert typical_deviation(Typical.NOTHING, 0.5, deviations, np.empty(2)) == 0.0


# ---------------------------------------------------------------------------------- properties


@property_test
@given(updates, members, rates, bounds)
def test_weights_stay_within_their_bounds(
    update: type[TrustUpdate], rows: list[tuple[float, float]], rate: float, ends: list[float]
) -> None:
    low, high = ends
    weights = [low + share * (high - low) for share, _ in rows]
    weights = [min(weight, high) for weight in weights]
    found = updated(update, weights, [d for _, d in rows], rate, low, high)
    assert all(low <= weight <= high for weight in found)


@property_test
@given(updates, st.floats(0.1, 5.0), shares, shares, rates)
def test_of_two_equals_the_closer_one_ends_up_no_lower(
    update: type[TrustUpdate], weight: float, one: float, other: float, rate: float
) -> None:
    near, far = sorted((one, other))
    found = updated(update, [weight, weight], [near, far], rate)
    assert found[0] >= found[1] - 1e-14  # rounding at weights up to 5


@property_test
@given(updates, members, rates, st.randoms(use_true_random=False))
def test_seats_do_not_matter(
    update: type[TrustUpdate], rows: list[tuple[float, float]], rate: float, chance: object
) -> None:
    seats = list(range(len(rows)))
    chance.shuffle(seats)  # type: ignore[attr-defined]
    weights, deviations = [0.5 + share for share, _ in rows], [d for _, d in rows]
    found = updated(update, weights, deviations, rate)
    moved = updated(update, [weights[s] for s in seats], [deviations[s] for s in seats], rate)
    # Hedge adds up to 20 deviations in the order of the seats.
    assert moved == pytest.approx([found[s] for s in seats], rel=1e-14)


# --------------------------------------------------------------------- the published consequence


def level_network(
    honest: float,
    spec: dict[str, object],
    *,
    update: str = "multiplicative",
    rounds: int = 400,
    share: float = 0.3,
    **trust: object,
) -> tuple[PoQModel, Trace]:
    """Ten evaluators that all measure ``honest``, three of them malicious, all in every round."""
    profile = synthetic_profile(
        SyntheticSettings(records=5, evaluators=10, truth_mean=honest, truth_sd=0.0, noise_sd=0.0)
    )
    learning = {"update": update, "rate": 0.1, "start": 1.0, "minimum": 0.1, "maximum": 5.0}
    scenario = poq_abm.load("cost_aware_poq").replace(
        {
            "rounds": rounds,
            "tasks": None,
            "population": {
                "inference": [{"model": "model_1"}],
                "evaluators": [{"model": f"evaluator_{i + 1}"} for i in range(10)],
            },
            "mechanism.committee_size": 10,
            "mechanism.aggregation": "trust_weighted",
            "mechanism.trust": {**learning, "interval": 1, **trust},
            "malicious": {"share": share, "behaviour": spec},
        }
    )
    model = PoQModel(scenario, game=build_game(scenario, profile))
    trace = open_trace(rounds, 10)
    model.run(rounds, trace)
    return model, trace


def malicious(model: PoQModel) -> NDArray[np.bool_]:
    chosen = model.game.conduct.evaluators[:, EvaluatorColumn.MALICIOUS] == 1.0
    assert chosen.sum() == 3
    return chosen


def by_formula(attack: float, rounds: int) -> tuple[list[float], list[float], list[float]]:
    """Weights of an honest and a malicious evaluator, and the shift of the consensus, by round."""
    honest, liar = 1.0, 1.0
    weights: tuple[list[float], list[float], list[float]] = ([], [], [])
    for _ in range(rounds):
        shift = 3 * liar * attack / (7 * honest + 3 * liar)
        honest = min(max(honest * (1 + 0.1 * (0.5 - shift / 10)), 0.1), 5.0)
        liar = min(max(liar * (1 + 0.1 * (0.5 - (attack - shift) / 10)), 0.1), 5.0)
        for column, value in zip(weights, (honest, liar, shift), strict=True):
            column.append(value)
    return weights


@pytest.mark.parametrize(("honest", "attack"), [(5.0, 3.0), (1.0, 8.0)])
def test_trust_follows_the_published_formula(honest: float, attack: float) -> None:
    """Nothing is cut off by the scale, so the network is two numbers, written out above."""
    model, trace = level_network(honest, {"name": "boost", "b": attack})
    liars = malicious(model)
    weights, lies, shifts = by_formula(attack, 400)
    log = model.memory.trust_log[:, :, 0]
    # 400 products, each good to a few units in the last place; weighted sums of ten scores.
    assert np.allclose(log[:, ~liars], np.array(weights)[:, np.newaxis], rtol=1e-11, atol=0.0)
    assert np.allclose(log[:, liars], np.array(lies)[:, np.newaxis], rtol=1e-11, atol=0.0)
    assert np.allclose(trace.consensus, honest + np.array(shifts), rtol=1e-11, atol=0.0)


def test_mild_boosters_saturate_with_everybody_else_and_the_rule_becomes_the_mean() -> None:
    """b = 3: both deviations are below one half, 0.09 and 0.21 at first, so everybody gains.

    A gain of 1 + 0.1 (0.5 - d) a round needs ln 5 / ln(1 + 0.1 (0.5 - d)) rounds: 40 for the
    honest, 56 for the others.
    """
    model, trace = level_network(5.0, {"name": "boost", "b": 3.0})
    liars, log = malicious(model), model.memory.trust_log[:, :, 0]
    full = (log == 5.0).all(axis=1)
    first = int(np.argmax(full))
    assert full[first:].all()
    assert 50 <= first <= 62
    assert int(np.argmax((log[:, ~liars] == 5.0).all(axis=1))) in range(37, 44)
    assert model.memory.counters[Counter.SATURATED_ROUND] == first
    assert model.memory.counters[Counter.SATURATED] == 10
    mean = trace.scores.mean(axis=1)
    assert np.allclose(trace.consensus[first + 1 :], mean[first + 1 :], rtol=0.0, atol=1e-13)
    assert trace.consensus[-1] == pytest.approx(5.0 + 3 * 3.0 / 10, abs=1e-13)
    assert trace.consensus[first // 2] < mean[0] - 0.01  # before, the honest outweigh them


def test_rude_boosters_lose_their_weight() -> None:
    """b = 8: the malicious deviate by 0.56 or more, and fall to w_min while the others rise."""
    model, trace = level_network(1.0, {"name": "boost", "b": 8.0})
    liars, log = malicious(model), model.memory.trust_log[:, :, 0]
    assert np.all(log[-1, liars] == 0.1)
    assert np.all(log[-1, ~liars] == 5.0)
    assert np.all(np.diff(log[:, liars], axis=0) <= 0.0)
    assert model.memory.counters[Counter.SATURATED_ROUND] == -1
    assert model.memory.counters[Counter.SATURATED] == 7
    # 3 x 0.1 x 8 points among 35.3 of weight.
    assert trace.consensus[-1] == pytest.approx(1.0 + 2.4 / 35.3, abs=1e-12)


def test_against_the_median_deviation_the_mild_do_not_saturate() -> None:
    """Relative: the honest majority sets the zero, the others lose in every round."""
    model, _ = level_network(5.0, {"name": "boost", "b": 3.0}, update="relative", rounds=3000)
    liars, log = malicious(model), model.memory.trust_log[:, :, 0]
    assert np.all(log[-1, liars] == 0.1)
    # The median deviation is the honest one: they keep their weight, but for rounding.
    assert np.allclose(log[:, ~liars], 1.0, rtol=0.0, atol=1e-12)
    assert model.memory.counters[Counter.SATURATED_ROUND] == -1


@pytest.mark.parametrize(
    ("reference", "near", "far"),
    [
        # b = 5, seven 2s and three 7s of weight 1: consensus 3.5; without a member, (35 - s) / 9.
        ("inclusive", 0.15, 0.35),
        ("leave_one_out", (33.0 / 9 - 2.0) / 10, (7.0 - 28.0 / 9) / 10),
        ("median", 0.0, 0.5),
    ],
)
def test_the_first_round_under_each_reference(reference: str, near: float, far: float) -> None:
    assert reference in shipped(TRUST_REFERENCE)
    spec = {"name": "boost", "b": 5.0}
    model, _ = level_network(2.0, spec, rounds=1, reference=reference)
    liars, log = malicious(model), model.memory.trust_log[0, :, 0]
    assert log[~liars] == pytest.approx(1.0 + 0.1 * (0.5 - near), abs=1e-14)
    assert log[liars] == pytest.approx(1.0 + 0.1 * (0.5 - far), abs=1e-14)


@pytest.mark.parametrize("gold_share", [0.0, 0.5, 1.0])
def test_gold_learns_from_the_truth_on_planted_records_only(gold_share: float) -> None:
    """All measure the truth, three report 6 points more: a gain of 5% or a loss of 1%."""
    spec = {"name": "boost", "b": 6.0}
    model, trace = level_network(2.0, spec, update="gold", rounds=20, gold_share=gold_share)
    liars, log = malicious(model), model.memory.trust_log[:, :, 0]
    planted = model.game.tables.gold
    expected = {0.0: 0, 1.0: 5}.get(gold_share)
    assert planted.sum() == expected if expected is not None else 0 < planted.sum() < 5
    learnt = np.cumsum(planted[trace.record])[:, np.newaxis]
    # At most 20 products.
    assert np.allclose(log[:, ~liars], 1.05**learnt, rtol=1e-13, atol=0.0)
    assert np.allclose(log[:, liars], 0.99**learnt, rtol=1e-13, atol=0.0)


def test_an_update_of_none_learns_nothing() -> None:
    model, _ = level_network(5.0, {"name": "boost", "b": 3.0}, update="none", rounds=50)
    assert np.all(model.memory.trust_log == 1.0)


@pytest.mark.parametrize("interval", [0, 1, 7, 50, 51])
def test_the_log_holds_the_weights_after_every_interval(interval: int) -> None:
    spec: dict[str, object] = {"name": "boost", "b": 3.0}
    every = level_network(5.0, spec, rounds=50)[0].memory.trust_log
    log = level_network(5.0, spec, rounds=50, interval=interval)[0].memory.trust_log
    assert every.shape == (50, 10, 1)
    assert log.shape == (50 // interval if interval else 0, 10, 1)
    assert np.array_equal(log, every[interval - 1 :: interval] if interval else every[:0])


@given(st.floats(-1.0, 1.0))
def test_the_exponential_is_within_four_units_in_the_last_place(x: float) -> None:
    assert abs(exponential(x) - math.exp(x)) <= 4 * math.ulp(math.exp(x))
