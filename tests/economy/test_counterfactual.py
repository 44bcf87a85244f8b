"""What a node would have earned: equal to what it did earn, and to really playing it that way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from economy_support import opened

from poq_abm.economy.closing import close_epoch
from poq_abm.economy.economy import Economy
from poq_abm.economy.epoch_end import EpochEnd
from poq_abm.economy.playing import play_epoch

INFERENCE = ["freeload", "misreport_cost", "judge_hack", {"name": "downgrade", "model": "f1"}]
EVALUATOR = ["noise", {"name": "boost", "b": 4.0}, "copycat"]
SECTION: dict[str, Any] = {
    "epochs": 2,
    "options": {"inference": INFERENCE, "evaluator": EVALUATOR},
    "adaptation": [{"name": "best_response", "role": "inference", "revisions": 0}],
}
POOL = {"payment": {"scheme": "pool", "pool": 30.0, "fee": 0.01}}
SLASHED = {
    "stake": {"bond": 20.0, "slashing": {"deviation": 0.05, "downtime": 0.0, "rate": 0.5}},
    "latency": {"outage_probability": 0.5},
}
VARIANTS = {"per_round": {}, "pool": POOL, "slashed": SLASHED}
NODES = [0, 3, 4, 8]


def settled(section: dict[str, Any], switched: tuple[int, Any] | None = None) -> EpochEnd:
    """The end of the first epoch, with one node doing something else from the start."""
    economy = opened(
        {**SECTION, **section}, 120, mechanism__trust={"update": "multiplicative", "rate": 0.5}
    )
    if switched:
        economy.roster.behaviour[switched[0]] = switched[1]
        economy.roster.refresh()
    return close_epoch(economy, play_epoch(economy))


def options(economy: Economy, node: int) -> list[int]:
    role = "inference" if node < economy.roster.inference else "evaluator"
    return [int(option) for option in economy.roster.options(role)]


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_a_node_did_is_worth_what_it_got(variant: str) -> None:
    end = settled(VARIANTS[variant])
    flows = end.flows
    for node in range(end.roster.size):
        got = flows.paid[node] - flows.slashed[node] - flows.running[node]
        assert end.payoff_if(node, int(end.was[node])) == pytest.approx(got, rel=1e-12)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("node", NODES)
def test_what_a_node_would_get_is_what_it_gets_when_it_does(variant: str, node: int) -> None:
    """Played again from the same orders, bit for bit as an epoch in which it had done so."""
    end = settled(VARIANTS[variant])
    for option in options(end.economy, node):
        really = settled(VARIANTS[variant], (node, option))
        assert end.payoff_if(node, option) == really.payoff_if(node, option)
        flows = really.flows
        if option != int(end.was[node]) and not really.roster.misreports_with(option):
            got = flows.paid[node] - flows.slashed[node] - flows.running[node]
            assert end.payoff_if(node, option) == pytest.approx(got, rel=1e-12)


def test_asking_changes_nothing() -> None:
    """Neither the answer to the next question nor the epoch that follows."""
    asked, silent = settled({}), settled({})
    first = [asked.payoff_if(node, o) for node in NODES for o in options(asked.economy, node)]
    again = [asked.payoff_if(node, o) for node in NODES for o in options(asked.economy, node)]
    assert first == again
    for end in (asked, silent):
        end.economy.record.add(end)
        end.economy.epoch += 1
        end.economy.step()
    np.testing.assert_array_equal(asked.economy.record.groups[1], silent.economy.record.groups[1])
    np.testing.assert_array_equal(asked.economy.memory.trust, silent.economy.memory.trust)


@pytest.mark.parametrize("forfeit", [False, True])
def test_audits_enter_by_what_is_to_be_expected_of_them(forfeit: bool) -> None:
    audits = {"audits": {"rate": 0.25, "slash": 3.0, "forfeit": forfeit}, "stake": {"bond": 10.0}}
    end, free = settled(audits), settled({"stake": {"bond": 10.0}})
    liar = options(end.economy, 3)[2]
    assert end.roster.misreports_with(liar)
    paid = free.payoff_if(3, liar)
    lost = 0.25 * (3.0 + paid * forfeit)
    assert end.payoff_if(3, liar) == pytest.approx(paid - lost)
    honest = options(end.economy, 3)[0]
    assert end.payoff_if(3, honest) == free.payoff_if(3, honest)


def test_a_fine_is_no_larger_than_the_bond() -> None:
    audits = {"audits": {"rate": 1.0, "slash": 100.0, "forfeit": False}, "stake": {"bond": 2.0}}
    end, free = settled(audits), settled({"stake": {"bond": 2.0}})
    liar = options(end.economy, 3)[2]
    assert end.payoff_if(3, liar) == pytest.approx(free.payoff_if(3, liar) - 2.0)
