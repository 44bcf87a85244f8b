from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from poq_abm.simulation.queries.merkle import (
    build_tree,
    leaf_hash,
    opening,
    root_from_opening,
    sha256,
)

_examples = settings(max_examples=100, deadline=None, derandomize=True, database=None)


def states(count: int) -> list[bytes]:
    return [sha256(number.to_bytes(4, "big")) for number in range(count)]


@_examples
@given(st.integers(1, 70), st.data())
def test_every_state_opens_and_nothing_else_does(count: int, data: st.DataObject) -> None:
    leaves, place = states(count), data.draw(st.integers(0, count - 1))
    levels = build_tree(leaves)
    root, path = levels[-1][0], opening(levels, place)
    assert root_from_opening(place, leaves[place], path) == root
    assert root_from_opening(place, sha256(b"other"), path) != root
    if count > 1:
        assert root_from_opening(place ^ 1, leaves[place], path) != root


@_examples
@given(st.integers(2, 40), st.data())
def test_one_altered_state_alters_the_root(count: int, data: st.DataObject) -> None:
    leaves, place = states(count), data.draw(st.integers(0, count - 1))
    altered = [*leaves[:place], sha256(b"altered"), *leaves[place + 1 :]]
    assert build_tree(altered)[-1] != build_tree(leaves)[-1]


def test_an_inner_node_cannot_pass_for_a_leaf() -> None:
    levels = build_tree(states(4))
    assert leaf_hash(0, levels[1][0]) not in {node for level in levels for node in level}
