from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scenario_support import small

from poq_abm.scenario import Scenario, ScenarioError, load, parse
from poq_abm.scenario.checks.problems import Origins
from poq_abm.scenario.scenario import build

SWEPT = "sweep:\n  mechanism.committee_size: [1, 2]\n"


def test_scenarios_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        small().rounds = 3  # type: ignore[misc]


def test_equality_is_about_what_is_played() -> None:
    other = parse("# A comment?\n" + small().to_yaml(), origin="elsewhere.yaml")
    assert other == small()
    assert hash(other) == hash(small())
    assert small() != small("rounds: 1")
    assert small() != "small"


def test_replace() -> None:
    scenario = small(SWEPT)
    changed = scenario.replace({"rounds": 3, "population.inference.0.count": 9})
    assert (changed.rounds, changed.population.inference[0].count) == (3, 9)
    assert scenario.rounds == 5000
    assert len(changed.treatments()) == 2
    fixed = scenario.replace({"sweep": {}, "mechanism.committee_size": 2})
    assert fixed.mechanism.committee_size == 2


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("rounds", 0, "replace rounds=0: rounds: must be at least 1, got 0"),
        ("ronds", 1, "replace ronds=1: ronds: unknown key; did you mean 'rounds'?"),
        ("extends", "x", "replace extends='x': extends: inheritance is decided in the file"),
        ("mechanism.committee_size", 1, "replace mechanism.committee_size=1: "
         "mechanism.committee_size: this is an axis of the sweep"),
    ],
)  # fmt: skip
def test_replace_validates(path: str, value: object, said: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        small(SWEPT).replace({path: value})
    assert str(caught.value).startswith(said)


def test_origins_survive_replacing() -> None:
    scenario = small("seed: 3").replace({"rounds": 3})
    assert str(scenario.origins.at(("seed",))) == "small.yaml:8"
    assert str(scenario.origins.at(("rounds",))) == "replace rounds=3"


def test_swept_values_come_from_the_line_of_the_axis() -> None:
    first = small(SWEPT).treatments()[0].scenario
    assert str(first.origins.at(("mechanism", "committee_size"))) == "small.yaml:9"
    assert str(first.origins.at(("mechanism", "alpha_inference"))) == "small.yaml:1"


def test_resolved_is_json() -> None:
    data = load("cost_weight").resolved()
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert build(data, Origins({})) == load("cost_weight")


def test_scenarios_travel_between_processes() -> None:
    scenario = load("cost_weight")
    copy = pickle.loads(pickle.dumps(scenario))
    assert copy == scenario
    assert copy.question == scenario.question != ""
    assert copy.origins.at(("rounds",)) == scenario.origins.at(("rounds",))


names = (
    st.text(
        st.one_of(
            st.sampled_from("abc019_.-:#,[]{}'\"!&*|>%@` ~"),
            st.characters(exclude_categories=["C", "Z"]),
        ),
        min_size=1,
        max_size=20,
    )
    .map(str.strip)
    .filter(lambda text: text and text.isprintable())
)
tricky = st.sampled_from(["yes", "null", "~", "1e3", "0o7", "0x1", ".inf", "1", "true", "<<", "="])
labels = names | tricky
coefficients = st.floats(0, 1e30) | st.integers(0, 10**12)
groups = {
    "model": labels,
    "count": st.integers(1, 5),
    "hardware": st.none() | labels,
    "name": st.none() | labels,
}
weighted = {**groups, "weight": st.floats(1e-300, 1e300)}
shares = st.lists(labels, min_size=1, max_size=4, unique=True).map(
    lambda tasks: dict.fromkeys(tasks, 1 / len(tasks))
)
sweeps = st.fixed_dictionaries(
    {},
    optional={
        "mechanism.committee_size": st.lists(
            st.integers(1, 9), min_size=1, max_size=3, unique=True
        ),
        "population.inference.0.model": st.lists(labels, min_size=1, max_size=3, unique=True),
        "zip": st.just(
            {"mechanism.beta_inference": [0, 0.1], "mechanism.beta_evaluator": [1e-7, 2.5]}
        ),
    },
)
scenarios = st.fixed_dictionaries(
    {
        "population": st.fixed_dictionaries(
            {
                "inference": st.lists(st.fixed_dictionaries(weighted), min_size=1, max_size=3),
                "evaluators": st.lists(st.fixed_dictionaries(groups), min_size=1, max_size=3),
            }
        )
    },
    optional={
        "name": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}", fullmatch=True),
        "profile": labels,
        "rounds": st.integers(1, 2**48 - 1),
        "seed": st.integers(0, 2**63 - 1),
        "tasks": st.none() | shares,
        "mechanism": st.fixed_dictionaries(
            {}, optional={"alpha_inference": coefficients, "beta_evaluator": coefficients}
        ),
        "sweep": sweeps,
    },
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(scenarios, st.sampled_from(["", "Who earns what?", "One: two #3"]))
def test_yaml_round_trip(data: dict[str, Any], question: str) -> None:
    scenario = build(data, Origins({}), question)
    again = parse(scenario.to_yaml())
    assert again == scenario
    assert again.resolved() == scenario.resolved()
    assert again.question == question
    assert [t.id for t in again.treatments()] == [t.id for t in scenario.treatments()]
    assert isinstance(again, Scenario)
