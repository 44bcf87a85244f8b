"""What no evaluator does, no round asks for."""

from __future__ import annotations

from typing import Any

import pytest
from network_support import game_of, published

from poq_abm.simulation.arrays import ActiveBehaviours
from poq_abm.simulation.behaviour_columns import find_active

NOTHING = ActiveBehaviours(False, False, False, False, False)
BOOST = {"name": "boost"}


def habits_of(**settings: Any) -> ActiveBehaviours:
    found = find_active(game_of(published(**settings)).conduct)
    return ActiveBehaviours(*map(bool, found))


def test_honest_nodes_have_no_habits() -> None:
    assert habits_of() == NOTHING
    assert habits_of(malicious={"share": 0.0, "behaviour": BOOST}) == NOTHING


@pytest.mark.parametrize(
    ("behaviour", "also"),
    [
        (BOOST, set()),
        ({"name": "noise"}, {"scatters"}),
        ({"name": "noise", "sigma": 0.0}, set()),
        ({"name": "intermittent"}, {"pauses"}),
        ({"name": "sleeper"}, {"waits"}),
        ({"name": "sleeper", "trust": 0.0, "jobs": 5}, {"waits"}),
        ({"name": "whitewash"}, set()),
        ({"name": "intermittent", "inner": {"name": "noise"}}, {"pauses", "scatters"}),
    ],
)
def test_what_malicious_evaluators_do_sets_the_habits(behaviour: Any, also: set[str]) -> None:
    expected = NOTHING._replace(deviates=True, **dict.fromkeys(also, True))
    assert habits_of(malicious={"share": 0.5, "behaviour": behaviour}) == expected
