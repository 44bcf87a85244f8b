"""Under which conditions answers are verified: demand, economics and watchers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from poq_abm.rules.protocol.protocol import PROTOCOLS
from poq_abm.rules.registry import rules
from poq_abm.rules.rule import Status
from poq_abm.scenario.schema.fields import Strict, When, above, complaint, given

__all__ = [
    "AT_LEAST_ZERO",
    "POSITIVE",
    "PROBABILITY",
    "Economics",
    "NetworkLoad",
    "Watchers",
    "figure",
    "with_trait",
]

PROBABILITY: Final[dict[str, float]] = {"ge": 0.0, "le": 1.0}
POSITIVE: Final[dict[str, float]] = {"gt": 0.0}
AT_LEAST_ZERO: Final[dict[str, float]] = {"ge": 0.0}


def figure(default: Any, unit: str, source: Status, meaning: str, **bounds: Any) -> Any:
    """Return a field with its unit, where its default comes from, and what it means.

    ``published``: a source prints it; ``inferred``: it follows from what is printed; ``assumed``:
    it is ours.

    >>> figure(0.01, "share", "published", "proof rate").description
    'proof rate [share; published]'
    """
    described = f"{meaning} [{unit}; {source}]"
    extra: dict[str, Any] = {"unit": unit, "source": source, "meaning": meaning}
    return Field(default=default, description=described, json_schema_extra=extra, **bounds)


def with_trait(*traits: str, has: bool = True) -> When:
    """Return the condition that the protocol has one of these traits, or has none of them."""

    def fault(settings: Any, _section: Any) -> str | None:
        known = rules(PROTOCOLS).items()
        names = [n for n, rule in known if any(getattr(rule, each) for each in traits) == has]
        return given("verification.protocol", *names).fault(settings, _section)

    return When(fault, ("verification.protocol",))


_STAKED: Final = with_trait("bonded") & above("verification.economics.stake_usd")
_WATCHED: Final = above("verification.watchers.count")


class NetworkLoad(Strict):
    """How many queries arrive, and how long they take; their number is the scenario's `rounds`.

    >>> NetworkLoad().load
    0.7
    """

    acts: ClassVar[Mapping[str, When]] = {
        "load": given("verification.demand.arrivals_per_s", None),
    }

    load: float = figure(
        0.7,
        "share",
        "assumed",
        "arrivals against what the busiest node could serve without any protocol",
        **POSITIVE,
    )
    arrivals_per_s: float | None = figure(
        None, "queries per s", "assumed", "arrival rate, in place of load", **POSITIVE
    )
    service_cv: float = figure(
        0.1,
        "ratio",
        "assumed",
        "s.d. over mean of log-normal service times; providers are measured at .04 to .20",
        ge=0.0,
        le=3.0,
    )


class Economics(Strict):
    """What is paid, staked and lost, in USD.

    >>> Economics().stake_usd
    5.0
    """

    acts: ClassVar[Mapping[str, When]] = {
        "stake_usd": with_trait("bonded"),
        "slash_share": _STAKED,
        "bounty_usd": with_trait("watched", "validated"),
        "keeps_gain_when_caught": with_trait("catches")
        | (with_trait("scored") & above("verification.poq.accept_score")),
        "capital_rate_per_year": _STAKED,
    }

    fee_usd: float = figure(
        0.10,
        "USD per query",
        "assumed",
        "F, paid to each provider of an answer that stands",
        **AT_LEAST_ZERO,
    )
    stake_usd: float = figure(
        5.0,
        "USD per query",
        "assumed",
        "bond of each provider behind an answer in flight",
        **AT_LEAST_ZERO,
    )
    slash_share: float = figure(
        1.0,
        "share",
        "assumed",
        "part of the bond that a convicted node loses: S = stake_usd x slash_share",
        **PROBABILITY,
    )
    bounty_usd: float = figure(
        1.0,
        "USD",
        "assumed",
        "paid out of the slash to the watcher or validator who convicts; the rest is burned",
        **AT_LEAST_ZERO,
    )
    keeps_gain_when_caught: bool = figure(
        True,
        "yes or no",
        "inferred",
        "whether a caught node keeps what cheating saved: p (S + F) >= G says so, "
        "y* = G / (G + S + F) does not",
    )
    capital_rate_per_year: float = figure(
        0.08, "share per year", "assumed", "r, what capital could earn elsewhere", **AT_LEAST_ZERO
    )
    machine_usd_per_hour: float = figure(
        0.50, "USD per hour", "inferred", "an RTX 4090 rents for 0.40 to 0.74", **AT_LEAST_ZERO
    )

    @model_validator(mode="after")
    def _bond_pays_bounty(self) -> Economics:
        if self.stake_usd * self.slash_share < self.bounty_usd:
            raise complaint(
                f"the bond is below the bounty: a slash of stake_usd x slash_share = "
                f"{self.stake_usd * self.slash_share:g} USD cannot pay bounty_usd = "
                f"{self.bounty_usd:g} USD"
            )
        return self


def _form(value: Any) -> str:
    return "[word]" if isinstance(value, str) else "[number]"


CheckProbability = Annotated[
    Annotated[float, Field(ge=0.0, le=1.0), Tag("[number]")]
    | Annotated[Literal["equilibrium"], Tag("[word]")],
    Discriminator(_form),
]


class Watchers(Strict):
    """Who recomputes answers inside the challenge window.

    >>> Watchers().count
    5
    """

    acts: ClassVar[Mapping[str, When]] = dict.fromkeys(
        ("lazy_share", "check_probability", "check_usd", "delay_s"), _WATCHED
    )

    count: int = figure(5, "watchers", "assumed", "how many there are", ge=0, le=1_000_000)
    lazy_share: float = figure(
        0.0, "share", "assumed", "watchers that never check (verifier's dilemma)", **PROBABILITY
    )
    check_probability: CheckProbability = figure(
        0.01,
        "probability",
        "assumed",
        "chance that one watcher checks a query; `equilibrium`: the inspection game's",
    )
    check_usd: float = figure(
        1e-3, "USD", "assumed", "c_check, cost of recomputing one answer", **AT_LEAST_ZERO
    )
    delay_s: float = figure(
        600.0, "s", "assumed", "mean time, exponential, after which a check is done", **POSITIVE
    )
