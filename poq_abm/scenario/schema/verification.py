"""The section ``verification:`` of a scenario: how answers are trusted, and against whom."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

from pydantic import AfterValidator, Field, create_model, model_validator
from pydantic.fields import FieldInfo

from poq_abm.rules.protocol.protocol import PROTOCOLS, Conditions, VerificationProtocol
from poq_abm.rules.registry import RuleError, complete, find, rules
from poq_abm.rules.rule import Parameter
from poq_abm.scenario.schema.fields import Strict, When, above, complaint, given
from poq_abm.scenario.schema.verification_conditions import (
    Adversaries,
    Economics,
    NetworkLoad,
    Watchers,
    figure,
    with_trait,
)

__all__ = ["ProtocolFigures", "Verification", "protocol_of", "with_protocols"]

_TYPES: Final = {"number": float, "count": int, "switch": bool, "text": str}


def _known(name: str) -> str:
    try:
        return find(PROTOCOLS, name).name
    except RuleError as error:
        raise complaint(error.message) from None


class ProtocolFigures(Strict):
    """Base class of the sections of protocols, each made from the parameters that one declares."""

    rule: ClassVar[type[VerificationProtocol]]

    @model_validator(mode="after")
    def _fits_together(self) -> ProtocolFigures:
        fault = self.rule.conflict(dict(self))
        if fault is not None:
            raise complaint(fault)
        return self

    def __reduce__(self) -> Any:
        """Return how a process makes it anew, where the class may not be there by its name."""
        return _figures_of, (
            self.rule.name,
            {key: getattr(self, key) for key in self.model_fields_set},
        )


def _figures_of(name: str, written: Mapping[str, Any]) -> ProtocolFigures:
    rule: Any = find(PROTOCOLS, name)
    return _section_of(rule)(**written)


@lru_cache(maxsize=64)
def _section_of(rule: type[VerificationProtocol]) -> type[ProtocolFigures]:
    """Return the section that holds the figures of a protocol."""
    acts = {key: _acting(rule, key, each) for key, each in rule.parameters.items()}
    fields: dict[str, Any] = {
        key: (_TYPES[each.kind], _field(each)) for key, each in rule.parameters.items()
    }
    made = create_model(f"{rule.__name__}Figures", __base__=ProtocolFigures, **fields)
    made.rule, made.acts, made.__doc__ = rule, acts, rule.__doc__
    return made


def _field(parameter: Parameter) -> Any:
    ends: dict[str, Any] = {}
    if math.isfinite(parameter.low):
        ends["gt" if parameter.open_low else "ge"] = parameter.low
    if math.isfinite(parameter.high):
        ends["lt" if parameter.open_high else "le"] = parameter.high
    symbol = f"{parameter.symbol}, " if parameter.symbol else ""
    meaning = symbol + parameter.meaning
    return figure(parameter.default, parameter.unit, parameter.status, meaning, **ends)


def _acting(rule: type[VerificationProtocol], key: str, parameter: Parameter) -> When:
    """Return the condition under which a figure of a protocol acts."""
    read = _read(rule.name, key)
    if not parameter.only_with:
        return read
    return read & above(f"verification.{rule.name}.{parameter.only_with}")


def _read(section: str, key: str = "") -> When:
    """Return the condition that the protocol of a scenario reads a section, or a key of one."""

    def readers() -> dict[str, str]:
        """Return the protocols that do, each with the switch that it asks for."""
        found = {rule.name: rule.reading(section, key) for rule in rules(PROTOCOLS).values()}
        return {name: how.only_with for name, how in found.items() if how is not None}

    def fault(settings: Any, part: Any) -> str | None:
        known, name = readers(), settings.verification.protocol
        said = given("verification.protocol", *known).fault(settings, part)
        if said is None and known[name]:
            return given(f"verification.{name}.{known[name]}", True).fault(settings, part)
        return said

    switches = (f"verification.{name}.{switch}" for name, switch in readers().items() if switch)
    return When(fault, ("verification.protocol", *switches))


class Verification(Strict):
    """How an answer is trusted: the protocol, its figures, demand, economics and adversaries.

    One file holds the figures of all protocols, so that ``verification.protocol`` alone can be an
    axis of a sweep: besides the fields below there is a section for every protocol that declares
    parameters, those of one's own included.

    >>> Verification(protocol="otr").otr.proof_rate
    0.01
    """

    acts: ClassVar[Mapping[str, When]] = {
        "watchers": with_trait("watched"),
        "adversaries": with_trait("trusted", has=False),
    }

    protocol: Annotated[str, AfterValidator(_known)] = Field(
        default="poq", description="how an answer is trusted"
    )
    demand: NetworkLoad = NetworkLoad()
    economics: Economics = Economics()
    watchers: Watchers = Watchers()
    adversaries: Adversaries = Adversaries()

    if TYPE_CHECKING:

        def __getattr__(self, section: str) -> Any:
            """Return the figures of a protocol."""

    def __new__(cls, *_: Any, **__: Any) -> Verification:
        """Make one with the sections of the protocols that there are."""
        return object.__new__(with_protocols() if cls is Verification else cls)

    def __reduce__(self) -> Any:
        """Return how a process makes it anew, with the protocols that it knows."""
        return _verification_of, ({key: getattr(self, key) for key in self.model_fields_set},)

    @model_validator(mode="wrap")
    @classmethod
    def _has_protocols(cls, data: Any, handler: Any) -> Any:
        return with_protocols().model_validate(data) if cls is Verification else handler(data)

    @classmethod
    def known(cls) -> dict[str, FieldInfo]:
        """Return its fields, the sections of all protocols among them."""
        return with_protocols().model_fields

    @property
    def honest_watchers(self) -> int:
        """How many watchers check and dispute: neither lazy nor colluding, rounded down.

        >>> Verification().honest_watchers
        5
        """
        idle = self.watchers.lazy_share + self.adversaries.collusion.watcher_share
        return math.floor(self.watchers.count * max(0.0, 1.0 - idle) + 1e-9)

    @property
    def conditions(self) -> Conditions:
        """What every protocol settles under."""
        economics, watchers, adversaries = self.economics, self.watchers, self.adversaries
        chance, collusion = watchers.check_probability, adversaries.collusion
        return Conditions(
            fee_usd=economics.fee_usd,
            stake_usd=economics.stake_usd,
            slash_share=economics.slash_share,
            bounty_usd=economics.bounty_usd,
            keeps_gain=economics.keeps_gain_when_caught,
            capital_rate_per_year=economics.capital_rate_per_year,
            machine_usd_per_hour=economics.machine_usd_per_hour,
            honest_watchers=self.honest_watchers,
            check_probability=None if chance == "equilibrium" else float(chance),
            check_usd=watchers.check_usd,
            delay_s=watchers.delay_s,
            gains={n: float(getattr(adversaries, n).gain_usd) for n in adversaries.actions},
            accomplices=adversaries.byzantine_share,
            colluding_watchers=collusion.watcher_share,
            colluding_validators=collusion.validator_share,
            suppressed=collusion.censorship * collusion.sequencer,
        )

    def resolved(self) -> dict[str, Any]:
        """Return every key with its value, as plain JSON data."""
        return self.model_dump(mode="json")


def _verification_of(written: Mapping[str, Any]) -> Verification:
    return Verification(**written)


def with_protocols() -> type[Verification]:
    """Return the section as it is with the protocols that there are."""
    return _composed(tuple(rules(PROTOCOLS).values()))


@lru_cache(maxsize=16)
def _composed(known: tuple[Any, ...]) -> type[Verification]:
    """Return the section of a scenario with one inside it for each protocol that has figures."""
    parts = {rule.name: _section_of(rule) for rule in known if rule.parameters}
    fields: dict[str, Any] = {name: (part, part()) for name, part in parts.items()}
    made = create_model("Verification", __base__=Verification, **fields)
    made.acts, made.__doc__ = (
        {**made.acts, **{name: _read(name) for name in parts}},
        Verification.__doc__,
    )
    return made


def protocol_of(
    verification: Verification, rule: type[VerificationProtocol] | None = None
) -> VerificationProtocol:
    """Return the protocol that a scenario names, or another one, with its terms.

    >>> protocol_of(Verification(protocol="tee")).terms.attests
    True
    """
    chosen = find(PROTOCOLS, verification.protocol) if rule is None else rule
    figures: dict[str, Mapping[str, Any]] = {
        each.name: dict(getattr(verification, each.name))
        if each.name in type(verification).model_fields
        else complete(each, {})
        for each in {*rules(PROTOCOLS).values(), chosen}
        if each.parameters
    }
    return chosen(figures, verification.conditions)
