"""Joining what chunks left into whole tables, in the order of treatment, replication and node."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.experiment.spans import Span

__all__ = ["Piece", "columns_by_treatment", "in_order"]


class Piece(NamedTuple):
    """Consecutive rows of what one chunk left."""

    chunk: int
    first_row: int
    rows: int


def in_order(played: Sequence[Sequence[Span]], rows_of: Callable[[int], int]) -> Iterator[Piece]:
    """Yield the pieces that make a table, one or more from each chunk.

    ``played`` holds the spans that each chunk left rows of, in the order of its rows; ``rows_of``
    says how many rows one replication of a treatment has.

    >>> list(in_order([[Span(0, 2, 3)], [Span(0, 0, 2), Span(1, 0, 1)]], lambda _: 10))
    ... # doctest: +NORMALIZE_WHITESPACE
    [Piece(chunk=1, first_row=0, rows=20), Piece(chunk=0, first_row=0, rows=10),
     Piece(chunk=1, first_row=20, rows=10)]
    """
    placed: list[tuple[Span, Piece]] = []
    for chunk, spans in enumerate(played):
        at = 0
        for span in spans:
            rows = (span.last - span.first) * rows_of(span.treatment)
            placed.append((span, Piece(chunk, at, rows)))
            at += rows
    held: Piece | None = None
    for _, piece in sorted(placed):
        if held and (held.chunk, held.first_row + held.rows) == (piece.chunk, piece.first_row):
            held = held._replace(rows=held.rows + piece.rows)
            continue
        if held:
            yield held
        held = piece
    if held:
        yield held


def columns_by_treatment(
    parts: Iterable[tuple[Sequence[Span], NDArray[np.float64]]],
) -> dict[int, NDArray[np.float64]]:
    """Return values by treatment and replication, from the spans that they belong to.

    >>> columns_by_treatment([([Span(0, 1, 3)], np.array([5.0, 6.0]))])[0].tolist()
    [nan, 5.0, 6.0]
    """
    columns: dict[int, NDArray[np.float64]] = {}
    for spans, values in parts:
        at = 0
        for treatment, first, last in spans:
            there = columns.get(treatment, np.empty(0))
            wider = np.full(max(last, there.size), np.nan)
            wider[: there.size] = there
            wider[first:last] = values[at : at + last - first]
            columns[treatment] = wider
            at += last - first
    return columns
