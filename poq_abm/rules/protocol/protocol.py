"""What a protocol is: declared facts and figures, and the terms on which it settles queries."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NamedTuple

from poq_abm.rules.protocol.terms import Query, Settlement, Terms
from poq_abm.rules.rule import Kind, Rule

__all__ = [
    "PROTOCOLS",
    "SECONDS_PER_YEAR",
    "Conditions",
    "Reads",
    "VerificationProtocol",
    "rounds_of_bisection",
]

SECONDS_PER_YEAR: Final = 365.25 * 86_400.0

PROTOCOLS: Final[Kind[VerificationProtocol]] = Kind(
    "protocol", "verification.protocol", "poq_abm.rules.protocol"
)

Figures = Mapping[str, Any]  # the values of a section's parameters


@dataclass(frozen=True)
class Conditions:
    """What every protocol settles under: money in USD, watchers, and who is against it."""

    fee_usd: float  #: F
    stake_usd: float  #: B, the bond of each provider
    slash_share: float  #: of it, that a convicted node loses
    bounty_usd: float
    keeps_gain: bool  #: whether a caught node keeps what it saved
    capital_rate_per_year: float  #: r
    machine_usd_per_hour: float
    honest_watchers: int  #: n, neither lazy nor colluding
    check_probability: float | None  #: c; nothing where the inspection game sets it
    check_usd: float  #: c_check
    delay_s: float  #: mean time after which a check is done
    gains: Mapping[str, float]  #: G of each way to cheat that is known, by its name
    accomplices: float  #: a, share of nodes believed to cheat in any case
    colluding_watchers: float
    colluding_validators: float  #: r
    suppressed: float  #: share of disputes that a colluding sequencer suppresses


class Reads(NamedTuple):
    """A section of another protocol whose figures a protocol reads too."""

    section: str
    keys: tuple[str, ...] = ()  #: those that it reads; all, where none are named
    only_with: str = ""  #: the switch of its own that must be on


class VerificationProtocol(Rule):
    """Base class of all protocols: a subclass declares and says what changes in the terms.

    A protocol is data: the terms of :class:`~poq_abm.rules.protocol.terms.Terms`, made once from
    the figures of its section, of those that it :attr:`reads`, and from the conditions. The
    compiled loop and :meth:`settle` read the same terms by the same rule, so a protocol of one's
    own, or a hybrid, is a class with :meth:`changes`. Its ``parameters`` are the keys of the
    section ``verification.NAME``.
    """

    kind = PROTOCOLS
    gloss: ClassVar[str] = ""  #: a few words for who has never heard of it
    limits: ClassVar[str] = ""  #: what it does not do
    reads: ClassVar[tuple[Reads, ...]] = ()
    trusted: ClassVar[bool] = False  #: nobody cheats
    bonded: ClassVar[bool] = False  #: a convicted node loses its bond
    attested: ClassVar[bool] = False  #: enclaves sign answers
    watched: ClassVar[bool] = False  #: it rests on somebody who disputes in a window
    validated: ClassVar[bool] = False  #: other nodes recompute some answers
    scored: ClassVar[bool] = False  #: a committee scores answers
    catches: ClassVar[bool] = True  #: a cheat can be convicted of it

    def __init__(self, figures: Mapping[str, Figures], conditions: Conditions) -> None:
        super().__init__(figures.get(self.name, {}))
        self.figures, self.conditions = figures, conditions
        self.terms = self._terms()

    @classmethod
    def conflict(cls, values: Figures) -> str | None:  # noqa: ARG003  (for subclasses)
        """Return what is wrong with its figures together, or nothing."""
        return None

    @classmethod
    def reading(cls, section: str, key: str = "") -> Reads | None:
        """Return how it reads a section, or a key of one; nothing if it does not."""
        if section == cls.name:
            return Reads(section)
        found = (read for read in cls.reads if read.section == section)
        return next((read for read in found if not key or key in (read.keys or (key,))), None)

    @classmethod
    def remarks(cls) -> list[str]:
        """Return its traits in words."""
        traits = ("trusted", "bonded", "attested", "watched", "validated", "scored")
        return [trait for trait in traits if getattr(cls, trait)]

    @classmethod
    def code(cls) -> tuple[Any, ...]:
        """Return what it makes its terms with."""
        return (cls.changes, cls.conflict)

    def changes(self) -> dict[str, Any]:
        """Return the terms in which it differs from paying everybody unseen."""
        return {}

    def detection(self, *, broken: bool) -> float:
        """Return the chance that a cheat is found; see :func:`~.settling.detection`."""
        from poq_abm.rules.settling import detection  # noqa: PLC0415  (compiled: heavy)

        return detection(self.terms, broken, self.conditions.accomplices)

    def settle(self, query: Query) -> Settlement:
        """Return what comes of one query; times from its arrival."""
        from poq_abm.rules.settling import settle  # noqa: PLC0415  (compiled: heavy)

        return settle(self.terms, query)

    def weaknesses(self) -> list[str]:
        """Return what leaves it without the check it rests on, a sentence each.

        Allowed, because it is a question worth asking, and said wherever results are shown.
        """
        if self.watched and self.conditions.honest_watchers == 0:
            return [f"no honest watcher: {self.name} is unprotected; {self.unwatched()}"]
        if self.watched and self.conditions.check_probability == 0.0:
            said = f"no watcher ever checks: {self.name} is unprotected against a broken enclave"
            return [said]
        return []

    def unwatched(self) -> str:
        """Return what is left of it where nobody watches."""
        return "every dishonest answer stands after the window"

    def _terms(self) -> Terms:
        under = self.conditions
        bond = under.stake_usd if self.bonded else 0.0
        plain: dict[str, Any] = {
            "trusted": self.trusted,
            "overhead": 0.0,
            "release_s": 0.0,
            "providers": 1,
            "attests": self.attested,
            "proof_rate": 0.0,
            "proof_s": 0.0,
            "proof_first": True,
            "proof_on_node": False,
            "sample_rate": 0.0,
            "lazy": 0.0,
            "confirmed": 0.0,
            "watched": 0.0,
            "checks": 0.0,
            "cheating": math.nan,
            "window_s": 0.0,
            "dispute_s": 0.0,
            "dispute_usd": 0.0,
            "committee": self.scored,
            "accept_score": 0.0,
            "fee": float(under.fee_usd),
            "slash": float(bond * under.slash_share),
            "refund": float(under.bounty_usd * under.colluding_watchers),
            "bounty": float(under.bounty_usd),
            "keeps_gain": under.keeps_gain,
            "attestation_usd": 0.0,
            "proof_usd": 0.0,
            "check_usd": float(under.check_usd),
            "posting_usd": 0.0,
            "machine_usd_per_s": under.machine_usd_per_hour / 3600.0,
            "capital_usd_per_s": bond * under.capital_rate_per_year / SECONDS_PER_YEAR,
        }
        terms = Terms(**{**plain, **self.changes()})
        # Nothing is paid out of a bond that is not there.
        bounty = min(terms.bounty, terms.slash)
        return terms._replace(bounty=bounty, refund=min(terms.refund, bounty))


def rounds_of_bisection(trace_steps: int) -> int:
    """Return how many halvings isolate one of ``trace_steps`` steps: ceil(log2 steps).

    >>> rounds_of_bisection(2**20), rounds_of_bisection(5)
    (20, 3)
    """
    return max(1, (trace_steps - 1).bit_length())
