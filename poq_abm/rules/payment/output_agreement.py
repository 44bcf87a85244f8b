"""Pay for agreeing: what most crowds are paid for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poq_abm.rules.payment.batch_payment import PairPayment
from poq_abm.rules.rule import Source

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["OutputAgreement"]


class OutputAgreement(PairPayment):
    """Alpha for the share of records on which a peer's report lies in the same bin.

    Who says nothing still agrees by chance: a constant earns at least what one bin of C is worth.
    """

    name = "output_agreement"
    formula = "alpha sum_c U_cc - beta C"
    source = Source("published", "arXiv 1603.03151, section 2; n bins are ours")

    pays_information = False

    @staticmethod
    def information(tables: Array) -> Array:
        """Return the share of records in the same bin.

        >>> import numpy as np
        >>> OutputAgreement.information(np.array([[[[3.0, 1.0], [1.0, 3.0]]] * 2]))
        array([0.75])
        """
        both = tables.sum(axis=1)
        agreed: Array = both.trace(axis1=-2, axis2=-1) / both.sum(axis=(-2, -1))
        return agreed

    @staticmethod
    def most(bins: int) -> float:
        """Return 1."""
        return 1.0
