"""What a node would have earned: equal to what it did earn, and to really playing it that way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from economy_support import opened, small_profile

from poq_abm.simulation.epochs.economy import Economy
from poq_abm.simulation.epochs.epoch_end import EpochEnd
from poq_abm.simulation.epochs.epoch_rounds import play_epoch
from poq_abm.simulation.epochs.epoch_settlement import settle_epoch

INFERENCE = [
    "freeload",
    "misreport_cost",
    "judge_hack",
    "hack",
    {"name": "downgrade", "model": "f1"},
]
EVALUATOR = [
    "noise",
    {"name": "boost", "b": 4.0},
    "copycat",
    {"name": "intermittent", "p": 0.5, "inner": "constant"},
]
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
REDISTRIBUTED = {
    "stake": {
        "bond": 20.0,
        "capital_rate": 0.01,
        "top_up": True,
        "slashing": {"deviation": 0.15, "downtime": 0.0, "rate": 0.5, "goes_to": "redistributed"},
    },
    "latency": {"outage_probability": 0.3},
}
MONEY = {
    "cost": {"basis": "money", "usd_per_mwh": 500.0, "ownership": "own"},
    "latency": {"distribution": "exponential"},
    "service": {"capacity": 2},
}
VARIANTS = {
    "per_round": {},
    "pool": POOL,
    "slashed": SLASHED,
    "redistributed": REDISTRIBUTED,
    "money": MONEY,
}
PROFILE = small_profile(hardware="rtx_4090")
NODES = [0, 3, 4, 8]


def settled(section: dict[str, Any], switched: tuple[int, Any] | None = None) -> EpochEnd:
    """The end of the first epoch, with one node doing something else from the start."""
    economy = opened(
        {**SECTION, **section},
        120,
        PROFILE,
        mechanism__trust={"update": "multiplicative", "rate": 0.5},
    )
    if switched:
        economy.population.behaviour[switched[0]] = switched[1]
        economy.population.refresh()
    return settle_epoch(economy, play_epoch(economy))


def options(economy: Economy, node: int) -> list[int]:
    role = "inference" if node < economy.population.inference else "evaluator"
    return [int(option) for option in economy.population.options(role)]


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_a_node_did_is_worth_what_it_got(variant: str) -> None:
    end = settled(VARIANTS[variant])
    flows = end.flows
    for node in range(end.population.size):
        got = flows.profit[node]
        assert end.payoff_if(node, int(end.was[node])) == pytest.approx(got, rel=1e-12)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("node", NODES)
def test_what_a_node_would_get_is_what_it_gets_when_it_does(variant: str, node: int) -> None:
    """Played again from the same assignments, bit for bit as an epoch in which it had done so."""
    end = settled(VARIANTS[variant])
    for option in options(end.economy, node):
        really = settled(VARIANTS[variant], (node, option))
        got = end.payoff_if(node, option)
        assert got == pytest.approx(really.payoff_if(node, option), rel=1e-12)
        if option != int(end.was[node]) and not really.population.misreports_with(option):
            assert got == pytest.approx(really.flows.profit[node], rel=1e-12)


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
    assert end.population.misreports_with(liar)
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


@pytest.mark.parametrize("variant", ["redistributed", "money"])
def test_behaving_otherwise_changes_what_bonds_and_machines_come_to(variant: str) -> None:
    """The variants try what they are for: somebody gets others' bonds, or runs other costs."""
    end = settled(VARIANTS[variant])
    part = end.flows.received if variant == "redistributed" else end.flows.running
    assert (part > 0.0).any()
    changed = [
        settled(VARIANTS[variant], (node, option)).flows
        for node in NODES
        for option in options(end.economy, node)
    ]
    of_nodes = [flows.received if variant == "redistributed" else flows.running
                for flows in changed]  # fmt: skip
    assert any(not np.array_equal(other, part) for other in of_nodes)


def test_a_node_that_is_fined_has_no_part_in_what_others_lose() -> None:
    """An audit with chance p costs the fine and, with it, the part of others' bonds."""
    audited = {
        **REDISTRIBUTED,
        "audits": {"rate": 0.25, "slash": 3.0, "forfeit": False},
    }
    end, free = settled(audited), settled(REDISTRIBUTED)
    spared = [node for node in range(4) if free.flows.slashed[node] == 0.0]
    node = spared[0]
    liar = options(end.economy, node)[2]
    received = free.flows.received[node]
    assert received > 0.0
    lost = 3.0 * (1.0 - 0.01) + received  # a bond that is gone saves its capital cost
    expected = free.payoff_if(node, liar) - 0.25 * lost
    assert end.payoff_if(node, liar) == pytest.approx(expected, rel=1e-12)
