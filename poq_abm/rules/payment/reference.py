"""What an evaluator's score is compared with.

In the published mechanism (equation (3) of arXiv 2512.16317) an evaluator is compared with a
consensus that contains its own score: alone in its committee it always earns the maximum. Leaving
its own score out takes that pull away.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar

from poq_abm.errors import InputError
from poq_abm.rules.rule import COST_AWARE, Kind, Rule, Source

__all__ = ["REFERENCE", "Inclusive", "LeaveOneOut", "MeasuredFrom", "Reference"]

REFERENCE: Kind[Reference] = Kind("reference", "mechanism.reference", "poq_abm.rules.payment")


class MeasuredFrom(IntEnum):
    """The score from which the distance of a member's score is taken."""

    CONSENSUS = 0
    OTHERS = 1  #: the consensus of the other members, by the same rule
    MEDIAN = 2  #: of the committee
    TRUTH = 3


class Reference(Rule):
    """Base class of references: what a member's score is compared with to pay it.

    A committee of one has no others; its member is compared with the consensus.
    """

    kind = REFERENCE

    measured_from: ClassVar[MeasuredFrom]

    @classmethod
    def check(cls) -> None:
        """Raise :class:`~poq_abm.errors.InputError` unless it says what is measured from."""
        super().check()
        if not isinstance(getattr(cls, "measured_from", None), MeasuredFrom):
            raise InputError(f"{cls.name}: a {cls.kind.name} declares what it is measured_from")


class Inclusive(Reference):
    """The consensus, which contains the member's own score."""

    name = "inclusive"
    formula = "c of all members"
    source = Source("published", f"{COST_AWARE}, Eq. 3")
    measured_from = MeasuredFrom.CONSENSUS


class LeaveOneOut(Reference):
    """The consensus of the other members, by the same aggregation rule."""

    name = "leave_one_out"
    formula = "c of the other K - 1 members"
    source = Source("assumed", "ours")
    measured_from = MeasuredFrom.OTHERS
