"""The shape of a scenario: which keys it has, of which type, in which range.

Symbols follow the linear reward of arXiv:2512.16317, which pays quality and charges for cost.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from poq_abm.errors import nearest
from poq_abm.limits import MAX_REPLICATIONS, MAX_ROUNDS, MAX_SEED
from poq_abm.scenario.precision import Precision
from poq_abm.scenario.problems import shown
from poq_abm.scenario.strict import Strict, complaint

__all__ = [
    "AGGREGATIONS",
    "MAX_COUNT",
    "MAX_NODES_IN_ALL",
    "MAX_REPLICATIONS",
    "MAX_ROBUST_COMMITTEE",
    "MAX_ROUNDS",
    "MAX_SEED",
    "EvaluatorGroup",
    "InferenceGroup",
    "Malicious",
    "Mechanism",
    "Population",
    "Settings",
    "Trust",
]

MAX_COUNT: Final = 1_000_000
MAX_NODES_IN_ALL: Final = 2_000_000
SHARE_TOLERANCE: Final = 1e-6

AGGREGATIONS: tuple[str, ...] = (
    "mean",
    "median",
    "trimmed_mean",
    "winsorized_mean",
    "huber",
    "mad_filter",
    "trust_weighted",
    "trust_weighted_median",
    "stake_median",
)
MAX_ROBUST_COMMITTEE: Final = 64  # rules other than the mean sort the committee by insertion


def _known(value: str, kind: str, names: Iterable[str]) -> str:
    names = tuple(names)
    if value not in names:
        message = f"unknown {kind} {shown(value)}; {nearest(value[:80], names)}"
        raise complaint(message)
    return value


def _printable(value: str) -> str:
    if not value.isprintable() or value != value.strip():
        raise complaint(f"must be printable, without blanks around it, got {shown(value)}")
    return value


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _sum_to_one(shares: dict[str, float]) -> dict[str, float]:
    total = math.fsum(shares.values())
    if abs(total - 1.0) > SHARE_TOLERANCE:
        raise complaint(f"the shares sum to {total:.9g}, not to 1")
    return shares


def _named(value: Any) -> Any:
    """Return a behaviour as a mapping with its name; a bare name has no parameters."""
    return {"name": value} if isinstance(value, str) else value


def _has_name(value: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(value.get("name"), str):
        raise complaint("a behaviour needs a name, as in {name: boost, b: 3.0}")
    return value


Label = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_printable)]
Source = Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(_printable)]
Share = Annotated[float, Field(ge=0, le=1)]
Coefficient = Annotated[float, Field(ge=0)]
Behaviour = Annotated[dict[str, Any], BeforeValidator(_named), AfterValidator(_has_name)]


class Trust(Strict):
    """How evaluators earn and lose weight; formulas in ``poq_abm.mechanism.trust``.

    >>> Trust().maximum
    5.0
    """

    update: Literal["none", "multiplicative", "relative", "hedge", "ema", "gold"] = Field(
        default="none", description="how a round changes the weights of its committee"
    )
    rate: float = Field(default=0.1, gt=0, le=1, description="lambda of the update")
    start: float = Field(default=1.0, gt=0, description="w0, the weight of a newcomer")
    minimum: float = Field(default=0.1, gt=0, description="w_min")
    maximum: float = Field(default=5.0, gt=0, description="w_max")
    reference: Literal["inclusive", "leave_one_out", "median"] = Field(
        default="inclusive", description="what a member's deviation is measured from"
    )
    per_task: bool = Field(default=False, description="whether each task has weights of its own")
    gold_share: Share = Field(
        default=0.1, description="share of records whose truth the operator knows (update: gold)"
    )
    interval: int = Field(
        default=0, ge=0, description="rounds between two entries of trust.parquet; 0 keeps none"
    )

    @model_validator(mode="after")
    def _in_order(self) -> Trust:
        if not self.minimum <= self.start <= self.maximum:
            raise complaint(
                f"minimum <= start <= maximum is needed, got {self.minimum:g}, {self.start:g}, "
                f"{self.maximum:g}"
            )
        return self


class Mechanism(Strict):
    """The payment rule: how a committee is formed, what it agrees on, and who is paid what.

    >>> Mechanism().beta_inference
    0.3
    """

    committee_size: int = Field(
        default=3, ge=1, le=MAX_NODES_IN_ALL, description="K, the evaluators sampled for a round"
    )
    aggregation: Annotated[str, AfterValidator(lambda v: _known(v, "rule", AGGREGATIONS))] = Field(
        default="mean", description="how the committee's scores become the consensus"
    )
    tau: float = Field(
        default=0.2,
        ge=0,
        lt=0.5,
        description="share cut or pulled in at each end (trimmed_mean, winsorized_mean)",
    )
    huber_bend: float = Field(
        default=1.345, gt=0, description="normalised MADs beyond which a score loses weight (huber)"
    )
    mad_cutoff: float = Field(
        default=3.0, gt=0, description="normalised MADs beyond which a score is left out"
    )
    kappa: float = Field(
        default=0.5, gt=0, le=1, description="share of stake that supports the consensus"
    )
    trust: Trust = Field(default=Trust(), description="how evaluators earn and lose weight")
    reference: Literal["inclusive", "leave_one_out"] = Field(
        default="inclusive",
        description="whether the consensus an evaluator is compared with contains its own score",
    )
    alpha_inference: Coefficient = Field(
        default=1.0,
        description="alpha_F in R_F = alpha_F Q - beta_F C, with Q = consensus / 10; >= 0",
    )
    beta_inference: Coefficient = Field(
        default=0.3,
        description="beta_F in R_F = alpha_F Q - beta_F C, with C the cost in [0, 1]; >= 0",
    )
    alpha_evaluator: Coefficient = Field(
        default=1.0,
        description="alpha_M in R_M = alpha_M closeness - beta_M C, "
        "with closeness = 1 - |score - consensus| / 10; >= 0",
    )
    beta_evaluator: Coefficient = Field(
        default=0.3, description="beta_M in R_M = alpha_M closeness - beta_M C, C in [0, 1]; >= 0"
    )


class _Group(Strict):
    model: Label = Field(description="a model of the profile")
    count: int = Field(default=1, ge=0, le=MAX_COUNT, description="how many such nodes; may be 0")
    hardware: Label | None = Field(
        default=None, description="default: what the profile was measured on"
    )


class InferenceGroup(_Group):
    """Inference nodes that are alike.

    >>> InferenceGroup(model="phi3_mini_4k", count=2).weight
    1.0
    """

    behaviour: Behaviour = Field(
        default={"name": "honest"}, description="what these nodes do: a name, or a mapping"
    )
    weight: float = Field(
        default=1.0, gt=0, description="relative chance of a job, schedule: weighted"
    )
    name: Label | None = Field(default=None, description="label of the group; default: the model")


class EvaluatorGroup(_Group):
    """Evaluator nodes that are alike.

    >>> EvaluatorGroup(model="sts_stsb").count
    1
    """

    behaviour: Behaviour = Field(
        default={"name": "honest"}, description="what these nodes do: a name, or a mapping"
    )
    bias_sd: float = Field(
        default=0.0, ge=0, description="s.d. of a node's own offset, in points; drawn once"
    )
    noise_sd: float = Field(
        default=0.0, ge=0, description="s.d. of the noise of each of its scores, in points"
    )
    stake: float = Field(default=1.0, gt=0, description="weight in the rule stake_median")
    name: Label | None = Field(default=None, description="label of the group; default: the model")


def _somebody(groups: tuple[_Group, ...]) -> tuple[_Group, ...]:
    if not any(group.count for group in groups):
        raise complaint("the population is empty: at least one node is needed here")
    return groups


class Population(Strict):
    """Who plays: groups of inference nodes and groups of evaluator nodes.

    >>> population = Population(
    ...     inference=[InferenceGroup(model="a"), InferenceGroup(model="a", count=3)],
    ...     evaluators=[EvaluatorGroup(model="b", name="fast")])
    >>> population.inference_nodes, population.inference_labels, population.evaluator_labels
    (4, ('a', 'a_2'), ('fast',))
    """

    inference: Annotated[
        tuple[InferenceGroup, ...], BeforeValidator(_as_tuple), AfterValidator(_somebody)
    ] = Field(description="the groups of inference nodes")
    evaluators: Annotated[
        tuple[EvaluatorGroup, ...], BeforeValidator(_as_tuple), AfterValidator(_somebody)
    ] = Field(description="the groups of evaluator nodes")

    @model_validator(mode="after")
    def _not_too_many(self) -> Population:
        total = self.inference_nodes + self.evaluator_nodes
        if total > MAX_NODES_IN_ALL:
            raise complaint(f"{total:,} nodes in all; at most {MAX_NODES_IN_ALL:,} are possible")
        return self

    @property
    def inference_nodes(self) -> int:
        """The number of inference nodes."""
        return sum(group.count for group in self.inference)

    @property
    def evaluator_nodes(self) -> int:
        """The number of evaluator nodes."""
        return sum(group.count for group in self.evaluators)

    @property
    def inference_labels(self) -> tuple[str, ...]:
        """One label per group of inference nodes, all different."""
        return _labels(self.inference)

    @property
    def evaluator_labels(self) -> tuple[str, ...]:
        """One label per group of evaluator nodes, all different."""
        return _labels(self.evaluators)


def _labels(groups: Iterable[InferenceGroup | EvaluatorGroup]) -> tuple[str, ...]:
    """Return the wanted labels, with _2, _3, ... after the second and later use of the same one."""
    wanted = [group.name or group.model for group in groups]
    taken = set(wanted)
    last: dict[str, int] = {}
    labels = []
    for label in wanted:
        number = last.get(label, 0) + 1
        while number > 1 and f"{label}_{number}" in taken:
            number += 1
        labels.append(label if number == 1 else f"{label}_{number}")
        taken.add(labels[-1])
        last[label] = number
    return tuple(labels)


def _gathered(value: Any) -> Any:
    """Return ``{share, behaviour: boost, b: 3}`` with the parameters inside the behaviour."""
    behaviour = _named(value.get("behaviour")) if isinstance(value, dict) else None
    if not isinstance(behaviour, dict):
        return value
    parameters = {key: item for key, item in value.items() if key not in ("share", "behaviour")}
    own = {key: item for key, item in value.items() if key == "share"}
    return {**own, "behaviour": {**behaviour, **parameters}}


class Malicious(Strict):
    """Evaluators that deviate, in whatever group they are.

    >>> Malicious(share=0.3, behaviour={"name": "boost", "b": 3.0}).share
    0.3
    """

    share: Share = Field(description="floor(share x M) evaluators, the same in every treatment")
    behaviour: Behaviour = Field(description="what they do")


def _form(value: Any) -> str:
    return "[precision]" if isinstance(value, dict | Precision) else "[number]"


Replications = Annotated[
    Annotated[int, Field(ge=1, le=MAX_REPLICATIONS), Tag("[number]")]
    | Annotated[Precision, Tag("[precision]")],
    Discriminator(_form),
]


class Settings(Strict):
    """Every key of a scenario file, apart from ``extends``."""

    name: str = Field(
        default="scenario",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,79}$",
        description="default: the name of the file, without its ending",
    )
    profile: Source = Field(default="published", description="a profile that ships, or a folder")
    rounds: int = Field(
        default=5000, ge=1, le=MAX_ROUNDS - 1, description="rounds of one replication"
    )
    replications: Replications = Field(
        default=20, description="independent repetitions, or the precision that they have to reach"
    )
    seed: int = Field(default=1, ge=0, le=MAX_SEED, description="the key of every random draw")
    tasks: Annotated[dict[Label, Share], AfterValidator(_sum_to_one)] | None = Field(
        default=None, description="share of the rounds per task; default: all tasks, equal shares"
    )
    schedule: Literal["uniform", "round_robin", "weighted"] = Field(
        default="uniform", description="which inference node gets the next job"
    )
    mechanism: Mechanism = Field(default=Mechanism(), description="the payment rule")
    population: Population = Field(description="who plays")
    synthetic: dict[str, Any] | None = Field(
        default=None, description="what the profile `synthetic` is made of"
    )
    malicious: Annotated[Malicious, BeforeValidator(_gathered)] | None = Field(
        default=None, description="a share of evaluators that deviate"
    )
    sweep: dict[str, Any] = Field(
        default_factory=dict, description="axes: dotted path to the values to try"
    )

    @property
    def precision(self) -> Precision | None:
        """The precision that the replications have to reach; nothing where their number is set."""
        return None if isinstance(self.replications, int) else self.replications

    @property
    def most_replications(self) -> int:
        """The number of replications of a treatment or, with a precision to reach, the most."""
        written = self.replications
        return written if isinstance(written, int) else written.at_most
