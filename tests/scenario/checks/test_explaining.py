"""What is left of a scenario with mistakes."""

from __future__ import annotations

import pytest

from poq_abm.scenario import Place, Problem, ScenarioError, parse
from poq_abm.scenario.checks.explaining import further, salvaged

GROUPS = {"inference": [{"model": "a"}], "evaluators": [{"model": "b", "count": 2}]}


@pytest.mark.parametrize(
    "mistake",
    [
        {"rounds": 0},
        {"sead": 3},
        {"mechanism": {"alpha_inference": -1}},
        {"mechanism": 7},
        {"tasks": {"qa": 2.0}},
        {"rounds": "x", "seed": "y", "schedule": "z"},
    ],
)
def test_the_rest_is_a_scenario(mistake: dict[str, object]) -> None:
    rest = salvaged({**mistake, "population": GROUPS})
    assert rest is not None
    assert rest["population"] == GROUPS


@pytest.mark.parametrize(
    "population", [None, {}, {"inference": [], "evaluators": []}, {"inference": [{"count": 1}]}]
)
def test_without_a_population_nothing_is_left(population: object) -> None:
    assert salvaged({"population": population}) is None


def test_the_given_data_stay_as_they_were() -> None:
    data = {"rounds": 0, "population": GROUPS}
    salvaged(data)
    assert data["rounds"] == 0


def problem(path: str) -> Problem:
    return Problem(Place("a.yaml", 1), path, "")


def test_a_known_mistake_is_not_reported_twice() -> None:
    known = [problem("mechanism.committee_size")]
    assert further([problem("mechanism.committee_size"), problem("tasks.qa")], known) == [
        problem("tasks.qa")
    ]


def test_a_committee_is_not_held_against_a_population_that_is_wrong() -> None:
    known = [problem("population.evaluators.0.count")]
    assert further([problem("mechanism.committee_size")], known) == []


def test_an_error_carries_what_is_left() -> None:
    text = "rounds: 0\npopulation: {inference: [{model: a}], evaluators: [{model: b}]}"
    with pytest.raises(ScenarioError) as caught:
        parse(text)
    assert caught.value.salvaged is not None
    assert caught.value.salvaged.rounds == 5000
