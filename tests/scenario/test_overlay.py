"""Files, overrides, replacements and axes merge in one and the same way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poq_abm.scenario import Scenario, load, parse
from poq_abm.scenario.checks.problems import ScenarioError

POPULATION: dict[str, Any] = {
    "inference": [{"model": "model_1"}],
    "evaluators": [{"model": "evaluator_1", "count": 10}],
}
numbers = st.sampled_from([0.1, 0.25, 0.4])
behaviours = st.one_of(
    st.sampled_from(["boost", "sabotage", "constant", "honest"]),
    st.fixed_dictionaries(
        {},
        optional={"name": st.sampled_from(["boost", "sabotage"]), "b": st.sampled_from([1.0, 6.0])},
    ),
)
SECTIONS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "mechanism": {
        "tau": numbers,
        "aggregation": st.sampled_from(["mean", "median", "trimmed_mean"]),
        "trust": st.fixed_dictionaries(
            {}, optional={"rate": numbers, "update": st.sampled_from(["none", "hedge"])}
        ),
        "reward": st.fixed_dictionaries({}, optional={"threshold": numbers}),
    },
    "economy": {
        "epochs": st.integers(1, 5),
        "payment": st.fixed_dictionaries(
            {}, optional={"fee": numbers, "pool": numbers, "scheme": st.just("pool")}
        ),
        "demand": st.fixed_dictionaries(
            {}, optional={"arrivals": st.just("poisson"), "amplitude": numbers}
        ),
    },
    "malicious": {"share": numbers, "behaviour": behaviours, "b": st.sampled_from([2.0, 5.0])},
    "tasks": {},
}


def mappings(section: str) -> st.SearchStrategy[Any]:
    if section == "tasks":
        return st.sampled_from([{"qa": 1.0}, {"qa": 0.5, "summarization": 0.5}, None])
    whole = st.fixed_dictionaries({}, optional=SECTIONS[section])
    return st.one_of(whole, whole, st.none())


def said(data: dict[str, Any]) -> str:
    return json.dumps(data)  # which is YAML


def outcome(make: Any) -> tuple[dict[str, Any] | None, set[str]]:
    """The settings that come of a route, or what it finds wrong, whatever it calls the places."""
    try:
        scenario: Scenario = make()
    except ScenarioError as error:
        return None, {f"{problem.path}: {problem.message}" for problem in error.problems}
    plain = scenario.resolved()
    return {key: value for key, value in plain.items() if key not in ("name", "sweep")}, set()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@given(
    st.sampled_from(sorted(SECTIONS)).flatmap(
        lambda name: st.tuples(st.just(name), mappings(name), mappings(name))
    )
)
@settings(max_examples=150, deadline=None, derandomize=True, database=None)
def test_four_routes_merge_alike(folder: Path, drawn: tuple[str, Any, Any]) -> None:
    section, below, above = drawn
    base = {"population": POPULATION, **({} if below is None else {section: below})}
    (folder / "base.yaml").write_text(said(base))
    try:
        parsed = load(folder / "base.yaml")
    except ScenarioError:
        return  # what cannot be loaded cannot be replaced in either
    child = folder / "child.yaml"
    child.write_text(said({"extends": "base.yaml", section: above}))
    swept = {**base, "sweep": {section: [above]}}
    extended = outcome(lambda: load(child))
    setting = f"{section}={json.dumps(above)}"
    assert outcome(lambda: load(folder / "base.yaml", [setting])) == extended
    assert outcome(lambda: parsed.replace({section: above})) == extended
    assert outcome(lambda: parse(said(swept)).treatments()[0].scenario) == extended


SWEPT = {
    "population": POPULATION,
    "malicious": {"share": 0.4, "behaviour": {"name": "boost", "b": 3.0}},
    "sweep": {"mechanism.committee_size": [1, 2, 3]},
}


def child_of(folder: Path, base: dict[str, Any], child: dict[str, Any]) -> Scenario:
    (folder / "base.yaml").write_text(said(base))
    (folder / "child.yaml").write_text(said({"extends": "base.yaml", **child}))
    return load(folder / "child.yaml")


@pytest.mark.parametrize("nothing", [None, {}])
def test_a_sweep_is_dropped_and_so_is_one_axis(folder: Path, nothing: object) -> None:
    dropped = child_of(folder, SWEPT, {"sweep": nothing})
    assert [treatment.id for treatment in dropped.treatments()] == ["base"]
    assert not parse(said(SWEPT)).replace({"sweep": nothing}).sweep
    assert not load(folder / "base.yaml", [f"sweep={json.dumps(nothing)}"]).sweep
    both = {"mechanism.beta_inference": [0.1, 0.2], "mechanism.committee_size": [1]}
    one = parse(said({**SWEPT, "sweep": both})).replace({"sweep.mechanism.committee_size": nothing})
    assert list(one.sweep) == ["mechanism.beta_inference"]


def test_a_sweep_is_one_design_and_an_axis_a_part_of_it(folder: Path) -> None:
    again = child_of(folder, SWEPT, {"sweep": {"mechanism.committee_size": [5]}})
    assert [treatment.id for treatment in again.treatments()] == ["committee_size=5"]
    design = {"mechanism.beta_inference": [0.1, 0.2]}
    for other in (
        child_of(folder, SWEPT, {"sweep": design}),
        parse(said(SWEPT)).replace({"sweep": design}),
        load(folder / "base.yaml", [f"sweep={json.dumps(design)}"]),
    ):
        assert [t.id for t in other.treatments()] == ["beta_inference=0.1", "beta_inference=0.2"]
    added = load(folder / "base.yaml", ["sweep.mechanism.beta_inference=[0.1, 0.2]"])
    assert len(added.treatments()) == 6


def test_another_behaviour_leaves_behind_the_parameters_it_does_not_have(folder: Path) -> None:
    child = {"malicious": {"behaviour": {"name": "constant", "score": 2.0}}}
    made = child_of(folder, SWEPT, child).malicious
    assert made is not None
    assert (made.share, made.behaviour) == (0.4, {"name": "constant", "score": 2.0})


@pytest.mark.parametrize(
    "malicious",
    [
        {"share": 0.4, "behaviour": "boost", "b": 6.0},
        {"share": 0.4, "behaviour": {"name": "boost", "b": 6.0}},
    ],
)
def test_a_swept_behaviour_keeps_the_parameters_it_has(malicious: dict[str, Any]) -> None:
    axis = {"malicious.behaviour": ["boost", "sabotage", "constant"]}
    scenario = parse(said({"population": POPULATION, "malicious": malicious, "sweep": axis}))
    played = [t.scenario.malicious for t in scenario.treatments()]
    assert [one.behaviour for one in played if one is not None] == [
        {"name": "boost", "b": 6.0},
        {"name": "sabotage", "b": 6.0},
        {"name": "constant"},
    ]
    again = parse(scenario.to_yaml())
    assert [t.scenario for t in again.treatments()] == [t.scenario for t in scenario.treatments()]


def test_a_swept_section_keeps_its_siblings() -> None:
    trust = {"update": "multiplicative", "rate": 0.2, "start": 2.0}
    axis = {"mechanism.trust": [{"update": "relative"}, {"update": "none"}]}
    data = {"population": POPULATION, "mechanism": {"trust": trust}, "sweep": axis}
    for treatment in parse(said(data)).treatments():
        made = treatment.scenario.mechanism.trust
        assert (made.rate, made.start) == (0.2, 2.0)


@pytest.mark.parametrize("nothing", [None, {}])
def test_what_is_removed_takes_its_axes_along(nothing: object) -> None:
    """An economy that is taken away does not come back through an axis inside it."""
    base = load("entry_exit")
    assert base.economy is not None
    for gone in (
        parse(said({"extends": "entry_exit", "economy": nothing})),
        load("entry_exit", [f"economy={json.dumps(nothing)}"]),
        base.replace({"economy": nothing}),
    ):
        assert [t.scenario.economy for t in gone.treatments()] == [None]
        assert not gone.sweep


def test_one_entry_of_a_list_is_merged_into() -> None:
    people = {**POPULATION, "inference": [{"model": "model_1", "count": 4, "behaviour": "honest"}]}
    made = parse(said({"population": people}), overrides=["population.inference.0={weight: 2}"])
    assert (made.population.inference[0].count, made.population.inference[0].weight) == (4, 2)
    behaving = made.replace({"population.inference.0.behaviour": "spam"})
    assert behaving.population.inference[0].behaviour == {"name": "spam"}


def test_shares_are_one_value() -> None:
    made = parse(said({"population": POPULATION, "tasks": {"qa": 0.5, "summarization": 0.5}}))
    assert made.replace({"tasks": {"qa": 1.0}}).tasks == {"qa": 1.0}
    place = "verification.adversaries.vendors"
    played = load("otr_watchers", ["sweep=null"]).replace({place: {"one": {"share": 1.0}}})
    assert [*played.verification.adversaries.vendors] == ["one"]
    longer = played.replace({place: {"one": {"patch_days": 3.0}}}).verification.adversaries.vendors
    assert (longer["one"].share, longer["one"].patch_days) == (1.0, 3.0)


def test_merge_keys_and_extension_keys_are_read() -> None:
    text = """
x-group: &group {model: model_1, count: 2}
population:
  inference: [*group, {<<: *group, name: second}, {name: third, <<: [{count: 7}, *group]}]
  evaluators: [{model: evaluator_1}]
"""
    groups = parse(text).population.inference
    assert [(group.count, group.name) for group in groups] == [
        (2, None),
        (2, "second"),
        (7, "third"),
    ]
    with pytest.raises(ScenarioError, match=r"bad.yaml:3: population.inference.0.cuont: unknown"):
        parse("population:\n  inference:\n  - <<: {cuont: 3}\n    model: a", origin="bad.yaml")
