"""Distributions of rewards over nodes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from scipy import stats

import poq_abm
from poq_abm.analysis.distributions import reward_ecdf, reward_violins, share_ends
from poq_abm.analysis.rewards import (
    STATISTICS,
    reward_distribution,
)
from poq_abm.errors import InputError
from poq_abm.experiment.estimates import Range, mean_interval


def nodes(rewards: np.ndarray, **columns: object) -> pd.DataFrame:
    """Return node rows of one treatment from rewards of shape (replications, nodes)."""
    replications, count = rewards.shape
    return pd.DataFrame(
        {
            "treatment": "base",
            "replication": np.repeat(np.arange(replications), count),
            "role": "evaluator",
            "group": "all",
            "reward_total": rewards.reshape(-1),
            "reward_mean": rewards.reshape(-1) / 10,
            **columns,
        }
    )


def pick(table: pd.DataFrame, statistic: str) -> pd.Series:
    (row,) = [row for _, row in table[table["statistic"] == statistic].iterrows()]
    return row


def test_the_statistics_of_one_replication_are_those_of_its_nodes() -> None:
    rewards = np.array([[1.0, 2.0, 3.0, 10.0]])
    table = reward_distribution(nodes(rewards)).set_index("statistic")["estimate"]
    assert table["mean"] == 4.0
    assert table["sd"] == pytest.approx(rewards.std(ddof=1))
    assert table["median"] == 2.5
    assert table["skew"] == pytest.approx(stats.skew(rewards[0]))
    assert table["gini"] == pytest.approx(28 / 64)
    assert table["hhi"] == pytest.approx(114 / 256)
    assert table["nakamoto"] == 1.0
    assert list(table.index) == list(STATISTICS)


def test_one_replication_has_no_interval() -> None:
    table = reward_distribution(nodes(np.array([[1.0, 2.0]])))
    assert (table["replications"] <= 1).all()
    assert table[["sd", "low", "high"]].isna().all(axis=None)


def test_negative_rewards_leave_shares_undefined_and_are_counted() -> None:
    table = reward_distribution(nodes(np.array([[1.0, -1.0], [1.0, 3.0], [2.0, 2.0]])))
    row = pick(table, "gini")
    assert (row["replications"], row["undefined"]) == (2, 1)
    assert row["estimate"] == pytest.approx((0.25 + 0.0) / 2)
    assert pick(table, "mean")["undefined"] == 0


def test_intervals_cover_at_their_nominal_rate() -> None:
    """1,000 synthetic experiments of 12 replications x 150 exponential earners.

    The truth is the mean of 40,000 more replications. Coverage of a 95% interval over 1,000
    trials has an s.d. of 0.7 points; the band below is four of them.
    """
    generator = np.random.default_rng(7)
    names = ["mean", "gini", "theil", "hhi"]

    def measured(count: int) -> np.ndarray:
        sample = np.sort(generator.exponential(size=(count, 150)), axis=1)
        shares = sample / sample.sum(axis=1, keepdims=True)
        ranks = 2.0 * np.arange(1, 151) - 151
        return np.stack(
            [
                sample.mean(axis=1),
                shares @ ranks / 150,
                (shares * np.log(shares * 150)).sum(axis=1),
                (shares**2).sum(axis=1),
            ]
        )

    truth = measured(40_000).mean(axis=1)
    rewards = generator.exponential(size=(1000, 12, 150))
    tables = [nodes(rewards[trial], treatment=str(trial)) for trial in range(1000)]
    table = reward_distribution(pd.concat(tables), statistics=names)
    for name, value in zip(names, truth, strict=True):
        found = table[table["statistic"] == name]
        covered = ((found["low"] <= value) & (value <= found["high"])).mean()
        assert 0.95 - 0.028 < covered < 0.95 + 0.028, name


def test_cells_are_told_apart_by_what_is_asked_for() -> None:
    results = poq_abm.run(poq_abm.load("cost_aware_poq", ["rounds=50", "replications=2"]))
    table = reward_distribution(results.nodes, by=["role", "behaviour"], statistics=["mean"])
    assert table[["role", "nodes"]].to_numpy().tolist() == [["inference", 5], ["evaluator", 3]]
    table = reward_distribution(results.nodes, by=["group"], statistics=["mean"])
    assert len(table) == 8


def test_the_mean_per_job_leaves_out_nodes_without_a_job() -> None:
    frame = nodes(np.array([[1.0, 2.0, 3.0]]))
    frame.loc[0, "reward_mean"] = np.nan
    row = pick(reward_distribution(frame, amount="reward_mean"), "mean")
    assert (row["nodes"], row["estimate"]) == (2, pytest.approx(0.25))
    assert row["unit"] == "tokens per job"


def accounts(rewards: np.ndarray, operators: list[int]) -> pd.DataFrame:
    """Return an economy's account rows: tokens paid by node, and whose node it is."""
    frame = nodes(rewards).drop(columns=["reward_total", "reward_mean"])
    owner = np.tile(operators, len(rewards))
    return frame.assign(operator=owner, reward=rewards.ravel(), profit=rewards.ravel() - 1)


