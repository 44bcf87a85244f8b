"""The parts of ``economy`` that say when queries arrive, and how nodes serve them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal

from pydantic import Field, model_validator

from poq_abm.scenario.schema.fields import (
    Amount,
    Positive,
    Share,
    Shares,
    Strict,
    When,
    above,
    complaint,
    given,
    holds,
    within,
)

__all__ = [
    "LATER",
    "MOST_BURSTS",
    "MOST_DEMAND",
    "OUTAGES",
    "QueryDemand",
    "Service",
    "ServiceLatency",
    "Surge",
]

MOST_BURSTS: Final = 1_000_000  #: in an epoch; each is drawn
MOST_DEMAND: Final = 1000.0  #: over its normal level, however low the fee: users are finitely many

LATER: Final = above("economy.epochs", 1)  #: what acts from the second epoch on
OUTAGES: Final = above("economy.latency.outage_probability")  #: what acts where nodes go down
_LOGNORMAL: Final = given("economy.latency.distribution", "lognormal")
_DIURNAL: Final = given("economy.demand.arrivals", "diurnal")
_BURSTY: Final = given("economy.demand.arrivals", "bursty")


class ServiceLatency(Strict):
    """How the time of a job varies about its mean.

    >>> ServiceLatency(distribution="lognormal", sigma=0.2).charged
    'mean'
    """

    acts: ClassVar[Mapping[str, When]] = {
        "sigma": _LOGNORMAL,
        "tail_share": _LOGNORMAL,
        "tail_index": _LOGNORMAL & above("economy.latency.tail_share"),
        "outage_share": OUTAGES,
        "charged": given("economy.latency.distribution", "lognormal", "exponential")
        & holds(
            lambda settings: {"price"}.isdisjoint(
                settings.mechanism.cost_basis(role) for role in ("inference", "evaluator")
            ),
            "does nothing here: a price is what it is however long a job takes",
            "mechanism.cost_inference",
            "mechanism.cost_evaluator",
        ),
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


class QueryDemand(Strict):
    """When queries arrive, and what they are worth to those who ask.

    >>> QueryDemand(arrivals="poisson").elasticity
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
        "tasks_end": LATER,
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
