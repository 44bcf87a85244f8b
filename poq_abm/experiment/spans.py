"""How work is cut: spans of replications, and the chunks of spans that workers play."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Cell", "Chunk", "Coverage", "Limits", "Span", "Weight", "cells", "cut"]

Cell = tuple[int, int]  #: treatment and replication, both counted from 0


class Span(NamedTuple):
    """Replications ``first`` to ``last - 1`` of one treatment."""

    treatment: int
    first: int
    last: int


class Weight(NamedTuple):
    """What one replication of a treatment costs: rounds to play and rows to store."""

    rounds: int
    rows: int


class Limits(NamedTuple):
    """What a chunk may hold at most; one replication may always be more."""

    rounds: int
    rows: int
    replications: int | None = None


@dataclass(frozen=True)
class Chunk:
    """What one worker plays and stores at a time, in the order of the rows.

    The cut never matters to a result: replications are keyed, and tables are joined by treatment
    and replication.
    """

    spans: tuple[Span, ...]

    @property
    def name(self) -> str:
        """Name the chunk by its first and last replication.

        >>> Chunk((Span(0, 3, 20), Span(1, 0, 7))).name
        't0r3-t1r6'
        """
        first, last = self.spans[0], self.spans[-1]
        return f"t{first.treatment}r{first.first}-t{last.treatment}r{last.last - 1}"


def cells(spans: Iterable[Span]) -> Iterator[Cell]:
    """Yield every treatment and replication of some spans.

    >>> list(cells([Span(0, 1, 3), Span(2, 0, 1)]))
    [(0, 1), (0, 2), (2, 0)]
    """
    for span in spans:
        for replication in range(span.first, span.last):
            yield span.treatment, replication


class Coverage:
    """Which replications of which treatments are there, as disjoint spans.

    >>> there = Coverage([Span(0, 0, 2), Span(0, 3, 4)])
    >>> list(there.lacking([Span(0, 0, 5)]))
    [Span(treatment=0, first=2, last=3), Span(treatment=0, first=4, last=5)]
    >>> there.spans()
    [Span(treatment=0, first=0, last=2), Span(treatment=0, first=3, last=4)]
    """

    def __init__(self, spans: Iterable[Span] = ()) -> None:
        self._ends: dict[int, list[tuple[int, int]]] = {}
        self.update(spans)

    def update(self, spans: Iterable[Span]) -> None:
        """Add spans, which may touch or overlap others."""
        for span in spans:
            self._add(span)

    def _add(self, span: Span) -> None:
        merged: list[tuple[int, int]] = []
        for first, last in sorted([*self._ends.get(span.treatment, []), (span.first, span.last)]):
            if merged and first <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(merged[-1][1], last))
            else:
                merged.append((first, last))
        self._ends[span.treatment] = merged

    def lacking(self, wanted: Iterable[Span]) -> Iterator[Span]:
        """Yield what is not there of the wanted spans, in their order."""
        for treatment, first, last in wanted:
            at = first
            for start, end in self._ends.get(treatment, []):
                if at < min(start, last):
                    yield Span(treatment, at, min(start, last))
                at = max(at, end)
            if at < last:
                yield Span(treatment, at, last)

    def overlaps(self, span: Span) -> bool:
        """Return whether any replication of the span is there."""
        return any(
            start < span.last and span.first < end
            for start, end in self._ends.get(span.treatment, [])
        )

    def spans(self) -> list[Span]:
        """Return what is there, in order and as few spans as will do."""
        held = sorted(self._ends.items())
        return [Span(treatment, *ends) for treatment, pairs in held for ends in pairs]

    def count(self, treatment: int) -> int:
        """Return how many replications of a treatment are there."""
        return sum(last - first for first, last in self._ends.get(treatment, []))


def cut(spans: Iterable[Span], weight: Callable[[int], Weight], limits: Limits) -> Iterator[Chunk]:
    """Cut spans into chunks of at most so many rounds, rows and replications.

    >>> wholes = [Span(0, 0, 5), Span(1, 0, 2)]
    >>> [chunk.name for chunk in cut(wholes, lambda _: Weight(10, 1), Limits(30, 100))]
    ['t0r0-t0r2', 't0r3-t1r0', 't1r1-t1r1']
    """
    held: list[Span] = []
    rounds = rows = replications = 0
    most = limits.replications or 2**62
    for treatment, first, last in spans:
        each = weight(treatment)
        at = first
        while at < last:
            room = min(
                (limits.rounds - rounds) // each.rounds,
                (limits.rows - rows) // max(each.rows, 1),
                most - replications,
            )
            if room < 1 and held:
                yield Chunk(tuple(held))
                held, rounds, rows, replications = [], 0, 0, 0
                continue
            taken = min(max(room, 1), last - at)
            held.append(Span(treatment, at, at + taken))
            at += taken
            rounds += taken * each.rounds
            rows += taken * each.rows
            replications += taken
    if held:
        yield Chunk(tuple(held))
