"""The evaluators' behaviours: honest, and the declared deviations from it.

Noise, boosting, sabotage and intermittent manipulation are the four attacks named by arXiv
2601.21189; boosting's formula is published (Eq. 18), the others are our reconstruction. The rest
are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from poq_abm.errors import InputError
from poq_abm.rules.behaviour.attacks import Attack
from poq_abm.rules.behaviour.base import BEHAVIOURS, Behaviour, Columns, Traits
from poq_abm.rules.rule import Parameter, Source

__all__ = ["EvaluatorBehaviour"]

_OURS = Source("assumed", "ours")
_RECONSTRUCTED = Source(
    "assumed", "attack named by arXiv 2601.21189; formula is our reconstruction"
)
_FOLLOW_UP = "arXiv 2603.04028"
_POINTS = "points of score"


class EvaluatorBehaviour(Behaviour):
    """A behaviour of evaluator nodes."""

    kind = BEHAVIOURS["evaluator"]
    role = "evaluator"


class HonestEvaluator(EvaluatorBehaviour):
    """Reports what its model measured."""

    name = "honest"
    formula = "s' = s"
    source = Source("published", "arXiv 2512.16317")

    @classmethod
    def columns(cls, values: Mapping[str, Any]) -> Columns:
        return {}


class Noise(EvaluatorBehaviour):
    """Adds normal noise to every score."""

    name = "noise"
    aliases = {"random_noise": _FOLLOW_UP}
    formula = "s' = clip(s + Normal(0, sigma), 0, 10)"
    source = _RECONSTRUCTED
    traits = Traits(stochastic=True)
    parameters = {"sigma": Parameter("s.d. of the noise", 2.0, low=0.0, unit=_POINTS)}

    @classmethod
    def columns(cls, values: Mapping[str, Any]) -> Columns:
        return {"attack": Attack.NOISE, "amount": values["sigma"]}


class Boost(EvaluatorBehaviour):
    """Adds points to every score."""

    name = "boost"
    formula = "s' = min(10, s + b)"
    source = Source("published", "arXiv 2601.21189, Eq. 18")
    parameters = {"b": Parameter("what is added", 3.0, low=0.0, high=10.0, unit=_POINTS)}

    @classmethod
    def columns(cls, values: Mapping[str, Any]) -> Columns:
        return {"attack": Attack.BOOST, "amount": values["b"]}


class Sabotage(EvaluatorBehaviour):
    """Takes points from every score."""

    name = "sabotage"
    formula = "s' = max(0, s - b)"
    source = _RECONSTRUCTED
    parameters = {"b": Parameter("what is taken", 3.0, low=0.0, high=10.0, unit=_POINTS)}

    @classmethod
    def columns(cls, values: Mapping[str, Any]) -> Columns:
        return {"attack": Attack.SABOTAGE, "amount": values["b"]}


class Constant(EvaluatorBehaviour):
    """Reports one score without looking: the lazy evaluator."""

    name = "constant"
    formula = "s' = score"
    source = _OURS
    traits = Traits(lazy=True)
    parameters = {"score": Parameter("the score reported", 5.0, low=0.0, high=10.0, unit=_POINTS)}

    @classmethod
    def columns(cls, values: Mapping[str, Any]) -> Columns:
        return {"attack": Attack.CONSTANT, "amount": values["score"]}


class Copycat(EvaluatorBehaviour):
    """Reports the mean consensus it has seen so far; its own score until it has seen one."""

    name = "copycat"
    formula = (
        "s' = mean consensus of the node's earlier rounds; under Yuma its weights are the "
        "consensus published last"
    )
    source = _OURS
    traits = Traits(stateful=True, lazy=True)

    @classmethod
    def columns(cls, values: Mapping[str, Any]) -> Columns:
        return {"attack": Attack.COPYCAT}


class Collude(EvaluatorBehaviour):
    """A ring that agrees on one shifted score, and on whom to favour."""

    name = "collude"
    formula = (
        "s' = clip(a + b) for the favoured group, clip(a - b) for others; a = mean model score"
    )
    source = _OURS
    traits = Traits(coordinates=True, private_information=True)
    parameters = {
        "b": Parameter(
            "by how much the agreed score is shifted", 3.0, low=0.0, high=10.0, unit=_POINTS
        ),
        "favour": Parameter("inference group favoured; without one, all are", kind="text"),
    }

    @classmethod
    def columns(cls, values: Mapping[str, Any]) -> Columns:
        return {"attack": Attack.COLLUDE, "amount": values["b"], "target": values["favour"]}


class LinearReport(EvaluatorBehaviour):
    """Reports a line of its score, pulled to what it has seen: the family attacks are sought in."""

    name = "linear_report"
    formula = (
        "s' = clip(a + b s + g (mu - s) + h 1[answer of `group`]) with probability p while "
        "trust >= trust, else s; mu = mean consensus of the node's earlier rounds, s at first"
    )
    source = _OURS
    traits = Traits(stochastic=True, stateful=True, private_information=True)
    parameters = {
        "a": Parameter("what is added", low=-20.0, high=20.0, required=True, unit=_POINTS),
        "b": Parameter("weight of its score", low=-3.0, high=3.0, required=True),
        "g": Parameter("pull towards the mean consensus it has seen", 0.0, low=-2.0, high=2.0),
        "h": Parameter("what is added for the group", 0.0, low=-10.0, high=10.0, unit=_POINTS),
        "group": Parameter("inference group that h is for; without one, all are", kind="text"),
        "p": Parameter("chance that it deviates", 1.0, low=0.0, high=1.0, unit="per round"),
        "trust": Parameter("trust from which it deviates", 0.0, low=0.0, unit="weight"),
    }

    @classmethod
    def columns(cls, values: Mapping[str, Any]) -> Columns:
        half = values["h"] / 2.0
        aims = values["group"] is not None
        made = {
            "own": values["b"] - values["g"],
            "seen": values["g"],
            "shift": values["a"] + (half if aims else values["h"]),
        }
        # What a node does without a target or a threshold takes no look at either.
        gates = {"favour": half, "target": values["group"]} if aims else {}
        gates |= {"wake_trust": values["trust"]} if values["trust"] > 0.0 else {}
        gates |= {"probability": values["p"]} if values["p"] < 1.0 else {}
        return {"attack": Attack.LINEAR, **made, **gates}

    @classmethod
    def runs_no_model(cls, spec: Mapping[str, Any]) -> bool:
        return bool(spec.get("b") == spec.get("g", 0.0))


class _Gated(EvaluatorBehaviour):
    """A behaviour that turns another one on and off."""

    @classmethod
    def columns(cls, values: Mapping[str, Any]) -> Columns:
        inner, gate = values["inner"], cls.gate(values)
        taken = sorted(inner.keys() & gate.keys())
        if taken:
            raise InputError(f"{cls.name} cannot hold a behaviour that sets its {taken[0]} too")
        return {**inner, **gate}

    @classmethod
    def gate(cls, values: Mapping[str, Any]) -> Columns:
        """Return the columns that say when the inner behaviour is on."""
        raise NotImplementedError


_INNER = Parameter("what is done when it is on", "boost", kind="behaviour")


class Intermittent(_Gated):
    """Deviates in a share of its rounds, drawn anew each time."""

    name = "intermittent"
    aliases = {"strategic": _FOLLOW_UP}
    formula = "s' = inner(s) with probability p, else s"
    source = _RECONSTRUCTED
    traits = Traits(stochastic=True)
    parameters = {
        "p": Parameter("chance that it is on", 0.3, low=0.0, high=1.0, unit="per round"),
        "inner": _INNER,
    }

    @classmethod
    def gate(cls, values: Mapping[str, Any]) -> Columns:
        return {"probability": values["p"]}


class Sleeper(_Gated):
    """Honest until trusted, then attacks."""

    name = "sleeper"
    formula = "s' = inner(s) once trust >= trust and jobs >= jobs, else s"
    source = _OURS
    traits = Traits(stateful=True)
    parameters = {
        "trust": Parameter("trust from which it attacks", 2.0, low=0.0, unit="weight"),
        "jobs": Parameter("jobs after which it attacks", 0.0, low=0.0, unit="jobs"),
        "inner": _INNER,
    }

    @classmethod
    def gate(cls, values: Mapping[str, Any]) -> Columns:
        return {"wake_trust": values["trust"], "wake_jobs": values["jobs"]}


class Targeted(_Gated):
    """Deviates only when a named group of inference nodes has answered."""

    name = "targeted"
    formula = "s' = inner(s) for answers of the group, else s"
    source = _OURS
    traits = Traits(private_information=True)
    parameters = {
        "group": Parameter("label of the inference group", kind="text", required=True),
        "inner": _INNER,
    }

    @classmethod
    def gate(cls, values: Mapping[str, Any]) -> Columns:
        return {"target": values["group"]}


class Whitewash(_Gated):
    """Attacks, and returns with a fresh identity when its trust has fallen."""

    name = "whitewash"
    formula = "s' = inner(s); the task's trust := w0 when it falls below `below`"
    source = _OURS
    traits = Traits(stateful=True)
    parameters = {
        "below": Parameter(
            "trust below which it returns as somebody new", 0.5, low=0.0, unit="weight"
        ),
        "inner": _INNER,
    }

    @classmethod
    def gate(cls, values: Mapping[str, Any]) -> Columns:
        return {"reset_trust": values["below"]}
