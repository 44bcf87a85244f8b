"""Sampling the committee: K evaluators without replacement, nested in K."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from poq_abm.jit import compiled
from poq_abm.mechanism.schedule import Slot
from poq_abm.streams import Purpose, below_in_place

__all__ = ["draw_steps", "seat_committee"]


@compiled
def draw_steps(
    words: NDArray[np.uint32],
    size: int,
    evaluators: int,
    bounds: NDArray[np.uint32],
    seed: int,
    replication: int,
    first_round: int,
) -> None:
    """Turn the words of the committee slots into the steps of a Fisher-Yates shuffle.

    The step of seat ``i`` is an integer in [0, M - i). ``words`` has shape (slots, rounds) and its
    first column belongs to ``first_round``; ``bounds`` is scratch of one entry per round.
    """
    for i in range(size):
        slot = Slot.COMMITTEE + i
        bounds[:] = evaluators - i
        below_in_place(words[slot], bounds, seed, replication, Purpose.ROUND, first_round, slot)


@compiled
def seat_committee(
    committee: NDArray[np.int64],
    order: NDArray[np.int64],
    swapped: NDArray[np.int64],
    steps: NDArray[np.uint32],
    t: int,
) -> None:
    """Fill ``committee`` with K distinct evaluators, every ordered selection equally likely.

    The set S of size K of arXiv 2512.16317, sampled without replacement (step 4 of its Algorithm
    1; it has K of 1 to 3, here any number).

    The committee is a prefix of a Fisher-Yates permutation (Knuth, The Art of Computer Programming
    2, 3.4.2, Algorithm P): seat ``i`` takes what lies ``steps[COMMITTEE + i, t]`` places further
    on. A smaller committee is therefore a prefix of a larger one. Only the K places touched are put
    back, so the cost does not depend on M.

    Parameters
    ----------
    committee
        Receives the evaluators' indices in [0, M); shape (K,).
    order, swapped
        Scratch: the identity permutation of M (left as it was found) and K places.
    steps
        What :func:`draw_steps` made; column ``t`` belongs to this round.

    Examples
    --------
    >>> import numpy as np
    >>> steps = np.array([[0], [0], [0], [2], [0]], np.uint32)
    >>> committee, order = np.empty(2, np.int64), np.arange(3)
    >>> seat_committee(committee, order, np.empty(2, np.int64), steps, 0)
    >>> committee.tolist(), order.tolist()
    ([2, 1], [0, 1, 2])
    """
    for i in range(committee.size):
        place = i + np.int64(steps[Slot.COMMITTEE + i, t])
        committee[i] = order[place]
        order[place] = order[i]
        swapped[i] = place
    for i in range(committee.size):
        order[swapped[i]] = swapped[i]
        order[i] = i
