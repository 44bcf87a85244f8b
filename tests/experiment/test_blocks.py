"""Cutting: every replication once, whatever the limits; names that sort; rows put in order."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from poq_abm.experiment.block_files import rows_of
from poq_abm.experiment.blocks import Limits, Span, Weight, cut
from poq_abm.experiment.execute import in_order


def cells(spans: list[Span]) -> Iterator[tuple[int, int]]:
    for span in spans:
        for replication in range(span.first, span.last):
            yield span.treatment, replication


@given(
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=6),
    rounds=st.lists(st.integers(1, 50), min_size=6, max_size=6),
    limits=st.builds(Limits, st.integers(1, 200), st.integers(1, 60)),
)
def test_blocks_hold_everything_once_within_their_limits(
    sizes: list[int], rounds: list[int], limits: Limits
) -> None:
    wanted = [Span(treatment, 0, size) for treatment, size in enumerate(sizes)]
    blocks = list(cut(wanted, lambda t: Weight(rounds[t], 7), limits))
    held = [list(cells(list(block.spans))) for block in blocks]
    assert [cell for block in held for cell in block] == list(cells(wanted))
    names = [block.name for block in blocks]
    assert names == sorted(set(names)), "names are in the order of replications"
    for block in held:
        if len(block) > 1:
            assert sum(rounds[treatment] for treatment, _ in block) <= limits.rounds
            assert 7 * len(block) <= limits.rows


@given(st.permutations(range(12)), st.integers(1, 5))
def test_rows_come_in_the_order_of_replications(order: list[int], rows: int) -> None:
    """Twelve replications of two treatments lie in any order."""
    spans = [Span(number // 6, number % 6, number % 6 + 1) for number in order]
    held = [cell for cell in cells(spans) for _ in range(rows)]
    ids = ["b", "a"]  # the first treatment is not that of the first name
    table = pa.table(
        {
            "treatment": pa.array([ids[t] for t, _ in held]).dictionary_encode(),
            "replication": [r for _, r in held],
            "row": list(range(rows)) * 12,
        }
    )
    whole = [Span(0, 0, 6), Span(1, 0, 6)]
    ordered = in_order(table, spans, ids)
    for found in (ordered, rows_of(ordered, whole, ids)):
        assert found.column("treatment").to_pylist() == ["b"] * 6 * rows + ["a"] * 6 * rows
        assert found.column("replication").to_pylist() == [
            r for _ in ids for r in range(6) for _ in range(rows)
        ]
        assert found.column("row").to_pylist() == list(range(rows)) * 12
