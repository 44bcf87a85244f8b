from __future__ import annotations

import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from poq_abm.rules.protocol.inspection import (
    answer_to_gain,
    inspection_equilibrium,
    learn_by_playing,
)

_amount = st.floats(0.01, 10.0)
_examples = settings(max_examples=200, deadline=None, derandomize=True, database=None)


@_examples
@given(_amount, _amount, _amount, _amount, _amount)
def test_at_the_equilibrium_both_sides_are_indifferent(
    gain: float, stake: float, fee: float, check: float, bounty: float
) -> None:
    assume(check < bounty)
    x, y = inspection_equilibrium(gain, stake, fee, check, bounty)
    assert x * bounty == pytest.approx(check)
    assert (1.0 - y) * gain == pytest.approx(y * (stake + fee))


@_examples
@given(_amount, _amount, st.floats(0.0, 0.9), st.floats(0.1, 1.0), st.booleans())
def test_proofs_and_unheard_checks_leave_the_node_indifferent(
    gain: float, at_risk: float, rate: float, reach: float, keeps: bool
) -> None:
    x, y = answer_to_gain(gain, at_risk, 0.01, 10.0, rate, reach, keeps=keeps)
    assume(0.0 < y < 1.0)
    p = 1.0 - (1.0 - rate) * (1.0 - y * reach)
    kept = gain if keeps else (1.0 - p) * gain
    assert kept == pytest.approx(p * at_risk)
    assert x * (1.0 - rate) * reach * 10.0 == pytest.approx(0.01)


def test_the_corners() -> None:
    assert answer_to_gain(1.0, 9.0, 3.0, 2.0, 0.0, 1.0, keeps=True) == (1.0, 0.0), "not worth it"
    assert answer_to_gain(0.5, 9.5, 0.1, 2.0, 0.06, 1.0, keeps=True) == (0.0, 0.0), "proofs deter"
    assert answer_to_gain(20.0, 9.0, 0.1, 2.0, 0.0, 1.0, keeps=True) == (1.0, 1.0), "nothing deters"
    assert answer_to_gain(1.0, 0.0, 0.1, 2.0, 0.0, 1.0, keeps=True) == (1.0, 1.0)
    assert answer_to_gain(1.0, 9.0, 0.1, 2.0, 0.0, 0.0, keeps=True) == (1.0, 0.0), "nobody watches"


@pytest.mark.parametrize(
    ("gain", "stake", "fee", "check", "bounty"),
    [(0.5, 4.4, 0.1, 0.02, 0.4), (1.0, 0.5, 0.5, 0.3, 1.0), (2.0, 1.0, 1.0, 0.4, 0.5)],
)
def test_fictitious_play_finds_the_equilibrium(
    gain: float, stake: float, fee: float, check: float, bounty: float
) -> None:
    """The error falls like one over the square root of the rounds: 0.002 for 400,000."""
    expected = inspection_equilibrium(gain, stake, fee, check, bounty)
    learnt = learn_by_playing(gain, stake, fee, check, bounty, 400_000)
    assert math.dist(learnt, expected) < 0.005
