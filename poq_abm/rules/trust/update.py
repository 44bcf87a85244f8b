"""What a trust update is: weights of evaluators that follow how far they deviate.

Weights start at w0 and stay within [w_min, w_max].
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, ClassVar, Final

from poq_abm.rules.kernels import KernelRule
from poq_abm.rules.payment.formulas import SCORE_SCALE
from poq_abm.rules.rule import Kind, Parameter

__all__ = ["LEARNING", "TRUST_UPDATE", "TrustUpdate", "Typical", "clip", "deviation"]

TRUST_UPDATE: Kind[TrustUpdate] = Kind(
    name="trust update",
    key="mechanism.trust.update",
    package="poq_abm.rules.trust",
    arguments=("weight", "deviation", "typical"),
    field="trust_update",
)
#: what every update that ships takes
LEARNING: Final[Mapping[str, Parameter]] = {
    "rate": Parameter(
        "how far one round moves a weight",
        0.1,
        low=0.0,
        high=1.0,
        open_low=True,
        symbol="lambda",
        unit="per round",
    ),
    "minimum": Parameter(
        "least weight", 0.1, low=0.0, open_low=True, symbol="w_min", unit="weight"
    ),
    "maximum": Parameter(
        "largest weight", 5.0, low=0.0, open_low=True, symbol="w_max", unit="weight"
    ),
}


class Typical(IntEnum):
    """What an update compares a member's deviation with: one number for a committee."""

    NOTHING = 0
    MEDIAN = 1  #: of the committee's deviations
    MEAN = 2


class TrustUpdate(KernelRule):
    """Base class of trust updates: from an evaluator's weight to its weight after a round.

    A kernel takes the weight, the member's deviation d = |s - c| / 10 from what the reference says
    and the ``typical`` one of its committee, then the rule's parameters.
    """

    kind = TRUST_UPDATE

    learns: ClassVar[bool] = True  #: whether any weight ever changes
    typical: ClassVar[Typical] = Typical.NOTHING
    against_truth: ClassVar[bool] = False  #: on planted records, whose truth the operator knows

    @classmethod
    def remarks(cls) -> list[str]:
        """Return what it compares a deviation with."""
        return [
            *(["on planted records"] if cls.against_truth else []),
            *([f"against the {cls.typical.name.lower()}"] if cls.typical else []),
        ]

    @classmethod
    def trial(cls) -> tuple[Any, ...]:
        """Return a newcomer who was nearer to the reference than others."""
        return 1.0, 0.1, 0.2


def deviation(score: float, reference: float) -> float:
    """Return d = |s - c| / 10, in [0, 1]; published.

    >>> deviation(7.0, 5.0)
    0.2
    """
    return abs(score - reference) / SCORE_SCALE


def clip(weight: float, low: float, high: float) -> float:
    """Return the weight, pulled into [low, high].

    >>> clip(7.0, 0.1, 5.0)
    5.0
    """
    return min(max(weight, low), high)
