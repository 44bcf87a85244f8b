"""The inference nodes' behaviours: honest, and deviations from it, which are ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from poq_abm.rules.behaviour.base import BEHAVIOURS, Behaviour, Columns, Traits
from poq_abm.rules.rule import Parameter, Source

__all__ = ["InferenceBehaviour"]

_OURS = Source("assumed", "ours")


class InferenceBehaviour(Behaviour):
    """A behaviour of inference nodes."""

    kind = BEHAVIOURS["inference"]
    role = "inference"


class HonestInference(InferenceBehaviour):
    """Runs the model it names and reports its true cost."""

    name = "honest"
    formula = "answers with its own model"
    source = Source("published", "arXiv 2512.16317")

    @classmethod
    def columns(cls, values: Mapping[str, Any]) -> Columns:
        return {}


class Downgrade(InferenceBehaviour):
    """Runs another model and is paid as the named one."""

    name = "downgrade"
    formula = "answers with `model`; cost as named"
    source = _OURS
    parameters = {"model": Parameter("the model really run", kind="text", required=True)}

    @classmethod
    def columns(cls, values: Mapping[str, Any]) -> Columns:
        return {"model": values["model"]}


class JudgeHack(InferenceBehaviour):
    """Raises every evaluator's score without raising truth."""

    name = "judge_hack"
    formula = "s = clip(s + b) before any report; truth unchanged"
    source = _OURS
    traits = Traits(private_information=True)
    parameters = {"b": Parameter("points by which scores rise", 2.0, low=0.0, high=10.0)}

    @classmethod
    def columns(cls, values: Mapping[str, Any]) -> Columns:
        return {"lift": values["b"]}


class Freeload(InferenceBehaviour):
    """Gives one constant answer: evaluators score it alike and its truth is 0."""

    name = "freeload"
    formula = "s = score for every evaluator; truth = 0"
    source = _OURS
    traits = Traits(lazy=True)
    parameters = {"score": Parameter("what evaluators make of it", 2.0, low=0.0, high=10.0)}

    @classmethod
    def columns(cls, values: Mapping[str, Any]) -> Columns:
        return {"fixed": values["score"]}


class MisreportCost(InferenceBehaviour):
    """Reports a fraction of its cost."""

    name = "misreport_cost"
    formula = "C' = factor C in the reward"
    source = _OURS
    traits = Traits(private_information=True)
    parameters = {"factor": Parameter("reported over true cost", 0.5, low=0.0, high=1.0)}

    @classmethod
    def columns(cls, values: Mapping[str, Any]) -> Columns:
        return {"cost_factor": values["factor"]}
