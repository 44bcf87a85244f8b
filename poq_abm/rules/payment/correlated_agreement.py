"""Pay for agreement beyond chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poq_abm.rules.payment.batch_payment import PairPayment
from poq_abm.rules.rule import Source

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["CorrelatedAgreement"]


class CorrelatedAgreement(PairPayment):
    """Alpha for reports that go together on one record more often than on two.

    Delta = U - u v says which bins go together; it is learnt on one half of the records and pays on
    the other, so that nobody is paid for luck.
    """

    name = "correlated_agreement"
    formula = "alpha sum 1[Delta > 0] (U - u v) / (1 - 1 / n) - beta C"
    source = Source("published", "arXiv 1603.03151, section 4; n bins are ours")

    @staticmethod
    def information(tables: Array) -> Array:
        """Return the mean over both halves of the sum of Delta where the other half's is positive.

        Two evaluators who are right with chances a and b about an even truth: (2a-1) (2b-1) / 2.

        >>> import numpy as np
        >>> CorrelatedAgreement.information(np.array([[[[34.0, 16.0], [16.0, 34.0]]] * 2])).round(9)
        array([0.18])
        """
        import numpy as np  # noqa: PLC0415

        records = np.maximum(tables.sum(axis=(-2, -1), keepdims=True), 1.0)
        joint = tables / records
        delta = joint - joint.sum(axis=-1, keepdims=True) * joint.sum(axis=-2, keepdims=True)
        paid = np.where(delta[:, ::-1] > 0.0, delta, 0.0)
        found: Array = paid.sum(axis=(-2, -1)).mean(axis=-1)
        return found

    @staticmethod
    def most(bins: int) -> float:
        """Return 1 - 1/C."""
        return 1.0 - 1.0 / bins
