"""Drift and inflation against the honest twin."""

from __future__ import annotations

import numpy as np
import pytest

import poq_abm
from poq_abm.experiment.round_study import RoundStudy
from poq_abm.scenario import Scenario

BOOST = {"share": 0.34, "behaviour": {"name": "boost", "b": 2.0}}


def test_an_honest_run_is_its_own_twin(small: Scenario) -> None:
    replications = poq_abm.run(small).replications
    assert (replications["consensus_drift"] == 0.0).all()
    assert (replications["payout_inflation"] == 0.0).all()


def test_drift_is_what_the_deviation_did(small: Scenario) -> None:
    contested = small.replace({"malicious": BOOST})
    contested_run = poq_abm.run(contested, trace=True)
    honest_run = poq_abm.run(small, trace=True)
    moved = contested_run.rounds["consensus"] - honest_run.rounds["consensus"]
    expected = moved.groupby(contested_run.rounds["replication"]).mean()
    drift = contested_run.replications["consensus_drift"]
    np.testing.assert_allclose(drift, expected, rtol=0, atol=1e-12)
    assert (drift > 0.3).all(), "one of three adds up to two points"


def test_inflation_is_all_pay_over_the_twins(small: Scenario) -> None:
    contested = poq_abm.run(small.replace({"malicious": BOOST}))
    honest = poq_abm.run(small)
    paid, due = (r.nodes.groupby("replication")["reward_total"].sum() for r in (contested, honest))
    expected = (paid / due - 1.0).to_numpy()
    assert contested.replications["payout_inflation"].to_numpy() == pytest.approx(expected)


def test_an_economy_is_compared_with_everybody_honest_on_the_same_keys(small: Scenario) -> None:
    """Also where nobody deviates at first: what nodes can adopt counts, and a pool pays tokens."""
    economy = {
        "epochs": 5,
        "payment": {"scheme": "pool", "pool": 10.0},
        "options": {"evaluator": [{"name": "boost", "b": 2.0}]},
        "adaptation": [{"name": "epsilon_greedy", "role": "evaluator", "epsilon": 0.5}],
    }
    tempted = small.replace({"economy": economy})
    honest = poq_abm.run(tempted.replace({"economy": {**economy, "options": {}}}))
    assert (honest.replications["consensus_drift"] == 0.0).all()
    played = poq_abm.run(tempted)
    drift = played.replications["consensus_drift"]
    assert (drift > 0.0).all()
    means = [results.replications["consensus_mean"] for results in (played, honest)]
    np.testing.assert_allclose(drift, means[0] - means[1], rtol=0, atol=1e-12)
    assert played.replications["payout_inflation"].to_numpy() == pytest.approx(0.0)
    assert played.replications["reward_gap"].notna().all()


def test_the_twin_keeps_noise_trust_and_everything_else(small: Scenario) -> None:
    scenario = small.replace(
        {
            "malicious": BOOST,
            "population.evaluators.0.noise_sd": 1.0,
            "population.inference.0.behaviour": {"name": "judge_hack", "b": 1.0},
            "mechanism.trust.update": "ema",
        }
    )
    twin = RoundStudy(scenario).honest()
    assert twin.malicious is None
    assert twin.population.inference[0].behaviour == {"name": "honest"}
    assert twin.population.evaluators[0].noise_sd == 1.0
    assert twin.mechanism == scenario.mechanism
