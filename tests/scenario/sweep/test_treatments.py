from __future__ import annotations

import time

import pytest
from scenario_support import POPULATION, error, errors, small

from poq_abm.scenario import Scenario, ScenarioError


def ids(sweep: str) -> list[str]:
    return [treatment.id for treatment in small(f"sweep:\n{sweep}").treatments()]


def test_no_sweep_is_one_treatment() -> None:
    scenario = small()
    (treatment,) = scenario.treatments()
    assert (treatment.id, treatment.settings, treatment.scenario) == ("base", {}, scenario)


def test_product_with_zipped_axes_in_order() -> None:
    sweep = """\
  mechanism.committee_size: [1, 2]
  zip:
    mechanism.alpha_inference: [1, 2]
    mechanism.beta_inference: [0.3, 0.6]
  schedule: [uniform, round_robin]
"""
    treatments = small(f"sweep:\n{sweep}").treatments()
    assert [treatment.id for treatment in treatments] == [
        f"committee_size={size},alpha_inference={alpha},beta_inference={beta},schedule={schedule}"
        for size in (1, 2)
        for alpha, beta in ((1, 0.3), (2, 0.6))
        for schedule in ("uniform", "round_robin")
    ]
    last = treatments[-1]
    assert last.settings == {
        "mechanism.committee_size": 2,
        "mechanism.alpha_inference": 2,
        "mechanism.beta_inference": 0.6,
        "schedule": "round_robin",
    }
    assert last.scenario.mechanism.committee_size == 2
    assert last.scenario.mechanism.alpha_evaluator == 1.0
    assert last.scenario.schedule == "round_robin"
    assert all(not treatment.scenario.sweep for treatment in treatments)
    assert {treatment.scenario.name for treatment in treatments} == {"small"}


def test_several_groups_can_move_together() -> None:
    sweep = "  zip:\n  - {rounds: [1, 2], schedule: [uniform, weighted]}\n"
    sweep += "  - {mechanism.beta_inference: [0], mechanism.beta_evaluator: [0.5]}\n"
    assert ids(sweep) == [
        "rounds=1,schedule=uniform,beta_inference=0,beta_evaluator=0.5",
        "rounds=2,schedule=weighted,beta_inference=0,beta_evaluator=0.5",
    ]


def test_equal_leaves_need_the_whole_path() -> None:
    assert ids(
        "  population.inference.0.count: [1, 2]\n"
        "  population.evaluators.0.count: [3]\n"
        "  rounds: [4]\n"
    ) == [
        "population.inference.0.count=1,population.evaluators.0.count=3,rounds=4",
        "population.inference.0.count=2,population.evaluators.0.count=3,rounds=4",
    ]


def test_tasks_and_groups_are_axes() -> None:
    sweep = "  zip: {tasks.qa: [0, 0.25], tasks.summarization: [1, 0.75]}\n"
    sweep += "  population.inference.1.count: [7]\n"
    text = f"tasks: {{qa: 0.5, summarization: 0.5}}\nsweep:\n{sweep}"
    last = small(text).treatments()[-1]
    assert last.id == "qa=0.25,summarization=0.75,count=7"
    assert last.scenario.tasks == {"qa": 0.25, "summarization": 0.75}
    assert last.scenario.population.inference[1].count == 7


def test_whole_mappings_and_lists_are_values() -> None:
    assert ids(
        "  tasks: [{qa: 1.0}, null]\n  population.evaluators: [[{model: x, count: 2}]]\n"
    ) == [
        'tasks={"qa":1.0},evaluators=[{"model":"x","count":2}]',
        'tasks=null,evaluators=[{"model":"x","count":2}]',
    ]


def test_texts_that_are_not_plain_are_quoted() -> None:
    assert ids("  population.inference.0.model: [a b, 'c,d=1', e]\n") == [
        'model="a b"',
        'model="c,d=1"',
        "model=e",
    ]


def test_sections_without_axes_are_shared() -> None:
    scenario = small("sweep: {mechanism.committee_size: [1, 2]}")
    for treatment in scenario.treatments():
        assert treatment.scenario.population is scenario.population


