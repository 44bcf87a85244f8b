"""Behaviours of one's own: ten lines, on both engines where they are compiled."""

from __future__ import annotations

from pathlib import Path

import pytest

import poq_abm
from poq_abm.behaviour.resolving import _REGISTRY

MODULE = """
from poq_abm.behaviour.base import Parameter
from poq_abm.behaviour.evaluators import EvaluatorBehaviour
from poq_abm.behaviour.resolving import register
from poq_abm.jit import compiled


@register
class Grumpy(EvaluatorBehaviour):
    name, formula, source = "grumpy", "s' = s / 2", "a test"

    def report(self, measured, node, answer):
        return measured / 2


@compiled
def halved(measured, amount, uniform, normal):
    return measured * amount


@register
class Halved(EvaluatorBehaviour):
    name, formula, source = "halved", "s' = f s", "a test"
    parameters = {"f": Parameter("factor", 0.5, low=0.0, high=1.0)}
    report = staticmethod(halved)

    @classmethod
    def columns(cls, values):
        return {"amount": values["f"]}


@register
class Broken(EvaluatorBehaviour):
    name, formula, source = "broken", "s' = NaN", "a test"

    def report(self, measured, node, answer):
        return float("nan")


@compiled
def over_the_top(measured, amount, uniform, normal):
    return measured if uniform > 0.05 else 11.0


@register
class OverTheTop(EvaluatorBehaviour):
    name, formula, source = "over_the_top", "s' = 11 at times", "a test"
    report = staticmethod(over_the_top)
"""

RUN = ("run", "cost_aware_poq", "--plugin", "own_behaviours", "--rounds", 60, "--replications", 2)


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a module of behaviours beside the user, and forget them afterwards."""
    (tmp_path / "own_behaviours.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "own_behaviours", raising=False)
    monkeypatch.setitem(_REGISTRY, "evaluator", dict(_REGISTRY["evaluator"]))


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
    monkeypatch.setitem(_REGISTRY, "evaluator", {"honest": _REGISTRY["evaluator"]["honest"]})
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
