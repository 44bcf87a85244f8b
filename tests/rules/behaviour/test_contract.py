"""Every behaviour that ships passes the contract that plug-in authors inherit."""

from __future__ import annotations

import subprocess
import sys
from typing import ClassVar

import pytest

from poq_abm.rules import registry
from poq_abm.rules.behaviour.attacks import Attack
from poq_abm.rules.behaviour.base import BEHAVIOURS, Behaviour, Columns, Role, Traits
from poq_abm.rules.behaviour.evaluators import Boost, Noise
from poq_abm.rules.registry import shipped as shipped_of
from poq_abm.rules.rule import Source
from poq_abm.testing.behaviour import BehaviourContract


def shipped(role: Role, name: str) -> type[Behaviour]:
    return shipped_of(BEHAVIOURS[role])[name]


class TestHonestEvaluator(BehaviourContract):
    rule = shipped("evaluator", "honest")


class TestNoise(BehaviourContract):
    rule = shipped("evaluator", "noise")


class TestBoost(BehaviourContract):
    rule = shipped("evaluator", "boost")


class TestSabotage(BehaviourContract):
    rule = shipped("evaluator", "sabotage")


class TestIntermittent(BehaviourContract):
    rule = shipped("evaluator", "intermittent")


class TestConstant(BehaviourContract):
    rule = shipped("evaluator", "constant")


class TestCopycat(BehaviourContract):
    rule = shipped("evaluator", "copycat")


class TestSleeper(BehaviourContract):
    rule = shipped("evaluator", "sleeper")


class TestTargeted(BehaviourContract):
    rule = shipped("evaluator", "targeted")
    needed: ClassVar = {"group": "second"}


class TestCollude(BehaviourContract):
    rule = shipped("evaluator", "collude")


class TestFavouringRing(BehaviourContract):
    rule = shipped("evaluator", "collude")
    needed: ClassVar = {"favour": "first"}


class TestWhitewash(BehaviourContract):
    rule = shipped("evaluator", "whitewash")


class TestHonestInference(BehaviourContract):
    rule = shipped("inference", "honest")


class TestDowngrade(BehaviourContract):
    rule = shipped("inference", "downgrade")
    needed: ClassVar = {"model": "model_1"}


class TestJudgeHack(BehaviourContract):
    rule = shipped("inference", "judge_hack")


class TestFreeload(BehaviourContract):
    rule = shipped("inference", "freeload")


class TestMisreportCost(BehaviourContract):
    rule = shipped("inference", "misreport_cost")


def test_no_behaviour_that_ships_is_left_out() -> None:
    tested = {
        case.rule
        for case in globals().values()
        if isinstance(case, type)
        and issubclass(case, BehaviourContract)
        and case is not BehaviourContract
    }
    known = {role: set(shipped_of(kind).values()) for role, kind in BEHAVIOURS.items()}
    assert tested == known["evaluator"] | known["inference"]
    assert (len(known["evaluator"]), len(known["inference"])) == (11, 5)


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
