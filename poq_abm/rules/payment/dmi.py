"""Pay for determinant mutual information."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poq_abm.rules.payment.batch_payment import PairPayment
from poq_abm.rules.rule import Source

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["DeterminantMutualInformation"]


class DeterminantMutualInformation(PairPayment):
    """Alpha for an unbiased estimate of det(U)^2, from the two halves of a pair's records.

    Honest reports are a dominant strategy, for any number of records that fills both halves. Few
    records and many bins make the estimate coarse: two bins suit small batches.
    """

    name = "dmi"
    formula = "alpha det M1 det M2 / (n!^2 binom(n1, n) binom(n2, n)) n^2n - beta C"
    source = Source("published", "arXiv 1911.00272, section 4; n bins are ours")

    @staticmethod
    def information(tables: Array) -> Array:
        """Return det M1 det M2 / (C!^2 binom(n1, C) binom(n2, C)); 0 where a half is too small.

        M1 and M2 count the records of the halves, n1 and n2 of them. Of two evaluators who are
        right with chances a and b about an even truth its mean is ((2a-1) (2b-1) / 4)^2.

        >>> import numpy as np
        >>> half = [[3400.0, 1600.0], [1600.0, 3400.0]]
        >>> DeterminantMutualInformation.information(np.array([[half, half]])).round(4)
        array([0.0081])
        """
        import numpy as np  # noqa: PLC0415

        records, ways = tables.sum(axis=(-2, -1)), np.ones(tables.shape[:-2])
        for taken in range(tables.shape[-1]):
            ways = ways * np.maximum(records - taken, 0.0)
        found = np.where(ways > 0.0, _determinant(tables) / np.where(ways > 0.0, ways, 1.0), 0.0)
        both: Array = found.prod(axis=-1)
        return both

    @staticmethod
    def most(bins: int) -> float:
        """Return C^-2C, the square of the determinant of C equal numbers that sum to 1."""
        return float(bins) ** (-2 * bins)


def _determinant(tables: Array) -> Array:
    """Return determinants of tables of at most five rows, by their first rows: no rounding."""
    import numpy as np  # noqa: PLC0415

    if tables.shape[-1] == 1:
        return tables[..., 0, 0]
    parts: list[Array] = [
        (-1.0) ** column
        * tables[..., 0, column]
        * _determinant(np.delete(tables[..., 1:, :], column, axis=-1))
        for column in range(tables.shape[-1])
    ]
    return sum(parts[1:], parts[0])
