"""What is said of rewards is said of tokens paid, and what is said of cost of the C charged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import poq_abm
from poq_abm.analysis.lorenz import lorenz_curves
from poq_abm.analysis.rewards import reward_distribution
from poq_abm.experiment.paired import compare
from poq_abm.experiment.results import Results
from poq_abm.experiment.round_tables import REWARD_QUANTILES
from poq_abm.scenario import Scenario

EPOCHS = 3
INFERENCE = [
    {"model": "llama_3_2_3b", "count": 2},
    {"model": "gemma_2_2b_it", "count": 2, "behaviour": "misreport_cost", "name": "liars"},
    {"model": "phi3_mini_4k", "count": 3, "active": 1},
]
EVALUATORS = [
    {"model": "sts_stsb", "count": 2},
    {"model": "ce_minilm", "count": 3, "active": 2},
]


def scenario(economy: dict[str, Any] | None, rounds: int = 240, **changes: Any) -> Scenario:
    """A small market on the published profile."""
    return poq_abm.load("cost_aware_poq").replace(
        {
            "rounds": rounds,
            "replications": 2,
            "population": {"inference": INFERENCE, "evaluators": EVALUATORS},
            "mechanism.committee_size": 2,
            "economy": economy,
            **{path.replace("__", "."): value for path, value in changes.items()},
        }
    )


@st.composite
def economies(draw: st.DrawFn) -> dict[str, Any]:
    """An economy in which whatever stands between points and tokens may take part."""
    payment = draw(
        st.sampled_from(
            [
                {},
                {"fee": 0.5, "network_share": 0.1},
                {"scheme": "pool", "pool": 1e-6},
                {"scheme": "pool", "pool": 500.0, "decay": 0.5, "fee": 0.2},
            ]
        )
    )
    bond = {"bond": 10.0}
    slashed = {**bond, "slashing": {"deviation": 0.05}}
    audits, stake = draw(
        st.sampled_from(
            [
                ({}, {}),
                ({"rate": 0.5}, {}),
                ({"rate": 0.5, "slash": 1.0}, bond),
                ({"rate": 0.5, "slash": 1.0, "forfeit": False}, slashed),
                ({}, slashed),
            ]
        )
    )
    entry = {"name": "entry_exit", "outside": 10.0, "rate": 0.5, "stays": 3}
    return {
        "epochs": EPOCHS,
        "payment": payment,
        "audits": audits,
        "stake": stake,
        "cost": {"basis": draw(st.sampled_from(["latency", "money"]))},
        "latency": draw(
            st.sampled_from([{}, {"distribution": "exponential", "charged": "realised"}])
        ),
        "adaptation": draw(st.sampled_from([[], [entry]])),
    }


@settings(max_examples=12, deadline=None, derandomize=True)
@given(economies(), st.sampled_from([0.3, 2.0]))
def test_every_table_says_the_same_of_pay_and_of_cost(economy: dict[str, Any], beta: float) -> None:
    played = scenario(economy, mechanism__beta_inference=beta, mechanism__beta_evaluator=beta)
    results = poq_abm.run(played)
    nodes, accounts = results.nodes, results.accounts
    worked = nodes["jobs"] > 0

    paid = accounts["reward"].to_numpy()
    close = {"rtol": 1e-9, "atol": 1e-9 * np.abs(paid).max()}
    np.testing.assert_allclose(nodes["reward_total"], paid, **close)
    np.testing.assert_allclose((nodes["reward_mean"] * nodes["jobs"]).fillna(0.0), paid, **close)
    parts = accounts["quality_paid"] + accounts["closeness_paid"] - accounts["cost_charged"]
    np.testing.assert_allclose(parts - accounts["forfeited"], paid, **close)
    np.testing.assert_allclose(
        nodes["points_mean"] * nodes["jobs"], nodes["points_total"].where(worked)
    )
    network = results.epochs[results.epochs["group"].astype(str) == "network"]
    assert network["reward"].sum() == pytest.approx(paid.sum(), abs=close["atol"] * len(paid))
    for role in ("inference", "evaluator"):
        mine = nodes[nodes["role"].astype(str) == role]
        sums = mine.groupby("replication")[["reward_total", "jobs"]].sum()
        said = results.replications[f"{role}_reward_mean"].to_numpy()
        np.testing.assert_allclose(said, sums["reward_total"] / sums["jobs"], **close)
        charged = (mine["cost"] * mine["jobs"]).groupby(mine["replication"]).sum() / sums["jobs"]
        said = results.replications[f"{role}_cost_mean"].to_numpy()
        np.testing.assert_allclose(said, charged, rtol=1e-9, atol=1e-12)

    quality = nodes["closeness_mean"].where(
        nodes["role"].astype(str) == "evaluator", nodes["consensus_mean"] / 10.0
    )
    charged = (1.0 * quality - nodes["points_mean"]) / beta
    np.testing.assert_allclose(nodes["cost"], charged, rtol=1e-9, atol=1e-9)
    assert nodes.loc[~worked, ["cost", "reward_mean", "latency_ms"]].isna().all(axis=None)
    assert nodes["presence"].to_numpy() == pytest.approx(accounts["epochs"].to_numpy() / EPOCHS)


def pool(tokens: float) -> dict[str, Any]:
    return {"epochs": EPOCHS, "payment": {"scheme": "pool", "pool": tokens, "evaluator_share": 0.2}}


def test_pay_follows_the_pool() -> None:
    small, large = (poq_abm.run(scenario(pool(tokens))) for tokens in (500.0, 1500.0))
    for results, tokens in ((small, 500.0), (large, 1500.0)):
        row = results.replications.iloc[0]
        assert row["inference_reward_mean"] == pytest.approx(0.8 * tokens * EPOCHS / 240)
        assert row["evaluator_reward_mean"] == pytest.approx(0.2 * tokens * EPOCHS / 480)
        assert row[list(REWARD_QUANTILES)].isna().all(), "histograms count points"
    moved = compare(
        small.replications, large.replications, nodes_a=small.nodes, nodes_b=large.nodes
    ).set_index("metric")
    assert moved.loc["inference_reward_mean", "difference"] == pytest.approx(0.8 * 1000 * 3 / 240)
    group = "reward of inference llama_3_2_3b"
    assert moved.loc[group, "mean_b"] == pytest.approx(3.0 * moved.loc[group, "mean_a"])
    np.testing.assert_allclose(3.0 * small.nodes["reward_sd"], large.nodes["reward_sd"])
    np.testing.assert_array_equal(small.nodes["points_sd"], large.nodes["points_sd"])


def test_a_point_is_a_token_in_a_plain_run() -> None:
    nodes = poq_abm.run(poq_abm.load("cost_aware_poq", ["rounds=200", "replications=2"])).nodes
    for name in ("total", "mean", "sd"):
        pd.testing.assert_series_equal(
            nodes[f"reward_{name}"], nodes[f"points_{name}"], check_names=False
        )


def test_the_cost_shown_is_the_cost_in_money_where_rewards_charge_that() -> None:
    """Gemma is slowest on a T4 and cheap there; Qwen2 is quickest on an H100, which is dear."""
    people = {
        "inference": [
            {"name": "a", "model": "gemma_2_2b_it", "hardware": "rtx_3090", "region": "germany"},
            {"name": "b", "model": "gemma_2_2b_it", "hardware": "t4", "region": "texas"},
            {"name": "c", "model": "llama_3_2_3b", "hardware": "m2_ultra"},
            {"name": "d", "model": "qwen2_1_5b", "hardware": "h100_sxm"},
            {"name": "e", "model": "phi3_mini_4k", "hardware": "rtx_4090", "region": "myplace"},
        ],
        "evaluators": [{"model": "sts_stsb", "count": 2}],
    }  # fmt: skip
    money = {
        "basis": "money",
        "usd_per_token": 0.004,
        "usd_per_mwh": 77.0,
        "usd_per_gigabyte": 0.09,
        "bytes_per_job": 50_000,
        "idle_share": 0.15,
    }
    changes = {"population": people, "mechanism.committee_size": 2}
    economy = {"epochs": 1, "regions": {"myplace": 312.0}, "cost": money}
    results = poq_abm.run(scenario(economy).replace(changes))
    cost = results.nodes.groupby("group", observed=True)["cost"].first()
    expected = {"a": 0.0640, "b": 0.2996, "c": 0.0, "d": 1.0, "e": 0.8561, "sts_stsb": 0.0}
    assert cost.to_dict() == pytest.approx(expected, abs=5e-5)


def test_who_is_absent_is_no_end_of_the_range_of_costs() -> None:
    people = {
        "inference": [
            {"model": "llama_3_2_3b"},
            {"model": "gemma_2_2b_it"},
            {"model": "phi3_mini_4k", "active": 0},
        ],
        "evaluators": [{"model": "sts_stsb"}],
    }
    changes = {"population": people, "mechanism.committee_size": 1}
    results = poq_abm.run(scenario({"epochs": 2}).replace(changes))
    cost = results.nodes.groupby("model", observed=True)["cost"].first()
    assert cost[["llama_3_2_3b", "gemma_2_2b_it"]].tolist() == [0.0, 1.0]
    assert np.isnan(cost["phi3_mini_4k"])


def _statistics(results: Results) -> list[pd.DataFrame]:
    here = results.nodes[results.nodes["presence"] > 0]
    summary = results.summary()
    spread = reward_distribution(results.nodes, by=["role", "group"])
    return [
        results.replications,
        summary[summary["nodes"] > 0].reset_index(drop=True),
        spread,
        reward_distribution(results.accounts, amount="profit"),
        lorenz_curves(results.nodes),
        here.drop(columns="node").reset_index(drop=True),
        results.economy_summary(),
    ]


@settings(max_examples=5, deadline=None, derandomize=True)
@given(
    st.sampled_from([{}, {"scheme": "pool", "pool": 30.0}]),
    st.integers(0, 3),
    st.integers(0, 3),
    st.sampled_from(["latency", "money"]),
    st.sampled_from([{}, {"update": "relative", "maximum": 1.5, "interval": 60}]),
)
def test_nodes_that_never_come_change_no_statistic(
    payment: dict[str, Any], inference: int, evaluators: int, basis: str, trust: dict[str, Any]
) -> None:
    economy = {"epochs": EPOCHS, "payment": payment, "cost": {"basis": basis}}
    found = []
    for idle in (0, 1):
        people = {
            "inference": [
                {"model": "llama_3_2_3b", "count": 2 + idle * inference, "active": 2},
                {"model": "gemma_2_2b_it", "count": 1 + idle, "active": 1},
            ],
            "evaluators": [
                {"model": "sts_stsb", "count": 3 + idle * evaluators, "active": 3},
                {"model": "ce_minilm", "behaviour": "boost"},
            ],
        }
        changes = {"population": people, "mechanism.trust": trust}
        found.append(_statistics(poq_abm.run(scenario(economy).replace(changes))))
    for alone, beside in zip(*found, strict=True):
        pd.testing.assert_frame_equal(alone, beside, rtol=1e-12, check_categorical=False)


def test_inequality_does_not_depend_on_how_many_might_have_come() -> None:
    """Everybody earns alike while there: who came late holds less, but is no poorer."""
    rows = []
    for candidates in (4, 40):
        there = {"reward_total": [8.0, 4.0, 2.0, 8.0], "presence": [1.0, 0.5, 0.25, 1.0]}
        table = pd.DataFrame(there).reindex(range(candidates), fill_value=0.0)
        table = table.assign(treatment="base", replication=0, role="inference")
        wanted = reward_distribution(table).set_index("statistic")["estimate"]
        assert wanted["gini"] == pytest.approx(0.0)
        assert wanted["hhi"] == pytest.approx(1.0 / 2.75), "2.75 nodes at a time"
        assert wanted[["mean", "median", "q05"]].tolist() == pytest.approx([8.0, 8.0, 8.0])
        rows.append(wanted)
    pd.testing.assert_series_equal(*rows)
