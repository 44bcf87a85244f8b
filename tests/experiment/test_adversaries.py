"""Measures of deviating evaluators, computed anew from every round of a small run."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import hypergeom

import poq_abm
from poq_abm.experiment.results import Results
from poq_abm.experiment.round_tables import majority_probability
from poq_abm.scenario import Scenario, load

ROUNDS, REPLICATIONS, EVALUATORS, SIZE = 300, 3, 10, 5
INTERVAL = 70
TRUST = {"update": "multiplicative", "rate": 0.2, "maximum": 2.0}


def scenario(**settings: Any) -> Scenario:
    return load("cost_aware_poq").replace(
        {
            "profile": "synthetic",
            "synthetic": {"records": 200, "models": 2, "task": ["qa", "news"]},
            "rounds": ROUNDS,
            "replications": REPLICATIONS,
            "mechanism.committee_size": SIZE,
            "mechanism.aggregation": "trust_weighted",
            "population": {
                "inference": [{"model": "model_1"}, {"model": "model_2"}],
                "evaluators": [{"model": f"evaluator_{e + 1}"} for e in range(EVALUATORS)],
            },
            "malicious": {"share": 0.4, "behaviour": {"name": "boost", "b": 3.0}},
            **{key.replace("__", "."): value for key, value in settings.items()},
        }
    )


@pytest.fixture(scope="module")
def played() -> Results:
    return poq_abm.run(scenario(mechanism__trust={**TRUST, "interval": INTERVAL}), trace=True)


@pytest.fixture(scope="module")
def seats(played: Results) -> pd.DataFrame:
    """Return one row per round and member, with what the member is."""
    columns = ["committee", "scores", "evaluator_rewards"]
    seats = played.rounds.explode(columns).reset_index(drop=True)
    behaviours = played.nodes.drop_duplicates("node").set_index("node")["behaviour"].astype(str)
    seats["malicious"] = seats["committee"].map(behaviours) != "honest"
    for column in columns:
        seats[column] = seats[column].astype(float)
    return seats


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, 1.0])
@pytest.mark.parametrize(
    ("evaluators", "size"),
    [(1, 1), (2, 1), (2, 2), (9, 5), (9, 8), (9, 9), (20, 1), (20, 8), (20, 20), (1000, 20)],
)
def test_majority_against_scipy(evaluators: int, share: float, size: int) -> None:
    malicious = int(share * evaluators)
    expected = hypergeom(evaluators, malicious, size).sf(size // 2)
    found = majority_probability(evaluators, malicious, size)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert 0.0 <= found <= 1.0 + 1e-12


def test_half_of_a_committee_is_no_majority() -> None:
    assert majority_probability(2, 1, 2) == 0.0


def test_who_is_malicious(played: Results) -> None:
    liars = played.nodes[played.nodes["behaviour"] == "boost"]
    per_replication = liars.groupby("replication", observed=True)["node"].apply(tuple)
    assert set(liars["role"]) == {"evaluator"}
    assert len(set(per_replication)) == 1, "the same ones in every replication"
    assert all(len(nodes) == 4 for nodes in per_replication)


def test_pay_by_honesty(played: Results, seats: pd.DataFrame) -> None:
    pay = seats.groupby(["replication", "malicious"])["evaluator_rewards"].mean()
    pay = {kind: pay.xs(kind, level="malicious") for kind in (False, True)}
    table = played.replications.set_index("replication")
    np.testing.assert_allclose(table["honest_reward_mean"], pay[False], rtol=1e-12)
    np.testing.assert_allclose(table["malicious_reward_mean"], pay[True], rtol=1e-12)
    honest = scenario(malicious=None, mechanism__trust={**TRUST, "interval": INTERVAL})
    twin = poq_abm.run(honest).nodes.set_index(["replication", "node"])
    liars = played.nodes.query("behaviour == 'boost'").set_index(["replication", "node"])
    there = twin.loc[liars.index].groupby("replication")[["reward_total", "jobs"]].sum()
    honestly = there["reward_total"] / there["jobs"]
    np.testing.assert_allclose(table["reward_gap"], honestly - pay[True], rtol=1e-9)
    assert (table["reward_gap"] > 0).all(), "a shift of 3 costs more than it moves the consensus"


def test_the_gap_is_that_of_the_same_nodes_and_not_of_dearer_models() -> None:
    """Who deviates without effect (b = 0) loses nothing, though honest nodes run other models."""
    row = poq_abm.run(scenario(malicious={"share": 0.4, "behaviour": {"name": "boost", "b": 0.0}}))
    assert row.replications["reward_gap"].tolist() == [0.0] * len(row.replications)


def test_malicious_majorities(played: Results, seats: pd.DataFrame) -> None:
    ruled = seats.groupby(["replication", "round"])["malicious"].sum() * 2 > SIZE
    table = played.replications.set_index("replication")
    share = ruled.groupby("replication").mean()
    assert table["malicious_majority"].tolist() == share.tolist()
    expected = hypergeom(EVALUATORS, 4, SIZE).sf(SIZE // 2)
    np.testing.assert_allclose(table["malicious_majority_expected"], expected, rtol=1e-12)
    error = math.sqrt(expected * (1 - expected) / (ROUNDS * REPLICATIONS))
    assert abs(share.mean() - expected) < 4 * error


def replayed(played: Results, replication: int) -> tuple[list[np.ndarray], int | None]:
    """Return all weights after every round, by Eq. 21, and the round that saturates them."""
    rounds = played.rounds.query("replication == @replication")
    weights, history, saturated = np.ones(EVALUATORS), [], None
    for number, row in enumerate(rounds.itertuples()):
        members = np.asarray(row.committee) - 2
        scores = np.asarray(row.scores)
        held = weights[members]
        assert row.consensus == pytest.approx((held * scores).sum() / held.sum(), abs=1e-9)
        d = np.abs(scores - row.consensus) / 10
        grown = held * (1 + TRUST["rate"] * (0.5 - d))
        weights[members] = np.clip(grown, 0.1, TRUST["maximum"])
        history.append(weights.copy())
        if saturated is None and (weights >= TRUST["maximum"]).all():
            saturated = number
    return history, saturated


@pytest.mark.parametrize("replication", range(REPLICATIONS))
def test_trust_and_its_saturation(played: Results, replication: int) -> None:
    history, saturated = replayed(played, replication)
    row = played.replications.set_index("replication").loc[replication]
    assert saturated is not None, "the case must be one that saturates"
    assert row["saturated_round"] == saturated
    assert row["saturated_share"] == np.mean(history[-1] >= TRUST["maximum"])
    log = played.trust.query("replication == @replication")
    for number in sorted(log["round"].unique()):
        kept = log[log["round"] == number].sort_values("node")["trust"]
        np.testing.assert_allclose(kept, history[number], rtol=1e-12)


def test_the_trust_table_has_one_row_per_entry_and_node(played: Results) -> None:
    log = played.trust
    entries = ROUNDS // INTERVAL
    assert len(log) == REPLICATIONS * entries * EVALUATORS
    assert sorted(log["round"].unique()) == [INTERVAL * (e + 1) - 1 for e in range(entries)]
    assert sorted(log["node"].unique()) == list(range(2, 2 + EVALUATORS))
    assert set(log["task"].astype(str)) == {"all"}
    assert not log.duplicated(["replication", "round", "node"]).any()


def test_a_weight_per_task_changes_only_in_rounds_of_the_task() -> None:
    trust = {**TRUST, "per_task": True, "interval": 1}
    results = poq_abm.run(scenario(mechanism__trust=trust, replications=1), trace=True)
    log = results.trust.astype({"task": str})
    assert len(log) == ROUNDS * EVALUATORS * 2
    table = log.pivot_table(index="round", columns=["task", "node"], values="trust")
    assert set(table.columns.get_level_values("task")) == {"qa", "news"}
    moved = table.diff().iloc[1:].ne(0)
    tasks = results.rounds["task"].astype(str).to_numpy()[1:]
    for task, other in (("qa", "news"), ("news", "qa")):
        assert not moved.loc[tasks == task, other].to_numpy().any()
        assert moved.loc[tasks == task, task].to_numpy().any()


def test_the_last_entry_is_what_the_network_ends_with() -> None:
    """An interval that divides the run leaves the final weights as its last entry."""
    trust = {**TRUST, "maximum": 20_000.0, "interval": ROUNDS // 3}
    results = poq_abm.run(scenario(mechanism__trust=trust), trace=True)
    log = results.trust
    assert log["round"].max() == ROUNDS - 1
    last = log[log["round"] == ROUNDS - 1]
    row = results.replications
    shares = (last["trust"] >= 20_000.0).groupby(last["replication"]).mean()
    assert row["saturated_share"].tolist() == shares.tolist()
    never = shares.to_numpy() < 1.0
    assert never.any()
    assert row.loc[never, "saturated_round"].isna().all()


def test_without_deviating_nodes_there_is_no_gap() -> None:
    row = poq_abm.run(scenario(malicious=None, replications=1)).replications.iloc[0]
    assert row["honest_reward_mean"] == pytest.approx(row["evaluator_reward_mean"], rel=1e-12)
    assert math.isnan(row["malicious_reward_mean"])
    assert math.isnan(row["reward_gap"])
    assert row["malicious_majority"] == row["malicious_majority_expected"] == 0.0


def test_without_an_interval_there_is_no_log() -> None:
    results = poq_abm.run(scenario(replications=1, rounds=10))
    with pytest.raises(poq_abm.InputError, match="interval"):
        _ = results.trust


def test_a_swept_behaviour_plays_with_the_parameters_beside_it() -> None:
    """Of ten evaluators four lift scores by 6, cut off at 10: a bias of 1.89; by 3 it is 1.16."""
    scenario = poq_abm.load(
        {
            "profile": "synthetic",
            "synthetic": {"evaluators": 1},
            "rounds": 2000,
            "replications": 4,
            "mechanism": {"committee_size": 5},
            "malicious": {"share": 0.4, "behaviour": "boost", "b": 6.0},
            "population": {
                "inference": [{"model": "model_1"}],
                "evaluators": [{"model": "evaluator_1", "count": 10}],
            },
            "sweep": {"malicious.behaviour": ["boost", "sabotage"]},
        }
    )
    played = poq_abm.run(scenario).replications.groupby("treatment", observed=True)["bias"].mean()
    # Draws are keyed, so nothing here is left to chance: the figure is known to two decimals.
    assert round(float(played["behaviour=boost"]), 2) == 1.89
