"""What an evaluator's score is compared with.

In the published mechanism an evaluator is compared with a consensus that contains its own score:
alone in its committee it always earns the maximum. Leaving its own score out takes that pull away.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from poq_abm.jit import compiled
from poq_abm.mechanism.aggregation import aggregate

__all__ = ["Reference", "reference_score"]


class Reference(IntEnum):
    """The scores an evaluator is compared with."""

    INCLUSIVE = 0  #: the consensus itself (published)
    LEAVE_ONE_OUT = 1  #: the same rule over the other members


@compiled
def reference_score(
    reference: int,
    rule: int,
    scores: NDArray[np.float64],
    count: int,
    member: int,
    consensus: float,
    others: NDArray[np.float64],
) -> float:
    """Return the score that ``member`` of a committee is compared with, in [0, 10].

    ``inclusive``: the consensus. ``leave_one_out``: the aggregate of the other ``count - 1``
    scores; a committee of one has no others and falls back to the consensus. ``others`` is scratch
    of at least ``count - 1`` places.

    >>> import numpy as np
    >>> scores, others = np.array([2.0, 4.0, 9.0]), np.empty(3)
    >>> reference_score(Reference.LEAVE_ONE_OUT, 0, scores, 3, 2, 5.0, others)
    3.0
    """
    if reference == Reference.INCLUSIVE or count == 1:
        return consensus
    kept = 0
    for k in range(count):
        if k != member:
            others[kept] = scores[k]
            kept += 1
    return aggregate(rule, others, kept)
