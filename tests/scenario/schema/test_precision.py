from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError
from scenario_support import error, small

from poq_abm.scenario import Precision, Scenario, Until, load, parse

TARGET = "replications: {until: {metric: bias, half_width: 0.05}, at_most: 400}\n"


def test_a_number_stays_a_number() -> None:
    scenario = small("replications: 7")
    assert scenario.replications == scenario.most_replications == 7
    assert scenario.precision is None
    assert scenario.resolved()["replications"] == 7


def test_a_mapping_is_a_precision_to_reach() -> None:
    scenario = small(TARGET)
    assert scenario.replications == Precision(
        until=Until(metric="bias", half_width=0.05), at_least=20, at_most=400, confidence=0.95
    )
    assert scenario.precision is scenario.replications
    assert scenario.most_replications == 400


def test_a_precision_survives_json_and_yaml() -> None:
    scenario = small(TARGET)
    assert Scenario.model_validate(json.loads(json.dumps(scenario.resolved()))) == scenario
    again = parse(scenario.to_yaml())
    assert again == scenario
    assert hash(again) == hash(scenario)


def test_a_number_replaces_a_precision_and_the_other_way_round() -> None:
    assert small(TARGET, ["replications=9"]).replications == 9
    assert small(TARGET).replace({"replications": 9}).precision is None
    target = "replications={until: {metric: bias, relative: 0.1}}"
    changed = small("replications: 9", [target]).precision
    assert changed is not None
    assert changed.until.relative == 0.1


def test_single_keys_of_a_precision_can_be_set() -> None:
    changed = small(TARGET, ["replications.at_least=50", "replications.until.half_width=0.01"])
    assert changed.precision is not None
    assert (changed.precision.at_least, changed.precision.until.half_width) == (50, 0.01)
    line = error("replications: 9", ["replications.at_least=50"])
    assert line.endswith("replications is 9, not a mapping: nothing can be put in it")
    line = error(TARGET, ["replications.atleast=50"])
    assert line.endswith("unknown key; did you mean 'at_least'?")


def test_null_takes_back_what_a_base_says(tmp_path: Path) -> None:
    base = tmp_path / "base.yaml"
    base.write_text("extends: cost_aware_poq\n" + TARGET)
    above = tmp_path / "above.yaml"
    above.write_text(
        "extends: base.yaml\nreplications: {until: {half_width: null, relative: 0.1}}\n"
    )
    precision = load(above).precision
    assert precision is not None
    assert precision.until == Until(metric="bias", relative=0.1)
    assert precision.at_most == 400


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("[3]", ": must be a whole number, got [3]"),
        ("{}", ".until: this key is needed and has no default"),
        ("{until: 3}", ".until: must be a mapping of keys to values, got 3"),
        ("{until: {half_width: 1}}", ".until.metric: this key is needed and has no default"),
        ("{until: {metric: a b, half_width: 1}}", ".until.metric: must be the name of a column of "
         "the replications, got 'a b'"),
        ("{until: {metric: 3, half_width: 1}}", ".until.metric: must be text, got 3"),
        ("{until: {metric: bias}}", ".until: half_width or relative is needed: how narrow is "
         "narrow enough?"),
        ("{until: {metric: bias, half_width: 1, relative: 1}}", ".until: half_width and relative "
         "cannot both be given; set one of them to null"),
        ("{until: {metric: bias, half_width: 0}}", ".until.half_width: must be greater than 0, "
         "got 0"),
        ("{until: {metric: bias, relative: -1}}", ".until.relative: must be greater than 0, "
         "got -1"),
        ("{until: {metric: bias, relative: .inf}}", ".until.relative: must be finite, got inf"),
        ("{until: {metric: bias, halfwidth: 1, relative: 1}}", ".until.halfwidth: unknown key; did "
         "you mean 'half_width'?"),
        ("{until: {metric: bias, relative: 1}, at_leas: 5}", ".at_leas: unknown key; did you mean "
         "'at_least'?"),
        ("{until: {metric: bias, relative: 1}, at_least: 1}", ".at_least: must be at least 2, "
         "got 1"),
        ("{until: {metric: bias, relative: 1}, at_least: 5, at_most: 4}", ": at_least <= at_most "
         "is needed, got 5 and 4"),
        ("{until: {metric: bias, relative: 1}, at_most: 4294967297}", ".at_most: must be at most "
         "4294967296, got 4294967297"),
        ("{until: {metric: bias, relative: 1}, confidence: 1}", ".confidence: must be less than "
         "1, got 1"),
        ("{until: {metric: bias, relative: 1}, confidence: 0}", ".confidence: must be greater "
         "than 0, got 0"),
    ],
)  # fmt: skip
def test_mistakes(written: str, said: str) -> None:
    assert error(f"replications: {written}") == f"bad.yaml:8: replications{said}"


def test_a_precision_cannot_be_swept() -> None:
    line = error(TARGET + "sweep:\n  replications.at_most: [5, 9]\n")
    assert line.startswith("bad.yaml:10: sweep.replications.at_most: replications cannot be swept")


def test_a_precision_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        small(TARGET).replications.at_most = 3  # type: ignore[union-attr,misc]
