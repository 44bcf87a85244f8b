"""What an evaluator's score is compared with.

In the published mechanism (equation (3) of arXiv 2512.16317) an evaluator is compared with a
consensus that contains its own score: alone in its committee it always earns the maximum. Leaving
its own score out takes that pull away.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from poq_abm.compilation import compiled_loop, compiled_or_python
from poq_abm.rules.aggregation import aggregate

__all__ = ["Reference", "reference_score"]


class Reference(IntEnum):
    """The scores an evaluator is compared with."""

    INCLUSIVE = 0  #: the consensus itself (published: equation (3))
    LEAVE_ONE_OUT = 1  #: the same rule over the other members


@compiled_loop
def _leave_one_out(
    rule: int,
    parameter: float,
    scores: NDArray[np.float64],
    weights: NDArray[np.float64],
    count: int,
    member: int,
    others: NDArray[np.float64],
    their_weights: NDArray[np.float64],
    ordered: NDArray[np.float64],
    carried: NDArray[np.float64],
) -> float:
    kept = 0
    for k in range(count):
        if k != member:
            others[kept] = scores[k]
            their_weights[kept] = weights[k]
            kept += 1
    return aggregate(rule, parameter, others, their_weights, kept, ordered, carried)


@compiled_or_python
def reference_score(
    reference: int,
    rule: int,
    parameter: float,
    scores: NDArray[np.float64],
    weights: NDArray[np.float64],
    count: int,
    member: int,
    consensus: float,
    others: NDArray[np.float64],
    their_weights: NDArray[np.float64],
    ordered: NDArray[np.float64],
    carried: NDArray[np.float64],
) -> float:
    """Return the score that ``member`` of a committee is compared with, in [0, 10].

    ``inclusive``: the consensus. ``leave_one_out``: the aggregate of the other ``count - 1``
    members; a committee of one has no others and falls back to the consensus. The last four
    arguments are scratch of at least ``count`` places.

    >>> import numpy as np
    >>> scores, scratch = np.array([2.0, 4.0, 9.0]), [np.empty(3) for _ in range(4)]
    >>> reference_score(Reference.LEAVE_ONE_OUT, 0, 0.0, scores, np.ones(3), 3, 2, 5.0, *scratch)
    3.0
    """
    if reference == Reference.INCLUSIVE or count == 1:
        return consensus
    return _leave_one_out(
        rule, parameter, scores, weights, count, member, others, their_weights, ordered, carried
    )
