"""Free entry drives profit to the outside option: of a pool, n* = pool / (outside + cost)."""

from __future__ import annotations

import numpy as np
import pytest
from economy_support import account, groups, held, opened, played, small_profile

from poq_abm.simulation.epochs.accounts import Holding

FLAT = small_profile((1000.0, 50.0), models=1, scores=7.0)
POOL = 60.0


def pooled(outside: float, active: int, seed: int, epochs: int = 80, **rule: float) -> np.ndarray:
    """Inference nodes epoch by epoch, in a network that shares a pool, with room for 60."""
    economy = played(
        {
            "epochs": epochs,
            "payment": {"scheme": "pool", "pool": POOL, "evaluator_share": 0.0},
            "adaptation": [
                {"name": "entry_exit", "outside": outside, "rate": 0.3, "stays": 2, **rule}
            ],
        },
        rounds=3000 * epochs // 10,
        profile=FLAT,
        population={
            "inference": [{"model": "f0", "count": 60, "active": active}],
            "evaluators": [{"model": "m0", "count": 2}],
        },
        mechanism__committee_size=1,
        schedule="round_robin",
        seed=seed,
    )  # fmt: skip
    assert economy.halted == -1
    return groups(economy, "nodes")[:, 0]


@pytest.mark.parametrize("active", [5, 55])
@pytest.mark.parametrize("outside", [2.0, 4.0])
def test_numbers_settle_where_profit_is_the_outside_option(outside: float, active: int) -> None:
    """From below and from above, within one node in twelve: one more or less is 8 % of profit.

    Near the point of rest the chance to come or go is a few per cent, so that a network stays
    where no whole node can gain; 3 seeds, mean of the last 20 epochs.
    """
    last = np.mean([pooled(outside, active, seed)[-20:] for seed in (1, 2, 3)])
    assert last == pytest.approx(POOL / outside, rel=1.0 / 12.0)


def test_a_cost_of_entry_leaves_a_band_in_which_nobody_comes_or_goes() -> None:
    """Few come where profit is just above both: slowly enough, numbers stop there and stay.

    Nobody goes before profit is below the outside option, so that from above they settle by it.
    """
    slow = {"entry_cost": 1.0, "rate": 0.03, "epochs": 200}
    below = np.mean([pooled(2.0, 5, seed, **slow)[-20:] for seed in (1, 2, 3)])
    assert below == pytest.approx(POOL / 3.0, rel=0.15)
    above = np.mean([pooled(2.0, 55, seed, **slow)[-20:] for seed in (1, 2, 3)])
    assert above == pytest.approx(POOL / 2.0, rel=0.15)


def test_chances_are_the_rate_times_the_relative_gap() -> None:
    """Everybody gains nothing and could gain 1: each goes with the full rate."""
    left = []
    for seed in (1, 2, 3):
        economy = opened(
            {
                "epochs": 1,
                "payment": {"scheme": "pool"},
                "adaptation": [{"name": "entry_exit", "outside": 1.0, "rate": 0.25}],
            },
            10,
            profile=FLAT,
            population={
                "inference": [{"model": "f0", "count": 2000}],
                "evaluators": [{"model": "m0"}],
            },
            mechanism__committee_size=1,
            seed=seed,
        )
        economy.step()
        left.append(1.0 - economy.population.active[:2000].mean())
    assert abs(np.mean(left) - 0.25) < 4.0 * np.sqrt(0.1875 / 6000)


EXODUS = {"epochs": 5, "adaptation": [{"name": "entry_exit", "outside": 1e9, "rate": 1.0}]}


def test_where_everyone_exits_the_run_ends_and_says_when() -> None:
    economy = played(EXODUS, rounds=100)
    assert economy.halted == 1
    assert economy.finished
    assert groups(economy, "nodes")[:, -1].tolist() == [9.0, 0.0, 0.0, 0.0, 0.0]
    assert np.isnan(economy.record.network[1:]).all()
    assert (economy.record.groups[1:] == 0.0).all()
    assert account(economy, "epochs").tolist() == [1.0] * 9


def test_a_network_with_fewer_evaluators_than_seats_halts() -> None:
    rule = {"name": "entry_exit", "outside": 1.0, "rate": 1.0}
    economy = played(
        {
            "epochs": 4,
            "payment": {"scheme": "pool", "pool": 100.0, "evaluator_share": 0.0},
            "adaptation": [rule],
        },
        rounds=400,
    )
    assert economy.halted == 1
    assert economy.population.active[:4].all()
    assert not economy.population.active[4:].any()
    kept = played(
        {
            "epochs": 4,
            "payment": {"scheme": "pool", "pool": 100.0, "evaluator_share": 0.0},
            "adaptation": [{**rule, "stays": 3}],
        },
        rounds=400,
    )
    assert kept.halted == -1


def test_a_network_that_begins_with_nobody_never_plays() -> None:
    people = [{"model": "f0", "active": 0}]
    economy = played({"epochs": 3}, rounds=30, population__inference=people)
    assert (economy.halted, economy.served) == (0, 0)


@pytest.mark.parametrize("delay", [0, 1, 3, 10])
def test_a_bond_is_free_after_the_unbonding_delay_also_where_the_network_halted(
    delay: int,
) -> None:
    economy = opened({**EXODUS, "stake": {"bond": 7.0, "unbonding_epochs": delay}}, 100)
    free = []
    while not economy.finished:
        economy.step()
        free.append(bool(held(economy, Holding.UNBONDING)[0] == 0.0))
    assert free == [epoch >= delay for epoch in range(5)]
    assert (held(economy, Holding.BOND) == 0.0).all()


def test_whoever_comes_has_a_bond_and_no_history() -> None:
    people = [{"model": "m0", "count": 3}, {"model": "m1", "count": 2, "active": 1}]
    economy = opened(
        {"epochs": 3, "stake": {"bond": 5.0}},
        300,
        population__evaluators=people,
        mechanism__trust={"update": "multiplicative", "rate": 1.0},
    )
    first = economy.population.inference
    economy.step()
    gone = np.zeros(economy.population.size, np.bool_)
    gone[first] = True
    assert economy.memory.trust[0, 0] != 1.0
    economy.leave(gone)
    assert held(economy, Holding.BOND)[first] == 0.0
    economy.step()
    economy.enter(gone)
    assert economy.memory.trust[0, 0] == 1.0
    assert (economy.memory.state[0, :2] == 0.0).all()
    assert held(economy, Holding.BOND)[first] == 5.0
    assert np.isnan(economy.smoothed[first])


def test_a_node_whose_bond_has_shrunk_is_ejected() -> None:
    section = {
        "epochs": 4,
        "latency": {"outage_probability": 1.0, "outage_share": 0.5},
        "stake": {"bond": 10.0, "eject_below": 0.8, "slashing": {"downtime": 0.0, "rate": 0.2}},
    }
    economy = played(section, rounds=80)
    assert economy.halted == 3  # 0.9, 0.81, 0.729 of the bond
    assert held(economy, Holding.WALLET)[0] > 7.0
