"""Histograms of a replication: whatever is paid, it is counted once and inside the arrays."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from poq_abm.simulation.histograms import (
    REWARD_CELLS,
    TAIL_CELLS,
    Kind,
    count_reward,
    reward_scale,
)
from poq_abm.simulation.latency_cells import CELLS, cell_of

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
    count_reward(counts[1], tails[1], Kind.HONEST_INFERENCE, reward, -beta, scale)
    assert counts[1, 0].sum() + tails[1, 0].sum() == 1
    assert counts.sum() + tails.sum() == 1


@undated
@given(st.floats())
def test_every_latency_has_a_cell(seconds: float) -> None:
    assert 0 <= cell_of(seconds) < CELLS


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
