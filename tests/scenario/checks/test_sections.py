from __future__ import annotations

import pytest
from scenario_support import FakeProfile, small

from poq_abm.scenario import ScenarioError, check, load, scenario_names
from poq_abm.scenario.checks.idle import idle_settings


def found(extra: str, overrides: tuple[str, ...] = ()) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        check(small(extra, overrides), FakeProfile())
    return str(caught.value).splitlines()


ON_THE_PUBLISHED_PROFILE = [name for name in scenario_names() if load(name).profile == "published"]


@pytest.mark.parametrize("name", ON_THE_PUBLISHED_PROFILE)
def test_what_ships_passes(name: str) -> None:
    check(load(name), FakeProfile())


def test_unknown_names() -> None:
    assert found(
        "tasks: {qa: 0.5, sumarization: 0.5}",
        ("population.inference.0.model=phi3_mini", "population.evaluators.1.model=phi3_mini_4k"),
    ) == [
        "small.yaml:8: tasks.sumarization: the profile has no task 'sumarization'; "
        "did you mean 'summarization'?",
        "--set population.inference.0.model=phi3_mini: population.inference.0.model: "
        "the profile has no inference model 'phi3_mini'; did you mean 'phi3_mini_4k'?",
        "--set population.evaluators.1.model=phi3_mini_4k: population.evaluators.1.model: "
        "the profile has no evaluator 'phi3_mini_4k'; "
        "known: 'ce_deberta', 'ce_minilm', 'sts_stsb'",
    ]


def test_hardware_without_a_latency() -> None:
    assert found("", ("population.inference.0.hardware=rtx_3060",)) == [
        "--set population.inference.0.hardware=rtx_3060: population.inference.0.hardware: "
        "no latency on 'rtx_3060'"
    ]


def test_hardware_that_was_not_measured_but_can_be_estimated() -> None:
    check(small("", ["population.inference.0.hardware=rtx_3090"]), FakeProfile())


def test_a_committee_larger_than_the_evaluators() -> None:
    said = "a committee of 4 cannot be drawn from 3 evaluator nodes; must be 1 to 3"
    extra = "mechanism:\n  committee_size: 4"
    assert found(extra) == [f"small.yaml:9: mechanism.committee_size: {said}"]
    check(small(extra, ["population.evaluators.0.count=2"]), FakeProfile())


def test_swept_values_point_at_their_axis_and_are_reported_once() -> None:
    lines = found(
        "sweep:\n  mechanism.beta_inference: [0, 1]\n  mechanism.committee_size: [3, 4, 5]\n"
        "  population.inference.0.model: [gemma_2_2b_it, gema]\n"
    )
    assert lines == [
        "small.yaml:11: population.inference.0.model: the profile has no inference model 'gema'; "
        "known: 'gemma_2_2b_it', 'llama_3_2_3b', 'phi3_mini_4k', 'qwen2_1_5b', 'tinylama_1_1b'",
        *(
            f"small.yaml:10: mechanism.committee_size: a committee of {size} cannot be drawn from "
            "3 evaluator nodes; must be 1 to 3"
            for size in (4, 5)
        ),
    ]


def test_a_price_to_charge_has_to_be_known() -> None:
    extra = "mechanism:\n  cost_inference: price\n  cost_evaluator: latency\n"
    assert found(extra) == [
        f"small.yaml:9: mechanism.cost_inference: price cannot be charged: no price of {name!r}"
        for name in ("llama_3_2_3b", "phi3_mini_4k")
    ]


def test_a_price_does_nothing_where_an_economy_says_what_a_job_costs() -> None:
    extra = "mechanism: {cost_inference: price}\neconomy: {epochs: 2, cost: {basis: money}}\n"
    scenario = small(extra)
    (problem,) = idle_settings(scenario, scenario.treatments()).errors
    assert "economy.cost.basis: money says what a job costs" in str(problem)


def test_a_price_is_what_it_is_however_long_a_job_takes() -> None:
    extra = "mechanism: {cost_evaluator: price}\neconomy:\n  epochs: 2\n"
    extra += "  latency: {distribution: exponential, charged: realised}\n"
    scenario = small(extra)
    (problem,) = idle_settings(scenario, scenario.treatments()).errors
    assert "economy.latency.charged" in str(problem)
