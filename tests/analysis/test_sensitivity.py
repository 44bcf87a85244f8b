"""Sensitivity indices of outcomes that are known functions of the fields."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import poq_abm
from poq_abm.analysis.sensitivity import _value, sensitivity
from poq_abm.errors import InputError
from poq_abm.scenario import Scenario, load

ALPHA, BETA = "mechanism.alpha_inference", "mechanism.beta_inference"
PAY = "inference_reward_mean"


@pytest.fixture
def scenario() -> Scenario:
    return load("cost_aware_poq", ["rounds=200", "replications=4"])


@pytest.fixture
def slopes(scenario: Scenario) -> np.ndarray:
    """Mean quality and mean cost by replication: pay is alpha Q - beta C."""
    played = poq_abm.run(scenario).replications
    return np.array([played["consensus_mean"] / 10, played["inference_cost_mean"]])


def test_morris_finds_the_slopes_of_a_linear_outcome(scenario: Scenario, slopes) -> None:
    pytest.importorskip("SALib")
    found = sensitivity(scenario, {ALPHA: (0.0, 1.0), BETA: (0.0, 2.0)}, PAY, samples=4)
    table = found.indices.set_index(["index", "field"])
    # An effect is over the whole range: 1 for alpha, 2 for beta.
    assert table.loc[("mu_star", ALPHA), "estimate"] == pytest.approx(slopes[0].mean())
    assert table.loc[("mu_star", BETA), "estimate"] == pytest.approx(2 * slopes[1].mean())
    assert table.loc[("mu", BETA), "estimate"] == pytest.approx(-2 * slopes[1].mean())
    assert table.loc["sigma", "estimate"].to_numpy() == pytest.approx(np.zeros(2), abs=1e-12)
    half = (table["high"] - table["low"]) / 2
    spread = slopes[0].std(ddof=1) / 2  # over the root of four replications
    assert half["mu_star", ALPHA] == pytest.approx(3.182446 * spread, rel=1e-6)


def test_sobol_finds_the_shares_of_variance_of_a_linear_outcome(scenario, slopes) -> None:
    pytest.importorskip("SALib")
    fields = {ALPHA: (0.0, 1.0), BETA: (0.0, 1.0)}
    found = sensitivity(
        scenario.replace({"replications": 2}), fields, PAY, method="sobol", samples=256
    )
    table = found.indices.set_index(["index", "field"])["estimate"]
    quality, cost = (slopes[:, :2] ** 2).mean(axis=1)
    for index in ("S1", "ST"):
        # 256 points estimate a share of a smooth function to about a hundredth.
        assert table[index, ALPHA] == pytest.approx(quality / (quality + cost), abs=0.03)
        assert table[index].sum() == pytest.approx(1.0, abs=0.03)


def test_a_field_without_effect_has_none_however_noisy_replications_are(scenario) -> None:
    pytest.importorskip("SALib")
    fields = {ALPHA: (0.5, 1.0), "mechanism.beta_evaluator": (0.0, 1.0)}
    short = scenario.replace({"rounds": 5})
    found = sensitivity(short, fields, PAY, samples=4)
    table = found.indices.set_index(["index", "field"])
    assert (table.loc[(slice(None), "mechanism.beta_evaluator"), "estimate"] == 0.0).all()
    assert found.noise["noise_share"].item() > 0.05


def test_noise_is_what_replications_vary_by(scenario: Scenario) -> None:
    pytest.importorskip("SALib")
    fields = {ALPHA: (0.5, 1.0), BETA: (0.0, 1.0)}
    found = sensitivity(scenario, fields, PAY, samples=6)
    noise = found.noise.iloc[0]
    assert noise["replication_variance"] == pytest.approx((found.points["sd"] ** 2).mean())
    total = noise["parameter_variance"] + noise["replication_variance"]
    assert noise["noise_share"] == pytest.approx(noise["replication_variance"] / total)


def test_choices_and_whole_numbers_can_vary(scenario: Scenario) -> None:
    pytest.importorskip("SALib")
    fields = {"mechanism.committee_size": (1, 3), "mechanism.aggregation": ["mean", "median"]}
    found = sensitivity(scenario, fields, "closeness_mean", samples=5)
    assert set(found.points["mechanism.committee_size"]) <= {1, 2, 3}
    assert set(found.points["mechanism.aggregation"]) == {"mean", "median"}
    assert not found.points.duplicated(list(fields)).any()
    table = found.indices.set_index(["index", "field"])["estimate"]
    assert table["mu_star", "mechanism.committee_size"] > 0.05


def test_whole_numbers_are_equally_likely() -> None:
    drawn = [_value(unit, (1, 5), 3) for unit in (np.arange(1000) + 0.5) / 1000]
    assert np.bincount(drawn).tolist() == [0, 200, 200, 200, 200, 200]


def test_one_replication_has_no_interval(scenario: Scenario) -> None:
    pytest.importorskip("SALib")
    fields = {ALPHA: (0.0, 1.0), BETA: (0.0, 1.0)}
    found = sensitivity(scenario.replace({"replications": 1}), fields, PAY, samples=2)
    assert found.indices[["low", "high"]].isna().all(axis=None)
    assert found.noise["noise_share"].isna().all()


@pytest.mark.parametrize(
    ("fields", "arguments", "message"),
    [
        ({ALPHA: (0, 1), "mechanism.beta_inferense": (0, 1)}, {}, "did you mean 'beta_inference'"),
        ({ALPHA: (0, 1)}, {}, "two fields or more"),
        ({ALPHA: (1, 0), BETA: (0, 1)}, {}, "is empty"),
        ({ALPHA: [1.0], BETA: (0, 1)}, {}, "two choices or more"),
        ({ALPHA: (0, 1), BETA: (0, 1)}, {"method": "moris"}, "did you mean 'morris'"),
        ({ALPHA: (0, 1), BETA: (0, 1)}, {"samples": 1}, "at least 2 samples"),
        ({ALPHA: (0, 1), BETA: (0, 1)}, {"method": "sobol", "samples": 3}, "a power of two"),
        ({ALPHA: (-1, 1), BETA: (0, 1)}, {}, "greater than or equal to 0|at least 0|>= 0"),
    ],
)
def test_bad_input_is_explained(scenario, fields, arguments, message: str) -> None:
    pytest.importorskip("SALib")
    with pytest.raises(InputError, match=message):
        sensitivity(scenario, fields, PAY, **arguments)


def test_an_unknown_or_undefined_measure_is_refused(scenario: Scenario) -> None:
    pytest.importorskip("SALib")
    fields = {ALPHA: (0.0, 1.0), BETA: (0.0, 1.0)}
    with pytest.raises(InputError, match="did you mean 'correlation'"):
        sensitivity(scenario, fields, "corelation", samples=2)
    with pytest.raises(InputError, match="reward_gap is undefined at"):
        sensitivity(scenario, fields, "reward_gap", samples=2)


def test_a_sweep_is_refused() -> None:
    pytest.importorskip("SALib")
    with pytest.raises(InputError, match="takes one treatment"):
        sensitivity(load("committee_size"), {ALPHA: (0, 1), BETA: (0, 1)}, PAY)


def test_without_the_extra_one_is_told_how_to_get_it(scenario, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "SALib", None)
    monkeypatch.setitem(sys.modules, "SALib.sample", None)
    monkeypatch.delitem(sys.modules, "SALib.sample.morris", raising=False)
    with pytest.raises(InputError, match=r"pip install \"poq-abm\[sensitivity\]\""):
        sensitivity(scenario, {ALPHA: (0, 1), BETA: (0, 1)}, PAY)
