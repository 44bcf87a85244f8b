from __future__ import annotations

import os
from pathlib import Path

import pytest
from scenario_support import POPULATION, FakeProfile, errors

from poq_abm.scenario import ScenarioError, check, load, parse


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)


def failure(path: Path) -> str:
    with pytest.raises(ScenarioError) as caught:
        load(path)
    return str(caught.value)


def test_mappings_merge_and_lists_are_replaced(tmp_path: Path) -> None:
    write(
        tmp_path,
        base=POPULATION + "rounds: 7\nmechanism: {committee_size: 2, beta_inference: 0.5}\n",
        child="extends: base.yaml\nmechanism: {committee_size: 1}\n"
        "population: {inference: [{model: a}]}\n",
        grandchild="extends: ./child.yaml\nseed: 5\n",
    )
    scenario = load(tmp_path / "grandchild.yaml")
    assert (scenario.rounds, scenario.seed, scenario.name) == (7, 5, "grandchild")
    assert scenario.mechanism.committee_size == 1
    assert scenario.mechanism.beta_inference == 0.5
    assert scenario.population.inference_labels == ("a",)
    assert scenario.population.evaluator_labels == ("sts_stsb", "ce_minilm")


def test_a_scenario_that_ships_can_be_extended() -> None:
    scenario = parse("extends: cost_aware_poq\nrounds: 3")
    assert scenario.rounds == 3
    assert len(scenario.population.inference) == 5


def test_names_and_questions_are_not_inherited(tmp_path: Path) -> None:
    write(tmp_path, base="# Base?\nname: special\n" + POPULATION, child="extends: base.yaml\n")
    child = load(tmp_path / "child.yaml")
    assert (child.name, child.question) == ("child", "")


def test_paths_start_at_the_file_that_says_them(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    write(tmp_path, base=POPULATION + "profile: ./measured\n")
    write(
        tmp_path / "sub", child="extends: ../base.yaml\n", own="extends: child.yaml\nprofile: ./p"
    )
    assert load(tmp_path / "sub" / "child.yaml").profile == str(tmp_path / "measured")
    assert load(tmp_path / "sub" / "own.yaml").profile == str(tmp_path / "sub" / "p")
    assert parse("extends: base.yaml", folder=tmp_path).profile == str(tmp_path / "measured")
    swept = "extends: base.yaml\nsweep: {profile: [published, ./x], zip: {rounds: [1]}}"
    assert [t.id for t in parse(swept, folder=tmp_path).treatments()] == [
        "profile=published,rounds=1",
        "profile=x,rounds=1",
    ]


def test_mistakes_in_a_base_point_at_the_base(tmp_path: Path) -> None:
    write(
        tmp_path,
        base=POPULATION + "mechanism:\n  comittee_size: 2\n  alpha_inference: -1\n",
        child="extends: base.yaml\nmechanism:\n  alpha_inference: -2\nrounds: 0\n",
    )
    assert failure(tmp_path / "child.yaml").splitlines() == [
        f"{tmp_path}/child.yaml:4: rounds: must be at least 1, got 0",
        f"{tmp_path}/child.yaml:3: mechanism.alpha_inference: must be at least 0, got -2",
        f"{tmp_path}/base.yaml:9: mechanism.comittee_size: unknown key; "
        "did you mean 'committee_size'?",
    ]


def test_replaced_lists_do_not_point_at_the_base(tmp_path: Path) -> None:
    child = "extends: base.yaml\npopulation:\n  inference:\n    - {count: 1}\n"
    write(tmp_path, base=POPULATION, child=child)
    assert failure(tmp_path / "child.yaml") == (
        f"{tmp_path}/child.yaml:4: population.inference.0.model: "
        "this key is needed and has no default"
    )


def test_duplicates_in_a_base_are_reported(tmp_path: Path) -> None:
    write(tmp_path, base=POPULATION + "seed: 1\nseed: 2\n", child="extends: base.yaml\nrounds: 0")
    first, second = failure(tmp_path / "child.yaml").splitlines()
    assert first == f"{tmp_path}/base.yaml:9: seed: already given on line 8"
    assert second.startswith(f"{tmp_path}/child.yaml:2: rounds")


def test_circles_show_the_chain(tmp_path: Path) -> None:
    write(tmp_path, a="rounds: 1\nextends: b.yaml", b="extends: ./c.yaml", c="extends: ../x/a.yaml")
    folder = tmp_path.rename(tmp_path.parent / "x")
    a, b, c = (folder / f"{name}.yaml" for name in "abc")
    assert failure(a) == (
        f"{c}:1: extends: a scenario cannot extend itself: {a} -> {b} -> {c} -> {a}"
    )


def test_a_file_cannot_extend_itself(tmp_path: Path) -> None:
    write(tmp_path, a="extends: a.yaml")
    a = tmp_path / "a.yaml"
    assert failure(a) == f"{a}:1: extends: a scenario cannot extend itself: {a} -> {a}"


def test_long_chains_are_no_problem(tmp_path: Path) -> None:
    files = {f"s{i}": f"extends: s{i - 1}.yaml" for i in range(1, 300)}
    write(tmp_path, s0=POPULATION, **files)
    assert load(tmp_path / "s299.yaml").name == "s299"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("cost_aware_pok", "'cost_aware_pok': no scenario of this name ships; did you mean "
         "'cost_aware_poq'?"),
        ("3", "must be a scenario's name or path, got 3"),
        ("", "must be a scenario's name or path, got null"),
        ('"a\\0.yaml"', "must be a scenario's name or path, got 'a\\x00.yaml'"),
        ("nope.yaml", "'nope.yaml' is no file; of the scenarios that ship, known: "),
        ("./", "'.' is a folder; of the scenarios that ship"),
        ("x/" * 3000, "x/x/x"),
        ("/dev/zero", "'/dev/zero' is no file"),
    ],
)  # fmt: skip
def test_bases_that_cannot_be_found(value: str, said: str) -> None:
    (line,) = errors(f"rounds: 1\nextends: {value}")
    assert line.startswith("bad.yaml:2: extends: ")
    assert said in line


def test_check_points_at_the_base_too(tmp_path: Path) -> None:
    write(tmp_path, base=POPULATION, child="extends: base.yaml\nrounds: 3")
    with pytest.raises(ScenarioError) as caught:
        check(load(tmp_path / "child.yaml", ["population.evaluators=[{model: x}]"]), FakeProfile())
    first, second = str(caught.value).splitlines()
    assert first.startswith("--set population.evaluators=[{model: x}]: population.evaluators.0")
    assert second.startswith(f"{tmp_path}/child.yaml:1: mechanism.committee_size: ")


def test_a_pipe_is_no_base(tmp_path: Path) -> None:
    """Reading it would wait for ever."""
    os.mkfifo(tmp_path / "base.yaml")
    (tmp_path / "child.yaml").write_text("extends: base.yaml")
    assert "is no file" in failure(tmp_path / "child.yaml")
