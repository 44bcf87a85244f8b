"""The section ``economy`` of a scenario: time, money, demand, stake, and nodes that adapt.

Every default that is no neutral value (0, none, off) is assumed: the published study has one GPU,
uniform scheduling, no stake, and nodes that neither come nor go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from poq_abm.rules.schedule.schedules import SEATING
from poq_abm.scenario.schema.acting import When, above, given, holds, present, within
from poq_abm.scenario.schema.fields import (
    LARGEST,
    Behaviour,
    Label,
    Share,
    Shares,
    as_tuple,
    countable,
    named,
)
from poq_abm.scenario.schema.rule_keys import NamedRule
from poq_abm.scenario.schema.strict import Strict, complaint

__all__ = [
    "MAX_EPOCHS",
    "MOST_BURSTS",
    "MOST_DEMAND",
    "Adaptation",
    "Audits",
    "Controller",
    "Cost",
    "Demand",
    "Economy",
    "Latency",
    "Options",
    "Payment",
    "Preference",
    "Service",
    "Slashing",
    "Stake",
    "Surge",
]

MAX_EPOCHS: Final = 100_000
MOST_BURSTS: Final = 1_000_000  #: in an epoch; each is drawn
MOST_DEMAND: Final = 1000.0  #: over its normal level, however low the fee: users are finitely many

_MONEY: Final = given("economy.cost.basis", "money")
_LOGNORMAL: Final = given("economy.latency.distribution", "lognormal")
_DIURNAL: Final = given("economy.demand.arrivals", "diurnal")
_BURSTY: Final = given("economy.demand.arrivals", "bursty")
_POOLED: Final = given("economy.payment.scheme", "pool")
_CHARGED: Final = above("economy.payment.fee")
_BONDED: Final = above("economy.stake.bond")
_LATER: Final = above("economy.epochs", 1)
_DOWN: Final = above("economy.latency.outage_probability")

Amount = Annotated[float, Field(ge=0), AfterValidator(countable)]


def _divides(value: float) -> float:
    if value < 1.0 / LARGEST:
        raise complaint(f"must be at least {1.0 / LARGEST:g}, for others are divided by it")
    return value


Positive = Annotated[float, Field(gt=0), AfterValidator(countable), AfterValidator(_divides)]


def _has_name(value: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(value.get("name"), str):
        raise complaint("an adaptation needs a name, as in {name: entry_exit, rate: 0.1}")
    return value


Adaptation = Annotated[dict[str, Any], BeforeValidator(named), AfterValidator(_has_name)]


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


class Latency(Strict):
    """How the time of a job varies about its mean.

    >>> Latency(distribution="lognormal", sigma=0.2).charged
    'mean'
    """

    acts: ClassVar[Mapping[str, When]] = {
        "sigma": _LOGNORMAL,
        "tail_share": _LOGNORMAL,
        "tail_index": _LOGNORMAL & above("economy.latency.tail_share"),
        "outage_share": _DOWN,
        "charged": given("economy.latency.distribution", "lognormal", "exponential"),
    }

    distribution: Literal["fixed", "lognormal", "exponential"] = Field(
        default="fixed", description="of the service time of a job, about its mean"
    )
    sigma: Amount = Field(default=0.15, le=3, description="s.d. of the log (lognormal)")
    tail_share: Share = Field(
        default=0.0, le=0.5, description="share of jobs in the heavy tail, at most 1/2"
    )
    tail_index: float = Field(
        default=2.5, gt=1, le=100, description="Pareto index of the heavy tail; its mean is finite"
    )
    outage_probability: Share = Field(
        default=0.0, description="chance that a node is down once in an epoch"
    )
    outage_share: Share = Field(default=0.1, description="share of an epoch that it is down then")
    charged: Literal["mean", "realised"] = Field(
        default="mean", description="whether a reward charges the mean cost or that of the job"
    )


def _comes(settings: Any, section: Any) -> str | None:
    """Return why a surge is never seen: it lies after the end."""
    epochs, surge = settings.economy.epochs, section.surge
    if surge is None or surge.first < epochs:
        return None
    return (
        f"never comes: it starts in epoch {surge.first}, and the last of {epochs} is {epochs - 1}"
    )


class Surge(Strict):
    """A stretch of epochs with more, or less, demand.

    >>> Surge(first=10, last=20, factor=3.0).factor
    3.0
    """

    first: int = Field(ge=0, description="first epoch of the surge, from 0")
    last: int = Field(ge=0, description="last epoch of the surge")
    factor: Amount = Field(description="demand over what it would be")

    @model_validator(mode="after")
    def _in_order(self) -> Surge:
        if self.last < self.first:
            raise complaint(f"last {self.last} lies before first {self.first}")
        return self


class Demand(Strict):
    """When queries arrive, and what they are worth to those who ask.

    >>> Demand(arrivals="poisson").elasticity
    0.0
    """

    acts: ClassVar[Mapping[str, When]] = {
        "amplitude": _DIURNAL,
        "peak_hour": _DIURNAL & above("economy.demand.amplitude"),
        "burst_factor": _BURSTY,
        "burst_share": _BURSTY,
        "burst_minutes": _BURSTY,
        "elasticity": holds(
            lambda settings: any(rule.move == "fee" for rule in settings.economy.controllers),
            "acts only with a fee that moves (economy.controllers: [{move: fee}])",
            "economy.controllers",
        ),
        "surge": within(_comes, "economy.epochs"),
        "tasks_end": _LATER,
    }

    arrivals: Literal["fixed", "poisson", "diurnal", "bursty"] = Field(
        default="fixed", description="evenly spaced, or at random, at a rate that may vary"
    )
    amplitude: Share = Field(default=0.5, description="swing of the rate over a day (diurnal)")
    peak_hour: float = Field(default=14.0, ge=0, lt=24, description="hour of the peak (diurnal)")
    burst_factor: float = Field(
        default=4.0, ge=1, description="rate in a burst over the rate outside it (bursty)"
    )
    burst_share: float = Field(
        default=0.1, gt=0, lt=1, description="share of the time in a burst (bursty)"
    )
    burst_minutes: Positive = Field(default=10.0, description="mean length of a burst (bursty)")
    elasticity: Amount = Field(
        default=0.0,
        le=10,
        description="demand falls as (fee / first fee) ** -elasticity, and rises to 1,000 times "
        "its normal level at most",
    )
    value: Amount = Field(
        default=0.0, description="tokens that a perfect answer is worth to its user (welfare)"
    )
    surge: Surge | None = Field(default=None, description="a stretch of other demand")
    tasks_end: Shares | None = Field(
        default=None, description="share per task in the last epoch; linear in between"
    )

    @property
    def is_constant(self) -> bool:
        """Whether every epoch has the same number of queries."""
        return self.arrivals == "fixed" and self.surge is None and self.elasticity == 0.0


class Service(Strict):
    """How many jobs an inference node takes at a time, and how long a query waits.

    >>> Service().capacity
    1
    """

    acts: ClassVar[Mapping[str, When]] = {
        "temperature": given("schedule", "trust_softmax"),
    }

    capacity: int = Field(
        default=1, ge=1, le=1024, description="jobs an inference node works on at a time"
    )
    patience_s: Positive | None = Field(
        default=None, description="a query that would wait longer is dropped; default: it waits"
    )
    temperature: Positive = Field(
        default=0.1, description="of schedule trust_softmax: weight exp(reputation / temperature)"
    )
    memory: Share = Field(
        default=0.2, description="weight of the last epoch in a node's reputation"
    )


class Payment(Strict):
    """Where the tokens come from that nodes are paid.

    >>> Payment(scheme="pool", pool=100.0, decay=0.99).fee
    0.0
    """

    acts: ClassVar[Mapping[str, When]] = {
        "pool": _POOLED,
        "decay": _POOLED & above("economy.payment.pool") & _LATER,
        "evaluator_share": _POOLED,
        "latency_penalty": _CHARGED,
        "network_share": _CHARGED,
        "treasury_share": _CHARGED,
    }

    scheme: Literal["per_round", "pool"] = Field(
        default="per_round",
        description="rewards are tokens, or points that share an epoch's pool pro rata",
    )
    pool: Amount = Field(default=0.0, description="tokens minted for the pool in the first epoch")
    decay: float = Field(
        default=1.0, gt=0, le=1, description="minted in an epoch over the epoch before"
    )
    evaluator_share: Share = Field(default=0.3, description="share of the pool for evaluator nodes")
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

    acts: ClassVar[Mapping[str, When]] = {"end": _LATER}

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


def _slashes(settings: Any) -> bool:
    rule = settings.economy.stake.slashing
    return any(limit is not None for limit in (rule.deviation, rule.gold, rule.downtime))


_SLASHED: Final = _BONDED & holds(
    _slashes,
    "acts only with a reason to slash: deviation, gold or downtime of economy.stake.slashing",
    "economy.stake.slashing.deviation",
    "economy.stake.slashing.gold",
    "economy.stake.slashing.downtime",
)


class Slashing(Strict):
    """What costs a node part of its bond, and how much.

    >>> Slashing(deviation=0.3).form
    'linear'
    """

    acts: ClassVar[Mapping[str, When]] = {
        "form": _SLASHED,
        "rate": _SLASHED,
        "deviation": _BONDED,
        "gold": _BONDED,
        "gold_tolerance": _BONDED & present("economy.stake.slashing.gold"),
        "downtime": _BONDED & _DOWN,
        "correlation": _SLASHED & given("economy.stake.slashing.form", "correlated"),
        "goes_to": _SLASHED,
    }

    form: Literal["linear", "tiered", "correlated"] = Field(
        default="linear",
        description="share of the bond lost: rate x severity; a step of it; or more, the more "
        "nodes fail together",
    )
    rate: Share = Field(default=0.1, description="share of the bond lost at severity 1")
    deviation: Share | None = Field(
        default=None,
        description="evaluators: mean distance from consensus / 10 in an epoch above which they "
        "are slashed; default: never",
    )
    gold: Share | None = Field(
        default=None,
        description="evaluators: share of planted records scored wrongly above which they are "
        "slashed; default: never",
    )
    gold_tolerance: Share = Field(
        default=0.3, description="distance from truth / 10 that counts as wrong"
    )
    downtime: Share | None = Field(
        default=None,
        description="inference nodes: share of an epoch down above which they are slashed",
    )
    correlation: Amount = Field(
        default=3.0, description="correlated: factor on the share of nodes that fail together"
    )
    goes_to: Literal["burned", "treasury", "redistributed"] = Field(
        default="burned", description="where slashed tokens go"
    )


class Stake(Strict):
    """What nodes lock away, and what may happen to it.

    >>> Stake(bond=100.0).unbonding_epochs
    0
    """

    acts: ClassVar[Mapping[str, When]] = {
        "unbonding_epochs": _BONDED & _LATER,
        "capital_rate": _BONDED,
        "eject_below": _BONDED & _LATER,
    }

    bond: Amount = Field(default=0.0, description="tokens a new node locks, times its stake")
    unbonding_epochs: int = Field(
        default=0, ge=0, le=10_000, description="epochs until the bond of a node that left is free"
    )
    capital_rate: Amount = Field(
        default=0.0, le=1, description="what locked tokens would have earned elsewhere, per epoch"
    )
    eject_below: Share = Field(
        default=0.0, description="a node whose bond falls below this share of what it put up leaves"
    )
    top_up: bool = Field(
        default=False,
        description="whether nodes that stay put up anew, at the end of an epoch, what their bond "
        "lost; if not, a bond can run out, and fines go uncovered",
    )
    sampling: Annotated[Any, NamedRule(SEATING)] = Field(
        default="uniform", description="the chance of a seat in a committee"
    )
    slashing: Slashing = Field(default=Slashing(), description="what costs part of a bond")


class Audits(Strict):
    """Random checks of the costs that inference nodes report.

    >>> Audits(rate=0.1, slash=5.0).forfeit
    True
    """

    acts: ClassVar[Mapping[str, When]] = {
        "slash": above("economy.audits.rate") & _BONDED,
        "forfeit": above("economy.audits.rate"),
    }

    rate: Share = Field(default=0.0, description="p, chance that a node is audited in an epoch")
    slash: Amount = Field(
        default=0.0, description="S, tokens of bond lost for a false report that is found"
    )
    forfeit: bool = Field(
        default=True, description="whether F, the epoch's reward, is lost as well"
    )
    commit_reveal: bool = Field(
        default=True,
        description="reports are sealed until all are in; if not, those who misreport undercut "
        "the cheapest honest report",
    )


def _chosen_by(*rules: str) -> When:
    """Return the condition that somebody adapts by one of these rules, or by one of their own."""
    shipped = ("entry_exit", "imitation", "best_response", "epsilon_greedy", "upgrade",
               "model_switch", "sybil")  # fmt: skip

    def adapts(settings: Any) -> bool:
        names = [rule["name"] for rule in settings.economy.adaptation]
        return any(name in rules or name not in shipped for name in names)

    said = f"acts only with a rule that chooses from it (economy.adaptation: {', '.join(rules)})"
    return holds(adapts, said, "economy.adaptation")


class Options(Strict):
    """What nodes that adapt can choose from, besides what is in play.

    >>> Options(hardware=("h100_sxm",)).hardware
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


class Economy(Strict):
    """Epochs, at whose ends nodes are paid, slashed, and decide.

    >>> Economy(epochs=10).epoch_hours
    1.0
    """

    acts: ClassVar[Mapping[str, When]] = {
        "regions": _MONEY
        & holds(
            _has_a_region,
            "acts only with a group in one of these regions (population: region)",
            "population",
        ),
        "controllers": _LATER,
    }

    epochs: int = Field(
        default=1, ge=1, le=MAX_EPOCHS, description="epochs that share the rounds equally"
    )
    epoch_hours: Positive = Field(default=1.0, le=87_600, description="length of an epoch in hours")
    cost: Cost = Field(default=Cost(), description="what a job costs")
    regions: dict[Label, Amount] = Field(
        default_factory=dict, description="USD/MWh by region, before those that ship"
    )
    latency: Latency = Field(default=Latency(), description="how service times vary")
    demand: Demand = Field(default=Demand(), description="when queries arrive")
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
    options: Options = Field(default=Options(), description="what adapting nodes choose from")
    adaptation: Annotated[tuple[Adaptation, ...], BeforeValidator(as_tuple)] = Field(
        default=(), description="how nodes decide at the end of an epoch, in this order"
    )
