"""Every attack is one sum of the same terms; each is held to its own formula."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poq_abm.rules.behaviour.attacks import Attack, attacked, in_scale, recipe

scores = st.floats(0.0, 10.0)
Formula = Callable[[float, float, float, float, float, bool], float]

#: of s measured, r remembered, a agreed, z normal, b the amount, and whether the ring favours
FORMULAS: dict[Attack, Formula] = {
    Attack.HONEST: lambda s, r, a, z, b, favoured: s,
    Attack.NOISE: lambda s, r, a, z, b, favoured: in_scale(s + b * z),
    Attack.BOOST: lambda s, r, a, z, b, favoured: min(10.0, s + b),
    Attack.SABOTAGE: lambda s, r, a, z, b, favoured: max(0.0, s - b),
    Attack.CONSTANT: lambda s, r, a, z, b, favoured: b,
    Attack.COPYCAT: lambda s, r, a, z, b, favoured: r,
    Attack.COLLUDE: lambda s, r, a, z, b, favoured: in_scale(a + b if favoured else a - b),
}


@pytest.mark.parametrize("attack", FORMULAS, ids=lambda attack: attack.name.lower())
@settings(deadline=None, derandomize=True)
@given(scores, scores, scores, st.floats(-8.0, 8.0), scores, st.booleans())
def test_the_sum_is_the_formula_to_the_last_bit(
    attack: Attack, s: float, r: float, a: float, z: float, b: float, favoured: bool
) -> None:
    expected = FORMULAS[attack](s, r, a, z, b, favoured)
    assert attacked(recipe(attack, b), s, r, a, z, favoured) == expected


@given(st.floats(allow_nan=False))
def test_a_score_is_pulled_into_the_scale(score: float) -> None:
    assert 0.0 <= in_scale(score) <= 10.0
    assert in_scale(in_scale(score)) == in_scale(score)
