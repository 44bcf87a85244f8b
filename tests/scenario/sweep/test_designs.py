from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import default_rng
from pydantic import ValidationError

from poq_abm.scenario.sweep import designs
from poq_abm.scenario.sweep.designs import DESIGNS, AxisRange, LatinHypercube, Sobol

seeds = st.integers(0, 2**63 - 1)
quick = settings(max_examples=50, deadline=None, derandomize=True)


def ranges(count: int) -> dict[str, Any]:
    return {f"range_{number}": [0, 1] for number in range(count)}


@quick
@given(st.integers(1, 200), st.integers(1, 5), seeds)
def test_a_latin_hypercube_has_one_sample_in_every_stratum(n: int, count: int, seed: int) -> None:
    for points in LatinHypercube(samples=n, seed=seed, ranges=ranges(count)).points():
        assert sorted(math.floor(n * point) for point in points) == list(range(n))


@quick
@given(st.integers(0, 8), st.integers(1, 5), seeds, st.booleans())
def test_sobol_points_are_balanced(m: int, count: int, seed: int, scramble: bool) -> None:
    """Every range of [0, 1) that is cut in 2^m equal parts has one point in each."""
    design = Sobol(samples=2**m, seed=seed, scramble=scramble, ranges=ranges(count))
    for points in design.points():
        assert sorted(math.floor(2**m * point) for point in points) == list(range(2**m))


@quick
@given(st.integers(1, 4), seeds)
def test_sobol_points_are_balanced_jointly(m: int, seed: int) -> None:
    """The first two ranges make a (0, 2m, 2)-net: 4^m points, one in each of 2^m x 2^m squares."""
    first, second = Sobol(samples=4**m, seed=seed, ranges=ranges(2)).points()
    squares = {
        (math.floor(2**m * x), math.floor(2**m * y)) for x, y in zip(first, second, strict=True)
    }
    assert len(squares) == 4**m


def test_the_sequence_of_sobol_by_hand() -> None:
    bare = Sobol(samples=8, scramble=False, ranges=ranges(2)).points()
    assert bare[0] == [0.0, 0.5, 0.75, 0.25, 0.375, 0.875, 0.625, 0.125]
    assert bare[1] == [0.0, 0.5, 0.25, 0.75, 0.375, 0.875, 0.125, 0.625]


@pytest.mark.parametrize("kind", DESIGNS.values())
def test_a_seed_gives_the_same_points_again_and_another_one_others(kind: Any) -> None:
    first, again, other = (
        kind(samples=16, seed=seed, ranges=ranges(3)).points() for seed in (7, 7, 8)
    )
    assert first == again
    assert first != other
    assert len(first) == 3
    assert len({tuple(points) for points in first}) == 3, "ranges are drawn independently"


def test_whole_numbers_have_equal_shares_and_both_ends() -> None:
    """Nine numbers, 9 x 20 strata: twenty of each, whatever the draws inside the strata are."""
    (points,) = LatinHypercube(samples=180, seed=3, ranges=ranges(1)).points()
    assert Counter(AxisRange(low=1, high=9).whole(points)) == dict.fromkeys(range(1, 10), 20)


def test_linear_ranges_by_hand() -> None:
    assert AxisRange(low=-1, high=3).real([0.0, 0.25, 0.5]) == [-1.0, 0.0, 1.0]
    assert AxisRange(low=1, high=4).whole([0.0, 0.24, 0.25, 0.5, 0.99]) == [1, 1, 2, 3, 4]


def test_log_ranges_by_hand() -> None:
    span = AxisRange(low=0.001, high=1, scale="log")
    assert span.real([0.0, 1 / 3, 2 / 3]) == [0.001, 0.01, 0.1]
    doubling = AxisRange(low=1, high=7, scale="log")  # [1, 8) holds three octaves
    assert doubling.whole([0.0, 0.32, 0.34, 0.65, 0.67, 0.99]) == [1, 1, 2, 3, 4, 7]


def test_numbers_are_rounded_to_six_digits() -> None:
    third = [1 / 3]
    assert AxisRange(low=0, high=1).real(third) == [0.33333]
    assert AxisRange(low=0, high=0.5).real(third) == [0.166667]
    assert AxisRange(low=1_000_000, high=1_000_001).real(third) == [1_000_000.33333]
    assert AxisRange(low=1e-9, high=1, scale="log").real(third) == [1e-6]
    assert AxisRange(low=1, high=2, scale="log").real(third) == [1.25992]


points = st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=5)
ends = st.floats(-1e300, 1e300) | st.integers(-(10**20), 10**20)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(ends, ends, st.sampled_from(["linear", "log"]), points)
def test_values_never_leave_their_range(low: Any, high: Any, scale: Any, at: list[float]) -> None:
    low, high = min(low, high), max(low, high)
    if low == high or (scale == "log" and low <= 0):
        return
    span = AxisRange(low=low, high=high, scale=scale)
    assert all(low <= value <= high for value in span.real(at))
    if span.is_whole:
        assert all(low <= value <= high and isinstance(value, int) for value in span.whole(at))


@pytest.mark.parametrize(
    "wrong",
    [
        {"low": 10**400, "high": 1},
        {"low": -1e308, "high": 1e308},
        {"low": True, "high": 2},
        {"low": 1, "high": 1},
        {"low": 2, "high": 1},
        {"low": 0, "high": 1, "scale": "log"},
    ],
)
def test_ranges_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AxisRange(**wrong)


def test_every_release_of_scipy_gets_its_generator_by_name() -> None:
    class Older:
        def __init__(self, d: int, *, seed: object = None) -> None: ...

    class Newer:
        def __init__(self, d: int, *, rng: object = None, seed: object = None) -> None: ...

    generator = default_rng(1)
    assert designs._keyed(Older, generator) == {"seed": generator}
    assert designs._keyed(Newer, generator) == {"rng": generator}
