"""The committee that a round's rules are handed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["Committee", "open_committee"]


class Committee(NamedTuple):
    """The committee that sits: who, what they report, what they weigh; arrays of shape (K,).

    Rules read the first five and may write over ``ordered`` and ``carried``.
    """

    members: NDArray[np.int64]  #: evaluator indices in [0, M)
    scores: Array  #: looked up, then as reported; in [0, 10]
    weights: Array  #: trust or stake, where the aggregation rule asks for it
    nearness: Array  #: closeness to what each member is compared with, in [0, 1]
    deviations: Array  #: from what trust is measured against, in [0, 1]
    ordered: Array  #: a place for rules to work in
    carried: Array  #: another
    others: Array  #: scratch of the leave-one-out reference
    their_weights: Array  #: likewise


def open_committee(
    scores: Sequence[float] | Array, weights: Sequence[float] | Array | None = None
) -> Committee:
    """Return a committee that reports these scores; all weigh alike unless weights are given.

    >>> open_committee([2.0, 4.0]).weights.tolist()
    [1.0, 1.0]
    """
    import numpy as np  # noqa: PLC0415  (declarations of rules are read without it)

    reported = np.array(scores, np.float64)
    heavy = np.ones(reported.size) if weights is None else np.array(weights, np.float64)
    scratch = np.full((6, reported.size), np.nan)
    return Committee(np.arange(reported.size), reported, heavy, *scratch)
