"""Whom the figures of rewards count, and what they call what is drawn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from poq_abm.errors import InputError
from poq_abm.figures.rewards import reward_ecdf, reward_violins

# The drawing libraries warn of each other's plans in some pairs of versions.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning"),
]


def nodes(presence: list[float]) -> pd.DataFrame:
    count = len(presence)
    return pd.DataFrame(
        {
            "replication": 0,
            "role": "inference",
            "group": "a",
            "presence": presence,
            "reward_mean": np.arange(1.0, count + 1.0),
            "reward_total": np.where(np.array(presence) > 0.0, np.arange(1.0, count + 1.0), 0.0),
        }
    )


@pytest.mark.parametrize("amount", ["reward_mean", "reward_total"])
def test_nodes_that_never_came_are_not_drawn(amount: str) -> None:
    alone, beside = nodes([1.0, 0.5]), nodes([1.0, 0.5, 0.0, 0.0])
    drawn = [
        reward_ecdf(frame, amount=amount).axes[0].lines[0].get_xydata() for frame in (alone, beside)
    ]
    np.testing.assert_array_equal(*drawn)
    assert drawn[0][:, 1].tolist() == pytest.approx([2.0 / 3.0, 1.0]), "each by its presence"
    dots = [len(c.get_offsets()) for c in reward_violins(beside, amount=amount).axes[0].collections]
    assert max(dots) == 2


def test_axes_say_tokens_paid_points_and_presence() -> None:
    frame = nodes([1.0, 0.5]).assign(points_mean=0.5)
    axes = reward_ecdf(frame).axes[0]
    assert axes.get_xlabel() == "reward (tokens paid per job)"
    assert axes.get_ylabel() == "share of nodes at or below, by presence"
    axes = reward_ecdf(nodes([1.0, 1.0]).assign(points_mean=0.5), amount="points_mean").axes[0]
    assert axes.get_xlabel() == "points of the reward formula (per job)"
    assert axes.get_ylabel() == "share of nodes at or below"


def test_nobody_who_took_part_makes_no_figure() -> None:
    with pytest.raises(InputError, match="no rows"):
        reward_ecdf(nodes([0.0, 0.0]))
