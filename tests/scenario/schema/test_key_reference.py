from __future__ import annotations

import json
from collections import Counter

import pytest
from jsonschema import Draft202012Validator

from poq_abm.scenario import find_scenario, scenario_names
from poq_abm.scenario.schema.key_reference import Key, json_schema, keys_below, markdown
from poq_abm.scenario.schema.settings import Settings
from poq_abm.scenario.yaml_source import read

KEYS = {key.path: key for key in keys_below(Settings)}


def test_every_key_is_told_once() -> None:
    counts = Counter(key.path for key in keys_below(Settings))
    assert max(counts.values()) == 1


def test_sections_and_lists_are_entered() -> None:
    assert {"mechanism.trust.rate", "population.inference.*.model", "economy.stake.bond",
            "economy.controllers.*.move"} <= KEYS.keys()  # fmt: skip


def test_ranges_defaults_and_kinds_are_those_of_the_schema() -> None:
    assert KEYS["mechanism.committee_size"].takes.startswith("whole number, at least 1")
    assert KEYS["mechanism.beta_inference"].default == "0.3"
    assert KEYS["economy.payment.scheme"].takes == "`per_round`, `pool`, `yuma`"
    assert KEYS["population.inference"].default == "required"
    assert KEYS["economy.audits.forfeit"].default == "`true`"


def test_every_key_says_what_it_means() -> None:
    assert [path for path, key in KEYS.items() if not key.meaning] == []


def test_a_table_escapes_what_would_end_a_cell() -> None:
    table = markdown(iter([Key("a", "x | y", "1", "either")]))
    assert table.splitlines()[-1] == "| `a` | x / y | 1 | either |"


@pytest.fixture(scope="module")
def checked() -> Draft202012Validator:
    schema = json.loads(json.dumps(json_schema()))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize("name", scenario_names())
def test_what_ships_passes_the_json_schema(checked: Draft202012Validator, name: str) -> None:
    path = find_scenario(name)
    assert list(checked.iter_errors(read(path.read_text(), name).data)) == []


@pytest.mark.parametrize(
    ("wrong", "at"),
    [
        ({"rounds": 0}, ["rounds"]),
        ({"mechanism": {"agregation": "mean"}}, ["mechanism"]),
        ({"mechanism": {"aggregation": "meen"}}, ["mechanism", "aggregation"]),
        ({"verification": {"otr": {"proof_rate": 2}}}, ["verification"]),
        ({"population": {"inference": [{"count": 1}]}}, ["population", "inference", 0]),
    ],
)
def test_what_is_wrong_is_marked_where_it_stands(
    checked: Draft202012Validator, wrong: dict[str, object], at: list[object]
) -> None:
    (error,) = checked.iter_errors({"extends": "cost_aware_poq", **wrong})
    assert list(error.absolute_path) == at


def test_axes_are_offered_by_path_and_a_population_is_needed_or_inherited(
    checked: Draft202012Validator,
) -> None:
    assert "mechanism.trust.rate" in checked.schema["properties"]["sweep"]["properties"]
    (error,) = checked.iter_errors({"rounds": 5})
    assert error.validator == "anyOf"
