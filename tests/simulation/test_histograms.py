"""Histograms of a replication: whatever is paid or waited for is counted once, inside the arrays.

Percentiles are exact, or off by less than they say.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from poq_abm.simulation.histograms import (
    LATENCY_CELLS,
    RELATIVE_ERROR,
    REWARD_CELLS,
    TAIL_CELLS,
    LatencyCells,
    RewardKind,
    cell_of,
    cell_percentile,
    count_latency,
    count_reward,
    find_cells,
    open_cells,
    percentiles,
    reward_scale,
)

SHARES = (0.5, 0.95, 0.99)

undated = settings(deadline=None)  # the first example compiles

amounts = st.floats(0.0, allow_infinity=False) | st.sampled_from([0.0, 5e-324, 2.2e-311, 1.0])


@undated
@given(amounts, amounts, st.floats(allow_nan=False))
@example(2.225073858507e-311, 0.0, 2.225073858507e-311)  # 1 / width is infinite
@example(2.225073858507e-311, 0.0, 0.0)
@example(1e-300, 0.0, -1e300)  # lies more ranges away than a double holds
def test_every_reward_is_counted_once(alpha: float, beta: float, reward: float) -> None:
    # A cell beside the arrays would be memory of somebody else, so the arrays lie inside larger.
    counts, tails = np.zeros((3, 4, REWARD_CELLS), int), np.zeros((3, 4, 2, TAIL_CELLS), int)
    scale = reward_scale(REWARD_CELLS, -beta, alpha)
    assert np.isfinite(scale)
    count_reward(counts[1], tails[1], RewardKind.HONEST_INFERENCE, reward, -beta, scale)
    assert counts[1, 0].sum() + tails[1, 0].sum() == 1
    assert counts.sum() + tails.sum() == 1


@undated
@given(st.floats())
def test_every_latency_has_a_cell(seconds: float) -> None:
    assert 0 <= cell_of(seconds) < LATENCY_CELLS


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
    assert (cell_of(0.0), cell_of(1e30)) == (0, LATENCY_CELLS - 1)


def test_what_lies_far_outside_goes_to_the_ends_of_a_batch_too() -> None:
    """More than an integer holds, as a huge coefficient times a cost above 1 pays; no truth."""
    values = np.array([-1e30, -1.0, 0.0, 0.5, 1.0, 2.0, 1e30, math.inf, -math.inf, math.nan])
    found = np.empty(values.size, np.uint32)
    find_cells(found, values, values.size, 0.0, 10.0, 10)
    assert found.tolist() == [0, 0, 0, 5, 9, 9, 9, 9, 0, 0]


def test_no_entries_have_no_percentile() -> None:
    assert math.isnan(cell_percentile(open_cells(1), 0, 0.5))
    assert all(math.isnan(value) for value in percentiles(np.empty(0), SHARES))


def test_hundreds_have_their_ninety_fifth_and_ninety_ninth() -> None:
    """0.95 x 100 must not be rounded up to rank 96."""
    for n in (20, 100, 700, 1000):
        values = np.arange(1.0, n + 1.0)
        assert percentiles(values, (0.95,)) == [n * 19 // 20]


CHECKED = """
import sys
sys.path[:0] = sys.argv[1:]
from hypothesis import given, settings
from test_engines import by_agents, by_loop, plays

@settings(max_examples=40, deadline=None, derandomize=True)
@given(plays())
def play(play):
    by_agents(play), by_loop(play)

play()
"""


def test_engines_stay_inside_their_arrays(tmp_path: Path) -> None:
    """Compiled code checks no index by itself: what lies outside is read and written all the same.

    Here it checks them all, over random plays of every rule and behaviour.
    """
    folders = [str(Path(__file__).parents[1] / name) for name in ("support", "equivalence")]
    settings = {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    subprocess.run(
        [sys.executable, "-c", CHECKED, *folders], env={**os.environ, **settings}, check=True
    )
