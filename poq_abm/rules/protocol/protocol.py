"""What a protocol is: a name, declared facts, and the terms on which it settles queries."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from pydantic import BaseModel

from poq_abm.rules.protocol.settling import detection, settle
from poq_abm.rules.protocol.terms import Query, Settlement, Terms
from poq_abm.scenario.schema.verification import Verification

__all__ = ["SECONDS_PER_YEAR", "VerificationProtocol"]

SECONDS_PER_YEAR = 365.25 * 86_400.0


class VerificationProtocol:
    """Base class of all protocols: a subclass declares and says what changes in the terms.

    A protocol is data: the terms of :class:`~poq_abm.rules.protocol.terms.Terms`, made once from
    the scenario. The compiled loop and :meth:`settle` read the same terms by the same rule, so a
    protocol of one's own, or a hybrid, is a class with :meth:`changes`.

    Examples
    --------
    >>> class Audited(VerificationProtocol):
    ...     name, bonded = "audited", True
    ...     def changes(self):
    ...         return {"sample_rate": 0.5}
    >>> Audited(Verification()).detection(broken=True)
    0.5
    """

    name: ClassVar[str]
    bonded: ClassVar[bool] = False  #: whether a convicted node loses its bond
    #: for the page: what it does, its formula, the source, and what it does not do
    summary: ClassVar[str] = ""
    formula: ClassVar[str] = ""
    source: ClassVar[str] = ""
    limits: ClassVar[str] = ""
    sections: ClassVar[tuple[str, ...]] = ()  #: keys of ``verification:`` whose figures it reads

    def __init__(self, verification: Verification) -> None:
        self.verification = verification
        self.terms = self._terms()

    def changes(self) -> dict[str, Any]:
        """Return the terms in which it differs from paying everybody unseen."""
        return {}

    def detection(self, *, broken: bool) -> float:
        """Return the chance that a cheat is found; see :func:`~.settling.detection`."""
        return detection(self.terms, broken, self.verification.adversaries.byzantine_share)

    def settle(self, query: Query) -> Settlement:
        """Return what comes of one query; times from its arrival."""
        return settle(self.terms, query)

    def figures(self) -> dict[str, BaseModel]:
        """Return the sections of the scenario that it reads, by key."""
        return {name: getattr(self.verification, name) for name in self.sections}

    def _terms(self) -> Terms:
        economics = self.verification.economics
        bond = economics.stake_usd if self.bonded else 0.0
        colluding = self.verification.adversaries.collusion.watcher_share
        plain: dict[str, Any] = {
            "trusted": False,
            "overhead": 0.0,
            "release_s": 0.0,
            "providers": 1,
            "attests": False,
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
            "committee": False,
            "accept_score": 0.0,
            "fee": float(economics.fee_usd),
            "slash": float(bond * economics.slash_share),
            "refund": float(economics.bounty_usd * colluding),
            "bounty": float(economics.bounty_usd),
            "keeps_gain": economics.keeps_gain_when_caught,
            "attestation_usd": 0.0,
            "proof_usd": 0.0,
            "check_usd": float(self.verification.watchers.check_usd),
            "posting_usd": 0.0,
            "machine_usd_per_s": economics.machine_usd_per_hour / 3600.0,
            "capital_usd_per_s": bond * economics.capital_rate_per_year / SECONDS_PER_YEAR,
        }
        terms = Terms(**{**plain, **self.changes()})
        # Nothing is paid out of a bond that is not there.
        bounty = min(terms.bounty, terms.slash)
        return terms._replace(bounty=bounty, refund=min(terms.refund, bounty))