@pytest.mark.parametrize(
    ("sweep", "said"),
    [
        ("mechanism.comittee_size: [1]", "sweep.mechanism.comittee_size: no such field: unknown "
         "key; did you mean 'committee_size'?"),
        ("population.inference.9.count: [1]", "sweep.population.inference.9.count: no such field: "
         "there is no group 9; there are 2, counted from 0"),
        ("seed: [1, 2]", "sweep.seed: seed cannot be swept: treatments share their seed so that "
         "they see the same luck (common random numbers)"),
        ("replications: [1]", "sweep.replications: replications cannot be swept: "),
        ("name: [a]", "sweep.name: name cannot be swept: "),
        ("extends: [a]", "sweep.extends: extends cannot be swept: "),
        ("sweep.rounds: [1]", "sweep.sweep.rounds: sweep cannot be swept: "),
        ("rounds: []", "sweep.rounds: an axis is a list of at least one value, got []"),
        ("rounds: 3", "sweep.rounds: an axis is a list of at least one value, got 3"),
        ("rounds: [1, 2, 1]", "sweep.rounds: 1 stands here 2 times"),
        ("mechanism.beta_inference: [1, 1.0]", "sweep.mechanism.beta_inference: 1 stands here 2"),
        ("zip: {rounds: [1, 2], schedule: [uniform]}", "sweep.zip.schedule: 1 values, but rounds "
         "has 2: axes that move together need equally many"),
        ("zip: 3", "sweep.zip: must map paths to lists (or list several such mappings), got 3"),
        ("zip: [3]", "sweep.zip: must map paths to lists"),
        ("rounds: [0, 10]", "rounds: must be at least 1, got 0"),
        ("tasks.qa: [0.5]", "tasks: the shares sum to 0.5, not to 1"),
        ("mechanism.beta_inference: [.nan]", "mechanism.beta_inference: must be finite, got nan"),
    ],
)  # fmt: skip
def test_mistakes(sweep: str, said: str) -> None:
    assert error(f"sweep:\n  {sweep}").startswith(f"bad.yaml:9: {said}")


def test_overlapping_axes_are_refused() -> None:
    sweep = "sweep:\n  mechanism.committee_size: [1]\n  mechanism: [{}]\n  zip: {rounds: [1]}\n"
    assert error(sweep) == (
        "bad.yaml:9: sweep.mechanism.committee_size: overlaps with the axis mechanism"
    )
    twice = "sweep:\n  rounds: [1]\n  zip:\n    rounds: [2]\n"
    assert error(twice) == "bad.yaml:11: sweep.zip.rounds: overlaps with the axis rounds"


def test_every_mistake_of_every_treatment_is_reported_once() -> None:
    lines = errors(
        POPULATION
        + "sweep:\n  rounds: [0, 5, x]\n  mechanism.committee_size: [0, 1]\n  nope: [1]\n"
    )
    assert lines == ["bad.yaml:11: sweep.nope: no such field: unknown key; " + lines[0][53:]]
    lines = errors(
        POPULATION + "seed: -1\nsweep:\n  rounds: [0, 5, x]\n  mechanism.committee_size: [0, 1]\n"
    )
    assert sorted(lines) == [
        "bad.yaml:10: rounds: must be a whole number, got 'x'",
        "bad.yaml:10: rounds: must be at least 1, got 0",
        "bad.yaml:11: mechanism.committee_size: must be at least 1, got 0",
        "bad.yaml:8: seed: must be at least 0, got -1",
    ]


def test_the_number_of_treatments_is_bounded() -> None:
    values = list(range(1, 400))
    axes = f"sweep:\n  rounds: {values}\n  mechanism.committee_size: {values}\n"
    assert error(axes) == "bad.yaml:8: sweep: 159,201 treatments; at most 100,000 are made"


def test_treatments_that_all_fail_do_not_take_forever() -> None:
    values = list(range(1, 300))
    axes = f"seed: x\nsweep:\n  rounds: {values}\n  mechanism.committee_size: {values}\n"
    start = time.perf_counter()
    assert error(axes).startswith("bad.yaml:8: seed")
    assert time.perf_counter() - start < 5


def test_a_sweep_made_by_hand_is_checked_when_expanded() -> None:
    scenario = small().model_copy(update={"sweep": {"rounds": [0]}})
    with pytest.raises(ScenarioError, match="rounds: must be at least 1, got 0"):
        scenario.treatments()
    with pytest.raises(ScenarioError, match=r"sweep.nope: no such field"):
        small().model_copy(update={"sweep": {"nope": [0]}}).treatments()


def test_treatments_are_made_once_however_often_they_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Work grows with the number of treatments, not with who looks at them."""
    made: dict[int, int] = {}
    for size in (50, 500):
        values = [1 + number / 1000 for number in range(size)]
        count = 0
        original = Scenario.model_validate

        def counted(*given: object, _original: object = original, **named: object) -> Scenario:
            nonlocal count
            count += 1
            return _original(*given, **named)  # type: ignore[operator, no-any-return]

        monkeypatch.setattr(Scenario, "model_validate", counted)
        scenario = small(f"sweep: {{mechanism.beta_inference: {values}}}")
        first = scenario.treatments()
        assert scenario.treatments() == first
        monkeypatch.undo()
        made[size] = count
    assert made == {50: 51, 500: 501}  # and the scenario itself
    assert scenario.model_copy(update={"sweep": {}}).treatments()[0].id == "base"


@pytest.mark.parametrize("behaviour", ["[1]", "3"])
def test_a_parameter_of_malicious_has_a_behaviour_to_stand_in(behaviour: str) -> None:
    """Beside the share, parameters are those of the behaviour, and lie in it."""
    text = f"malicious: {{share: 0.5, behaviour: {behaviour}}}\nsweep: {{malicious.b: [0.1]}}\n"
    _, line = errors(POPULATION + text)
    assert line.endswith(
        f"malicious.behaviour is {behaviour}, not a mapping: nothing can be put in it"
    )
