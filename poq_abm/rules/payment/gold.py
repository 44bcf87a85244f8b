"""Pay by planted records, whose truth the operator knows."""

from __future__ import annotations

from poq_abm.rules.payment.batch_payment import MomentPayment
from poq_abm.rules.payment.payment import Counted
from poq_abm.rules.rule import Source

__all__ = ["GoldPayment"]


class GoldPayment(MomentPayment):
    """Alpha for the correlation of an evaluator's reports with the truth of planted records.

    How many are planted says ``mechanism.trust.gold_share``. What rules without a known truth can
    hope to come near.
    """

    name = "gold"
    formula = "alpha r(s, truth on planted records) - beta C"
    source = Source("assumed", "Pearson's correlation with the truth of planted records")
    counted = Counted.TRUTH