def test_tokens_paid_and_profits_are_read_from_accounts() -> None:
    table = accounts(np.array([[1.0, 3.0], [2.0, 2.0]]), [0, 1])
    assert pick(reward_distribution(table, amount="reward"), "gini")["estimate"] == 0.125
    row = pick(reward_distribution(table, amount="profit"), "mean")
    assert (row["estimate"], row["unit"]) == (1.0, "tokens")


def test_operators_hold_what_their_nodes_earn() -> None:
    table = accounts(np.array([[1.0, 1.0, 2.0], [2.0, 2.0, 4.0]]), [0, 0, 2])
    by_operator = reward_distribution(table, amount="reward", over="operators")
    assert pick(by_operator, "gini")["estimate"] == 0.0
    assert pick(by_operator, "nakamoto")[["estimate", "unit", "nodes"]].tolist() == [
        2.0, "operators", 2,
    ]  # fmt: skip
    assert pick(reward_distribution(table, amount="reward"), "gini")["estimate"] > 0.1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"amount": "profit"}, "profit is a column of the table accounts"),
        ({"over": "operators"}, "only the accounts of an economy"),
        ({"over": "owners"}, "held by nodes or by operators"),
        ({"by": ["rolle"]}, "did you mean 'role'"),
        ({"amount": "reward_totel"}, "did you mean 'reward_total'"),
        ({"statistics": ["ginny"]}, "did you mean 'gini'"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(arguments, message: str) -> None:
    with pytest.raises(InputError, match=message):
        reward_distribution(nodes(np.ones((1, 2))), **arguments)


def test_nobody_has_no_distribution() -> None:
    with pytest.raises(InputError, match="empty group"):
        reward_distribution(nodes(np.ones((1, 2))).iloc[:0])


# The drawing libraries warn of each other's plans in some pairs of versions.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning"),
]


def present(presence: list[float]) -> pd.DataFrame:
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
    alone, beside = present([1.0, 0.5]), present([1.0, 0.5, 0.0, 0.0])
    drawn = [
        reward_ecdf(frame, amount=amount).axes[0].lines[0].get_xydata() for frame in (alone, beside)
    ]
    np.testing.assert_array_equal(*drawn)
    assert drawn[0][:, 1].tolist() == pytest.approx([2.0 / 3.0, 1.0]), "each by its presence"
    dots = [len(c.get_offsets()) for c in reward_violins(beside, amount=amount).axes[0].collections]
    assert max(dots) == 2


def test_every_group_is_drawn_or_said_to_be_left_out() -> None:
    frame = present([1.0] * 24).assign(group=[f"g{node // 2}" for node in range(24)])
    violins, steps = reward_violins(frame), reward_ecdf(frame, by="group")
    assert [tick.get_text() for tick in violins.axes[0].get_xticklabels()][-1] == "g11"
    assert "left out" not in captions(violins)
    assert len(steps.axes[0].lines) == 10
    assert "2 more left out" in captions(steps)


def captions(figure: Figure) -> str:
    return " ".join(text.get_text() for text in figure.texts).replace("\n", " ")


def test_axes_say_tokens_paid_points_and_presence() -> None:
    frame = present([1.0, 0.5]).assign(points_mean=0.5)
    axes = reward_ecdf(frame).axes[0]
    assert axes.get_xlabel() == "reward (tokens paid per job)"
    assert axes.get_ylabel() == "share of nodes at or below, by presence"
    axes = reward_ecdf(present([1.0, 1.0]).assign(points_mean=0.5), amount="points_mean").axes[0]
    assert axes.get_xlabel() == "points of the reward formula (per job)"
    assert axes.get_ylabel() == "share of nodes at or below"


def test_nobody_who_took_part_makes_no_figure() -> None:
    with pytest.raises(InputError, match="no rows"):
        reward_ecdf(present([0.0, 0.0]))


def test_the_share_of_nodes_below_a_reward_has_the_interval_of_its_replications() -> None:
    """Shares of 1/4, 1/2 and 3/4 at 0: mean 1/2, s.d. 1/4, on the scale of the logit."""
    amounts = np.repeat([0.0, 1.0, 0.0, 1.0, 0.0, 1.0], [1, 3, 2, 2, 3, 1])
    replication = pd.Series(np.repeat([0, 1, 2], 4))
    low, high = share_ends(amounts, np.ones(12), replication, np.array([-1.0, 0.0, 1.0]))
    _, _, *ends = mean_interval([0.25, 0.5, 0.75], within=Range(0.0, 1.0))
    assert (low[1], high[1]) == pytest.approx(ends, abs=1e-12)
    assert (low[[0, 2]].tolist(), high[[0, 2]].tolist()) == ([0.0, 1.0], [0.0, 1.0])
    heavier, _ = share_ends(amounts, np.full(12, 7.0), replication, np.array([0.0]))
    assert heavier[0] == pytest.approx(ends[0], abs=1e-12)
