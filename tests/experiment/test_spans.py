"""Cutting and covering: every replication once, whatever the limits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from poq_abm.experiment.joining import Piece, in_order
from poq_abm.experiment.spans import Coverage, Limits, Span, Weight, cells, cut

spans = st.builds(
    lambda treatment, first, size: Span(treatment, first, first + size),
    st.integers(0, 3),
    st.integers(0, 20),
    st.integers(1, 10),
)


@given(
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=6),
    rounds=st.lists(st.integers(1, 50), min_size=6, max_size=6),
    limits=st.builds(
        Limits, st.integers(1, 200), st.integers(1, 60), st.none() | st.integers(1, 4)
    ),
)
def test_chunks_hold_everything_once_within_their_limits(
    sizes: list[int], rounds: list[int], limits: Limits
) -> None:
    wanted = [Span(treatment, 0, size) for treatment, size in enumerate(sizes)]
    chunks = list(cut(wanted, lambda t: Weight(rounds[t], 7), limits))
    assert [cell for c in chunks for cell in cells(c.spans)] == list(cells(wanted))
    assert len({chunk.name for chunk in chunks}) == len(chunks)
    for chunk in chunks:
        held = list(cells(chunk.spans))
        if len(held) > 1:
            assert sum(rounds[treatment] for treatment, _ in held) <= limits.rounds
            assert 7 * len(held) <= limits.rows
            assert len(held) <= (limits.replications or len(held))


@given(there=st.lists(spans, max_size=8), wanted=st.lists(spans, max_size=4))
def test_what_is_lacking_is_what_is_not_there(there: list[Span], wanted: list[Span]) -> None:
    coverage = Coverage(there)
    known = set(cells(there))
    assert list(cells(coverage.lacking(wanted))) == [
        cell for cell in cells(wanted) if cell not in known
    ]
    for treatment in range(4):
        assert coverage.count(treatment) == sum(cell[0] == treatment for cell in known)
    for span in wanted:
        assert coverage.overlaps(span) == any(cell in known for cell in cells([span]))


@given(st.permutations(range(12)), st.integers(1, 5))
def test_pieces_come_in_the_order_of_replications(order: list[int], rows: int) -> None:
    """Twelve replications of two treatments lie in four chunks, in any order."""
    all_cells = [Span(number // 6, number % 6, number % 6 + 1) for number in order]
    played = [all_cells[start : start + 3] for start in range(0, 12, 3)]
    stored = [[cell for cell in cells(chunk) for _ in range(rows)] for chunk in played]
    joined = []
    for chunk, first, count in in_order(played, lambda _: rows):
        joined += stored[chunk][first : first + count]
    assert joined == [(t, r) for t in range(2) for r in range(6) for _ in range(rows)]


def test_neighbouring_pieces_are_read_together() -> None:
    played = [[Span(0, 0, 2), Span(1, 0, 2)], [Span(2, 0, 1)]]
    assert list(in_order(played, lambda _: 3)) == [Piece(0, 0, 12), Piece(1, 0, 3)]
