"""Every rule of adaptation that ships passes the contract that plug-in authors inherit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from poq_abm.rules import registry
from poq_abm.rules.adaptation.base import ADAPTATIONS, Adaptation
from poq_abm.rules.adaptation.behaviours import Imitation
from poq_abm.rules.registry import shipped
from poq_abm.rules.rule import Source
from poq_abm.testing.adaptation import AdaptationContract

#: values under which each has something to decide
NEEDED: dict[str, dict[str, Any]] = {
    "entry_exit": {"outside": 1.0, "rate": 0.5, "stays": 3},
    "imitation": {"role": "evaluator", "rate": 0.5, "mutation": 0.2},
    "best_response": {"role": "inference", "revisions": 2},
    "epsilon_greedy": {"role": "evaluator", "epsilon": 0.5},
    "upgrade": {"rate": 1.0, "price": 0.1},
    "model_switch": {"rate": 1.0},
    "sybil": {"role": "inference", "rate": 1.0, "fee": -100.0},
}

for _name, _rule in shipped(ADAPTATIONS).items():
    _case = {"rule": _rule, "needed": NEEDED.get(_name, {})}
    globals()[f"Test{_rule.__name__}"] = type(_rule.__name__, (AdaptationContract,), _case)


def test_no_rule_that_ships_is_left_out() -> None:
    assert NEEDED.keys() <= shipped(ADAPTATIONS).keys()


# --------------------------------------------------------------- the contract catches who breaks it


class Lucky(Imitation):
    """Makes its own luck."""

    name = "lucky"

    def revise(self, end: Any, draws: Any) -> None:
        chance = np.random.default_rng()
        super().revise(end, chance.uniform(size=draws.shape))


class Misplaced(Imitation):
    """Gives evaluators what inference nodes do."""

    name = "misplaced"

    def revise(self, end: Any, draws: Any) -> None:
        nodes = end.staying("evaluator")
        end.adopt(nodes, np.full(nodes.size, end.roster.options("inference")[0]))


class Sourceless(Imitation):
    """Does not say where it is from."""

    name, source = "sourceless", Source("assumed", " ")


class Hasty(Imitation):
    """Decides before the epoch is recorded what it was."""

    name = "hasty"

    def revise(self, end: Any, draws: Any) -> None:
        end.flows.paid[:] = 0.0


@pytest.mark.parametrize(
    ("kind", "test"),
    [
        (Lucky, "test_its_luck_is_what_it_is_given"),
        (Misplaced, "test_it_looks_at_nothing_but_its_role"),
        (Sourceless, "test_it_says_what_it_is"),
        (Hasty, "test_it_decides_only_between_epochs"),
    ],
)
def test_a_rule_that_breaks_it_is_found(
    kind: type[Adaptation], test: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry._own, (ADAPTATIONS, kind.name), kind)
    case = type("Case", (AdaptationContract,), {
        "rule": kind, "needed": {"role": "evaluator", "rate": 0.9, "mutation": 0.5}
    })()  # fmt: skip
    with pytest.raises(AssertionError):
        getattr(case, test)()
