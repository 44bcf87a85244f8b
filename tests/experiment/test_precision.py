"""Precision targets: their looks, their bounds, and intervals that hold at whichever look stops."""

from __future__ import annotations

import math
from dataclasses import asdict
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from scipy.integrate import quad
from scipy.special import ndtr

from benchmarks.coverage import CASES, Cover, cover, main
from poq_abm.errors import InputError
from poq_abm.experiment.precision import (
    PrecisionTarget,
    constant_bound,
    critical_level,
    judge,
    looks,
    next_look,
    simultaneous_probability,
)
from poq_abm.experiment.schemas import RANGES

# Jennison and Turnbull (2000), Table 2.1: equal steps, by confidence and number of looks
POCOCK = [
    *[(0.95, k, c) for k, c in ((1, 1.960), (2, 2.178), (3, 2.289), (4, 2.361), (5, 2.413))],
    *[(0.95, 10, 2.555), (0.95, 20, 2.672), (0.90, 2, 1.875), (0.90, 5, 2.122)],
    *[(0.90, 10, 2.270), (0.99, 2, 2.772), (0.99, 5, 2.986), (0.99, 10, 3.117)],
]

property_test = settings(deadline=None, derandomize=True, max_examples=50)

ranges = st.tuples(st.integers(2, 300), st.integers(0, 3000)).map(lambda p: (p[0], sum(p)))
sizes = st.sets(st.integers(1, 300), min_size=1, max_size=8).map(lambda s: tuple(sorted(s)))
confidences = st.sampled_from([0.5, 0.9, 0.95, 0.99])
samples = arrays(np.float64, 45, elements=st.floats(-5, 5) | st.just(math.nan))


def wide(half_width: float = 0.1, **changes: object) -> PrecisionTarget:
    given = {"half_width": half_width, "relative": None, "at_least": 20, "at_most": 100}
    return PrecisionTarget("reward_gap", **{**given, **changes})  # type: ignore[arg-type]


def relative(share: float, **changes: object) -> PrecisionTarget:
    return wide(**{"half_width": None, "relative": share, **changes})  # type: ignore[arg-type]


# bounds


@pytest.mark.parametrize(("confidence", "number", "constant"), POCOCK)
def test_the_bound_is_pococks_where_steps_are_equal(confidence, number, constant) -> None:
    steps = tuple(range(7, 7 * number + 1, 7))
    assert constant_bound(steps, confidence) == pytest.approx(constant, abs=5e-4)  # as printed


# Armitage, McPherson and Rowe (1969), Table 2: chance to leave -+1.96 within so many looks
@pytest.mark.parametrize(("number", "left"), [(2, 0.083), (5, 0.142), (10, 0.193), (20, 0.248)])
def test_repeated_looks_inflate_the_error_as_published(number, left) -> None:
    within = simultaneous_probability(tuple(range(1, number + 1)), 1.959964)
    assert 1 - within == pytest.approx(left, abs=5e-4)


@pytest.mark.parametrize("pair", [(1, 10**6), (20, 30), (10, 11), (500, 501)])
@pytest.mark.parametrize("bound", [0.5, 2.0, 4.0])
def test_two_uneven_looks_agree_with_an_integral_of_the_normal(pair, bound) -> None:
    share = math.sqrt(pair[0] / pair[1])
    rest = math.sqrt(1 - share**2)

    def within(z: float) -> float:
        ends = ((sign * bound - share * z) / rest for sign in (1, -1))
        above, below = (ndtr(end) for end in ends)
        return float((above - below) * math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi))

    edges = [bound - k * rest for k in (1, 4) if k * rest < bound]
    expected, error = quad(within, 0, bound, points=edges or None, epsabs=1e-13, limit=200)
    assert simultaneous_probability(pair, bound) == pytest.approx(2 * expected, abs=1e-10 + error)


