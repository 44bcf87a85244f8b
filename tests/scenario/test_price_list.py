"""A population from a router's price list."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from poq_abm.analysis.audit.deviations import Deviation, name_switches
from poq_abm.analysis.stored_run import open_results
from poq_abm.experiment.plan import Plan
from poq_abm.report.facts import charged_costs
from poq_abm.scenario import Scenario, ScenarioError, load
from poq_abm.scenario.price_list import JobTokens, read_price_list
from poq_abm.simulation.playable import profile_of
from poq_abm.simulation.population import build_population

JOB = JobTokens(prompt=300, completion=100)


def entry(name: str, prompt: object, completion: object, **more: object) -> dict[str, Any]:
    return {"id": name, "pricing": {"prompt": prompt, "completion": completion}, **more}


ROUTER = {
    "data": [
        entry("acme/grand-70b", "0.0000004", "0.0000012"),
        entry("acme/llama-3.2-3b-instruct", "0.00000002", 4e-8),
        entry("other/tiny-1b:free", "0", "0"),
        {"id": "other/per-call", "pricing": {"prompt": "0", "completion": "0", "request": "0.01"}},
        entry("other/whatever", "-1", "-1"),
        entry("other/painter", "1e-6", "1e-6", architecture={"output_modalities": ["image"]}),
        {"id": "other/unpriced"},
    ]
}
USD = {
    "other/tiny-1b:free": 0.0,
    "acme/llama-3.2-3b-instruct": 1e-5,
    "acme/grand-70b": 2.4e-4,
    "other/per-call": 0.01,
}
LITELLM = {
    "sample_spec": {"input_cost_per_token": 0.0, "output_cost_per_token": 0.0, "mode": "one of"},
    "grand": {"input_cost_per_token": 4e-7, "output_cost_per_token": 1.2e-6, "mode": "chat"},
    "vectors": {"input_cost_per_token": 1e-7, "output_cost_per_token": 0.0, "mode": "embedding"},
    "by_second": {"input_cost_per_second": 0.1},
}


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    path = tmp_path / "list.json"
    path.write_text(json.dumps(ROUTER))
    return path


def test_prices_times_tokens_are_what_an_answer_costs(listed: Path) -> None:
    found = {model.name: model.usd(JOB) for model in read_price_list(listed).listed}
    assert found == pytest.approx(USD, rel=1e-12, abs=1e-18)


def test_other_shapes_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "lite.json").write_text(json.dumps(LITELLM))
    (tmp_path / "table.csv").write_text("Model,prompt,completion\n\ngrand,4e-7,0.0000012\nnone,,\n")
    for name in ("lite.json", "table.csv"):
        (model,) = read_price_list(tmp_path / name).listed
        assert (model.name, model.usd(JOB)) == ("grand", pytest.approx(2.4e-4, rel=1e-12))


def test_lists_are_read_as_they_are_published(tmp_path: Path) -> None:
    """A model twice at one price, modalities by an older name or null, no price of a request."""
    path = tmp_path / "list.json"
    grand = json.dumps(LITELLM["grand"])
    path.write_text(f'{{"grand": {grand}, "grand": {grand[:-1]}, "max_tokens": 9}}}}')
    assert [model.name for model in read_price_list(path).listed] == ["grand"]
    per_call = {**LITELLM["grand"], "input_cost_per_request": 0.005}
    path.write_text(json.dumps({"online": per_call}))
    assert read_price_list(path).listed[0].usd(JOB) == pytest.approx(0.00524, rel=1e-12)
    older = [{"modality": "text->image"}, {"modality": "text+image->text"}, None,
             {"output_modalities": None}]  # fmt: skip
    models = [entry(f"m{n}", "0", "1e-7", architecture=one) for n, one in enumerate(older)]
    models[1]["pricing"]["request"] = None
    path.write_text(json.dumps({"data": models}))
    assert [model.name for model in read_price_list(path).listed] == ["m1", "m2", "m3"]
    table = tmp_path / "list.csv"
    table.write_text("model,prompt,completion,request\na,0,1e-7,\nb,0,1e-7,0.005\n")
    assert [float(model.request) for model in read_price_list(table).listed] == [0.0, 0.005]


def test_names_that_differ_in_case_alone_are_told_whole(poq, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("model,prompt,completion\na/One,0,1e-7\nb/one,0,2e-7\n")
    assert poq("new", "market", "--prices", tmp_path / "list.csv").code == 0
    assert [group.name for group in load("market.yaml").population.inference] == ["a/One", "b/one"]


def test_of_a_long_list_some_are_kept_at_equal_steps_of_price(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    rows = [f"m{place:03},{place * 1e-8:.8f},0" for place in reversed(range(301))]
    path.write_text("\n".join(["model,prompt,completion", *rows]))
    found = read_price_list(path)
    kept = found.chosen([], 4, JOB)
    assert [model.name for model in kept] == ["m000", "m100", "m200", "m300"]
    assert [model.name for model in found.chosen(["m007", "m005", "m007"], 1, JOB)] == [
        "m005",
        "m007",
    ]


def test_the_scenario_is_a_market_and_says_what_is_assumed(poq, listed: Path) -> None:
    made = poq(
        "new", "market", "--prices", listed, "--prompt-tokens", "300", "--completion-tokens", "100"
    )
    assert made.code == 0, made.err
    text = Path("market.yaml").read_text()
    assert "Assumed by us" in text
    assert "list.json" in text
    assert all(len(line) <= 120 for line in text.splitlines())
    scenario = load("market.yaml")
    groups = scenario.population.inference
    assert [group.usd_per_answer for group in groups] == pytest.approx(
        sorted(USD.values()), rel=1e-12
    )
    assert [(group.name, group.model) for group in groups] == [
        ("tiny-1b:free", "tinylama_1_1b"),
        ("llama-3.2-3b-instruct", "llama_3_2_3b"),
        ("grand-70b", "gemma_2_2b_it"),
        ("per-call", "llama_3_2_3b"),
    ]
    assert text.count("by its name") == 1
    assert poq("validate", "market.yaml").code == 0
    assert poq("new", "market", "--prices", listed).code == 2
    assert Path("market.yaml").read_text() == text
    rounds = load("market.yaml", ["economy=null", "mechanism.cost_inference=price"])
    cost = build_population(rounds, profile_of(rounds)).cost
    assert cost[:16:4] == pytest.approx([usd / 0.01 for usd in sorted(USD.values())], abs=1e-12)


def test_models_can_be_named(poq, listed: Path) -> None:
    done = poq("new", "two", "--prices", listed, "--listed", "acme/grand-70b")
    assert done.code == 0, done.err
    assert [group.name for group in load("two.yaml").population.inference] == ["grand-70b"]
    done = poq("new", "three", "--prices", listed, "--listed", "acme/grand-7b")
    assert (done.code, "did you mean" in done.err) == (2, True), done.err


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.json", "{", "is no JSON"),
        ("a.json", "[1, 2]", "is no price list"),
        ("a.json", "{}", "has no model with prices"),
        ("a.json", '{"data": []}', "has no model with prices"),
        ("a.json", json.dumps({"data": [entry("a", "-1", "-1")]}), "has no model with prices"),
        ("a.json", json.dumps({"data": [entry("a", "-2e-8", "0")]}), "has a negative price"),
        ("a.json", json.dumps({"data": [entry("a", "cheap", "0")]}), "a price that is no number"),
        ("a.json", json.dumps({"data": [entry("a", True, 0)]}), "a price that is no number"),
        ("a.json", '{"data": [{"id": "a", "pricing": {"prompt": NaN, "completion": 0}}]}', "no n"),
        ("a.json", json.dumps({"data": [entry("a", 0.5, 1.5)]}), "not per million"),
        ("a.json", json.dumps({"data": [entry("a", 0, 0), entry("a", 0, 1e-9)]}), "at two prices"),
        ("a.json", '{"a": {"input_cost_per_token": 1}, "a": {}}', "'a' stands there twice"),
        ("a.json", '{"data": [], "data": [7]}', "'data' stands there twice"),
        ("a.json", json.dumps({"data": [entry("", 0, 0)]}), "needs a name"),
        ("a.json", json.dumps({"data": [entry(7, 0, 0)]}), "needs a name"),
        ("a.csv", "model,price\na,1e-7\n", "a.csv:1: the table has no column prompt"),
        ("a.csv", "model,prompt,completion\na,1e-7\n", "a.csv:2: 2 cells under 3"),
        ("a.csv", "", "no column model"),
    ],
)
def test_a_bad_list_is_a_message(poq, name: str, text: str, said: str) -> None:
    Path(name).write_text(text)
    done = poq("new", "market", "--prices", name)
    assert (done.code, said in done.err) == (2, True), done.err
    assert "Traceback" not in done.err
    assert not Path("market.yaml").exists()


@pytest.mark.parametrize(
    "options",
    [["--limit", "3"], ["--listed", "a"], ["--prompt-tokens", "7"]],
)
def test_what_is_about_a_list_needs_one(poq, options: list[str]) -> None:
    done = poq("new", "market", *options)
    assert (done.code, "--prices" in done.err) == (2, True), done.err


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"population.inference.0.region": "texas"}, "does nothing beside usd_per_answer"),
        ({"economy.adaptation": ["model_switch"]}, "model_switch lets these nodes run something"),
        ({"economy.adaptation": ["upgrade"]}, "is the price of tinylama_1_1b alone, and upgrade"),
    ],
)
def test_a_price_that_would_not_hold_is_refused(
    poq, listed: Path, settings: dict[str, Any], said: str
) -> None:
    assert poq("new", "market", "--prices", listed).code == 0
    with pytest.raises(ScenarioError, match=said):
        Plan.of(load("market.yaml").replace(settings))


def test_a_report_says_that_answers_are_bought(poq, listed: Path) -> None:
    assert poq("new", "market", "--prices", listed, "--limit", "3").code == 0
    assert (
        poq("run", "market.yaml", "--rounds", "60", "--replications", "2", "--out", "x").code == 0
    )
    said = charged_costs(open_results(Path("x")))
    assert "where answers are bought, their price" in said


def test_what_others_buy_for_less_is_the_cheaper_model(poq, listed: Path) -> None:
    assert poq("new", "market", "--prices", listed).code == 0
    scenario = load("market.yaml", ["economy=null", "mechanism.cost_inference=price"])

    def named(node: int, market: Scenario) -> str:
        does = {"name": "downgrade", "model": "gemma_2_2b_it"}
        tried = [Deviation("inference", "x", (node,), does)]
        return name_switches(tried, market, profile_of(market))[0].told

    assert named(0, scenario) == "upgrade(model=gemma_2_2b_it; better, dearer)"  # of the free model
    assert named(12, scenario) == ""  # of the dearest
    groups = scenario.population.inference
    place = [group.model for group in groups].index("gemma_2_2b_it")
    key = f"population.inference.{place}.usd_per_answer"
    alike = scenario.replace({key: groups[0].usd_per_answer})
    assert named(0, alike) == "upgrade(model=gemma_2_2b_it; better, as dear)"
    alone = scenario.replace({"mechanism.cost_inference": "latency", "economy.cost.basis": "money"})
    alone = alone.replace({key: None})
    assert named(0, alone) == "upgrade(model=gemma_2_2b_it; better, bought by nobody)"
