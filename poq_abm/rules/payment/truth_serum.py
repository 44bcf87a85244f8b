"""Pay for surprising agreement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poq_abm.rules.payment.batch_payment import PairPayment
from poq_abm.rules.rule import Source

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["TruthSerum"]


class TruthSerum(PairPayment):
    """Alpha for agreement with a peer, each by how seldom the peer reports what they agree on.

    The peer truth serum of crowds, which needs no prediction: 1 / v_c for agreeing on bin c, less
    1. Who always says the same is right v_c of the time and earns 0.
    """

    name = "truth_serum"
    formula = "alpha (sum_c U_cc / v_c - 1) / (n - 1) - beta C"
    source = Source("published", "Radanovic, Faltings and Jurca 2016, ACM TIST 7(4); bins are ours")

    @staticmethod
    def information(tables: Array) -> Array:
        """Return sum_c U_cc / v_c - 1, with v the peer's margin.

        >>> import numpy as np
        >>> constant, perfect = [[4.0, 4.0], [0.0, 0.0]], [[2.0, 0.0], [0.0, 6.0]]
        >>> TruthSerum.information(np.array([[constant, constant], [perfect, perfect]]))
        array([0., 1.])
        """
        import numpy as np  # noqa: PLC0415

        both = tables.sum(axis=1)
        agreed, peer = both.diagonal(axis1=-2, axis2=-1), both.sum(axis=-2)
        found: Array = (agreed / np.where(peer > 0.0, peer, 1.0)).sum(axis=-1) - 1.0
        return found

    @staticmethod
    def most(bins: int) -> float:
        """Return C - 1."""
        return bins - 1.0