def test_uneven_looks_agree_with_simulated_walks() -> None:
    steps, count = (20, 30, 45, 46, 200), 200_000
    jumps = np.sqrt(np.diff((0, *steps))) * np.random.default_rng(3).normal(size=(count, 5))
    largest = np.abs(np.cumsum(jumps, axis=1) / np.sqrt(steps)).max(axis=1)
    expected = simultaneous_probability(steps, 2.3)
    error = math.sqrt(expected * (1 - expected) / count)
    assert (largest <= 2.3).mean() == pytest.approx(expected, abs=4 * error)


@property_test
@given(sizes, confidences)
def test_a_bound_has_its_probability_and_lies_between_one_look_and_independent_ones(
    steps, confidence
) -> None:
    bound = constant_bound(steps, confidence)
    assert simultaneous_probability(steps, bound) == pytest.approx(confidence, abs=1e-9)
    single, many = (
        stats.norm.isf((1 - level) / 2) for level in (confidence, confidence ** (1 / len(steps)))
    )
    assert single - 1e-9 <= bound <= many + 1e-9


@property_test
@given(sizes.filter(lambda s: len(s) > 1), confidences)
def test_a_further_look_raises_the_bound(steps, confidence) -> None:
    assert constant_bound(steps, confidence) > constant_bound(steps[:-1], confidence)


def test_looks_all_but_at_once_widen_the_bound_a_little_and_never_narrow_it() -> None:
    at_once = constant_bound((10**7, 10**7 + 1), 0.95)
    assert 1.959964 < at_once < 1.965


@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_one_look_has_the_nominal_level(confidence) -> None:
    assert critical_level((20,), confidence) == pytest.approx(1 - confidence, rel=1e-12)


@pytest.mark.parametrize("steps", [(), (0, 5), (5, 5), (9, 5)])
def test_looks_that_do_not_rise_are_refused(steps) -> None:
    with pytest.raises(InputError, match="rising positive"):
        constant_bound(steps, 0.95)
    with pytest.raises(InputError, match="rising positive"):
        simultaneous_probability(steps, 2.0)


@pytest.mark.parametrize("bad", [0.0, 1.0, -1.0, 95.0, math.nan])
def test_a_confidence_outside_its_range_is_refused(bad) -> None:
    with pytest.raises(InputError, match="confidence"):
        constant_bound((5, 9), bad)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.inf, math.nan])
def test_a_bound_that_is_not_positive_is_refused(bad) -> None:
    with pytest.raises(InputError, match="bound"):
        simultaneous_probability((5, 9), bad)


# targets and looks


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"relative": 0.1}, "exactly one"),
        ({"half_width": None}, "exactly one"),
        ({"half_width": 0.0}, "half_width must be"),
        ({"half_width": math.nan}, "half_width must be"),
        ({"half_width": None, "relative": -0.1}, "relative must be"),
        ({"half_width": None, "relative": math.inf}, "relative must be"),
        ({"at_least": 1}, "at_least"),
        ({"at_least": 101}, "at_least"),
        ({"confidence": 1.0}, "confidence"),
        ({"confidence": math.nan}, "confidence"),
    ],
)
def test_a_target_that_makes_no_sense_is_refused(changes, message) -> None:
    with pytest.raises(InputError, match=message):
        wide(**changes)


@property_test
@given(ranges)
def test_looks_grow_by_half_from_at_least_to_at_most(ends) -> None:
    schedule = looks(*ends)
    assert (schedule[0], schedule[-1]) == ends
    assert all(b == math.ceil(1.5 * a) for a, b in pairwise(schedule[:-1]))
    assert all(a < b <= math.ceil(1.5 * a) for a, b in pairwise(schedule))


@pytest.mark.parametrize("ends", [(0, 5), (6, 5)])
def test_looks_that_cannot_be_are_refused(ends) -> None:
    with pytest.raises(InputError, match="at_least"):
        looks(*ends)


@property_test
@given(ranges)
def test_the_next_look_walks_through_all(ends) -> None:
    target = wide(at_least=ends[0], at_most=ends[1])
    walked, n = [], next_look(target, 0)
    while n is not None:
        walked.append(n)
        n = next_look(target, n)
    assert tuple(walked) == looks(*ends)


