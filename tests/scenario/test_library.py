from __future__ import annotations

from pathlib import Path

import pytest

import poq_abm
from poq_abm.scenario import ScenarioError, find_scenario, library, load, scenario_names
from poq_abm.simulation.playable import check_playable, profile_of


def test_what_ships() -> None:
    assert scenario_names() == [
        "adaptive_attackers",
        "adversary_sweep",
        "collusion_ring",
        "committee_size",
        "committee_tradeoff",
        "cost_aware_poq",
        "cost_misreporting",
        "cost_space",
        "cost_weight",
        "demand_surge",
        "dynamic_coefficients",
        "energy_prices",
        "entry_exit",
        "extractive_baselines",
        "five_evaluators",
        "goodhart",
        "hardware_mix",
        "hybrid_poq_otr",
        "learned_reports",
        "many_nodes",
        "model_downgrade",
        "model_downgrade_under_each_protocol",
        "otr_vulnerability_window",
        "otr_watchers",
        "pay_for_information",
        "production_network",
        "small_llms",
        "stake_and_slash",
        "task_inversion",
        "trust_saturation",
        "verification_trilemma",
        "weight_copying",
        "yuma_rival",
    ]


@pytest.mark.parametrize("name", scenario_names())
def test_every_file_asks_a_question(name: str) -> None:
    scenario = load(name)
    assert scenario.question.endswith("?")
    assert scenario.name == name
    assert load(find_scenario(name)) == load(str(find_scenario(name))) == scenario


@pytest.mark.parametrize("name", ["cost_aware_pok", "../scenarios/cost_aware_poq", "", "."])
def test_unknown_names(name: str) -> None:
    with pytest.raises(ScenarioError, match="no scenario of this name ships; "):
        find_scenario(name)


def test_an_installed_wheel_has_its_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "mine.yaml").write_text("rounds: 1")
    monkeypatch.setattr(library, "__file__", str(tmp_path / "library.py"))
    assert scenario_names() == ["mine"]
    assert find_scenario("mine") == tmp_path / "library" / "mine.yaml"


def test_the_published_run() -> None:
    scenario = load("cost_aware_poq")
    assert (scenario.rounds, scenario.replications) == (5000, 20)
    assert scenario.population.inference_nodes == 5
    assert scenario.population.evaluator_nodes == scenario.mechanism.committee_size == 3


def test_many_nodes() -> None:
    scenario = load("many_nodes")
    assert scenario.population.inference_nodes == 2000
    assert scenario.population.evaluator_nodes == 500
    assert scenario.mechanism.committee_size == 5


@pytest.mark.parametrize("name", scenario_names())
def test_every_scenario_is_playable(name: str) -> None:
    scenario = load(name)
    base = scenario.replace({"sweep": {}}) if "profile" not in scenario.sweep else scenario
    check_playable(scenario, profile_of(base))


def test_the_adversary_sweep_is_as_large_as_announced() -> None:
    scenario = load("adversary_sweep")
    treatments = [treatment.scenario for treatment in scenario.treatments()]
    assert len(treatments) == 600
    assert len(treatments) * scenario.most_replications * scenario.rounds == 60_000_000
    assert {t.mechanism.aggregation for t in treatments} >= {"mean", "median", "trust_weighted"}
    attacks = {t.malicious.behaviour["name"] for t in treatments}
    assert attacks == {"noise", "boost", "sabotage", "intermittent"}
    assert {t.malicious.share for t in treatments} == {0.0, 0.1, 0.2, 0.3, 0.4, 0.5}
    assert {t.mechanism.committee_size for t in treatments} == {1, 3, 5, 7, 9}


def test_the_crossings_announced_in_cost_weight() -> None:
    """Pay = quality - beta x cost, from the published rewards at beta = 0.3 and the costs."""
    pay = {"ce_minilm": 0.834, "ce_deberta": 0.544, "phi3": 0.126, "qwen2": 0.157}
    cost = {"ce_minilm": 0.007, "ce_deberta": 1.0, "phi3": 1.0, "qwen2": 0.933}
    quality = {node: pay[node] + 0.3 * cost[node] for node in pay}
    overtaken = (quality["ce_deberta"] - quality["ce_minilm"]) / (1.0 - 0.007)
    assert round(overtaken, 3) == 0.008
    assert round(quality["phi3"] / cost["phi3"], 2) == 0.43
    assert round(quality["qwen2"] / cost["qwen2"], 2) == 0.47
    betas = [t.scenario.mechanism.beta_evaluator for t in load("cost_weight").treatments()]
    assert betas[2] < overtaken < betas[3], "between the third and fourth treatment"
    text = find_scenario("cost_weight").read_text()
    assert all(figure in text for figure in ("= 0.008", "= 0.43", "= 0.47"))


def test_the_thresholds_announced_in_cost_space() -> None:
    """Who has cost 1 earns where beta / alpha is below what it delivers, and nothing else counts.

    Two replications of 1000 rounds know a quality to about 0.01; 0.05 around a threshold is left
    out.
    """
    scenario = load("cost_space", ["replications=2"])
    nodes = poq_abm.run(scenario).nodes
    closeness = [1.0, 0.90, 0.87, 0.86, 0.85, 0.85, 0.85, 0.85, 0.84]  # for K = 1 to 9
    pay = nodes.groupby(["treatment", "model"], observed=True)["reward_mean"].mean()
    told = 0
    for treatment in scenario.treatments():
        rule = treatment.scenario.mechanism
        phi3 = rule.beta_inference / rule.alpha_inference - 0.42
        deberta = rule.beta_evaluator / rule.alpha_evaluator - closeness[rule.committee_size - 1]
        for model, above in (("phi3_mini_4k", phi3), ("ce_deberta", deberta)):
            if abs(above) > 0.05:
                assert (pay[treatment.id, model] > 0) == (above < 0), (treatment.id, model)
                told += 1
    assert told > 40, "of 64 cases"
