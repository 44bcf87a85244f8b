"""The section ``population``: groups of inference nodes and groups of evaluator nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from poq_abm.rules.aggregation import AGGREGATION, WeighsBy
from poq_abm.scenario.schema.fields import (
    SHARE_TOLERANCE,
    Amount,
    Behaviour,
    Label,
    Shares,
    Strict,
    When,
    above,
    as_axis,
    as_tuple,
    complaint,
    given,
    holds,
)
from poq_abm.scenario.schema.mechanism import MAX_NODES_IN_ALL, SCORED
from poq_abm.scenario.schema.rule_keys import with_rule

if TYPE_CHECKING:
    from typing import Self

__all__ = ["MAX_COUNT", "EvaluatorGroup", "InferenceGroup", "Population"]

MAX_COUNT: Final = 1_000_000


def _written(value: Any) -> str:
    return "[mix]" if isinstance(value, dict) else "[name]"


Hardware = Annotated[
    Annotated[Label, Tag("[name]")] | Annotated[Shares, Tag("[mix]")], Discriminator(_written)
]


_BONDED = above("economy.stake.bond")
_BY_STAKE = with_rule(AGGREGATION, lambda rule: rule.weighs_by == WeighsBy.STAKE)


def _names_a_family(settings: Any) -> bool:
    """Return whether a behaviour of inference nodes is about one family of evaluators."""
    options = settings.economy.options.inference if settings.economy is not None else ()
    named = [*(group.behaviour for group in settings.population.inference), *options]
    return any("family" in spec for spec in named)


_PLEASED = holds(
    _names_a_family,
    "acts only where a behaviour of inference nodes names a family of evaluators, as in "
    "{name: hack, family: ...}",
    "population.inference",
)


_IN_MONEY = given("economy.cost.basis", "money")
_ON_ITS_MACHINE = When(
    lambda _, group: (
        None
        if group.usd_per_answer is None
        else "does nothing beside usd_per_answer: who buys answers pays no electricity"
    ),
    ("population.inference",),
)


class _Group(Strict):
    acts: ClassVar[Mapping[str, When]] = {
        "region": _IN_MONEY,
        "stake": _BONDED,
    }

    model: Label = Field(description="a model of the profile")
    count: int = Field(default=1, ge=0, le=MAX_COUNT, description="how many such nodes; may be 0")
    hardware: Hardware | None = Field(
        default=None,
        description="a name, or a mix: shares of the nodes by name; default: what the profile was "
        "measured on",
    )
    region: Label | None = Field(
        default=None, description="where electricity is bought (economy.cost.basis: money)"
    )
    active: int | None = Field(
        default=None, ge=0, description="nodes that are there at first; default: all (economy)"
    )
    stake: float = Field(
        default=1.0, gt=0, description="weight in stake_median; factor on the bond (economy)"
    )

    @model_validator(mode="after")
    def _enough(self) -> Self:
        if self.active is not None and self.active > self.count:
            raise complaint(f"active {self.active} is more than count {self.count}")
        return self

    @property
    def machines(self) -> tuple[tuple[str | None, int], ...]:
        """Hardware and number of nodes; a mix is split by largest remainders, ties in order."""
        if not isinstance(self.hardware, dict):
            return ((self.hardware, self.count),)
        exact = {name: share * self.count for name, share in self.hardware.items()}
        counts = {name: int(number + SHARE_TOLERANCE) for name, number in exact.items()}
        lacking = self.count - sum(counts.values())
        by_remainder = sorted(exact, key=lambda name: counts[name] - exact[name])
        counts.update({name: counts[name] + 1 for name in by_remainder[:lacking]})
        return tuple((name, number) for name, number in counts.items() if number)


class InferenceGroup(_Group):
    """Inference nodes that are alike.

    >>> InferenceGroup(model="phi3_mini_4k", count=2).weight
    1.0
    """

    acts: ClassVar[Mapping[str, When]] = {
        **_Group.acts,
        "region": _IN_MONEY & _ON_ITS_MACHINE,
        "weight": given("schedule", "weighted"),
        "usd_per_answer": _IN_MONEY | (SCORED & given("mechanism.cost_inference", "price")),
    }

    behaviour: Behaviour = Field(
        default={"name": "honest"}, description="what these nodes do: a name, or a mapping"
    )
    weight: float = Field(
        default=1.0, gt=0, description="relative chance of a job, schedule: weighted"
    )
    usd_per_answer: Amount | None = Field(
        default=None,
        description="USD that an answer is bought for, as from a price list; default: the "
        "profile's price (mechanism.cost_inference: price), or what the machine takes "
        "(economy.cost.basis: money)",
    )
    name: Label | None = Field(default=None, description="label of the group; default: the model")


class EvaluatorGroup(_Group):
    """Evaluator nodes that are alike.

    >>> EvaluatorGroup(model="sts_stsb").count
    1
    """

    acts: ClassVar[Mapping[str, When]] = {
        **_Group.acts,
        "model": as_axis(SCORED),
        "count": as_axis(SCORED),
        "hardware": as_axis(SCORED),
        "stake": _BONDED | _BY_STAKE | given("economy.payment.scheme", "yuma"),
        "behaviour": SCORED,
        "bias_sd": SCORED,
        "noise_sd": SCORED,
        "family": _PLEASED,
    }

    behaviour: Behaviour = Field(
        default={"name": "honest"}, description="what these nodes do: a name, or a mapping"
    )
    bias_sd: float = Field(
        default=0.0, ge=0, description="s.d. of a node's own offset, in points; drawn once"
    )
    noise_sd: float = Field(
        default=0.0, ge=0, description="s.d. of the noise of each of its scores, in points"
    )
    family: Label | None = Field(
        default=None,
        description="what it shares with evaluators that the same answers please; default: the "
        "model",
    )
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
        tuple[InferenceGroup, ...], BeforeValidator(as_tuple), AfterValidator(_somebody)
    ] = Field(description="the groups of inference nodes")
    evaluators: Annotated[
        tuple[EvaluatorGroup, ...], BeforeValidator(as_tuple), AfterValidator(_somebody)
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
    def group_count(self) -> int:
        """The number of groups that have nodes, each machine of a mix a group of its own."""
        entries = (*self.inference, *self.evaluators)
        return sum(1 for entry in entries for _, count in entry.machines if count)

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