# judging


def test_the_interval_is_students_at_the_critical_level() -> None:
    values = np.random.default_rng(5).normal(3.0, 2.0, 30)
    found = judge(wide(), values)
    level = critical_level((20, 30, 45, 68, 100), 0.95)
    expected = stats.t.interval(1 - level, 29, values.mean(), stats.sem(values))
    assert (found.low, found.high) == pytest.approx(expected)
    assert (found.mean, found.used, found.looks) == (pytest.approx(values.mean()), 30, 2)


@property_test
@given(samples, st.randoms())
def test_order_does_not_matter(values, random) -> None:
    shuffled = random.sample(list(values), len(values))
    # repr, since a NaN equals itself only there
    assert repr(judge(wide(), shuffled)) == repr(judge(wide(), values))


@property_test
@given(samples)
def test_a_look_holds_together(values) -> None:
    found = judge(wide(), values)
    assert found.used == np.count_nonzero(~np.isnan(values))
    assert (found.state == "undefined") is (found.used < 2) is math.isnan(found.half_width)
    if found.used >= 2:
        assert found.low <= found.mean <= found.high
        assert (found.state == "reached") is (found.half_width <= 0.1)


def test_missing_values_are_left_out() -> None:
    values = np.random.default_rng(5).normal(size=30)
    values[::3] = np.nan
    mean, half = judge(wide(), values).mean, judge(wide(), values).half_width
    known = values[~np.isnan(values)]
    level = critical_level(looks(20, 100), 0.95)
    assert mean == pytest.approx(known.mean())
    assert half == pytest.approx(stats.t.isf(level / 2, 19) * stats.sem(known))


@pytest.mark.parametrize("known", [[], [1.5], [1.5, math.inf], [-math.inf, math.inf, 1.0]])
@pytest.mark.parametrize("replications", [20, 100])
def test_without_two_finite_values_nothing_is_defined(known, replications) -> None:
    found = judge(wide(), known + [math.nan] * (replications - len(known)))
    assert found.state == "undefined"
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert math.isnan(found.half_width)
    assert found.mean == 1.5 if known == [1.5] else math.isnan(found.mean)


@property_test
@given(st.floats(-1e9, 1e9))
@pytest.mark.parametrize("target", [wide(1e-12), relative(1e-12)], ids=["half_width", "relative"])
def test_a_constant_is_known_exactly(target, value) -> None:
    found = judge(target, [value] * 20)
    assert (found.state, found.mean, found.half_width) == ("reached", value, 0.0)


def test_what_is_not_reached_goes_on_until_all_is_spent() -> None:
    values = np.random.default_rng(2).normal(size=100)
    states = [judge(wide(0.01), values[:n]).state for n in looks(20, 100)]
    assert states == ["going on"] * 4 + ["spent"]
    assert judge(wide(1.0), values).state == "reached", "even at the last look"


@property_test
@given(st.floats(-10, 10), st.floats(1e-6, 5), st.floats(0.01, 0.9), st.floats(-1, 1))
def test_a_relative_target_bounds_the_error_by_the_true_mean(mean, half, share, place) -> None:
    if relative(share).is_met(mean, half):
        truth = mean + place * half
        assert abs(mean - truth) <= share * abs(truth) * (1 + 1e-9)
        assert abs(mean) > half, "zero lies outside"


def test_a_relative_target_takes_the_end_nearest_to_zero() -> None:
    assert relative(0.1).is_met(-1.1, 0.1)
    assert not relative(0.1).is_met(-1.09, 0.1)
    assert not relative(1e9).is_met(0.1, 0.1)


@pytest.mark.parametrize("shape", [(0,), (21,), (101,), (20, 1)])
def test_values_that_are_no_look_are_refused(shape) -> None:
    with pytest.raises(ValueError, match="no look"):
        judge(wide(), np.zeros(shape))


