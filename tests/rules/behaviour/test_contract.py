"""Every behaviour that ships passes the contract that plug-in authors inherit."""

from __future__ import annotations

import subprocess
import sys
from typing import ClassVar

import pytest

from poq_abm.rules.behaviour.attacks import Attack
from poq_abm.rules.behaviour.base import Behaviour, Columns, Traits
from poq_abm.rules.behaviour.evaluators import EVALUATOR_BEHAVIOURS, Boost, Noise
from poq_abm.rules.behaviour.inference import INFERENCE_BEHAVIOURS
from poq_abm.rules.behaviour.resolving import behaviours
from poq_abm.testing.behaviour import BehaviourContract


def shipped(role: str, name: str) -> type[Behaviour]:
    return behaviours(role)[name]  # type: ignore[arg-type]


class TestHonestEvaluator(BehaviourContract):
    behaviour = shipped("evaluator", "honest")


class TestNoise(BehaviourContract):
    behaviour = shipped("evaluator", "noise")


class TestBoost(BehaviourContract):
    behaviour = shipped("evaluator", "boost")


class TestSabotage(BehaviourContract):
    behaviour = shipped("evaluator", "sabotage")


class TestIntermittent(BehaviourContract):
    behaviour = shipped("evaluator", "intermittent")


class TestConstant(BehaviourContract):
    behaviour = shipped("evaluator", "constant")


class TestCopycat(BehaviourContract):
    behaviour = shipped("evaluator", "copycat")


class TestSleeper(BehaviourContract):
    behaviour = shipped("evaluator", "sleeper")


class TestTargeted(BehaviourContract):
    behaviour = shipped("evaluator", "targeted")
    needed: ClassVar = {"group": "second"}


class TestCollude(BehaviourContract):
    behaviour = shipped("evaluator", "collude")


class TestFavouringRing(BehaviourContract):
    behaviour = shipped("evaluator", "collude")
    needed: ClassVar = {"favour": "first"}


class TestWhitewash(BehaviourContract):
    behaviour = shipped("evaluator", "whitewash")


class TestHonestInference(BehaviourContract):
    behaviour = shipped("inference", "honest")


class TestDowngrade(BehaviourContract):
    behaviour = shipped("inference", "downgrade")
    needed: ClassVar = {"model": "model_1"}


class TestJudgeHack(BehaviourContract):
    behaviour = shipped("inference", "judge_hack")


class TestFreeload(BehaviourContract):
    behaviour = shipped("inference", "freeload")


class TestMisreportCost(BehaviourContract):
    behaviour = shipped("inference", "misreport_cost")


def test_no_behaviour_that_ships_is_left_out() -> None:
    tested = {
        case.behaviour
        for case in globals().values()
        if isinstance(case, type)
        and issubclass(case, BehaviourContract)
        and case is not BehaviourContract
    }
    assert tested == {*EVALUATOR_BEHAVIOURS, *INFERENCE_BEHAVIOURS}
    assert (len(EVALUATOR_BEHAVIOURS), len(INFERENCE_BEHAVIOURS)) == (11, 5)


# --------------------------------------------------------------- the contract catches who breaks it


def contract(kind: type[Behaviour], monkeypatch: pytest.MonkeyPatch) -> BehaviourContract:
    """The contract of a behaviour that takes the place of the one of its name for a test."""
    from poq_abm.rules.behaviour import resolving

    monkeypatch.setitem(resolving._REGISTRY[kind.role], kind.name, kind)
    return type("Case", (BehaviourContract,), {"behaviour": kind})()


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

    source = " "


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
