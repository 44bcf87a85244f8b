from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scenario_support import POPULATION, error, errors, small

from poq_abm.scenario import ScenarioError, load


def test_overrides_reach_everything() -> None:
    scenario = small(
        "rounds: 1",
        [
            "rounds=2",
            "rounds=3",
            "mechanism.committee_size=2",
            "population.inference.1.count=5",
            "population.evaluators=[{model: x}]",
            "tasks.qa=1.0",
            "name=other",
        ],
    )
    assert (scenario.rounds, scenario.mechanism.committee_size, scenario.name) == (3, 2, "other")
    assert [group.count for group in scenario.population.inference] == [1, 5]
    assert scenario.population.evaluator_labels == ("x",)
    assert scenario.tasks == {"qa": 1.0}


def test_values_are_yaml() -> None:
    assert small("", ["mechanism.beta_inference=1e-3"]).mechanism.beta_inference == 0.001
    assert small("", ["name='1'"]).name == "1"
    assert small("tasks: {qa: 1}", ["tasks="]).tasks is None


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("mechanism.comittee_size=9", "mechanism.comittee_size: unknown key; did you mean "
         "'committee_size'?"),
        ("mechansim.committee_size=9", "mechansim.committee_size: unknown key; did you mean "
         "'mechanism'?"),
        ("mechanism.committee_size=0", "mechanism.committee_size: must be at least 1, got 0"),
        ("mechanism.committee_size=x", "mechanism.committee_size: must be a whole number, got 'x'"),
        ("rounds.x=1", "rounds.x: rounds is a single value: there is no 'x' in it"),
        ("population.inference.2.count=1", "population.inference.2.count: there is no group 2; "
         "there are 2, counted from 0"),
        ("population.inference.-1.count=1", "population.inference.-1.count: population.inference "
         "is a list: say which group, as in population.inference.0.count"),
        ("population.inference.count=1", "population.inference.count: population.inference is a "
         "list: say which group, as in population.inference.0.count"),
        ("population.inference.0.cuont=1", "population.inference.0.cuont: unknown key; did you "
         "mean 'count'?"),
        ("extends=x", "extends: inheritance is decided in the file and cannot be set"),
        ("rounds=[", "rounds: not valid YAML: "),
        ("rounds=!foo 3", "rounds: the tag !foo is refused: scenarios are data"),
        ("mechanism={committee_size: 1, committee_size: 2}", "mechanism: given twice"),
        ("rounds=1\n---\n2", "rounds: a second document starts"),
        ("rounds", "write it as path=value, for example mechanism.committee_size=2"),
        ("=3", "write it as path=value"),
        ("..=3", "..: unknown key; known: "),
        ("sweep=3", "sweep: must be a mapping of keys to values, got 3"),
    ],
)  # fmt: skip
def test_mistakes_name_the_override(override: str, said: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        small("", [override])
    (problem,) = caught.value.problems
    assert str(problem).startswith(f"--set {override}: {said}")


def test_mistakes_of_file_and_overrides_come_together() -> None:
    found = errors(POPULATION + "rounds: 0", ["seed=-1", "nope=1"])
    assert [line.split(": ")[0] for line in found] == [
        "--set nope=1",
        "bad.yaml:8",
        "--set seed=-1",
    ]


def test_a_section_that_is_no_mapping_cannot_be_overridden() -> None:
    first, _ = errors(POPULATION + "mechanism: 3", ["mechanism.committee_size=1"])
    assert "mechanism is 3, not a mapping: nothing can be put in it" in first


def test_axes_cannot_be_silently_overridden() -> None:
    sweep = "sweep:\n  mechanism.committee_size: [1, 2]\n"
    line = error(sweep, ["mechanism.committee_size=3"])
    assert line.startswith(
        "--set mechanism.committee_size=3: mechanism.committee_size: this is an "
    )
    assert "set sweep.mechanism.committee_size=[...]" in line
    assert small(sweep, ["mechanism.committee_size=3", "sweep={}"]).mechanism.committee_size == 3
    changed = small(sweep, ["sweep.mechanism.committee_size=[3]"]).treatments()
    assert [treatment.id for treatment in changed] == ["committee_size=3"]


def test_axes_can_be_added() -> None:
    scenario = small("", ["sweep.zip.rounds=[1, 2]", "sweep.mechanism.committee_size=[1]"])
    assert [treatment.id for treatment in scenario.treatments()] == [
        "rounds=1,committee_size=1",
        "rounds=2,committee_size=1",
    ]


def test_a_list_of_zipped_groups_cannot_be_entered() -> None:
    line = error("sweep: {zip: [{rounds: [1]}]}", ["sweep.zip.rounds=[2]"])
    assert line.startswith("--set sweep.zip.rounds=[2]: sweep.zip.rounds: a list of 1 has no")


def test_folders_count_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load("cost_aware_poq", ["profile=./mine"]).profile == str(tmp_path / "mine")
    swept = load("cost_aware_poq", ["sweep.profile=[published, ./mine]"]).treatments()
    assert [t.scenario.profile for t in swept] == ["published", str(tmp_path / "mine")]


@pytest.mark.parametrize("values", [(1, 3), range(1, 4, 2), np.array([1, 3]), [np.int8(1), 3]])
def test_values_may_be_whatever_python_holds_them_in(values: object) -> None:
    numbers = {"rounds": np.int64(50), "replications": np.int32(2)}
    small = load("cost_aware_poq").replace({**numbers, "mechanism.alpha_inference": np.float64(2)})
    swept = small.replace({"sweep": {"mechanism.committee_size": values}})
    sizes = [one.scenario.mechanism.committee_size for one in swept.treatments()]
    assert (sizes, swept.rounds, swept.replications) == ([1, 3], 50, 2)
    assert type(swept.rounds) is int
