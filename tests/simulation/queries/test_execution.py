"""Runs as chains of hashes: their trees, their openings, and disputes about them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poq_abm.errors import InputError
from poq_abm.rules.protocol.protocol import rounds_of_bisection
from poq_abm.simulation.queries.execution import (
    Execution,
    bisect,
    build_tree,
    execute,
    leaf_hash,
    measure,
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


NAMED = measure("named")


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(st.integers(1, 300), st.data())
def test_the_first_false_step_is_found_in_the_logarithm_of_the_steps(
    steps: int, data: st.DataObject
) -> None:
    wrong = data.draw(st.integers(0, steps - 1))
    honest = execute("named", b"p", steps)
    lied = execute("named", b"p", steps, cheat_from=wrong)
    dispute = bisect(NAMED, lied, honest, prover_root=lied.root, step_s=2.0, step_usd=0.01)
    assert (dispute.step, dispute.prover_lies, dispute.challenger_lies) == (wrong, True, False)
    assert dispute.rounds <= math.ceil(math.log2(steps)) if steps > 1 else dispute.rounds == 0
    assert dispute.seconds == 2.0 * dispute.rounds
    assert dispute.usd == pytest.approx(0.01 * dispute.rounds)


@pytest.mark.parametrize("steps", [2, 3, 64, 1000])
def test_no_search_takes_longer_than_a_scenario_reckons(steps: int) -> None:
    honest = execute("named", b"p", steps)
    longest = 0
    for wrong in range(0, steps, max(1, steps // 40)):
        lied = execute("named", b"p", steps, cheat_from=wrong)
        longest = max(longest, bisect(NAMED, lied, honest, prover_root=lied.root).rounds)
    assert longest <= rounds_of_bisection(steps)


def test_a_false_challenge_loses() -> None:
    honest = execute("named", b"p", 100)
    slander = execute("named", b"p", 100, cheat_from=70)
    dispute = bisect(NAMED, honest, slander, prover_root=honest.root)
    assert (dispute.prover_lies, dispute.challenger_lies) == (False, True)


def test_who_opens_states_that_were_not_signed_loses() -> None:
    honest = execute("named", b"p", 100)
    lied = execute("named", b"p", 100, cheat_from=30)
    dispute = bisect(NAMED, lied, honest, prover_root=execute("other", b"p", 100).root)
    assert dispute.prover_lies
    assert dispute.rounds == 1


def test_a_state_patched_in_to_hide_the_divergence_does_not_help() -> None:
    honest = execute("named", b"p", 64)
    lied = execute("named", b"p", 64, cheat_from=20)
    mended = Execution((*lied.states[:40], honest.states[40], *lied.states[41:]))
    dispute = bisect(NAMED, mended, honest, prover_root=mended.root)
    assert (dispute.prover_lies, dispute.challenger_lies) == (True, False)


def test_there_must_be_something_to_dispute() -> None:
    honest = execute("named", b"p", 8)
    for other in (honest, execute("named", b"q", 8), execute("named", b"p", 9)):
        with pytest.raises(InputError, match="dispute"):
            bisect(NAMED, honest, other, prover_root=honest.root)
