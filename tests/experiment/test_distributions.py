"""Rank correlation and quantiles from histograms, held to those of the trace."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import poq_abm
from poq_abm.scenario import Scenario
from poq_abm.simulation.histograms import (
    TAIL_CELLS,
    RewardKind,
    count_reward,
    open_histograms,
    reward_quantile,
    spearman_of_grid,
)


def test_spearman_of_counted_pairs_is_scipys_with_ties() -> None:
    random = np.random.default_rng(5)
    pairs = random.integers(0, 6, size=(300, 2))
    grid = np.zeros((6, 6), np.int64)
    np.add.at(grid, (pairs[:, 0], pairs[:, 1]), 1)
    expected = stats.spearmanr(pairs[:, 0], pairs[:, 1]).statistic
    assert spearman_of_grid(grid) == pytest.approx(expected, abs=1e-12)


def test_a_margin_in_one_cell_has_no_rank_correlation() -> None:
    assert math.isnan(spearman_of_grid(np.array([[3, 4], [0, 0]])))


REALISED = """
profile: synthetic
synthetic: {evaluators: 1, models: 2, latency_ms: [500.0, 1000.0]}
rounds: 20000
replications: 1
mechanism: {committee_size: 3, beta_inference: 1.0}
malicious: {share: 0.34, behaviour: boost}
population:
  inference: [{model: model_1}, {model: model_2}]
  evaluators: [{model: evaluator_1, count: 6}]
economy: {epochs: 2, latency: {distribution: exponential, charged: realised}}
"""
NO_TAILS = np.zeros((2, TAIL_CELLS), np.int64)


def test_the_bits_of_a_rank_correlation_do_not_depend_on_a_library() -> None:
    """Sums of integers: transposing the grid, or turning its order round, changes no bit."""
    grid = np.random.default_rng(2).integers(0, 50, (128, 128))
    there = spearman_of_grid(grid)
    assert spearman_of_grid(np.ascontiguousarray(grid[::-1, ::-1])) == there
    assert spearman_of_grid(np.ascontiguousarray(grid[::-1])) == -there


def test_a_quantile_is_within_its_cell() -> None:
    values = np.random.default_rng(5).uniform(-0.3, 1.0, 2000)
    counts, _ = np.histogram(values, bins=100, range=(-0.3, 1.0))
    for q in (0.05, 0.5, 0.95):
        found = reward_quantile(counts, NO_TAILS, q, -0.3, 1.0)
        assert found == pytest.approx(np.quantile(values, q), abs=1.3 / 100)


@pytest.mark.parametrize("scale", [0.1, 1.0, 3.0, 40.0])
def test_a_quantile_outside_the_range_is_as_good_as_its_distance(scale: float) -> None:
    """Whatever is paid, no end of a range is told as a quantile."""
    histograms = open_histograms(np.array([[-1.0, 1.0], [-1.0, 1.0]]))
    values = np.random.default_rng(5).standard_cauchy(5000) * scale
    for value in values:
        kind, row = RewardKind.HONEST_INFERENCE, 0
        count_reward(
            histograms.rewards, histograms.tails, kind, value, -1.0, histograms.scales[row]
        )
    assert histograms.rewards.sum() + histograms.tails.sum() == values.size
    for q in (0.00111, 0.0501, 0.3001, 0.5001, 0.7001, 0.9501, 0.99911):  # between two values
        found = reward_quantile(histograms.rewards[0], histograms.tails[0], q, -1.0, 1.0)
        exact = float(np.quantile(values, q, method="inverted_cdf"))
        assert found == pytest.approx(exact, abs=(2.0 + max(abs(exact) - 1.0, 0.0)) / 128 + 1e-9)


def test_a_quantile_beyond_what_is_counted_is_missing() -> None:
    histograms = open_histograms(np.array([[-1.0, 1.0], [-1.0, 1.0]]))
    for value in (-1e9, 1e9):
        count_reward(histograms.rewards, histograms.tails, 0, value, -1.0, histograms.scales[0])
    for q in (0.05, 0.95):
        assert math.isnan(reward_quantile(histograms.rewards[0], histograms.tails[0], q, -1.0, 1.0))


def test_nothing_counted_has_no_quantile() -> None:
    assert math.isnan(reward_quantile(np.zeros(4, np.int64), NO_TAILS, 0.5, 0.0, 1.0))


def test_realised_costs_are_counted_wherever_they_lead(tmp_path: Path) -> None:
    """A realised cost is its mean times an exponential: the 5% quantile is -1.72, by hand."""
    file = tmp_path / "realised.yaml"
    file.write_text(REALISED)
    row = poq_abm.run(poq_abm.load(file)).replications.iloc[0]
    assert row["honest_inference_reward_q05"] == pytest.approx(-1.72, abs=0.02)


def test_measures_of_a_contested_run_agree_with_its_trace(small: Scenario) -> None:
    scenario = small.replace(
        {
            "rounds": 3000,
            "replications": 1,
            "mechanism.committee_size": 2,
            "malicious": {"share": 0.34, "behaviour": "boost"},
        }
    )
    results = poq_abm.run(scenario, trace=True)
    row, rounds = results.replications.iloc[0], results.rounds
    exact = stats.spearmanr(rounds["consensus"], rounds["truth"]).statistic
    assert row["spearman"] == pytest.approx(exact, abs=2e-3)  # cells are 0.08 points wide
    liars = set(results.nodes.query("behaviour == 'boost'")["node"])
    seats = rounds.explode(["committee", "evaluator_rewards"])
    lies = seats["committee"].isin(liars)
    for kind, chosen in (("honest", ~lies), ("malicious", lies)):
        pay = seats.loc[chosen, "evaluator_rewards"].astype(float)
        for label, q in (("q05", 0.05), ("q95", 0.95)):
            found = row[f"{kind}_evaluator_reward_{label}"]
            assert found == pytest.approx(pay.quantile(q), abs=0.01)


@pytest.mark.parametrize("name", ["cost_aware_poq", "model_downgrade"])
def test_all_honest_and_plain_runs_have_them_as_their_trace_does(name: str) -> None:
    scenario = poq_abm.load(name, ["rounds=3000", "replications=1"]).treatments()[0].scenario
    results = poq_abm.run(scenario, trace=True)
    short = poq_abm.run(scenario)
    agents = poq_abm.run(scenario, engine="agents")
    row, rounds = results.replications.iloc[0], results.rounds
    for other in (short, agents):
        pd.testing.assert_series_equal(other.replications.iloc[0], row, check_exact=True)
    exact = stats.spearmanr(rounds["consensus"], rounds["truth"]).statistic
    assert row["spearman"] == pytest.approx(exact, abs=2e-3)
    cheats = set(results.nodes.query("role == 'inference' and behaviour != 'honest'")["node"])
    for kind, chosen in (("honest", ~rounds["node"].isin(cheats)),
                         ("deviating", rounds["node"].isin(cheats))):  # fmt: skip
        paid = rounds.loc[chosen, "inference_reward"]
        for label, q in (("q05", 0.05), ("q95", 0.95)):
            found = row[f"{kind}_inference_reward_{label}"]
            assert (
                math.isnan(found)
                if paid.empty
                else found == pytest.approx(paid.quantile(q), abs=0.01)
            )
    members = rounds["evaluator_rewards"].explode().astype(float)
    assert row["honest_evaluator_reward_q05"] == pytest.approx(members.quantile(0.05), abs=0.01)
    assert math.isnan(row["malicious_evaluator_reward_q05"])
