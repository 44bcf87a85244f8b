"""Fronts: designs that no other is better than, what they cover, and how sure that is.

Outcomes are arrays whose last axis is the objectives, all of them to be minimised.
"""

from __future__ import annotations

import numpy as np
import scipy  # which imports scipy.special where it is first used
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "FrontComparison",
    "compared",
    "hypervolume",
    "non_dominated",
    "probabilities",
    "spread_out",
]

Array = NDArray[np.float64]
_DUST = 1e-12  #: of the size of two figures: a difference below it is rounding


def non_dominated(outcomes: ArrayLike) -> NDArray[np.bool_]:
    """Return which of some outcomes (n, objectives) no other dominates; equal ones all stay.

    One dominates another that it is nowhere worse than, and somewhere better.

    >>> non_dominated([[1, 3], [2, 2], [3, 1], [3, 3], [2, 2]]).tolist()
    [True, True, True, False, True]
    """
    points = np.asarray(outcomes, dtype=np.float64)
    kept = np.ones(len(points), dtype=np.bool_)
    for number, point in enumerate(points):
        better = (points <= point).all(axis=1) & (points < point).any(axis=1)
        kept[number] = not better.any()
    return kept


def hypervolume(outcomes: ArrayLike, reference: ArrayLike) -> float:
    """Return the volume that some outcomes dominate, as far as a reference point.

    By slices along the last objective; exact, for a few objectives and some hundred outcomes.

    >>> hypervolume([[1, 3], [2, 2], [3, 1]], [4, 4])
    6.0
    >>> hypervolume([[0, 0, 0], [2, 2, 2]], [1, 2, 3])
    6.0
    """
    points, corner = np.asarray(outcomes, np.float64), np.asarray(reference, np.float64)
    points = points[(points < corner).all(axis=1)]
    if not len(points):
        return 0.0
    if len(corner) == 1:
        return float(corner[0] - points.min())
    if len(corner) == 2:
        return _area(points, corner)
    points = points[non_dominated(points)]
    points = points[np.argsort(points[:, -1], kind="stable")]
    ends = np.append(points[1:, -1], corner[-1])
    return float(
        sum(
            (end - point[-1]) * hypervolume(points[: number + 1, :-1], corner[:-1])
            for number, (point, end) in enumerate(zip(points, ends, strict=True))
            if end > point[-1]
        )
    )


def _area(points: Array, corner: Array) -> float:
    """Return the area that points of a plane dominate: one pass from the lowest."""
    points = points[np.lexsort((points[:, 0], points[:, 1]))]
    before = np.append(np.inf, np.minimum.accumulate(points[:-1, 0]))
    steps = points[points[:, 0] < before]
    heights = np.append(steps[1:, 1], corner[1]) - steps[:, 1]
    return float(np.cumsum(heights * (corner[0] - steps[:, 0]))[-1])  # in order, on any Python


def probabilities(played: Array, draws: int = 1_000, seed: int = 0) -> Array:
    """Return how probably each member of a front is dominated by no other.

    ``played`` is (replications, members, objectives). Replications are drawn again with
    replacement, the same for all members, which saw the same luck; the share of draws in which no
    other member has better means.

    >>> probabilities(np.array([[[0.0], [1.0]], [[0.5], [1.5]]])).tolist()
    [1.0, 0.0]
    """
    count = len(played)
    chosen = np.random.default_rng(seed).integers(0, count, (draws, count))
    means = np.stack([played[some].mean(axis=0) for some in chosen])
    pairs = (draws, played.shape[1], played.shape[1])
    nowhere, somewhere = np.ones(pairs, np.bool_), np.zeros(pairs, np.bool_)
    for one in np.moveaxis(means, 2, 0):
        nowhere &= one[:, None, :] <= one[:, :, None]
        somewhere |= one[:, None, :] < one[:, :, None]
    best = ~np.any(nowhere & somewhere, axis=2)
    shares: Array = best.mean(axis=0, dtype=np.float64)
    return shares


class FrontComparison:
    """Whom each member of a front is dominated by, and who is shown to belong to it.

    ``low`` and ``high`` are (members, members, objectives): the ends of the mean of the first less
    the second.
    """

    def __init__(self, low: Array, high: Array, tolerance: Array) -> None:
        self.low, self.high, self.tolerance = low, high, tolerance

    @property
    def dominated(self) -> NDArray[np.bool_]:
        """(i, j): whether j is shown to be better somewhere, and nowhere worse, than i.

        A difference up to the tolerance counts as none.
        """
        nowhere = (self.low >= -self.tolerance).all(axis=2)
        somewhere = (self.low > self.tolerance).any(axis=2)
        return np.asarray(nowhere & somewhere)

    @property
    def states(self) -> list[str]:
        """``in`` (shown to be better than each other somewhere), ``out`` or ``undecided``."""
        ahead: NDArray[np.bool_] = np.asarray((self.high < 0.0).any(axis=2))
        np.fill_diagonal(ahead, val=True)
        lost = self.dominated.any(axis=1)
        first = np.all(ahead | lost, axis=1)  # who is out needs no beating: what beat it is there
        words = np.where(lost, "out", np.where(first, "in", "undecided"))
        return [str(word) for word in words]


def compared(played: Array, level: float, tolerance: ArrayLike) -> FrontComparison:
    """Return the comparison of all members on the same replications.

    ``played`` is (replications, members, objectives); Student intervals of matched differences,
    each at the level given.

    >>> luck = np.array([0.0, 2.0, 1.0, 5.0])[:, None, None]
    >>> compared(luck + np.array([[[1.0], [2.0]]]), 0.95, [0.0]).states
    ['in', 'out']
    """
    count = len(played)
    difference = played[:, :, None, :] - played[:, None, :, :]
    size = np.abs(played).max(axis=(0, 1)) if played.size else 0.0
    difference = np.where(np.abs(difference) <= _DUST * size, 0.0, difference)
    mean = difference.mean(axis=0)
    if count < 2:
        wide = np.full_like(mean, np.inf)
        return FrontComparison(-wide, wide, np.asarray(tolerance, np.float64))
    error = difference.std(axis=0, ddof=1) / np.sqrt(count)
    half = float(scipy.special.stdtrit(count - 1, (1.0 + level) / 2.0)) * error
    return FrontComparison(mean - half, mean + half, np.asarray(tolerance, np.float64))


def spread_out(outcomes: ArrayLike, count: int) -> list[int]:
    """Return up to ``count`` outcomes that stand for all: the best of each objective first.

    Then, again and again, the one farthest from those that were taken, with every objective scaled
    to its range.

    >>> spread_out([[0, 10], [1, 9], [5, 5], [10, 0]], 3)
    [0, 3, 2]
    """
    points = np.asarray(outcomes, dtype=np.float64)
    if not len(points):
        return []
    width = np.ptp(points, axis=0)
    scaled = (points - points.min(axis=0)) / np.where(width > 0.0, width, 1.0)
    taken = list(dict.fromkeys(int(number) for number in scaled.argmin(axis=0)))[:count]
    gaps = np.min([np.abs(scaled - scaled[one]).max(axis=1) for one in taken], axis=0)
    while len(taken) < min(count, len(points)):
        gaps[taken] = -1.0
        farthest = int(gaps.argmax())
        taken.append(farthest)
        gaps = np.minimum(gaps, np.abs(scaled - scaled[farthest]).max(axis=1))
    return taken
