"""Behaviours of one's own: ten lines, on both engines where they are compiled."""

from __future__ import annotations

from pathlib import Path

import pytest

import poq_abm
from poq_abm.rules import registry

MODULE = """
from poq_abm.rules.behaviour.base import Traits
from poq_abm.rules.rule import Parameter, Source
from poq_abm.rules.behaviour.evaluators import EvaluatorBehaviour
from poq_abm.rules.behaviour.inference import InferenceBehaviour
from poq_abm.rules.registry import register
from poq_abm.compilation import compiled


@register
class Grumpy(EvaluatorBehaviour):
    name, formula, source = "grumpy", "s' = s / 2", Source("assumed", "a test")

    def report(self, measured, node, answer):
        return measured / 2


@compiled
def halved(measured, amount, uniform, normal):
    return measured * amount


@register
class Halved(EvaluatorBehaviour):
    name, formula, source = "halved", "s' = f s", Source("assumed", "a test")
    parameters = {"f": Parameter("factor", 0.5, low=0.0, high=1.0)}
    report = staticmethod(halved)

    @classmethod
    def columns(cls, values):
        return {"amount": values["f"]}


@register
class Broken(EvaluatorBehaviour):
    name, formula, source = "broken", "s' = NaN", Source("assumed", "a test")

    def report(self, measured, node, answer):
        return float("nan")


@compiled
def over_the_top(measured, amount, uniform, normal):
    return measured if uniform > 0.05 else 11.0


@register
class OverTheTop(EvaluatorBehaviour):
    name, formula, source = "over_the_top", "s' = 11 at times", Source("assumed", "a test")
    report = staticmethod(over_the_top)


@register
class Bargain(InferenceBehaviour):
    name, formula = "bargain", "a cheaper model, whose answers please"
    source = Source("assumed", "a test")
    traits = Traits(private_information=True)
    parameters = {
        "model": Parameter("the model that answers", kind="text", required=True),
        "b": Parameter("points by which it pleases", 1.0, low=0.0, high=10.0),
    }

    @classmethod
    def columns(cls, values):
        return {"model": values["model"], "lift": values["b"], "cost_factor": 0.5}
"""

SCENARIO = """
extends: cost_aware_poq
rounds: 60
replications: 2
population:
  inference:
    - {model: llama_3_2_3b, behaviour: {name: bargain, model: MODEL, b: 2.0}}
    - {model: gemma_2_2b_it}
  evaluators: [{model: sts_stsb, count: 2}, {model: ce_minilm}]
"""

