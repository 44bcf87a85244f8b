"""The section ``verification:`` of a scenario: how answers are trusted, and against whom."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final

from pydantic import AfterValidator, Field, model_validator

from poq_abm.errors import nearest
from poq_abm.scenario.schema.acting import When, given
from poq_abm.scenario.schema.strict import Strict, complaint
from poq_abm.scenario.schema.verification_conditions import (
    OPTIMISTIC,
    UNTRUSTED,
    Adversaries,
    Demand,
    Economics,
    Watchers,
)
from poq_abm.scenario.schema.verification_figures import (
    Centralised,
    Opml,
    Otr,
    PoqCheck,
    ProofOfSampling,
    Redundancy,
    Tee,
    Zkml,
)

__all__ = ["PROTOCOLS", "Verification", "bisection_s", "rounds_of_bisection", "security_failures"]

#: the protocols that a scenario can name, in the order in which tables and figures show them
PROTOCOLS: Final = ("centralised", *UNTRUSTED)


def _known(name: str) -> str:
    if name not in PROTOCOLS:
        raise complaint(f"unknown protocol {name[:80]!r}; {nearest(name[:80], PROTOCOLS)}")
    return name


def rounds_of_bisection(trace_steps: int) -> int:
    """Return how many halvings isolate one of ``trace_steps`` steps: ceil(log2 steps).

    >>> rounds_of_bisection(2**20), rounds_of_bisection(5)
    (20, 3)
    """
    return max(1, (trace_steps - 1).bit_length())


def bisection_s(figures: Opml | Otr) -> float:
    """Return how long one bisection takes, in seconds: rounds x step_s.

    >>> bisection_s(Otr())
    40.0
    """
    return rounds_of_bisection(figures.trace_steps) * figures.step_s


class Verification(Strict):
    """How an answer is trusted: the protocol, its figures, demand, economics and adversaries.

    One file holds the figures of all protocols, so that ``verification.protocol`` alone can be an
    axis of a sweep.

    >>> Verification(protocol="otr").otr.proof_rate
    0.01
    """

    acts: ClassVar[Mapping[str, When]] = {
        "watchers": given("verification.protocol", *OPTIMISTIC),
        "adversaries": given("verification.protocol", *UNTRUSTED),
        "centralised": given("verification.protocol", "centralised"),
        "poq": given("verification.protocol", "poq", "poq+otr"),
        "redundancy": given("verification.protocol", "redundancy"),
        "proof_of_sampling": given("verification.protocol", "proof_of_sampling"),
        "opml": given("verification.protocol", "opml"),
        "zkml": given("verification.protocol", "zkml"),
        "otr": given("verification.protocol", "otr", "poq+otr"),
    }

    protocol: Annotated[str, AfterValidator(_known)] = Field(
        default="poq", description="how an answer is trusted"
    )
    demand: Demand = Demand()
    economics: Economics = Economics()
    watchers: Watchers = Watchers()
    adversaries: Adversaries = Adversaries()
    centralised: Centralised = Centralised()
    poq: PoqCheck = PoqCheck()
    redundancy: Redundancy = Redundancy()
    proof_of_sampling: ProofOfSampling = ProofOfSampling()
    opml: Opml = Opml()
    zkml: Zkml = Zkml()
    tee: Tee = Tee()
    otr: Otr = Otr()

    @model_validator(mode="after")
    def _window_holds_a_bisection(self) -> Verification:
        sections: tuple[tuple[str, Opml | Otr], ...] = (("opml", self.opml), ("otr", self.otr))
        for name, figures in sections:
            needed = bisection_s(figures)
            if figures.window_s < needed:
                raise complaint(
                    f"{name}.window_s = {figures.window_s:g} s is shorter than one bisection: "
                    f"{rounds_of_bisection(figures.trace_steps)} rounds of {name}.step_s = "
                    f"{figures.step_s:g} s take {needed:g} s"
                )
        return self

    @property
    def honest_watchers(self) -> int:
        """How many watchers check and dispute: neither lazy nor colluding, rounded down.

        >>> Verification().honest_watchers
        5
        """
        idle = self.watchers.lazy_share + self.adversaries.collusion.watcher_share
        return math.floor(self.watchers.count * max(0.0, 1.0 - idle) + 1e-9)

    def resolved(self) -> dict[str, Any]:
        """Return every key with its value, as plain JSON data."""
        return self.model_dump(mode="json")


def security_failures(verification: Verification) -> list[str]:
    """Return what leaves the protocol without the check it rests on, a sentence each.

    Allowed, because it is a question worth asking, and said wherever results are shown.

    >>> security_failures(Verification(protocol="opml", watchers=Watchers(count=0)))[0][:23]
    'no honest watcher: opml'
    """
    found = []
    name = verification.protocol
    if name in OPTIMISTIC and verification.honest_watchers == 0:
        if name == "opml":
            rest = "every dishonest answer stands after the window"
        elif verification.otr.proof_rate > 0.0:
            rest = "only the proof rate is left once an enclave is broken"
        else:
            rest = "nothing is left once an enclave is broken"
        found.append(f"no honest watcher: {name} is unprotected; {rest}")
    elif name in OPTIMISTIC and verification.watchers.check_probability == 0.0:
        found.append(f"no watcher ever checks: {name} is unprotected against a broken enclave")
    if name == "none":
        found.append("nothing is checked: every dishonest answer stands")
    return found
