"""Every behaviour that ships passes the contract that plug-in authors inherit."""

from __future__ import annotations

import subprocess
import sys
from typing import ClassVar

import pytest

from poq_abm.rules import registry
from poq_abm.rules.behaviour.attacks import Attack
from poq_abm.rules.behaviour.base import BEHAVIOURS, Behaviour, Columns, Traits
from poq_abm.rules.behaviour.evaluators import Boost, Noise
from poq_abm.rules.registry import shipped
from poq_abm.rules.rule import Source
from poq_abm.testing.behaviour import BehaviourContract

NEEDED: dict[str, dict[str, object]] = {
    "linear_report": {"a": 4.0, "b": 0.4, "g": 0.1, "p": 0.9},
    "targeted": {"group": "second"},
    "downgrade": {"model": "model_1"},
}

for _role, _kind in BEHAVIOURS.items():
    for _name, _rule in shipped(_kind).items():
        _case = {"rule": _rule, "needed": NEEDED.get(_name, {})}
        globals()[f"Test{_rule.__name__}"] = type(_rule.__name__, (BehaviourContract,), _case)


class TestFavouringRing(BehaviourContract):
    rule = shipped(BEHAVIOURS["evaluator"])["collude"]
    needed: ClassVar = {"favour": "first"}


def test_no_behaviour_that_ships_is_left_out() -> None:
    known = {role: shipped(kind) for role, kind in BEHAVIOURS.items()}
    assert {"honest", "noise", "boost", "sabotage", "intermittent"} <= known["evaluator"].keys()
    assert {"honest", "downgrade", "misreport_cost"} <= known["inference"].keys()


# --------------------------------------------------------------- the contract catches who breaks it


def contract(kind: type[Behaviour], monkeypatch: pytest.MonkeyPatch) -> BehaviourContract:
    """The contract of a behaviour that takes the place of the one of its name for a test."""
    monkeypatch.setitem(registry._own, (kind.kind, kind.name), kind)
    return type("Case", (BehaviourContract,), {"rule": kind})()


class SilentNoise(Noise):
    """Draws without saying so."""

    traits = Traits()


class LoudBoost(Boost):
    """Says that it draws, that it acts with others, and does neither."""

    traits = Traits(stochastic=True, coordinates=True)


class SilentCopycat(Boost):
    """Remembers without saying so."""

    @classmethod
    def columns(cls, values: object) -> Columns:
        return {"attack": Attack.COPYCAT}


class SilentRing(Boost):
    """Knows what the other models score without saying so."""

    @classmethod
    def columns(cls, values: object) -> Columns:
        return {"attack": Attack.COLLUDE, "amount": 1.0}


class Nameless(Boost):
    """Does not say where it is from."""

    source = Source("assumed", " ")


@pytest.mark.parametrize(
    ("kind", "test"),
    [
        (SilentNoise, "test_it_draws_only_if_it_says_so"),
        (LoudBoost, "test_it_draws_only_if_it_says_so"),
        (LoudBoost, "test_a_ring_speaks_with_one_voice"),
        (SilentCopycat, "test_it_remembers_only_if_it_says_so"),
        (SilentRing, "test_it_sees_other_scores_only_if_it_says_so"),
        (Nameless, "test_it_says_what_it_is"),
    ],
)
def test_a_false_declaration_is_found(
    kind: type[Behaviour], test: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = contract(kind, monkeypatch)
    with pytest.raises(AssertionError):
        getattr(case, test)()


def test_the_package_does_not_import_its_own_tests() -> None:
    code = "import sys, poq_abm.simulation.model; print('poq_abm.testing' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
