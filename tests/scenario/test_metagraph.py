"""A population from a snapshot of a subnet."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from poq_abm.scenario import load
from poq_abm.scenario.metagraph import read_metagraph

#: two validators, the smaller of which votes for miner 2 alone; five miners
NEURONS = [
    {"uid": 0, "stake": 300.0, "validator_permit": True, "weights": [[3, 10], [4, 30]]},
    {"uid": 1, "stake": 100.5, "validator_permit": True, "weights": [[2, 65535]]},
    *({"uid": uid, "stake": 0.0, "validator_permit": False, "weights": []} for uid in range(2, 7)),
]


def columns() -> dict[str, object]:
    matrix = [[0.0] * 7 for _ in NEURONS]
    for neuron in NEURONS:
        for other, weight in neuron["weights"]:
            matrix[neuron["uid"]][other] = weight
    return {"S": [neuron["stake"] for neuron in NEURONS], "W": matrix}


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    path = tmp_path / "subnet.json"
    path.write_text(json.dumps(NEURONS))
    return path


def test_miners_are_ranked_by_stake_weighted_weights(snapshot: Path) -> None:
    found = read_metagraph(snapshot)
    assert found.validators == [0, 1]
    assert found.stakes == [300.0, 100.5]
    assert found.miners == [4, 2, 3, 5, 6]  # 225, 100.5 and 75, and nobody's


def test_columns_say_the_same_as_neurons(snapshot: Path) -> None:
    neurons = read_metagraph(snapshot)
    snapshot.write_text(json.dumps(columns()))
    assert read_metagraph(snapshot) == neurons


def test_the_scenario_is_valid_and_says_what_is_assumed(poq, snapshot: Path) -> None:
    done = poq("new", "subnet", "--metagraph", snapshot)
    assert done.code == 0, done.err
    text = Path("subnet.yaml").read_text()
    assert "Assumed by" in text
    scenario = load("subnet.yaml")
    assert [group.stake for group in scenario.population.evaluators] == [300.0, 100.5]
    assert sum(group.count for group in scenario.population.inference) == 5
    assert poq("validate", "subnet.yaml").code == 0
    assert poq("new", "subnet", "--metagraph", snapshot).code == 2
    assert Path("subnet.yaml").read_text() == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no JSON"),
        ("{}", "is no metagraph"),
        ("[]", "is no metagraph"),
        ('[{"uid": 0}]', "is no metagraph"),
        ('{"S": [1.0, 2.0], "W": [[0, 1]]}', "is no metagraph"),
        ('{"S": [1.0, 0.0], "W": [[0, -1], [0, 0]]}', "weights at least 0"),
        ('{"S": [0.0, 0.0], "W": [[0, 1], [1, 0]]}', "no validator with stake"),
    ],
)
def test_a_file_that_says_too_little_is_a_message(
    poq, tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "bad.json").write_text(text)
    done = poq("new", "subnet", "--metagraph", "bad.json")
    assert (done.code, said in done.err) == (2, True), done.err
    assert not Path("subnet.yaml").exists()
