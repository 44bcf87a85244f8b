"""Under which conditions answers are verified: demand, economics, watchers, and who cheats."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from poq_abm.errors import nearest
from poq_abm.rules.protocol.protocol import PROTOCOLS
from poq_abm.rules.registry import rules
from poq_abm.rules.rule import Status
from poq_abm.scenario.schema.fields import (
    SHARE_TOLERANCE,
    Strict,
    When,
    above,
    as_tuple,
    complaint,
    given,
    holds,
    share_of,
    within,
)

__all__ = [
    "ACTIONS",
    "AT_LEAST_ZERO",
    "POSITIVE",
    "PROBABILITY",
    "Adversaries",
    "CachedAnswer",
    "Collusion",
    "Economics",
    "EnclaveVendor",
    "HackedAnswer",
    "NetworkLoad",
    "SwappedModel",
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


Action = Literal["downgrade", "cached", "judge_hack"]
ACTIONS: Final[tuple[str, ...]] = get_args(Action)
MAX_VENDORS: Final = 16
_CHANGING: Final = given("verification.adversaries.enclaves", "stationary")


def _known_to_nodes(*actions: str) -> When:
    """Return the condition that nodes know one of these ways to cheat."""
    return holds(
        lambda settings: not set(actions).isdisjoint(settings.verification.adversaries.actions),
        f"acts only with {' or '.join(actions)} among verification.adversaries.actions",
        "verification.adversaries.actions",
    )


def _some_nodes(key: str) -> When:
    """Return the condition that a share of the nodes is at least one of them."""

    def fault(settings: Any, section: Any) -> str | None:
        share, nodes = getattr(section, key), settings.population.inference_nodes
        if share == 0.0 or share_of(share, nodes):
            return None
        return (
            f"{share:g} of {nodes} inference nodes is 0 nodes; the smallest share that acts is "
            f"{1 / nodes:.4g}"
        )

    return within(fault, "population.inference")


class Collusion(Strict):
    """Watchers, validators and a sequencer that stand with the cheating nodes.

    >>> Collusion().sequencer
    False
    """

    acts: ClassVar[Mapping[str, When]] = {
        "watcher_share": with_trait("watched") & above("verification.watchers.count"),
        "validator_share": with_trait("validated"),
        "sequencer": with_trait("watched"),
        "censorship": with_trait("watched")
        & given("verification.adversaries.collusion.sequencer", True),
    }

    watcher_share: float = figure(
        0.0, "share", "assumed", "watchers that never dispute the coalition", **PROBABILITY
    )
    validator_share: float = figure(
        0.0, "share", "assumed", "r, validators of a sample that confirm a cheat", **PROBABILITY
    )
    sequencer: bool = figure(
        False, "yes or no", "assumed", "whether the sequencer is one of the coalition"
    )
    censorship: float = figure(
        0.9, "share", "assumed", "disputes that a colluding sequencer suppresses", **PROBABILITY
    )


class EnclaveVendor(Strict):
    """A vendor of enclaves: intact or, from a discovery until its patch, broken for all at once.

    >>> EnclaveVendor(share=1.0).patch_days
    30.0
    """

    acts: ClassVar[Mapping[str, When]] = {
        "vulnerability_per_year": _CHANGING,
        "patch_days": _CHANGING,
    }

    share: float = figure(1.0, "share", "assumed", "nodes with its hardware", **PROBABILITY)
    vulnerability_per_year: float = figure(
        0.5, "per year", "assumed", "rate of discoveries while intact", ge=0.0, le=1e5
    )
    patch_days: float = figure(
        30.0, "days", "assumed", "mean time until a patch, exponential", **AT_LEAST_ZERO
    )


class SwappedModel(Strict):
    """Running a cheaper model than the one named.

    >>> SwappedModel().gain_usd
    0.05
    """

    acts: ClassVar[Mapping[str, When]] = {"gain_usd": _known_to_nodes("downgrade")}

    model: str | None = figure(
        None, "name", "assumed", "the model really run; default: the one of lowest mean truth"
    )
    latency_share: float | None = figure(
        None,
        "share",
        "assumed",
        "its service time over that of the model named; default: as the profile has both",
        **POSITIVE,
    )
    gain_usd: float = figure(0.05, "USD per query", "assumed", "G, what it saves", **AT_LEAST_ZERO)


class CachedAnswer(Strict):
    """Returning a stored answer to another question; its truth is 0.

    >>> CachedAnswer().score
    3.0
    """

    acts: ClassVar[Mapping[str, When]] = {"score": with_trait("scored")}

    gain_usd: float = figure(0.04, "USD per query", "assumed", "G, what it saves", **AT_LEAST_ZERO)
    score: float = figure(
        3.0, "score 0-10", "assumed", "what every evaluator gives it", ge=0.0, le=10.0
    )
    latency_s: float = figure(0.05, "s", "assumed", "time to look it up", **POSITIVE)


class HackedAnswer(Strict):
    """Running the cheaper model, with text that lifts every evaluator's score.

    >>> HackedAnswer().lift
    2.0
    """

    acts: ClassVar[Mapping[str, When]] = {"lift": with_trait("scored")}

    gain_usd: float = figure(0.045, "USD per query", "assumed", "G, what it saves", **AT_LEAST_ZERO)
    lift: float = figure(2.0, "score points", "assumed", "added to each score", ge=0.0, le=10.0)


def _known_action(name: Any) -> Any:
    if isinstance(name, str) and name not in ACTIONS:
        raise complaint(f"unknown way to cheat {name[:80]!r}; {nearest(name[:80], ACTIONS)}")
    return name


def _some(actions: tuple[Action, ...]) -> tuple[Action, ...]:
    if not actions:
        raise complaint(f"name at least one way to cheat; {nearest('', ACTIONS)}")
    return actions


def _shares(vendors: dict[str, EnclaveVendor]) -> dict[str, EnclaveVendor]:
    total = math.fsum(vendor.share for vendor in vendors.values())
    if not 1 <= len(vendors) <= MAX_VENDORS:
        raise complaint(f"1 to {MAX_VENDORS} vendors are needed, got {len(vendors)}")
    if abs(total - 1.0) > SHARE_TOLERANCE:
        raise complaint(f"the vendors' shares sum to {total:.9g}, not to 1")
    return vendors


class Adversaries(Strict):
    """Who cheats, how, and what helps them.

    >>> Adversaries().rational_share
    0.9
    """

    acts: ClassVar[Mapping[str, When]] = {
        "rational_share": _some_nodes("rational_share"),
        "byzantine_share": _some_nodes("byzantine_share"),
        "downgrade": _known_to_nodes("downgrade", "judge_hack"),
        "cached": _known_to_nodes("cached"),
        "judge_hack": _known_to_nodes("judge_hack"),
        "enclaves": with_trait("attested"),
        "vendors": with_trait("attested"),
    }

    rational_share: float = figure(
        0.9, "share", "assumed", "nodes that cheat when it pays by their beliefs", **PROBABILITY
    )
    byzantine_share: float = figure(
        0.05, "share", "assumed", "nodes that cheat whatever it costs", **PROBABILITY
    )
    actions: Annotated[
        tuple[Annotated[Action, BeforeValidator(_known_action)], ...],
        BeforeValidator(as_tuple),
        AfterValidator(_some),
    ] = Field(
        default=("downgrade",),
        description="ways to cheat that are known [names; assumed]",
        json_schema_extra={
            "unit": "names",
            "source": "assumed",
            "meaning": "ways to cheat that are known; Byzantine nodes take the first",
        },
    )
    downgrade: SwappedModel = SwappedModel()
    cached: CachedAnswer = CachedAnswer()
    judge_hack: HackedAnswer = HackedAnswer()
    enclaves: Literal["stationary", "intact", "broken"] = figure(
        "stationary",
        "state",
        "assumed",
        "vendors' state at the start; `intact` and `broken` never change",
    )
    vendors: Annotated[dict[str, EnclaveVendor], AfterValidator(_shares)] = Field(
        default={"vendor_a": EnclaveVendor(share=0.6), "vendor_b": EnclaveVendor(share=0.4)},
        description="vendors of enclaves [mapping; assumed]",
        json_schema_extra={"unit": "mapping", "source": "assumed", "meaning": "vendors by name"},
    )
    collusion: Collusion = Collusion()

    @model_validator(mode="after")
    def _shares_fit(self) -> Adversaries:
        if self.rational_share + self.byzantine_share > 1.0 + SHARE_TOLERANCE:
            raise complaint(
                f"rational_share + byzantine_share = "
                f"{self.rational_share + self.byzantine_share:g} is more than all nodes"
            )
        return self
