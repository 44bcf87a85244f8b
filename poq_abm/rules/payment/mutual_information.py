"""Pay for mutual information."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from poq_abm.rules.payment.batch_payment import PairPayment
from poq_abm.rules.rule import Source

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["MutualInformation"]


class MutualInformation(PairPayment):
    """Alpha for the mutual information of an evaluator's reports and a peer's.

    The estimate from counts is too high by about (C - 1)^2 / (2 n) nats on n records: reports at
    random earn that much.
    """

    name = "mutual_information"
    formula = "alpha sum U ln(U / (u v)) / ln n - beta C"
    source = Source("published", "Kong and Schoenebeck 2019, ACM TEAC 7(1); n bins are ours")

    @staticmethod
    def information(tables: Array) -> Array:
        """Return the mutual information of the joint table, in nats.

        Two evaluators who are right with chances a and b about an even truth:
        ln 2 - H(a b + (1-a) (1-b)).

        >>> import numpy as np
        >>> MutualInformation.information(np.array([[[[34.0, 16.0], [16.0, 34.0]]] * 2])).round(4)
        array([0.0663])
        """
        both = tables.sum(axis=1)
        records = both.sum(axis=(-2, -1))
        margins = [_entropic(both.sum(axis=axis)).sum(axis=-1) for axis in (-2, -1)]
        joint = _entropic(both).sum(axis=(-2, -1)) + _entropic(records)
        found: Array = (joint - margins[0] - margins[1]) / records
        return found

    @staticmethod
    def most(bins: int) -> float:
        """Return ln C."""
        return math.log(bins)


def _entropic(counts: Array) -> Array:
    """Return n ln n, 0 for none; by a logarithm that is the same on every processor."""
    import numpy as np  # noqa: PLC0415

    known, places = np.unique(counts, return_inverse=True)
    logs = np.array([count * math.log(count) if count > 0.0 else 0.0 for count in known.tolist()])
    found: Array = logs[places.reshape(counts.shape)]
    return found
