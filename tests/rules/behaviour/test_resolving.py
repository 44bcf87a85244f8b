"""What a scenario can say of a behaviour, and what is answered to what it cannot."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poq_abm.errors import InputError
from poq_abm.rules import registry
from poq_abm.rules.behaviour.base import (
    BEHAVIOURS,
    COLUMNS,
    Behaviour,
    Columns,
    Role,
    Traits,
    is_lazy,
    resolve,
    spell,
)
from poq_abm.rules.behaviour.evaluators import (
    Boost,
    EvaluatorBehaviour,
    Intermittent,
)
from poq_abm.rules.behaviour.inference import InferenceBehaviour
from poq_abm.rules.registry import RuleError, own_rules, register, rules, shipped
from poq_abm.rules.rule import Parameter, Source
from poq_abm.scenario import load
from poq_abm.simulation.arrays import EvaluatorColumn, InferenceColumn
from poq_abm.simulation.population import evaluator_row
from poq_abm.testing.behaviour import BehaviourContract


def refusal(spec: dict[str, Any], role: Any = "evaluator") -> RuleError:
    with pytest.raises(RuleError) as caught:
        resolve(role, spec)
    return caught.value


def nested(depth: int) -> dict[str, Any]:
    spec: dict[str, Any] = {"name": "boost"}
    for level in range(depth):
        name = ("sleeper", "targeted", "whitewash", "intermittent")[level % 4]
        spec = {"name": name, "inner": spec, **({"group": "g"} if name == "targeted" else {})}
    return spec


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"name": "bost"}, "unknown behaviour of evaluator nodes 'bost'; did you mean 'boost'?"),
        ({"name": "boost", "bb": 1.0}, "boost has no parameter 'bb'; did you mean 'b'?"),
        ({"name": "honest", "b": 1.0}, "honest has no parameter 'b'; it has none"),
        ({"name": "boost", "b": 11.0}, "boost: b must lie in [0, 10], got 11"),
        ({"name": "boost", "b": "3"}, "boost: b must be a number, got '3'"),
        ({"name": "freeload"}, "'freeload' is a behaviour of inference nodes, not of evaluator"),
        ({"name": "targeted"}, "targeted needs 'group': label of the inference group"),
        ({"name": "targeted", "group": 3}, "targeted: group must be text, got 3"),
        ({"name": "sleeper", "inner": 3}, "sleeper: inner must be a behaviour, got 3"),
    ],
)
def test_mistakes(spec: dict[str, Any], message: str) -> None:
    assert refusal(spec).message.startswith(message)


def test_a_mistake_inside_is_found_at_its_place() -> None:
    inner = {"name": "sleeper", "inner": {"name": "boost", "c": 1.0}}
    error = refusal({"name": "intermittent", "inner": inner})
    assert error.path == ("inner", "inner", "c")
    assert error.message == "boost has no parameter 'c'; known: 'b'"


def test_an_inner_behaviour_can_be_a_name_or_a_mapping() -> None:
    named = resolve("evaluator", {"name": "intermittent", "inner": "noise"})
    spelt = resolve("evaluator", {"name": "intermittent", "inner": {"name": "noise"}})
    assert named == spelt


def test_nesting_ends() -> None:
    assert resolve("evaluator", nested(4))["amount"] == 3.0
    error = refusal(nested(5))
    assert "nested more than 4 deep" in error.message


@pytest.mark.parametrize(
    ("spec", "key"),
    [
        ({"name": "boost", "b": None}, "b"),
        ({"name": "intermittent", "inner": None}, "inner"),
    ],
)
def test_null_is_no_value_of_what_has_another_default(spec: dict[str, Any], key: str) -> None:
    assert refusal(spec).path == (key,)


@pytest.mark.parametrize("value", [math.inf, 10**400], ids=["infinite", "no double"])
def test_a_number_is_finite(value: float) -> None:
    assert refusal({"name": "noise", "sigma": value}).path == ("sigma",)


@pytest.mark.parametrize("name", [["boost"], {"name": "boost"}, 3, None])
def test_an_inner_name_is_text(name: Any) -> None:
    error = refusal({"name": "intermittent", "inner": {"name": name}})
    assert error.path[0] == "inner"


@pytest.mark.parametrize(
    "spec",
    [
        {"name": "intermittent", "p": 0.5, "inner": {"name": "intermittent", "p": 0.1}},
        {"name": "targeted", "group": "a", "inner": {"name": "targeted", "group": "b"}},
        {"name": "targeted", "group": "a", "inner": {"name": "collude", "favour": "b"}},
        {"name": "targeted", "group": "a", "inner": {"name": "collude"}},
        {"name": "sleeper", "inner": {"name": "whitewash", "inner": {"name": "sleeper"}}},
    ],
)
def test_one_gate_does_not_silently_replace_another(spec: dict[str, Any]) -> None:
    """A node has one probability, one target and one threshold: the second cannot be played."""
    assert refusal(spec).path == ("inner",)


def test_spelling() -> None:
    spec = {"name": "intermittent", "p": 0.3, "inner": {"name": "boost", "b": 2.0}}
    assert spell(spec) == "intermittent(p=0.3, inner=boost(b=2.0))"


def test_a_name_is_taken_once() -> None:
    class Impostor(EvaluatorBehaviour):
        """Pretends to be a booster."""

        name, formula, source = "boost", "x", Source("assumed", "x")

        @classmethod
        def columns(cls, values: Any) -> Columns:
            return {}

    with pytest.raises(InputError, match="of evaluator nodes 'boost' exists already"):
        register(Impostor)
    assert rules(BEHAVIOURS["evaluator"])["boost"] is Boost
    assert register(Boost) is Boost  # a notebook cell run twice


# -------------------------------------------------------------------------------------- one's own


class Bargain(InferenceBehaviour):
    """Lets a cheaper model answer, pleases the evaluators and reports half of its cost."""

    name, source = "bargain", Source("assumed", "a test")
    formula = "another model answers; s = clip(s + b); C' = C / 2"
    traits = Traits(private_information=True)
    parameters: ClassVar = {
        "model": Parameter("the model that answers", kind="text", required=True),
        "b": Parameter("points by which it pleases", 1.0, low=0.0, high=10.0),
    }

    @classmethod
    def columns(cls, values: Mapping[str, Any]) -> Columns:
        return {"model": values["model"], "lift": values["b"], "cost_factor": 0.5}


@pytest.fixture(scope="class")
def bargain() -> Iterator[None]:
    assert Bargain not in own_rules()
    register(Bargain)
    assert Bargain in own_rules()
    assert Boost not in own_rules()
    yield
    del registry._own[Bargain.kind, "bargain"]


@pytest.mark.usefixtures("bargain")
class TestBargain(BehaviourContract):
    rule = Bargain
    needed: ClassVar = {"model": "model_1"}


def setting(monkeypatch: pytest.MonkeyPatch, role: Role, columns: Any) -> type[Behaviour]:
    """Register a behaviour that sets these columns, for a test; called, if it can be."""
    of = {"columns": classmethod(lambda cls, values: columns() if callable(columns) else columns)}
    base = {"evaluator": EvaluatorBehaviour, "inference": InferenceBehaviour}[role]
    kind: type[Behaviour] = type("Mine", (base,), {"name": "mine", **of})
    monkeypatch.setitem(registry._own, (kind.kind, "mine"), kind)
    return kind


@pytest.mark.parametrize(
    ("role", "columns", "message"),
    [
        ("inference", {"fixd": 2.0}, "'fixd'; did you mean 'fixed'?"),
        ("inference", {"group": 1}, "mine sets no column of inference nodes: 'group'"),
        ("inference", {"fixed": 10.5}, "mine: column fixed must lie in [0, 10], got 10.5"),
        ("inference", {"lift": math.nan}, "mine: column lift must be a number, and finite"),
        ("inference", {"cost_factor": -1.0}, "mine: column cost_factor must be at least 0, got -1"),
        ("inference", {"model": None}, "mine: column model must be text, got None"),
        ("evaluator", {"lift": 1.0}, "mine sets no column of evaluator nodes: 'lift'"),
        ("evaluator", {"attack": 9}, "mine: column attack must lie in [0, 7], got 9"),
        ("evaluator", {"amount": "3"}, "mine: column amount must be a number, got '3'"),
        ("evaluator", lambda: {}["b"], "the columns of mine cannot be had: KeyError: 'b'"),
        ("evaluator", None, "the columns of mine cannot be had: TypeError"),
    ],
)
def test_columns_that_cannot_be_played_are_refused(
    monkeypatch: pytest.MonkeyPatch, role: Role, columns: Any, message: str
) -> None:
    setting(monkeypatch, role, columns)
    assert message in refusal({"name": "mine"}, role).message


def test_every_column_is_one_the_network_has() -> None:
    """Three are read before the columns are built: which model runs, how long, at what cost."""
    apart = {"model", "cost_factor", "effort"}
    assert (
        set(COLUMNS["inference"]) - apart
        == {"lift", "family", "lift_elsewhere", "truth_lift", "fixed"}
        <= {p.name.lower() for p in InferenceColumn}
    )
    assert set(COLUMNS["evaluator"]) < {trait.name.lower() for trait in EvaluatorColumn}


@settings(deadline=None, derandomize=True, max_examples=50)
@given(lift=st.floats(-10.0, 10.0), fixed=st.floats(0.0, 10.0), factor=st.floats(0.0, 1e6))
def test_columns_within_their_ranges_are_kept(lift: float, fixed: float, factor: float) -> None:
    columns = {"lift": lift, "fixed": fixed, "cost_factor": factor}
    with pytest.MonkeyPatch.context() as patch:
        setting(patch, "inference", columns)
        assert resolve("inference", {"name": "mine"}) == columns


def test_an_inference_node_has_nothing_to_report() -> None:
    class Talkative(InferenceBehaviour):
        """Would report."""

        name, formula, source = "talkative", "x", Source("assumed", "x")

        def report(self, measured: float, node: Any, answer: Any) -> float:  # type: ignore[override]
            return measured

    with pytest.raises(InputError, match="its behaviour sets columns: model, lift"):
        register(Talkative)
    assert "talkative" not in rules(BEHAVIOURS["inference"])


class Halved(EvaluatorBehaviour):
    """Reports half."""

    name, formula, source = "halved", "s' = s / 2", Source("assumed", "a test")

    def report(self, measured: float, node: Any, answer: Any) -> float:  # type: ignore[override]
        return measured / 2


def test_a_gate_refuses_what_it_cannot_turn_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report of one's own is called in every round: the gate would silently do nothing."""
    monkeypatch.setitem(registry._own, (Halved.kind, "halved"), Halved)
    error = refusal({"name": "intermittent", "p": 0.1, "inner": "halved"})
    assert (error.path, "'halved', which reports" in error.message) == (("inner",), True)


