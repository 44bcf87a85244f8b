"""The section economy, hardware mixes, and what they ask of the rest of a scenario."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenario_support import FakeProfile, error, small

from poq_abm.scenario import InferenceGroup, ScenarioError, check
from poq_abm.scenario.schema.economy import MAX_ADAPTATIONS, Controller, EconomySettings, Payment
from poq_abm.scenario.schema.service import QueryDemand


def machines(count: int, **shares: float) -> dict[str | None, int]:
    return dict(InferenceGroup(model="a", count=count, hardware=shares).machines)


def found(extra: str) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        check(small(extra), FakeProfile())
    return str(caught.value).splitlines()


# ------------------------------------------------------------------------------------- hardware mix


@pytest.mark.parametrize(
    ("count", "shares", "expected"),
    [
        (10, {"a": 0.5, "b": 0.3, "c": 0.2}, {"a": 5, "b": 3, "c": 2}),
        (10, {"a": 0.54, "b": 0.26, "c": 0.2}, {"a": 5, "b": 3, "c": 2}),  # remainders .4 .6 0
        (7, {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}, {"a": 3, "b": 2, "c": 2}),  # ties in order
        (1, {"a": 0.4, "b": 0.6}, {"b": 1}),
        (5, {"a": 1.0, "b": 0.0}, {"a": 5}),
        (100, {"a": 0.29, "b": 0.71}, {"a": 29, "b": 71}),  # 0.29 x 100 is 28.999999999999996
        (0, {"a": 0.5, "b": 0.5}, {}),
    ],
)
def test_a_mix_is_split_by_largest_remainders(
    count: int, shares: dict[str, float], expected: dict[str, int]
) -> None:
    assert machines(count, **shares) == expected


@settings(deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=6).filter(any), st.integers(0, 3000))
def test_a_mix_has_all_nodes_and_nobody_is_off_by_one(weights: list[int], count: int) -> None:
    shares = {f"m{i}": weight / sum(weights) for i, weight in enumerate(weights)}
    counts = machines(count, **shares)
    assert sum(counts.values()) == count
    for name, share in shares.items():
        assert abs(counts.get(name, 0) - share * count) < 1.0 + 1e-3


def test_a_mix_that_does_not_sum_to_1_says_what_it_sums_to() -> None:
    text = "  # a comment, to stay in the list\n"
    said = error(text + "economy: {demand: {tasks_end: {qa: 0.6, summarization: 0.6}}}\n")
    assert "the shares sum to 1.2, not to 1" in said
    with pytest.raises(ValueError, match=r"the shares sum to 0\.8, not to 1"):
        machines(4, a=0.5, b=0.3)


def test_a_name_and_a_mix_of_one_are_the_same_machines() -> None:
    named = InferenceGroup(model="a", count=3, hardware="x").machines
    assert dict(named) == machines(3, x=1.0)


def test_a_share_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="finite number"):
        machines(4, a=math.nan, b=1.0)


# ------------------------------------------------------------------------------------- the sections


def test_an_economy_of_defaults_is_neutral() -> None:
    economy = EconomySettings()
    assert economy.demand.is_constant
    assert economy.payment.scheme == "per_round"
    assert economy.stake.bond == economy.audits.rate == economy.payment.fee == 0.0
    assert (economy.adaptation, economy.controllers, economy.preference) == ((), (), None)


@pytest.mark.parametrize(
    "demand",
    [
        {"arrivals": "poisson"},
        {"elasticity": 0.5},
        {"surge": {"first": 0, "last": 0, "factor": 1.0}},
    ],
)
def test_demand_that_may_vary_is_not_constant(demand: dict[str, object]) -> None:
    assert not QueryDemand(**demand).is_constant  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("payment: {network_share: 0.6, treasury_share: 0.5}", "1.1, more than all fees"),
        ("controllers: [{move: fee, minimum: 2, maximum: 1}]", "maximum 1 lies below minimum 2"),
        ("demand: {surge: {first: 3, last: 2, factor: 2}}", "last 2 lies before first 3"),
        ("adaptation: [{rate: 0.1}]", "an adaptation needs a name"),
        ("latency: {tail_index: 1}", "economy.latency.tail_index"),
        ("demand: {burst_factor: 0.5}", "economy.demand.burst_factor"),
        ("service: {capacity: 0}", "economy.service.capacity"),
        ("stake: {slashing: {rate: 1.5}}", "economy.stake.slashing.rate"),
        ("stake: {bond: .inf}", "economy.stake.bond"),
        ("stake: {bond: 1e200}", "economy.stake.bond: must be at most 1e+30"),
        ("cost: {usd_per_token: 1e-200}", "economy.cost.usd_per_token: must be at least 1e-30"),
        ("controllers: [{move: fee, minimum: 0}]", "must be greater than 0, got 0"),
        ("regions: {north: -1}", "economy.regions.north"),
        ("epoch: 3", "economy.epoch"),
    ],
)
def test_what_the_section_refuses(text: str, said: str) -> None:
    assert said in error(f"economy: {{{text}}}\n")


def test_just_inside() -> None:
    assert Payment(network_share=0.6, treasury_share=0.4).fee == 0.0
    assert Controller(move="fee", minimum=1.0, maximum=1.0).step == 0.125


# --------------------------------------------------------------------- with the rest of a scenario


@pytest.mark.parametrize("epochs", [3, 7, 4999])
def test_epochs_share_the_rounds_equally(epochs: int) -> None:
    (line,) = found(f"rounds: 5000\neconomy: {{epochs: {epochs}}}\n")
    assert f"5000 rounds cannot be shared equally by {epochs} epochs" in line


@pytest.mark.parametrize(
    "schedule", ["cheapest", "trust_softmax", "stake_weighted", "power_of_two", "second_score"]
)
def test_a_schedule_that_looks_at_queues_or_stakes_needs_an_economy(schedule: str) -> None:
    (line,) = found(f"schedule: {schedule}\n")
    assert f"schedule: {schedule} needs the section economy" in line
    check(small(f"schedule: {schedule}\neconomy: {{epochs: 1}}\n"), FakeProfile())


def test_the_last_task_mix_names_tasks_that_are_played() -> None:
    (line,) = found("economy: {demand: {tasks_end: {qa: 0.5, sumarization: 0.5}}}\n")
    assert "did you mean 'summarization'" in line


def test_a_log_of_trust_needs_epochs_of_equal_rounds() -> None:
    trust = "mechanism: {trust: {interval: 100}}\n"
    check(small(trust + "economy: {epochs: 5}\n"), FakeProfile())
    (line,) = found(trust + "economy: {demand: {arrivals: bursty}}\n")
    assert "constant demand" in line


def test_a_treatment_that_breaks_what_another_keeps_is_found() -> None:
    (line,) = found("economy: {epochs: 1}\nsweep: {economy.epochs: [1, 5, 7]}\n")
    assert "7 epochs" in line


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("stake: {top_up: true}", "economy.stake.top_up: there is no bond to top up"),
        (
            "demand: {arrivals: bursty, burst_minutes: 1e-9}",
            "an epoch would have about 6e+09 bursts",
        ),
        ("controllers: [{move: fee}]", "economy.payment.fee: must be above 0"),
    ],
)
def test_what_can_have_no_effect_or_no_end_is_found(text: str, said: str) -> None:
    assert said in "\n".join(found(f"economy: {{{text}}}\n"))


@pytest.mark.parametrize("name", ["alpha_evaluator", "beta_inference"])
def test_a_coefficient_of_0_is_not_moved(name: str) -> None:
    rules = f"mechanism: {{{name}: 0, committee_size: 1}}"
    said = found(f"economy: {{controllers: [{{move: {name}}}]}}\n{rules}\n")
    assert f"mechanism.{name}: must be above 0 to be moved by a controller" in "\n".join(said)


def test_more_rules_of_adaptation_than_draws_are_told_apart_are_refused() -> None:
    rule = {"name": "sybil"}
    assert len(EconomySettings(adaptation=(rule,) * MAX_ADAPTATIONS).adaptation) == MAX_ADAPTATIONS
    with pytest.raises(ValueError, match="has 65 rules; at most 64 can be told apart"):
        EconomySettings(adaptation=(rule,) * (MAX_ADAPTATIONS + 1))
