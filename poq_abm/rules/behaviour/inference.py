"""The inference nodes' behaviours: honest, and deviations from it, which are ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from poq_abm.rules.behaviour.attacks import HIGHEST, LOWEST
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
    parameters = {
        "b": Parameter("by how much scores rise", 2.0, low=0.0, high=10.0, unit="points of score")
    }

    @classmethod
    def columns(cls, values: Mapping[str, Any]) -> Columns:
        return {"lift": values["b"]}


class Hack(InferenceBehaviour):
    """Optimises answers against a family of evaluators: scores rise with pressure, truth falls.

    The law of best-of-n over-optimisation with d the square root of the divergence from the honest
    answers, in nats: what is optimised rises by gain d, the truth by gain d - loss d^2, whose peak
    is gain^2 / (4 loss), at d = gain / (2 loss). The evaluators of the family take the rise for
    quality; all others see what became of the truth, which is assumed.
    """

    name = "hack"
    formula = (
        "s = clip(s + gain d) for the family, clip(s + d (gain - loss d)) for other evaluators; "
        "truth = clip(truth + d (gain - loss d)); time = (1 + rise d) that of its model"
    )
    source = Source(
        "published", "law of arXiv 2210.10760 (best of n); its coefficients and `rise` are assumed"
    )
    traits = Traits(private_information=True)
    parameters = {
        "pressure": Parameter(
            "how hard answers are optimised", 3.0, low=0.0, high=10.0, symbol="d", unit="nats^0.5"
        ),
        "family": Parameter(
            "family of the evaluators that are optimised against; without one, all are",
            kind="text",
        ),
        "gain": Parameter(
            "rise of score and truth at first", 1.0, low=0.0, high=10.0, unit="points per d"
        ),
        "loss": Parameter("loss of truth", 0.5, low=0.0, high=10.0, unit="points per d^2"),
        "rise": Parameter(
            "by what share an answer takes longer", 0.1, low=0.0, high=10.0, unit="per d"
        ),
    }

    @classmethod
    def columns(cls, values: Mapping[str, Any]) -> Columns:
        d, gain = values["pressure"], values["gain"]
        truth = min(max(d * (gain - values["loss"] * d), LOWEST - HIGHEST), HIGHEST)
        columns: Columns = {
            "lift": min(gain * d, HIGHEST),
            "truth_lift": truth,
            "effort": 1.0 + values["rise"] * d,
        }
        if values["family"] is None:
            return columns
        return {**columns, "family": values["family"], "lift_elsewhere": truth}


class Freeload(InferenceBehaviour):
    """Gives one constant answer: evaluators score it alike and its truth is 0."""

    name = "freeload"
    formula = "s = score for every evaluator; truth = 0"
    source = _OURS
    traits = Traits(lazy=True)
    parameters = {
        "score": Parameter(
            "what evaluators make of it", 2.0, low=0.0, high=10.0, unit="points of score"
        )
    }

    @classmethod
    def columns(cls, values: Mapping[str, Any]) -> Columns:
        return {"fixed": values["score"]}


class MisreportCost(InferenceBehaviour):
    """Reports a fraction of its cost."""

    name = "misreport_cost"
    formula = "C' = factor C in the reward"
    source = _OURS
    traits = Traits(private_information=True)
    parameters = {
        "factor": Parameter("reported over true cost", 0.5, low=0.0, high=1.0, unit="ratio")
    }

    @classmethod
    def columns(cls, values: Mapping[str, Any]) -> Columns:
        return {"cost_factor": values["factor"]}
