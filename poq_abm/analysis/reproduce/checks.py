"""Published figures beside what the simulation gives: expected, observed, tolerance, status.

That two numbers agree says little by itself: an input read back always agrees, and so does a figure
that inputs were solved for. Each check therefore says on what basis it could agree, and has one of
five statuses:

``reproduced``
    The simulation gives the figure (or the sign claimed), and no input was chosen to make it so.
``input``
    The figure is a setting, or a table of the profile, read back.
``solved for``
    An input was calibrated or solved for so that this figure comes out. A check of the calibration,
    no evidence for the figure.
``contradicted``
    The simulation gives something else.
``not testable``
    What would be needed is not published, or the interval of a claimed sign contains zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import Final, Literal, NamedTuple

from poq_abm.analysis.reproduce.posterior import UnknownConstants

__all__ = [
    "MODULES",
    "STATUSES",
    "Check",
    "PublishedStudy",
    "Status",
    "published_studies",
    "status_counts",
]

Status = Literal["reproduced", "input", "solved for", "contradicted", "not testable"]
#: one module a paper
MODULES = ("cost_aware", "robust", "otr")
STATUSES: Final[tuple[Status, ...]] = (
    "reproduced",
    "input",
    "solved for",
    "contradicted",
    "not testable",
)


@dataclass(frozen=True)
class Check:
    """One published figure and what was observed for it.

    ``basis`` is the status that the check has if it agrees. ``contradicts`` marks a figure that is
    known to differ, and documented: only a check that is not :attr:`as_documented` is a fault.
    """

    figure: str
    item: str
    quantity: str
    expected: float
    observed: float
    low: float
    high: float
    tolerance: float
    reason: str
    sign: int = 0  #: where not 0, the interval must lie on this side of zero
    basis: Status = "reproduced"
    contradicts: bool = False
    default: float = math.nan  #: what the product's own defaults give, where that is a question

    @property
    def passes(self) -> bool:
        """Return whether the observed value is as near, or on the side, that was expected."""
        if self.sign:
            return min(self.sign * self.low, self.sign * self.high) > 0
        return abs(self.observed - self.expected) <= self.tolerance + 1e-12

    @property
    def status(self) -> Status:
        """What the check says of the figure: its basis if it agrees.

        >>> nan = float("nan")
        >>> cost = Check("claim", "otr", "USD", 0.07, 0.45, nan, nan, 0.001, "0.01 x 45")
        >>> cost.status
        'contradicted'
        """
        if self.passes:
            return self.basis
        undecided = self.sign != 0 and self.low <= 0.0 <= self.high
        if undecided or self.basis == "not testable":
            return "not testable"
        return "contradicted"

    @property
    def as_documented(self) -> bool:
        """Return whether the figure agrees, or is contradicted where that is documented."""
        if self.contradicts:
            return self.status == "contradicted"
        return self.passes or self.basis == "not testable"


def status_counts(checks: Iterable[Check]) -> dict[Status, int]:
    """Return how many checks have each status, in the order of :data:`STATUSES`.

    >>> status_counts([])
    {'reproduced': 0, 'input': 0, 'solved for': 0, 'contradicted': 0, 'not testable': 0}
    """
    found = [check.status for check in checks]
    return {status: found.count(status) for status in STATUSES}


class PublishedStudy(NamedTuple):
    """A paper whose figures are recomputed: how, how often, and what a reader has to know."""

    name: str
    checks: Callable[[int, int, int], list[Check]]  #: of replications, seed and workers
    note: Callable[[], str]  #: what is known of the paper, and what agreement means
    usual: int  #: replications by default
    least: int  #: fewer leave intervals without a sign
    takes: tuple[str, ...] = ("replications", "jobs")  #: options heeded besides the seed
    #: the questions of its posterior, of replications, seed, workers and ``open_quality``, and what
    #: that rests on
    questions: Callable[..., tuple[list[UnknownConstants], str]] | None = None


def published_studies() -> dict[str, PublishedStudy]:
    """Return every paper that can be recomputed, by its name on the command line."""
    modules = [import_module(f"poq_abm.analysis.reproduce.{name}") for name in MODULES]
    return {module.STUDY.name: module.STUDY for module in modules}
