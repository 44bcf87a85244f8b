"""Rank correlation of pay with merit."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import poq_abm
from poq_abm.analysis.alignment import evaluator_accuracy, rank_correlation, reward_alignment
from poq_abm.errors import InputError


@pytest.fixture(scope="module")
def results():
    settings = ["rounds=400", "replications=4", "mechanism.beta_evaluator=0"]
    scenario = poq_abm.load("cost_aware_poq", settings)
    return poq_abm.run(scenario, trace=True)


def test_without_a_charge_for_cost_pay_ranks_as_quality() -> None:
    settings = ["rounds=300", "replications=3", "mechanism.beta_inference=0"]
    results = poq_abm.run(poq_abm.load("cost_aware_poq", settings))
    table = reward_alignment(results.nodes).set_index("merit")
    row = table.loc["quality"]
    # Three replications that agree do not show that none could differ (Clopper and Pearson).
    least = 1.0 - 2.0 * (1.0 - 0.025 ** (1 / 3))
    assert (row["correlation"], row["low"], row["high"]) == (1.0, pytest.approx(least), 1.0)


def test_without_a_charge_for_cost_evaluators_are_paid_for_closeness(results) -> None:
    table = reward_alignment(results.nodes, role="evaluator", rounds=results.rounds)
    found = table.set_index("merit")["correlation"]
    assert set(found.index) == {
        "closeness",
        "closeness per cost",
        "accuracy",
        "accuracy per cost",
    }
    assert found["closeness"] == 1.0
    assert -1.0 <= found["accuracy"] <= 1.0


def test_without_a_trace_accuracy_is_not_known(results) -> None:
    table = reward_alignment(results.nodes, role="evaluator")
    assert set(table["merit"]) == {"closeness", "closeness per cost"}


def test_accuracy_is_one_less_the_mean_distance_from_the_truth(results) -> None:
    accuracy = evaluator_accuracy(results.rounds)
    one = accuracy[(accuracy["replication"] == 2) & (accuracy["node"] == 6)]["accuracy"].item()
    rounds = results.rounds[results.rounds["replication"] == 2]
    gaps = [
        abs(score - truth)
        for members, scores, truth in zip(
            rounds["committee"], rounds["scores"], rounds["truth"], strict=True
        )
        for member, score in zip(members, scores, strict=True)
        if member == 6
    ]
    assert one == pytest.approx(1 - np.mean(gaps) / 10)


def test_one_replication_has_no_interval(results) -> None:
    nodes = results.nodes
    table = reward_alignment(nodes[nodes["replication"] == 0])
    assert table[["low", "high"]].isna().all(axis=None)
    assert table["correlation"].notna().all()


def test_a_role_without_nodes_is_refused(results) -> None:
    nodes = results.nodes
    with pytest.raises(InputError, match="no evaluator node had a job"):
        reward_alignment(nodes[nodes["role"] == "inference"], role="evaluator")
    with pytest.raises(InputError, match="did you mean 'evaluator'"):
        reward_alignment(nodes, role="evaluater")


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=20))
def test_rank_correlation_is_spearmans(pairs) -> None:
    a, b = np.array(pairs, dtype=float).T
    found = rank_correlation(a, b)
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-12)


def test_two_nodes_have_no_rank_correlation() -> None:
    assert math.isnan(rank_correlation(np.array([1.0, 2.0]), np.array([1.0, 2.0])))
