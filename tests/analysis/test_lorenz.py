"""Lorenz curves, averaged over replications."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from poq_abm.analysis.lorenz import lorenz_curves


def nodes(rewards: list[list[float]], **columns: object) -> pd.DataFrame:
    """Return node rows of one treatment from rewards of shape (replications, nodes)."""
    table = np.array(rewards)
    replication = np.repeat(np.arange(len(table)), table.shape[1])
    given = {"role": "evaluator", "reward_total": table.ravel(), **columns}
    return pd.DataFrame({"treatment": "base", "replication": replication, **given})


def test_curves_are_averaged_over_replications() -> None:
    curve = lorenz_curves(nodes([[1.0, 3.0], [2.0, 2.0], [1.0, -1.0]]))
    assert curve["held"].tolist() == [0.0, 0.375, 1.0]
    assert (curve["replications"] == 2).all()
    assert curve["gini"].iloc[0] == pytest.approx(0.125)


def test_curves_of_losses_are_none() -> None:
    assert lorenz_curves(nodes([[1.0, -1.0]])).empty


def test_operators_hold_what_their_nodes_earn() -> None:
    table = nodes([[1.0, 1.0, 2.0], [2.0, 2.0, 4.0]], operator=[0, 0, 2] * 2)
    table["reward"] = table["reward_total"]
    curve = lorenz_curves(table, amount="reward", over="operators")
    assert curve["held"].tolist() == [0.0, 0.5, 1.0]


def test_curves_of_different_holders_meet_at_hundredths() -> None:
    alone = pd.concat([nodes([[2.0]]), nodes([[1.0, 3.0]]).assign(replication=1)])
    curve = lorenz_curves(alone)
    assert curve["holders"].tolist() == np.linspace(0.0, 1.0, 101).tolist()
    assert curve["held"].iloc[50] == pytest.approx((0.5 + 0.25) / 2)


def test_parts_of_a_table_give_the_curves_of_the_whole() -> None:
    whole = nodes([[1.0, 3.0], [2.0, 2.0], [5.0, 1.0]])
    parts = [whole.iloc[:2], whole.iloc[2:]]
    pd.testing.assert_frame_equal(lorenz_curves(iter(parts)), lorenz_curves(whole))
