"""Sampling the committee: K evaluators without replacement, nested in K, alike or by weight."""

from __future__ import annotations

from typing import NamedTuple, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from poq_abm.compilation import compiled, compiled_loop
from poq_abm.random import Purpose, below_in_place, uniform
from poq_abm.rules.schedule.drawing import Slot

__all__ = [
    "SeatWeights",
    "draw_steps",
    "seat_by_weight",
    "seat_committee",
    "seat_committees",
    "seat_weights",
]


class SeatWeights(NamedTuple):
    """The weights of M evaluators, as a binary tree of sums."""

    weights: NDArray[np.float64]  #: (M,), at least 0
    #: (2 P,) with P the least power of two not below M: leaf ``P + m`` holds the weight of member
    #: ``m`` while it has no seat, every inner node ``i`` the sum of ``2 i`` and ``2 i + 1``
    tree: NDArray[np.float64]


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


@compiled_loop
def _take_where(
    taken: NDArray[np.uint32],
    given: NDArray[np.uint32],
    places: NDArray[np.uint32],
    others: NDArray[np.uint32],
) -> None:
    """Take what is given where two places are the same: without branches, many at once."""
    for t in range(taken.size):
        here, there = taken[t], given[t]
        taken[t] = there if places[t] == others[t] else here


@compiled_loop
def seat_committees(
    members: NDArray[np.uint32],
    moved: NDArray[np.uint32],
    places: NDArray[np.uint32],
    steps: NDArray[np.uint32],
) -> None:
    """Fill ``members`` with the committees that :func:`seat_committee` seats, all rounds at once.

    All arrays have a column for each round. ``moved`` is scratch of K rows, ``places`` of K + 1;
    ``steps`` is what :func:`draw_steps` made. No permutation is kept: what seat ``i`` finds at its
    place is what the last seat that took from there before it has moved there, and else the place's
    own number. That takes K (K - 1) comparisons of columns, so it suits a small committee.

    >>> import numpy as np
    >>> steps = np.array([[0], [0], [0], [2], [0]], np.uint32)
    >>> members, moved = np.empty((2, 2, 1), np.uint32)
    >>> seat_committees(members, moved, np.empty((3, 1), np.uint32), steps)
    >>> members[:, 0].tolist()
    [2, 1]
    """
    for i in range(members.shape[0]):
        seat = np.uint32(i)
        step, place, own = steps[Slot.COMMITTEE + i], places[i], places[members.shape[0]]
        for t in range(place.size):
            place[t] = step[t] + seat
            members[i, t] = place[t]
            moved[i, t] = seat
            own[t] = seat
        for j in range(i):
            _take_where(members[i], moved[j], places[j], place)
            _take_where(moved[i], moved[j], places[j], own)


def seat_weights(weights: NDArray[np.float64]) -> SeatWeights:
    """Return the weights of M >= 1 evaluators for :func:`seat_by_weight`; their scale is free.

    Where nobody has any weight, all have the same.

    >>> seat_weights(np.array([1.0, 2.0, 4.0])).tree.tolist()
    [0.0, 1.75, 0.75, 1.0, 0.25, 0.5, 1.0, 0.0]
    """
    most = float(weights.max())
    scaled = weights / most if most > 0.0 else np.ones_like(weights)  # no sum overflows
    places = 1 << max(0, int(weights.size - 1).bit_length())
    tree = np.zeros(2 * places)
    tree[places : places + weights.size] = scaled
    while places > 1:
        below, places = tree[places : 2 * places], places // 2
        tree[places : 2 * places] = below[0::2] + below[1::2]
    return SeatWeights(scaled, tree)


@compiled
def _weigh(tree: NDArray[np.float64], member: SupportsIndex, weight: float) -> None:
    """Set the weight of a member; sums are made anew, so that none is left over by rounding."""
    node = tree.size // 2 + np.int64(member)
    tree[node] = weight
    while node > 1:
        node //= 2
        tree[node] = tree[2 * node] + tree[2 * node + 1]


@compiled
def _heavy(tree: NDArray[np.float64], target: float) -> int:
    """Return the member in whose part of the summed weights ``target`` lies; none of weight 0."""
    node, places = 1, tree.size // 2
    while node < places:
        left = tree[2 * node]
        if target < left or tree[2 * node + 1] == 0.0:
            node = 2 * node
        else:
            target -= left
            node = 2 * node + 1
    return node - places


@compiled
def _unseated(committee: NDArray[np.int64], seated: int, number: int) -> int:
    """Return the member of a number, from 0, among those without a seat."""
    place = -1
    while number >= 0:
        place += 1
        free = True
        for k in range(seated):
            free = free and committee[k] != place
        number -= int(free)
    return place


@compiled
def seat_by_weight(
    committee: NDArray[np.int64], seats: SeatWeights, seed: int, replication: int, round_: int
) -> None:
    """Fill ``committee`` with K of M >= K evaluators in proportion to weight, seat by seat.

    Successive sampling without replacement: each seat goes to member m with chance w_m over the
    sum of the weights of those who have none yet (Yates and Grundy, Journal of the Royal
    Statistical Society B 15, 1953). One keyed double decides a seat, to within 2^-52, so a smaller
    committee is a prefix of a larger one. Where only members of weight 0 are left, each of them is
    equally likely. The cost is K log M; the tree is left as it was found.

    >>> committee, seats = np.empty(3, np.int64), seat_weights(np.array([0.0, 5.0, 0.0]))
    >>> seat_by_weight(committee, seats, 1, 0, 0)
    >>> int(committee[0]), sorted(committee.tolist())
    (1, [0, 1, 2])
    """
    weights, tree = seats
    for k in range(committee.size):
        u = uniform(seed, replication, Purpose.SEAT, round_, k)
        if tree[1] > 0.0:
            member = _heavy(tree, u * tree[1])
            _weigh(tree, member, 0.0)
        else:
            member = _unseated(committee, k, int(u * (weights.size - k)))
        committee[k] = member
    for k in range(committee.size):
        _weigh(tree, committee[k], weights[committee[k]])
