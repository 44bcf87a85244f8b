"""What a deviation that moves trust is measured from."""

from __future__ import annotations

from poq_abm.rules.payment.reference import MeasuredFrom, Reference
from poq_abm.rules.rule import ROBUST, Kind, Source

__all__ = ["TRUST_REFERENCE", "TrustReference"]

TRUST_REFERENCE: Kind[Reference] = Kind(
    "trust reference", "mechanism.trust.reference", "poq_abm.rules.trust"
)


class TrustReference(Reference):
    """Base class of references of trust: what a member's deviation is taken from."""

    kind = TRUST_REFERENCE


class TrustInclusive(TrustReference):
    """The consensus, which contains the member's own score."""

    name = "inclusive"
    formula = "c of all members"
    source = Source("published", ROBUST)
    measured_from = MeasuredFrom.CONSENSUS


class TrustLeaveOneOut(TrustReference):
    """The consensus of the other members, by the same aggregation rule."""

    name = "leave_one_out"
    formula = "c of the other K - 1 members"
    source = Source("assumed", "ours")
    measured_from = MeasuredFrom.OTHERS


class TrustMedian(TrustReference):
    """The median of the committee's scores, whatever the aggregation rule."""

    name = "median"
    formula = "median of the scores"
    source = Source("assumed", "ours")
    measured_from = MeasuredFrom.MEDIAN
