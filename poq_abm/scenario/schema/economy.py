"""The section ``economy`` of a scenario: time, money, demand, stake, and nodes that adapt.

Every default that is no neutral value (0, none, off) is assumed: the published study has one GPU,
uniform scheduling, no stake, and nodes that neither come nor go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from poq_abm.scenario.schema.fields import (
    Amount,
    Behaviour,
    Label,
    Positive,
    Share,
    Strict,
    When,
    above,
    as_tuple,
    complaint,
    given,
    holds,
    name_or_mapping,
    named,
)
from poq_abm.scenario.schema.service import LATER, QueryDemand, Service, ServiceLatency
from poq_abm.scenario.schema.stake import Audits, Stake

__all__ = [
    "MAX_ADAPTATIONS",
    "MAX_EPOCHS",
    "MOST_PAIRS",
    "Adaptation",
    "AdaptationOptions",
    "Controller",
    "Cost",
    "EconomySettings",
    "Payment",
    "Preference",
    "Yuma",
]

MAX_EPOCHS: Final = 100_000
MAX_ADAPTATIONS: Final = 64  #: rules whose draws in an epoch are told apart
MOST_PAIRS: Final = 4_000_000  #: of an evaluator and an inference node, of which Yuma keeps weights

_MONEY: Final = given("economy.cost.basis", "money")
_POOLED: Final = given("economy.payment.scheme", "pool", "yuma")
_YUMA: Final = given("economy.payment.scheme", "yuma")
_CHARGED: Final = above("economy.payment.fee")


def _has_name(value: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(value.get("name"), str):
        raise complaint("an adaptation needs a name, as in {name: entry_exit, rate: 0.1}")
    return value


def _countable(rules: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(rules) > MAX_ADAPTATIONS:
        raise complaint(f"has {len(rules)} rules; at most {MAX_ADAPTATIONS} can be told apart")
    return rules


Adaptation = Annotated[
    dict[str, Any],
    BeforeValidator(named),
    AfterValidator(_has_name),
    WithJsonSchema(name_or_mapping()),
]


class Cost(Strict):
    """What a job costs: the published normalised latency, or money.

    >>> Cost(basis="money").usd_per_token
    0.001
    """

    acts: ClassVar[Mapping[str, When]] = {
        "usd_per_token": _MONEY,
        "usd_per_mwh": _MONEY,
        "ownership": _MONEY,
        "idle_share": _MONEY,
        "usd_per_gigabyte": _MONEY & above("economy.cost.bytes_per_job"),
        "bytes_per_job": _MONEY & above("economy.cost.usd_per_gigabyte"),
    }

    basis: Literal["latency", "money"] = Field(
        default="latency",
        description="what the cost C in a reward normalises; with money, nodes also pay for "
        "energy, hardware and bandwidth",
    )
    usd_per_token: Positive = Field(
        default=0.001, description="USD a token of reward is worth; turns costs into tokens"
    )
    usd_per_mwh: Amount = Field(
        default=50.0, description="electricity, USD/MWh, where a group names no region"
    )
    ownership: Literal["rent", "own"] = Field(
        default="rent", description="hardware is rented by the hour, or bought and written off"
    )
    idle_share: Share = Field(default=0.1, description="idle power over full power")
    usd_per_gigabyte: Amount = Field(default=0.0, description="bandwidth, USD/GB")
    bytes_per_job: Amount = Field(default=4096.0, description="bytes sent and received for a job")


def _has_one_rate(settings: Any) -> bool:
    return settings.economy.payment.yuma.bond_rate_low is None


class Yuma(Strict):
    """How Yuma settles an epoch, by the weights that evaluators give inference nodes.

    >>> Yuma(reveal_delay=3).bond_rate
    0.1
    """

    acts: ClassVar[Mapping[str, When]] = {
        "bond_rate": LATER
        & holds(
            _has_one_rate,
            "does nothing here: the rate lies between bond_rate_low and bond_rate_high",
            "economy.payment.yuma.bond_rate_low",
        ),
        "bond_rate_low": LATER,
        "bond_rate_high": LATER,
        "reveal_delay": LATER,
    }

    kappa: float = Field(
        default=0.5, gt=0, le=1, description="share of stake that has to support a weight"
    )
    bond_rate: float = Field(
        default=0.1, gt=0, le=1, description="weight of an epoch in the moving average of bonds"
    )
    bond_penalty: Share = Field(
        default=1.0, description="share of a weight above the consensus that buys no bonds"
    )
    bond_rate_low: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="with bond_rate_high: the rate where a node's consensus is low, by quartiles",
    )
    bond_rate_high: float | None = Field(
        default=None, gt=0, lt=1, description="and where it is high (liquid alpha)"
    )
    reveal_delay: int = Field(
        default=0,
        ge=0,
        le=1_000,
        description="epochs for which weights stay sealed before they count",
    )

    @model_validator(mode="after")
    def _rates_are_two(self) -> Yuma:
        low, high = self.bond_rate_low, self.bond_rate_high
        if (low is None) != (high is None):
            raise complaint("bond_rate_low and bond_rate_high need one another")
        if low is not None and high is not None and not low < high:
            raise complaint(f"bond_rate_low {low:g} must lie below bond_rate_high {high:g}")
        return self


class Payment(Strict):
    """Where the tokens come from that nodes are paid.

    >>> Payment(scheme="pool", pool=100.0, decay=0.99).fee
    0.0
    """

    acts: ClassVar[Mapping[str, When]] = {
        "pool": _POOLED,
        "decay": _POOLED & above("economy.payment.pool") & LATER,
        "evaluator_share": _POOLED,
        "yuma": _YUMA,
        "latency_penalty": _CHARGED,
        "network_share": _CHARGED,
        "treasury_share": _CHARGED,
    }

    scheme: Literal["per_round", "pool", "yuma"] = Field(
        default="per_round",
        description="rewards are tokens; or points that share an epoch's pool pro rata; or points "
        "only, and Yuma shares the pool by the weights that scores come to",
    )
    pool: Amount = Field(default=0.0, description="tokens minted for the pool in the first epoch")
    decay: float = Field(
        default=1.0, gt=0, le=1, description="minted in an epoch over the epoch before"
    )
    evaluator_share: Share = Field(default=0.3, description="share of the pool for evaluator nodes")
    yuma: Yuma = Field(default=Yuma(), description="how Yuma shares a pool")
    fee: Amount = Field(default=0.0, description="tokens a user pays for a query that is served")
    latency_penalty: Share = Field(
        default=0.0, description="most that is added to the fee for fast service, as a share"
    )
    network_share: Share = Field(default=0.0, description="share of fees kept by the network")
    treasury_share: Share = Field(default=0.0, description="share of fees kept by the treasury")

    @model_validator(mode="after")
    def _skims(self) -> Payment:
        both = self.network_share + self.treasury_share
        if both > 1.0:
            raise complaint(f"network_share + treasury_share is {both:g}, more than all fees")
        return self


class Preference(Strict):
    """Users who want quality against users who want low cost, and how their mix moves.

    >>> Preference(start=0.5, end=0.8).end
    0.8
    """

    acts: ClassVar[Mapping[str, When]] = {"end": LATER}

    start: Share = Field(description="share of users who want quality, first epoch")
    end: Share = Field(description="the same in the last epoch; linear in between")


class Controller(Strict):
    """A coefficient that follows utilisation, as fee markets do.

    >>> Controller(move="fee", target=0.5).step
    0.125
    """

    move: Literal[
        "alpha_inference", "beta_inference", "alpha_evaluator", "beta_evaluator", "fee"
    ] = Field(description="what is moved")
    target: float = Field(default=0.5, gt=0, le=1, description="utilisation aimed at")
    zone: Share = Field(
        default=0.0, description="distance from the target below which nothing moves"
    )
    step: float = Field(
        default=0.125,
        ge=-1,
        le=1,
        description="largest relative change in an epoch; negative: against utilisation",
    )
    minimum: Positive | None = Field(
        default=None,
        description="the value is kept at or above this; default: a thousandth of its first value. "
        "Moves are relative, so that from 0 none would lead back",
    )
    maximum: Positive = Field(default=10.0, description="and at or below this")

    @model_validator(mode="after")
    def _in_order(self) -> Controller:
        if self.minimum is not None and self.maximum < self.minimum:
            raise complaint(f"maximum {self.maximum:g} lies below minimum {self.minimum:g}")
        return self


def _chosen_by(*rules: str) -> When:
    """Return the condition that somebody adapts by one of these rules, or by one of their own."""
    shipped = ("entry_exit", "imitation", "best_response", "epsilon_greedy", "upgrade",
               "model_switch", "sybil")  # fmt: skip

    def adapts(settings: Any) -> bool:
        names = [rule["name"] for rule in settings.economy.adaptation]
        return any(name in rules or name not in shipped for name in names)

    said = f"acts only with a rule that chooses from it (economy.adaptation: {', '.join(rules)})"
    return holds(adapts, said, "economy.adaptation")


class AdaptationOptions(Strict):
    """What nodes that adapt can choose from, besides what is in play.

    >>> AdaptationOptions(hardware=("h100_sxm",)).hardware
    ('h100_sxm',)
    """

    acts: ClassVar[Mapping[str, When]] = {
        "inference": _chosen_by("imitation", "best_response", "epsilon_greedy"),
        "evaluator": _chosen_by("imitation", "best_response", "epsilon_greedy"),
        "hardware": _chosen_by("upgrade"),
        "models": _chosen_by("model_switch"),
    }

    inference: Annotated[tuple[Behaviour, ...], BeforeValidator(as_tuple)] = Field(
        default=(), description="behaviours of inference nodes"
    )
    evaluator: Annotated[tuple[Behaviour, ...], BeforeValidator(as_tuple)] = Field(
        default=(), description="behaviours of evaluator nodes"
    )
    hardware: Annotated[tuple[Label, ...], BeforeValidator(as_tuple)] = Field(
        default=(), description="hardware that inference nodes may change to"
    )
    models: Annotated[tuple[Label, ...], BeforeValidator(as_tuple)] = Field(
        default=(), description="models that inference nodes may change to"
    )


def _has_a_region(settings: Any) -> bool:
    people = settings.population
    return any(
        group.region in settings.economy.regions
        for group in (*people.inference, *people.evaluators)
    )


class EconomySettings(Strict):
    """Epochs, at whose ends nodes are paid, slashed, and decide.

    >>> EconomySettings(epochs=10).epoch_hours
    1.0
    """

    acts: ClassVar[Mapping[str, When]] = {
        "regions": _MONEY
        & holds(
            _has_a_region,
            "acts only with a group in one of these regions (population: region)",
            "population",
        ),
        "controllers": LATER,
    }

    epochs: int = Field(
        default=1, ge=1, le=MAX_EPOCHS, description="epochs that share the rounds equally"
    )
    epoch_hours: Positive = Field(default=1.0, le=87_600, description="length of an epoch in hours")
    cost: Cost = Field(default=Cost(), description="what a job costs")
    regions: dict[Label, Amount] = Field(
        default_factory=dict, description="USD/MWh by region, before those that ship"
    )
    latency: ServiceLatency = Field(default=ServiceLatency(), description="how service times vary")
    demand: QueryDemand = Field(default=QueryDemand(), description="when queries arrive")
    service: Service = Field(default=Service(), description="capacity, queues and routing")
    payment: Payment = Field(default=Payment(), description="where rewards come from")
    controllers: Annotated[tuple[Controller, ...], BeforeValidator(as_tuple)] = Field(
        default=(), description="coefficients that follow utilisation"
    )
    preference: Preference | None = Field(
        default=None,
        description="mix of users: alpha_F scales with the share that wants quality, beta_F with "
        "the rest",
    )
    stake: Stake = Field(default=Stake(), description="bonds and slashing")
    audits: Audits = Field(default=Audits(), description="checks of reported costs")
    options: AdaptationOptions = Field(
        default=AdaptationOptions(), description="what adapting nodes choose from"
    )
    adaptation: Annotated[
        tuple[Adaptation, ...], BeforeValidator(as_tuple), AfterValidator(_countable)
    ] = Field(default=(), description="how nodes decide at the end of an epoch, in this order")
