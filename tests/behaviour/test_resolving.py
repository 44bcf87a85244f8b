"""What a scenario can say of a behaviour, and what is answered to what it cannot."""

from __future__ import annotations

import math
from typing import Any

import pytest

from poq_abm.behaviour.base import Behaviour, Columns
from poq_abm.behaviour.evaluators import Boost
from poq_abm.behaviour.resolving import BehaviourError, behaviours, register, resolve, spell
from poq_abm.errors import InputError


def refusal(spec: dict[str, Any], role: Any = "evaluator") -> BehaviourError:
    with pytest.raises(BehaviourError) as caught:
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
        ({"name": "bost"}, "unknown behaviour 'bost'; did you mean 'boost'?"),
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
    class Impostor(Behaviour):
        """Pretends to be a booster."""

        name = "boost"
        role = "evaluator"
        formula = source = "x"

        @classmethod
        def columns(cls, values: Any) -> Columns:
            return {}

    with pytest.raises(InputError, match="'boost' of evaluator nodes already"):
        register(Impostor)
    assert behaviours("evaluator")["boost"] is Boost
    assert register(Boost) is Boost  # a notebook cell run twice
