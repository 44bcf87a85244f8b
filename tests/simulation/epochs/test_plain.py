"""One hardware, linear pay per round, nobody adapts: every number is that of the plain run."""

from __future__ import annotations

from typing import Any

import pytest
from economy_support import PROFILE, scenario_of
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

import poq_abm
from poq_abm.experiment.schemas import ECONOMY_MEASURES
from poq_abm.scenario import Scenario

OWN = [name for name, _, _ in ECONOMY_MEASURES]


def assert_equal_tables(plain: Scenario, epochs: int, **section: Any) -> None:
    """Every table of the plain run, column by column and bit by bit."""
    economy = plain.replace({"economy": {"epochs": epochs, **section}})
    # Written out in full, they may hold what does nothing.
    full = [Scenario.model_validate(played.resolved()) for played in (plain, economy)]
    one, other = (poq_abm.run(played, profile=PROFILE, trace=True) for played in full)
    assert_frame_equal(one.nodes, other.nodes, check_exact=True)
    assert_frame_equal(
        one.replications.drop(columns=OWN), other.replications.drop(columns=OWN), check_exact=True
    )
    assert_frame_equal(one.rounds, other.rounds, check_exact=True)
    if plain.mechanism.trust.interval:
        assert_frame_equal(one.trust, other.trust, check_exact=True)


@pytest.mark.parametrize("epochs", [1, 4])
def test_the_published_scenario(epochs: int) -> None:
    plain = poq_abm.load("cost_aware_poq", ["rounds=1000", "replications=3"])
    one = poq_abm.run(plain)
    other = poq_abm.run(plain.replace({"economy": {"epochs": epochs}}))
    assert_frame_equal(one.nodes, other.nodes, check_exact=True)
    assert_frame_equal(
        one.replications.drop(columns=OWN), other.replications.drop(columns=OWN), check_exact=True
    )


EVALUATORS = ["honest", "noise", "boost", "sabotage", "intermittent", "copycat", "sleeper",
              "whitewash"]  # fmt: skip
INFERENCE = ["honest", "judge_hack", "hack", "freeload", "misreport_cost", {"name": "downgrade",
             "model": "f0"}]  # fmt: skip
TRUST = st.fixed_dictionaries(
    {
        "update": st.sampled_from(["none", "multiplicative", "relative", "hedge", "ema", "gold"]),
        "interval": st.sampled_from([0, 60]),
        "per_task": st.booleans(),
    }
)


@st.composite
def contested(draw: st.DrawFn) -> Scenario:
    """A small scenario with whatever a plain run can have."""
    counts = st.integers(1, 3)
    people = {
        "inference": [
            {"model": model, "count": draw(counts), "behaviour": draw(st.sampled_from(INFERENCE))}
            for model in ("f0", "f1")
        ],
        "evaluators": [
            {
                "model": model,
                "count": draw(counts),
                "behaviour": draw(st.sampled_from(EVALUATORS)),
                "noise_sd": draw(st.sampled_from([0.0, 0.5])),
                "bias_sd": draw(st.sampled_from([0.0, 0.5])),
            }
            for model in ("m0", "m1", "m2")
        ],
    }
    share = draw(st.sampled_from([None, 0.0, 0.4]))
    return scenario_of(
        None,
        rounds=240,
        population=people,
        seed=draw(st.integers(0, 2**32)),
        schedule=draw(st.sampled_from(["uniform", "round_robin", "weighted"])),
        malicious=None if share is None else {"share": share, "behaviour": "boost"},
        mechanism={
            "committee_size": draw(st.integers(1, 3)),
            "aggregation": draw(st.sampled_from(["mean", "median", "trust_weighted"])),
            "reference": draw(st.sampled_from(["inclusive", "leave_one_out"])),
            "trust": draw(TRUST),
            "beta_inference": draw(st.sampled_from([0.0, 0.3, 5.0])),
            "alpha_evaluator": draw(st.sampled_from([0.0, 1.0])),
        },
    )


@settings(max_examples=40, deadline=None, derandomize=True)
@given(contested(), st.sampled_from([1, 2, 3, 8, 240]))
def test_random_scenarios_in_any_number_of_epochs(plain: Scenario, epochs: int) -> None:
    assert_equal_tables(plain, epochs)


@pytest.mark.parametrize(
    "section",
    [
        {"latency": {"distribution": "exponential"}},
        {"service": {"capacity": 4}},
        {"latency": {"outage_probability": 0.5}},
        {"demand": {"value": 3.0}},
        {"options": {"inference": ["freeload"], "evaluator": ["noise"]}},
    ],
    ids=str,
)
def test_what_no_payment_looks_at_changes_no_payment(section: dict[str, Any]) -> None:
    plain = scenario_of(None, rounds=240, mechanism__trust={"update": "relative"})
    assert_equal_tables(plain, 4, **section)


def test_random_arrivals_change_a_run() -> None:
    plain = scenario_of(None, rounds=240)
    with pytest.raises(AssertionError):
        assert_equal_tables(plain, 4, demand={"arrivals": "poisson"})
