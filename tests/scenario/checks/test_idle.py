"""Settings that cannot act: mistakes where they were written so, or warnings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scenario_support import POPULATION

from poq_abm.scenario import Scenario, load, parse, scenario_names
from poq_abm.scenario.checks.idle import idle_settings


def found(scenario: Scenario) -> tuple[list[str], list[str]]:
    idle = idle_settings(scenario, scenario.treatments())
    return [str(error) for error in idle.errors], [str(warning) for warning in idle.warnings]


@pytest.mark.parametrize("name", scenario_names())
def test_scenarios_that_ship_hold_nothing_idle(name: str) -> None:
    scenario = load(name)
    assert found(scenario) == ([], [])
    again = parse(scenario.to_yaml())
    assert found(again)[0] == []


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ("mechanism: {tau: 0.1}", "mechanism.tau: acts only with mechanism.aggregation: "),
        ("mechanism: {huber_bend: 2.0}", "mechanism.huber_bend: acts only with "),
        ("mechanism: {trust: {rate: 0.3}}", "mechanism.trust.rate: acts only with "),
        ("economy: {payment: {pool: 9}}", "economy.payment.pool: acts only with "
         "economy.payment.scheme: pool or yuma, not 'per_round'"),
        ("economy: {epochs: 2, payment: {yuma: {kappa: 0.6}}}",
         "economy.payment.yuma: acts only with economy.payment.scheme: yuma, not 'per_round'"),
        ("economy: {epochs: 2, payment: {scheme: yuma, yuma: "
         "{bond_rate: 0.2, bond_rate_low: 0.1, bond_rate_high: 0.3}}}",
         "economy.payment.yuma.bond_rate: does nothing here: the rate lies between"),
        ("economy: {stake: {slashing: {deviation: 0.1}}}",
         "economy.stake.slashing.deviation: acts only with economy.stake.bond above 0, not 0.0"),
        ("malicious: {share: 0.2, behaviour: boost}",
         "malicious.share: 0.2 of 3 evaluators is 0 nodes; the smallest share that acts is 0.3333"),
        ("verification: {protocol: otr}\nmechanism: {reward: {family: ratio}}",
         "mechanism.reward: does nothing here: without a committee"),
        ("verification: {protocol: poq}\nmechanism: {trust: {interval: 5}}",
         "mechanism.trust.interval: does nothing here: with a verification, no log of"),
        ("verification: {protocol: tee}\nmalicious: {share: 0.4, behaviour: boost}",
         "malicious: does nothing here: without a committee"),
        ("verification: {protocol: tee, watchers: {count: 9}}",
         "verification.watchers: acts only with verification.protocol: opml or otr or poq+otr"),
        ("verification: {protocol: tee}\nmechanism: {committee_size: 2}",
         "mechanism.committee_size: does nothing here: without a committee"),
    ],
)  # fmt: skip
def test_what_a_file_says_to_no_effect_is_a_mistake(extra: str, said: str) -> None:
    (error,), warnings = found(parse(POPULATION + extra, origin="a.yaml"))
    assert error.startswith(("a.yaml:8: ", "a.yaml:9: "))
    assert error.split(": ", 1)[1].startswith(said)
    assert not warnings


def test_a_family_acts_where_somebody_pleases_one() -> None:
    people = "population: {{inference: [{{model: a{}}}], evaluators: [{{model: b, family: c}}]}}"
    (error,), _ = found(parse(people.format("")))
    assert "population.evaluators.0.family: acts only where a behaviour of inference" in error
    hack = ", behaviour: {name: hack, family: c}"
    assert found(parse(people.format(hack))) == ([], [])


def test_what_holds_anyhow_may_be_said() -> None:
    assert found(parse(POPULATION + "mechanism: {tau: 0.2, kappa: 0.5}")) == ([], [])


def test_what_is_inherited_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(
        POPULATION + "mechanism: {aggregation: trimmed_mean, tau: 0.1}"
    )
    child = tmp_path / "child.yaml"
    child.write_text("extends: base.yaml\nmechanism: {aggregation: median}")
    errors, (warning,) = found(load(child))
    assert not errors
    assert warning.startswith(f"{tmp_path}/base.yaml:8: mechanism.tau: acts only with")


def test_what_an_override_undoes_is_a_warning_and_what_it_says_to_no_effect_a_mistake() -> None:
    text = POPULATION + "mechanism: {aggregation: trimmed_mean, tau: 0.1}"
    undone = parse(text, overrides=["mechanism.aggregation=median"])
    assert [len(part) for part in found(undone)] == [0, 1]
    assert [len(part) for part in found(parse(text).replace({"mechanism.kappa": 0.9}))] == [1, 0]
    # A number of rounds excuses nothing.
    assert [len(part) for part in found(parse(POPULATION + "mechanism: {tau: 0.1}",
                                              overrides=["rounds=9"]))] == [1, 0]  # fmt: skip


def test_what_a_dropped_sweep_leaves_behind_is_a_warning() -> None:
    protocols = "verification: {otr: {proof_rate: 0.2}}\nsweep: {verification.protocol: [poq, otr]}"
    text = POPULATION + protocols
    assert found(parse(text)) == ([], [])
    assert [len(part) for part in found(parse(text, overrides=["sweep={}"]))] == [0, 1]
    later = parse(text).replace({"sweep": None}).replace({"rounds": 9})
    assert [len(part) for part in found(later)] == [0, 1]


def test_an_axis_acts_where_one_treatment_makes_it_act() -> None:
    sweep = "sweep: {mechanism.aggregation: [mean, huber], mechanism.huber_bend: [1.0, 2.0]}"
    assert found(parse(POPULATION + sweep)) == ([], [])
    errors, _ = found(parse(POPULATION + "sweep: {mechanism.huber_bend: [1.345, 2.0]}"))
    assert errors[0].startswith("<text>:8: sweep.mechanism.huber_bend: acts only with")


def test_a_share_that_is_nobody_among_others_is_a_warning() -> None:
    text = POPULATION + "malicious: {share: 0.5, behaviour: boost}\n"
    errors, (warning,) = found(parse(text + "sweep: {malicious.share: [0, 0.1, 0.5]}"))
    assert not errors
    assert "sweep.malicious.share: 0.1 of 3 evaluators is 0 nodes" in warning
    errors, _ = found(parse(text + "sweep: {malicious.share: [0.01, 0.1]}"))
    assert len(errors) == 2


@pytest.mark.parametrize(
    ("settings", "path", "value"),
    [
        ({"mechanism.beta_inference": np.float64(0.2)}, "mechanism.beta_inference", 0.2),
        ({"mechanism.committee_size": np.int64(2)}, "mechanism.committee_size", 2),
        ({"mechanism.trust.per_task": np.bool_(True)}, "mechanism.trust.per_task", True),
    ],
)
def test_numpy_values_are_plain(settings: dict[str, Any], path: str, value: Any) -> None:
    changed: Any = parse(POPULATION).replace(settings)
    for part in path.split("."):
        changed = getattr(changed, part)
    assert changed == value
    assert type(changed) is type(value)


@pytest.mark.parametrize("values", [np.arange(1, 4), range(1, 4), (1, 2, 3)])
def test_arrays_ranges_and_tuples_are_lists(values: Any) -> None:
    swept = parse(POPULATION).replace({"sweep": {"mechanism.committee_size": values}})
    assert [t.id for t in swept.treatments()] == [f"committee_size={size}" for size in (1, 2, 3)]


def test_a_mapping_is_loaded_as_a_file_is() -> None:
    made = load({"extends": "cost_aware_poq", "rounds": np.int64(7), "x-note": "mine"}, "seed=3")
    assert (made.rounds, made.seed, len(made.population.inference)) == (7, 3, 5)
