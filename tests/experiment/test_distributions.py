"""Rank correlation and quantiles from histograms, held to those of the trace."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

import poq_abm
from poq_abm.experiment.distributions import histogram_quantile, spearman_of_grid
from poq_abm.scenario import Scenario


def test_spearman_of_counted_pairs_is_scipys_with_ties() -> None:
    random = np.random.default_rng(5)
    pairs = random.integers(0, 6, size=(300, 2))
    grid = np.zeros((6, 6), np.int64)
    np.add.at(grid, (pairs[:, 0], pairs[:, 1]), 1)
    expected = stats.spearmanr(pairs[:, 0], pairs[:, 1]).statistic
    assert spearman_of_grid(grid) == pytest.approx(expected, abs=1e-12)


def test_a_margin_in_one_cell_has_no_rank_correlation() -> None:
    assert math.isnan(spearman_of_grid(np.array([[3, 4], [0, 0]])))


def test_a_quantile_is_within_its_cell() -> None:
    values = np.random.default_rng(5).uniform(-0.3, 1.0, 2000)
    counts, _ = np.histogram(values, bins=100, range=(-0.3, 1.0))
    for q in (0.05, 0.5, 0.95):
        found = histogram_quantile(counts, q, -0.3, 1.0)
        assert found == pytest.approx(np.quantile(values, q), abs=1.3 / 100)


def test_nothing_counted_has_no_quantile() -> None:
    assert math.isnan(histogram_quantile(np.zeros(4, np.int64), 0.5, 0.0, 1.0))


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


def test_without_anything_contested_they_are_missing(small: Scenario) -> None:
    row = poq_abm.run(small).replications.iloc[0]
    assert math.isnan(row["spearman"])
