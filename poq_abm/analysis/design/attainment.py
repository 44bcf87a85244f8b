"""How far a search comes with its budget, and how surely: hypervolume, attainment.

A search that is repeated from other seeds, on the same keys, finds other designs. What most of them
reach the search finds; what one reached it found by chance, and a longer search may find better.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from poq_abm.analysis.design.found import Array, FoundDesigns, Looked
from poq_abm.analysis.design.fronts import hypervolume, non_dominated, spread_out
from poq_abm.analysis.design.playing import Figures
from poq_abm.analysis.design.problem import Settings
from poq_abm.analysis.design.proposing import Proposer
from poq_abm.analysis.design.searching import look
from poq_abm.experiment.estimates import share_interval
from poq_abm.experiment.search import Step

__all__ = ["Attained", "attained", "look_again", "traces"]

_MOST_TRACED = 40  #: generations whose hypervolume is computed


def look_again(
    found: FoundDesigns, proposers: Iterable[Proposer]
) -> Generator[Step, Sequence[Figures], None]:
    """Repeat the first stage of a search with other proposers; note what each finds."""
    for proposer in proposers:
        again = FoundDesigns(found.problem)
        yield from look(found.problem, proposer, again)
        found.looks += again.looks


def traces(looks: Sequence[Looked]) -> list[list[tuple[int, float]]]:
    """Return for each search, by designs tried, the hypervolume of what it had found.

    A share of the box of all feasible outcomes of all searches; an objective that does not vary
    counts as reached, and adds no volume of its own.
    """
    points = np.concatenate([one.losses for one in looks])
    if not len(points):
        return [[] for _ in looks]
    lowest, width = points.min(axis=0), np.ptp(points, axis=0)
    found = []
    for one in looks:
        scaled = np.where(width > 0.0, (one.losses - lowest) / np.where(width > 0.0, width, 1.0), 0)
        kept = one.trace[:: max(len(one.trace) // _MOST_TRACED, 1)]
        kept += [] if kept[-1] == one.trace[-1] else [one.trace[-1]]
        found.append(_trace(scaled, kept))
    return found


def _trace(scaled: Array, ends: Sequence[tuple[int, int]]) -> list[tuple[int, float]]:
    """Return the share of the unit box that the first of some outcomes dominate, front by front."""
    front, last, corner = scaled[:0], 0, np.ones(scaled.shape[1])
    found = []
    for tried, size in ends:
        front, last = np.concatenate([front, scaled[last:size]]), size
        front = front[non_dominated(front)]
        found.append((tried, hypervolume(front, corner)))
    return found


class Attained(NamedTuple):
    """An outcome of the front of all searches together, and which share of them attain it."""

    settings: Settings
    losses: Array
    share: float
    low: float
    high: float


def attained(looks: Sequence[Looked], tolerance: Array, count: int) -> list[Attained]:
    """Return how many searches attain each outcome of the front of all of them.

    The empirical attainment function (Grunert da Fonseca and others 2001): a search attains an
    outcome where one of its feasible designs is nowhere worse, by more than the tolerance. With the
    interval of Clopper and Pearson over the searches; up to ``count`` outcomes that stand for all.
    """
    points = np.concatenate([one.losses for one in looks])
    settings = [each for one in looks for each in one.settings]
    kept = np.flatnonzero(non_dominated(points)) if len(points) else np.empty(0, dtype=np.int64)
    _, once = np.unique(points[kept], axis=0, return_index=True)
    kept = kept[np.sort(once)]
    found = []
    for place in spread_out(points[kept], count):
        outcome = points[kept[place]]
        hits = [bool((one.losses <= outcome + tolerance).all(axis=1).any()) for one in looks]
        share, low, high = share_interval(hits, np.ones(len(looks)), clustered=False)
        found.append(Attained(settings[kept[place]], outcome, share, low, high))
    return found
