"""The parts of ``economy`` that put tokens at risk: bonds, slashing, audits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from poq_abm.rules.schedule.schedules import SEATING
from poq_abm.scenario.schema.fields import Amount, Share, Strict, When, above, given, holds, present
from poq_abm.scenario.schema.rule_keys import NamedRule
from poq_abm.scenario.schema.service import LATER, OUTAGES

__all__ = ["Audits", "Slashing", "Stake"]

_BONDED: Final = above("economy.stake.bond")


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
        "downtime": _BONDED & OUTAGES,
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
        "unbonding_epochs": _BONDED & LATER,
        "capital_rate": _BONDED,
        "eject_below": _BONDED & LATER,
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
