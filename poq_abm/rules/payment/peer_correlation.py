"""Pay for correlation with the other members."""

from __future__ import annotations

from poq_abm.rules.payment.batch_payment import MomentPayment
from poq_abm.rules.payment.payment import Counted
from poq_abm.rules.rule import Source

__all__ = ["PeerCorrelation"]


class PeerCorrelation(MomentPayment):
    """Alpha for the correlation of an evaluator's reports with the mean of the other members'.

    A constant has none. Unlike the rules that count bins it knows a sign: scores turned upside down
    among upright ones cost.
    """

    name = "peer_correlation"
    formula = "alpha r(s, mean of the others) - beta C"
    source = Source("assumed", "Pearson's correlation with the mean of the other members")
    counted = Counted.PEERS