def test_a_report_of_ones_own_may_call_another(monkeypatch: pytest.MonkeyPatch) -> None:
    class Moody(Halved):
        """Asks its inner behaviour now and then."""

        name = "moody"
        parameters = Intermittent.parameters

    monkeypatch.setitem(registry._own, (Halved.kind, "halved"), Halved)
    monkeypatch.setitem(registry._own, (Moody.kind, "moody"), Moody)
    moody = resolve("evaluator", {"name": "moody", "inner": "halved"})["plugin"]
    assert isinstance(moody.values["inner"]["plugin"], Halved)


# ------------------------------------------------------------------------ what its code hashes to

AT_THE_PROMPT = """
from poq_abm.rules.behaviour.evaluators import EvaluatorBehaviour

class Prompt(EvaluatorBehaviour):
    def report(self, measured, node, answer):
        kind = [score for score in (measured, SIZE) if str(score) not in {"nan", "inf", "none"}]
        return max(kind)
print(Prompt.digest())
"""


def digest_at_the_prompt(size: str, hash_seed: int) -> str:
    done = subprocess.run(
        [sys.executable, "-c", AT_THE_PROMPT.replace("SIZE", size)],
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_code_at_the_prompt_hashes_alike_in_every_process() -> None:
    """Nested code and sets of words print differently from one process to the next."""
    first = digest_at_the_prompt("1.0", hash_seed=1)
    assert digest_at_the_prompt("1.0", hash_seed=2) == first
    assert digest_at_the_prompt("2.0", hash_seed=1) != first


def test_a_changed_neighbour_is_another_behaviour(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A declared behaviour is made of its columns and of what its module computes them with."""
    source = (
        "from poq_abm.rules.behaviour.evaluators import EvaluatorBehaviour\n"
        "SIZE = 1.0\n"
        "class Sized(EvaluatorBehaviour):\n"
        "    @classmethod\n"
        "    def columns(cls, values):\n"
        "        return {'amount': SIZE}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    digests = []
    for name, text in (("one", source), ("same", source), ("other", source.replace("1.0", "2.0"))):
        (tmp_path / f"sized_{name}.py").write_text(text)
        digests.append(__import__(f"sized_{name}").Sized.digest())
    assert digests[0] == digests[1] != digests[2]


def test_every_column_is_documented() -> None:
    """The page tells what ``columns`` can return, role by role."""
    page = (Path(__file__).parents[3] / "docs" / "reference" / "behaviours.md").read_text()
    for role, known in COLUMNS.items():
        rows = [line.split("|")[2] for line in page.splitlines() if line.startswith(f"| {role} |")]
        assert re.findall(r"`(\w+)`", " ".join(rows)) == list(known)


@pytest.mark.parametrize(
    "kind", shipped(BEHAVIOURS["evaluator"]).values(), ids=lambda kind: kind.name
)
def test_lazy_is_who_reports_no_score_of_a_model(kind: type[Behaviour]) -> None:
    """As the formula has it: neither the node's own score nor those that a ring agrees on."""
    needed = [key for key, parameter in kind.parameters.items() if parameter.required]
    spec = {"name": kind.name, **{key: "a" if key == "group" else 0.5 for key in needed}}
    row = evaluator_row(spec, ["a"])
    assert is_lazy("evaluator", spec) == (
        row[EvaluatorColumn.OWN] == 0.0 == row[EvaluatorColumn.AGREED]
    )


@pytest.mark.parametrize("gate", ["intermittent", "sleeper", "whitewash"])
def test_a_gate_is_as_lazy_as_what_it_turns_on(gate: str) -> None:
    assert is_lazy("evaluator", {"name": gate, "inner": {"name": "constant", "score": 1.0}})
    nested = {"name": gate, "inner": {"name": "targeted", "group": "a", "inner": "copycat"}}
    assert is_lazy("evaluator", nested)
    assert not is_lazy("evaluator", {"name": gate})


@pytest.mark.parametrize(
    ("published", "ours"), [("random_noise", "noise"), ("strategic", "intermittent")]
)
def test_a_published_name_is_the_behaviour_of_our_name(published: str, ours: str) -> None:
    assert resolve("evaluator", {"name": published}) == resolve("evaluator", {"name": ours})
    scenario = load("trust_saturation", ["sweep=null", f"malicious.behaviour={published}"])
    assert scenario.malicious is not None
    assert scenario.malicious.behaviour["name"] == ours
