"""Percentiles: exact, or off by less than they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poq_abm.simulation.latency_cells import (
    CELLS,
    RELATIVE_ERROR,
    LatencyCells,
    cell_of,
    cell_percentile,
    count_latency,
    open_cells,
    percentiles,
)

SHARES = (0.5, 0.95, 0.99)


def counted(values: list[float]) -> LatencyCells:
    cells = open_cells(1)
    for value in values:
        count_latency(cells, 0, value)
    return cells


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.lists(st.floats(1e-6, 1e12), min_size=1, max_size=300))
def test_kept_values_give_the_percentile_itself(values: list[float]) -> None:
    exact = [float(np.quantile(values, share, method="inverted_cdf")) for share in SHARES]
    assert percentiles(np.array(values), SHARES) == exact


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.lists(st.floats(1.01e-3, 0.99e7), min_size=1, max_size=200), st.sampled_from(SHARES))
def test_a_percentile_of_cells_errs_by_less_than_it_says(values: list[float], share: float) -> None:
    exact = float(np.quantile(values, share, method="inverted_cdf"))
    found = cell_percentile(counted(values), 0, share)
    assert found == pytest.approx(exact, rel=RELATIVE_ERROR)
    assert pytest.approx(0.0182, abs=5e-5) == RELATIVE_ERROR


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(st.floats(1e-6, 1e12), st.integers(1, 300), st.sampled_from(SHARES))
def test_a_latency_that_never_varies_is_its_percentile(
    value: float, count: int, share: float
) -> None:
    assert cell_percentile(counted([value] * count), 0, share) == pytest.approx(value, rel=1e-12)


def test_what_lies_outside_goes_to_the_ends() -> None:
    assert (cell_of(0.0), cell_of(1e30)) == (0, CELLS - 1)


def test_no_entries_have_no_percentile() -> None:
    assert math.isnan(cell_percentile(open_cells(1), 0, 0.5))
    assert all(math.isnan(value) for value in percentiles(np.empty(0), SHARES))


def test_hundreds_have_their_ninety_fifth_and_ninety_ninth() -> None:
    """0.95 x 100 must not be rounded up to rank 96."""
    for n in (20, 100, 700, 1000):
        values = np.arange(1.0, n + 1.0)
        assert percentiles(values, (0.95,)) == [n * 19 // 20]
