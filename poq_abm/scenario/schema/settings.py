"""The shape of a scenario: which keys it has, of which type, in which range."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Discriminator, Field, SerializeAsAny, Tag

from poq_abm.limits import MAX_REPLICATIONS, MAX_ROUNDS, MAX_SEED
from poq_abm.rules.schedule.schedules import SCHEDULE
from poq_abm.scenario.schema.economy import EconomySettings
from poq_abm.scenario.schema.fields import (
    Behaviour,
    Share,
    Shares,
    Source,
    Strict,
    When,
    holds,
    named,
    share_of,
    within,
)
from poq_abm.scenario.schema.mechanism import (
    MAX_NODES_IN_ALL,
    SCORED,
    Mechanism,
    Reward,
    Trust,
)
from poq_abm.scenario.schema.population import MAX_COUNT, EvaluatorGroup, InferenceGroup, Population
from poq_abm.scenario.schema.precision import Precision
from poq_abm.scenario.schema.rule_keys import NamedRule, WithRules
from poq_abm.scenario.schema.verification import Verification

__all__ = [
    "MAX_COUNT",
    "MAX_NODES_IN_ALL",
    "MAX_REPLICATIONS",
    "MAX_ROUNDS",
    "MAX_SEED",
    "EvaluatorGroup",
    "InferenceGroup",
    "Malicious",
    "Mechanism",
    "Population",
    "Reward",
    "Settings",
    "Trust",
    "gathered",
]


def gathered(value: Any) -> Any:
    """Return what is malicious with the parameters inside the behaviour, if it was not so before.

    >>> gathered({"share": 0.5, "behaviour": "boost", "b": 3.0})
    {'share': 0.5, 'behaviour': {'name': 'boost', 'b': 3.0}}
    """
    if not isinstance(value, dict):
        return value
    behaviour = named(value.get("behaviour"))
    parameters = {key: item for key, item in value.items() if key not in ("share", "behaviour")}
    if not isinstance(behaviour, dict) and (behaviour is not None or not parameters):
        return value
    own = {key: item for key, item in value.items() if key == "share"}
    return {**own, "behaviour": {**(behaviour or {}), **parameters}}


def _somebody_deviates(settings: Any, section: Any) -> str | None:
    """Return why a share of the evaluators is nobody, though it is more than 0."""
    evaluators = settings.population.evaluator_nodes
    if section.share == 0.0 or share_of(section.share, evaluators):
        return None
    return (
        f"{section.share:g} of {evaluators} evaluators is 0 nodes; the smallest share that acts is "
        f"{1 / evaluators:.4g}"
    )


class Malicious(Strict):
    """Evaluators that deviate, in whatever group they are.

    >>> Malicious(share=0.3, behaviour={"name": "boost", "b": 3.0}).share
    0.3
    """

    acts: ClassVar[Mapping[str, When]] = {
        "share": within(_somebody_deviates, "population.evaluators"),
    }

    share: Share = Field(description="floor(share x M) evaluators, the same in every treatment")
    behaviour: Behaviour = Field(description="what they do")


_OPEN = Field(json_schema_extra={"additionalProperties": True})  # parameters of the behaviour


def _form(value: Any) -> str:
    return "[precision]" if isinstance(value, dict | Precision) else "[number]"


Replications = Annotated[
    Annotated[int, Field(ge=1, le=MAX_REPLICATIONS), Tag("[number]")]
    | Annotated[Precision, Tag("[precision]")],
    Discriminator(_form),
]


class Settings(WithRules):
    """Every key of a scenario file, apart from ``extends``."""

    acts: ClassVar[Mapping[str, When]] = {
        "schedule": holds(
            lambda settings: settings.population.inference_nodes > 1,
            "does nothing here: there is one inference node",
            "population.inference",
        ),
        "malicious": SCORED,
    }

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
    resample_profile: bool = Field(
        default=False,
        description="whether replications are played on resampled records too, so that intervals "
        "contain the error of the calibration",
    )
    seed: int = Field(default=1, ge=0, le=MAX_SEED, description="the key of every random draw")
    tasks: Shares | None = Field(
        default=None, description="share of the rounds per task; default: all tasks, equal shares"
    )
    schedule: Annotated[Any, NamedRule(SCHEDULE)] = Field(
        default="uniform",
        description="which inference node gets the next job; cheapest, trust_softmax, "
        "stake_weighted, power_of_two and second_score with an economy only",
    )
    mechanism: Mechanism = Field(default=Mechanism(), description="the payment rule")
    population: Population = Field(description="who plays")
    synthetic: dict[str, Any] | None = Field(
        default=None, description="what the profile `synthetic` is made of"
    )
    malicious: Annotated[Malicious, BeforeValidator(gathered), _OPEN] | None = Field(
        default=None, description="a share of evaluators that deviate"
    )
    economy: EconomySettings | None = Field(
        default=None, description="epochs, money, demand, stake and nodes that adapt"
    )
    verification: SerializeAsAny[Verification] | None = Field(
        default=None, description="how answers are verified; queries are played, not rounds"
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
