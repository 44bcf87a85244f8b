"""Tests of the inequality indices against closed forms."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poq_abm.simulation.inequality import gini, hhi, lorenz, nakamoto_coefficient, theil

# The midpoints of n equal slices of probability: a discretised distribution, no sampling noise.
LEVELS = (np.arange(200_000) + 0.5) / 200_000
UNIFORM = LEVELS
EXPONENTIAL = -np.log1p(-LEVELS)
ALPHA = 3.0
PARETO = (1.0 - LEVELS) ** (-1.0 / ALPHA)

AMOUNTS = st.lists(st.floats(0.0, 1e6), min_size=1, max_size=30).filter(lambda x: max(x) > 1e-3)


@pytest.mark.parametrize(
    ("amounts", "expected"),
    [(UNIFORM, 1 / 3), (EXPONENTIAL, 1 / 2), (PARETO, 1 / (2 * ALPHA - 1))],
    ids=["uniform", "exponential", "pareto"],
)
def test_gini_matches_its_closed_form(amounts, expected):
    assert gini(amounts) == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize(
    ("amounts", "expected"),
    [
        (UNIFORM, math.log(2) - 0.5),
        (EXPONENTIAL, 1 - np.euler_gamma),
        (PARETO, math.log((ALPHA - 1) / ALPHA) + 1 / (ALPHA - 1)),
    ],
    ids=["uniform", "exponential", "pareto"],
)
def test_theil_matches_its_closed_form(amounts, expected):
    # The exponential's tail beyond the last midpoint and the Pareto's are what is missing.
    assert theil(amounts) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("amounts", "curve"),
    [
        (UNIFORM, lambda p: p**2),
        (EXPONENTIAL, lambda p: p + (1 - p) * np.log1p(-p)),
        (PARETO, lambda p: 1 - (1 - p) ** (1 - 1 / ALPHA)),
    ],
    ids=["uniform", "exponential", "pareto"],
)
def test_lorenz_matches_its_closed_form(amounts, curve):
    holders, held = lorenz(amounts)
    inner = slice(None, -1)  # (1, 1) is exact by construction and 0 log 0 in a formula
    assert np.abs(held[inner] - curve(holders[inner])).max() < 5e-4


def test_hhi_of_the_uniform_distribution_is_four_thirds_over_n():
    assert hhi(UNIFORM) * UNIFORM.size == pytest.approx(4 / 3, rel=1e-6)


@pytest.mark.parametrize("count", range(1, 60))
def test_a_majority_of_equal_holders_is_more_than_half_of_them(count):
    assert nakamoto_coefficient(np.full(count, 0.1)) == count // 2 + 1


def test_a_higher_threshold_needs_more_holders():
    assert [nakamoto_coefficient([4, 3, 2, 1], share) for share in (0, 0.39, 0.4, 0.7, 0.9)] == [
        1,
        1,
        2,
        3,
        4,
    ]


@given(AMOUNTS)
def test_the_area_under_the_lorenz_curve_gives_the_gini_coefficient(amounts):
    holders, held = lorenz(amounts)
    assert 1 - 2 * np.trapezoid(held, holders) == pytest.approx(gini(amounts), abs=1e-9)


@given(AMOUNTS, st.floats(1e-3, 1e3))
def test_no_index_depends_on_the_unit(amounts, unit):
    scaled = [unit * amount for amount in amounts]
    for index in (gini, theil, hhi):
        assert index(scaled) == pytest.approx(index(amounts), abs=1e-9)


@given(AMOUNTS)
def test_indices_stay_in_their_ranges(amounts):
    count = len(amounts)
    assert 0 <= gini(amounts) <= 1 - 1 / count + 1e-12
    assert 0 <= theil(amounts) <= math.log(count) + 1e-12
    assert 1 / count - 1e-12 <= hhi(amounts) <= 1 + 1e-12
    assert 1 <= nakamoto_coefficient(amounts) <= count


@pytest.mark.parametrize("amounts", [[], [0.0], [0.0, 0.0]])
def test_without_a_total_every_index_is_undefined(amounts):
    for index in (gini, theil, hhi, nakamoto_coefficient):
        assert math.isnan(index(amounts))
    assert np.isnan(lorenz(amounts)[1]).all()


@pytest.mark.parametrize("index", [gini, theil, hhi, lorenz, nakamoto_coefficient])
@pytest.mark.parametrize("amounts", [[1.0, -1e-9], [math.nan], [math.inf, 1.0]])
def test_amounts_without_a_share_are_refused(index, amounts):
    with pytest.raises(ValueError, match="amounts must"):
        index(amounts)


@pytest.mark.parametrize("share", [-0.1, 1.0, math.nan])
def test_a_threshold_outside_its_range_is_refused(share):
    with pytest.raises(ValueError, match="share must"):
        nakamoto_coefficient([1.0], share)


@pytest.mark.parametrize("unit", [1e-310, 1e308])
def test_amounts_near_the_ends_of_the_doubles_are_still_shared(unit):
    assert gini(np.array([1.0, 1.0, 1.5]) * unit) == pytest.approx(gini([2, 2, 3]))


INDICES = """
import json
import numpy as np
from poq_abm.simulation.inequality import gini, hhi
chance = np.random.Generator(np.random.Philox(1))
made = []
for size in (3, 7, 16, 33, 100, 1001):
    amounts = chance.random(size)
    made += [gini(amounts), hhi(amounts)]
print(json.dumps([value.hex() for value in made]))
"""


def test_indices_have_the_same_bits_whatever_processor_a_blas_detects() -> None:
    made = set()
    for core in ("Prescott", "Nehalem", "Haswell", "SkylakeX"):
        environment = {**os.environ, "OPENBLAS_CORETYPE": core}
        done = subprocess.run(
            [sys.executable, "-c", INDICES], env=environment, capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        made.add(tuple(json.loads(done.stdout)))
    assert len(made) == 1