def test_the_same_values_stop_at_the_same_look() -> None:
    values = np.random.default_rng(2).normal(size=45)
    assert asdict(judge(wide(), values)) == asdict(judge(wide(), values.copy()))


# coverage

EXPERIMENTS = 2000

NORMAL = [name for name in CASES if name.startswith("normal")]


@cache
def covered(name: str, *, naive: bool = False) -> Cover:
    return cover(CASES[name], EXPERIMENTS, naive=naive)


def error(nominal: float) -> float:
    return math.sqrt(nominal * (1 - nominal) / EXPERIMENTS)


@pytest.mark.parametrize("name", NORMAL)
def test_the_interval_at_the_stop_covers_at_its_nominal_rate(name) -> None:
    case = CASES[name]
    found = covered(name)
    nominal = case.target.confidence
    assert found.share >= nominal - 3 * error(nominal)
    if case.mean or case.target.half_width:
        assert found.reached > 0.9, "it is the target that stops"
        assert case.target.at_least < found.replications < case.target.at_most


def test_nothing_is_wasted_where_the_stop_depends_on_the_mean_most() -> None:
    # Stopping as soon as the interval misses the mean attains the simultaneous coverage itself.
    found = covered("normal, mean 0, until zero is excluded")
    assert found.share == pytest.approx(0.95, abs=4 * error(0.95))


@pytest.mark.parametrize(
    "name",
    ["normal, mean 0, until zero is excluded", "normal, mean 0.1 s.d., relative 2"],
)
def test_the_naive_interval_covers_too_rarely_where_the_stop_depends_on_the_mean(name) -> None:
    assert covered(name, naive=True).share < 0.95 - 3 * error(0.95)


def test_a_moderate_skew_is_borne_from_twenty_replications() -> None:
    found = covered("exponential, half_width 0.2, at_least 20")
    assert found.share >= 0.95 - 3 * error(0.95)


def test_an_event_too_rare_to_be_seen_at_the_first_look_deceives_nobody() -> None:
    # 0.98**20 = 0.67 of the experiments see a constant there, which is no reason to stop.
    found = covered("event of chance 0.02, half_width 0.02, at_least 20")
    assert found.share >= 0.95 - 3 * error(0.95)


def test_the_benchmark_prints_a_row_for_every_case(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--experiments", "2"]) == 0
    heading, _, *rows = capsys.readouterr().out.splitlines()
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows] == list(CASES)
    assert {row.count("|") for row in rows} == {heading.count("|")}


# ranges and matched differences

SHARE = RANGES["0-1"]


@property_test
@given(arrays(np.float64, 45, elements=st.sampled_from([0.0, 0.01, 0.5, 1.0])))
def test_an_interval_stays_in_the_range_of_its_metric(values) -> None:
    reached = judge(wide(within=SHARE), values)
    assert 0.0 <= reached.low <= reached.mean <= reached.high <= 1.0
    alike = values.min() == values.max()
    assert reached.half_width > 0.0 or (alike and 0.0 < values[0] < 1.0)


def test_an_event_that_was_not_seen_is_no_precise_zero() -> None:
    target = wide(0.02, within=SHARE, at_most=2000)
    assert judge(target, np.zeros(20)).state == "going on"
    assert judge(wide(0.02), np.zeros(20)).state == "reached", "without a range it would be"


def test_a_difference_is_judged_by_its_pairs() -> None:
    random = np.random.default_rng(8)
    luck, moved = random.normal(size=20), random.normal(0.3, 0.01, 20)
    reached = judge(wide(0.1), luck + moved, luck)
    assert reached.mean == pytest.approx(moved.mean())
    assert reached.state == "reached"
    assert judge(wide(0.1), luck + moved).state == "going on"
    missing = np.where(np.arange(20) < 5, np.nan, luck)
    assert judge(wide(0.1), luck + moved, missing).used == 15
    unseen = judge(wide(0.1, within=SHARE), np.zeros(20), np.zeros(20))
    assert unseen.low == -unseen.high < 0.0