RUN = ("run", "cost_aware_poq", "--plugin", "own_behaviours", "--rounds", 60, "--replications", 2)


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a module of behaviours beside the user, and forget them afterwards."""
    (tmp_path / "own_behaviours.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "own_behaviours", raising=False)
    monkeypatch.setattr(registry, "_own", dict(registry._own))


def minilm(poq, tmp_path: Path, behaviour: str, out: str, *options: object):
    chosen = f"population.evaluators.1.behaviour={behaviour}"
    done = poq(*RUN, "--set", chosen, "--out", out, *options)
    assert done.code == 0, done.err
    return done, poq_abm.read_results(tmp_path / out).nodes.query("model == 'ce_minilm'")


@pytest.mark.usefixtures("plugin")
def test_plain_python_is_played_by_the_agents_and_says_so(poq, tmp_path: Path) -> None:
    done, mine = minilm(poq, tmp_path, "grumpy", "grumpy")
    _, honest = minilm(poq, tmp_path, "honest", "honest")
    assert "agent by agent" in done.err
    assert (mine["behaviour"] == "grumpy").all()
    assert (mine["reward_mean"].to_numpy() < honest["reward_mean"].to_numpy()).all()


@pytest.mark.usefixtures("plugin")
def test_a_compiled_one_leaves_the_same_bits_on_both_engines(poq, tmp_path: Path) -> None:
    done, compiled = minilm(poq, tmp_path, "halved", "compiled")
    _, agents = minilm(poq, tmp_path, "halved", "agents", "--engine", "agents")
    _, plain = minilm(poq, tmp_path, "grumpy", "plain")
    assert "agent by agent" not in done.err
    assert compiled["reward_total"].tolist() == agents["reward_total"].tolist()
    assert compiled["reward_total"].tolist() == plain["reward_total"].tolist(), "s x 0.5 is s / 2"
    # Its function is new to Numba in every process, so that this much is sure to be compiled.
    assert "Compiling your behaviour into the round loop; this happens in every run" in done.err


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize(
    ("behaviour", "said", "engine"),
    [
        ("broken", "round 0: evaluator node 6 (broken) reported nan", "compiled"),
        ("over_the_top", "evaluator node 6 (over_the_top) reported 11.0", "compiled"),
        ("over_the_top", "evaluator node 6 (over_the_top) reported 11.0", "agents"),
    ],
)
def test_what_is_no_score_stops_the_run_at_its_round(poq, behaviour, said, engine) -> None:
    chosen = f"population.evaluators.1.behaviour={behaviour}"
    done = poq(*RUN, "--set", chosen, "--engine", engine)
    assert done.code == 2
    assert said in done.err
    assert "Traceback" not in done.err


@pytest.mark.usefixtures("plugin")
def test_a_changed_plug_in_is_another_configuration(poq, tmp_path: Path, monkeypatch) -> None:
    minilm(poq, tmp_path, "halved", "mine")
    (tmp_path / "own_behaviours.py").write_text(MODULE.replace("measured * amount", "measured"))
    monkeypatch.delitem(__import__("sys").modules, "own_behaviours")
    monkeypatch.setattr(registry, "_own", {})
    __import__("importlib").invalidate_caches()
    chosen = "population.evaluators.1.behaviour=halved"
    refused = poq(*RUN, "--set", chosen, "--out", "mine")
    assert refused.code == 2
    assert "another configuration" in refused.err


def test_a_module_that_is_not_there(poq) -> None:
    done = poq("run", "cost_aware_poq", "--plugin", "nowhere_to_be_found")
    assert done.code == 2
    assert "nowhere_to_be_found" in done.err


def test_a_module_that_fails(poq, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "failing_module.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    done = poq("run", "cost_aware_poq", "--plugin", "failing_module")
    assert done.code == 2
    assert "ZeroDivisionError" in done.err


# ------------------------------------------------------- a scenario that names them, verb by verb


@pytest.fixture
def scenario(tmp_path: Path) -> str:
    (tmp_path / "mine.yaml").write_text(SCENARIO.replace("MODEL", "tinylama_1_1b"))
    return "mine.yaml"


OWN = ("--plugin", "own_behaviours")


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize("verb", ["validate", "show", "run"])
def test_every_verb_needs_the_module_and_takes_it(poq, scenario: str, verb: str) -> None:
    refused = poq(verb, scenario)
    assert refused.code == 2
    assert "unknown behaviour of inference nodes 'bargain'" in refused.err
    done = poq(verb, scenario, *OWN)
    assert done.code == 0, done.err


@pytest.mark.usefixtures("plugin")
def test_show_writes_its_parameters_out(poq, scenario: str) -> None:
    shown = poq("show", scenario, *OWN).out
    assert "name: bargain" in shown
    assert "model: tinylama_1_1b" in shown


@pytest.mark.usefixtures("plugin")
def test_validate_looks_into_the_behaviour(poq, scenario: str, tmp_path: Path) -> None:
    (tmp_path / scenario).write_text(SCENARIO.replace("MODEL", "tinylama"))
    done = poq("validate", scenario, *OWN)
    assert done.code == 2
    assert "there is no inference model 'tinylama'; did you mean 'tinylama_1_1b'?" in done.err


@pytest.mark.parametrize("verb", [("validate", "cost_aware_poq"), ("show", "many_nodes")])
def test_every_verb_says_that_a_module_is_not_there(poq, verb: tuple[str, str]) -> None:
    done = poq(*verb, "--plugin", "nowhere_to_be_found")
    assert done.code == 2
    assert "--plugin nowhere_to_be_found cannot be imported" in done.err


@pytest.mark.usefixtures("plugin")
def test_behaviours_lists_ones_own(poq) -> None:
    assert "bargain" not in poq("behaviours").out
    assert "bargain" in poq("behaviours", *OWN).out


@pytest.mark.usefixtures("plugin")
def test_a_declared_inference_behaviour_is_played_by_both_engines(poq, tmp_path, scenario) -> None:
    tables = []
    for engine in ("compiled", "agents"):
        assert poq("run", scenario, *OWN, "--engine", engine, "--out", engine).code == 0
        tables.append(poq_abm.read_results(tmp_path / engine).nodes)
    assert tables[0]["reward_total"].tolist() == tables[1]["reward_total"].tolist()
    honest = ("--set", "population.inference.0.behaviour=honest")
    assert poq("run", scenario, *OWN, *honest, "--out", "honest").code == 0
    plain = poq_abm.read_results(tmp_path / "honest").nodes
    mine, theirs = (table.query("model == 'llama_3_2_3b'") for table in (tables[0], plain))
    assert (mine["behaviour"] == "bargain").all()
    assert (mine["truth_mean"].to_numpy() < theirs["truth_mean"].to_numpy()).all()
    assert (mine["consensus_mean"].to_numpy() > theirs["consensus_mean"].to_numpy()).all()
