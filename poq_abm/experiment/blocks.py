"""How a run is cut: spans of replications, and the blocks of spans that are played and stored.

A block is fixed by the plan alone, never by the workers: it is what the run wants next, in the
order of treatment and replication, cut at fixed numbers of rounds and rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Block", "Limits", "Span", "Weight", "cut"]


class Span(NamedTuple):
    """Replications ``first`` to ``last - 1`` of one treatment."""

    treatment: int
    first: int
    last: int

    @property
    def size(self) -> int:
        """Number of replications."""
        return self.last - self.first


class Weight(NamedTuple):
    """What one replication of a treatment costs: rounds to play and rows to store."""

    rounds: int
    rows: int


class Limits(NamedTuple):
    """What a block may hold at most; one replication may always be more."""

    rounds: int
    rows: int


@dataclass(frozen=True)
class Block:
    """What one worker plays at a time and what is stored as one file for each table."""

    spans: tuple[Span, ...]

    @property
    def name(self) -> str:
        """Name the block by its first and last replication; names sort like their replications.

        >>> Block((Span(0, 3, 20), Span(1, 0, 7))).name
        't00000r0000003-t00001r0000006'
        """
        first, last = self.spans[0], self.spans[-1]
        return f"t{first.treatment:05}r{first.first:07}-t{last.treatment:05}r{last.last - 1:07}"


def cut(spans: Iterable[Span], weight: Callable[[int], Weight], limits: Limits) -> Iterator[Block]:
    """Cut spans into blocks of at most so many rounds and rows.

    >>> wholes = [Span(0, 0, 5), Span(1, 0, 2)]
    >>> [b.spans for b in cut(wholes, lambda _: Weight(10, 1), Limits(40, 100))]
    ... # doctest: +NORMALIZE_WHITESPACE
    [(Span(treatment=0, first=0, last=4),),
     (Span(treatment=0, first=4, last=5), Span(treatment=1, first=0, last=2))]
    """
    held: list[Span] = []
    rounds = rows = 0
    for treatment, first, last in spans:
        each = weight(treatment)
        at = first
        while at < last:
            room = min(
                (limits.rounds - rounds) // each.rounds, (limits.rows - rows) // max(each.rows, 1)
            )
            if room < 1 and held:
                yield Block(tuple(held))
                held, rounds, rows = [], 0, 0
                continue
            taken = min(max(room, 1), last - at)
            held.append(Span(treatment, at, at + taken))
            at += taken
            rounds += taken * each.rounds
            rows += taken * each.rows
    if held:
        yield Block(tuple(held))
