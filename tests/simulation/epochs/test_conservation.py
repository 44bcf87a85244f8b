"""Every token comes from somewhere: accounts that balance, wallets that explain themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from economy_support import network
from hypothesis import given, settings
from hypothesis import strategies as st

import poq_abm
from poq_abm.scenario import Scenario
from poq_abm.simulation.epochs.accounts import TOLERANCE, Accounts, Fund, Holding
from poq_abm.simulation.epochs.economy import Economy
from poq_abm.simulation.game import build_game

PUBLISHED = poq_abm.load_profile("published")
EPOCHS = 6


def some(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


def section(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(fields)


SLASHING = section(
    form=some("linear", "tiered", "correlated"),
    rate=some(0.1, 1.0),
    deviation=some(None, 0.05, 0.3),
    gold=some(None, 0.0, 0.5),
    downtime=some(None, 0.05),
    correlation=some(0.0, 20.0),
    goes_to=some("burned", "treasury", "redistributed"),
)
STAKE = section(
    bond=some(0.0, 3.0, 200.0),
    unbonding_epochs=some(0, 1, 3),
    capital_rate=some(0.0, 0.01),
    eject_below=some(0.0, 0.9),
    top_up=st.booleans(),
    sampling=some("uniform", "stake", "trust"),
    slashing=SLASHING,
)
PAYMENT = section(
    scheme=some("per_round", "pool", "yuma"),
    pool=some(0.0, 50.0),
    decay=some(0.5, 1.0),
    evaluator_share=some(0.0, 0.3, 1.0),
    fee=some(0.0, 0.5),
    latency_penalty=some(0.0, 1.0),
    network_share=some(0.0, 0.2),
    treasury_share=some(0.0, 0.8),
)
DEMAND = section(
    arrivals=some("fixed", "poisson", "diurnal", "bursty"),
    elasticity=some(0.0, 1.0),
    value=some(0.0, 1.0),
    surge=some(None, {"first": 1, "last": 2, "factor": 4.0}, {"first": 0, "last": 9, "factor": 0}),
)
LATENCY = section(
    distribution=some("fixed", "lognormal", "exponential"),
    outage_probability=some(0.0, 0.7),
    outage_share=some(0.1, 1.0),
    charged=some("mean", "realised"),
)
RULES = [
    {"name": "entry_exit", "outside": 1.0, "rate": 0.5},
    {"name": "entry_exit", "outside": -100.0, "rate": 1.0},
    {"name": "sybil", "role": "inference", "rate": 0.5},
    {"name": "sybil", "role": "evaluator", "rate": 0.5, "fee": -1000.0},
    {"name": "upgrade", "rate": 0.5, "price": 0.01},
    {"name": "model_switch", "rate": 0.5},
    {"name": "imitation", "role": "evaluator", "rate": 0.5},
    {"name": "best_response", "role": "inference", "revisions": 2},
    {"name": "epsilon_greedy", "role": "evaluator", "epsilon": 0.5},
]
ECONOMY = section(
    epochs=st.just(EPOCHS),
    epoch_hours=some(0.05, 1.0),
    cost=section(basis=some("latency", "money"), ownership=some("rent", "own")),
    latency=LATENCY,
    demand=DEMAND,
    service=section(capacity=some(1, 3), patience_s=some(None, 1.0)),
    payment=PAYMENT,
    controllers=some([], [{"move": "fee", "step": -1.0}, {"move": "alpha_inference", "step": 1.0}]),
    preference=some(None, {"start": 0.0, "end": 1.0}),
    stake=STAKE,
    audits=section(rate=some(0.0, 1.0), slash=some(0.0, 2.0, 1e6), forfeit=st.booleans()),
    options=st.just(
        {
            "inference": ["freeload", "misreport_cost"],
            "evaluator": ["noise"],
            "hardware": ["rtx_3090", "h100_sxm"],
        }
    ),
    adaptation=st.lists(st.sampled_from(RULES), max_size=4),
)


@st.composite
def economies(draw: st.DrawFn) -> Scenario:
    behaviours = ["honest", "misreport_cost", "freeload"]
    people = {
        "inference": [
            {"model": model, "count": 4, "active": draw(some(0, 2, 4)),
             "stake": draw(some(0.5, 2.0)), "behaviour": draw(st.sampled_from(behaviours))}
            for model in ("llama_3_2_3b", "qwen2_1_5b")
        ],
        "evaluators": [
            {"model": "ce_minilm", "count": 5, "active": 3,
             "behaviour": draw(some("honest", {"name": "whitewash", "below": 1.0}))},
            {"model": "sts_stsb", "count": 2, "behaviour": draw(some("honest", "sabotage"))},
        ],
    }  # fmt: skip
    return poq_abm.load("cost_aware_poq").replace(
        {
            "rounds": EPOCHS * 40,
            "seed": draw(st.integers(0, 2**40)),
            "population": people,
            "schedule": draw(
                some("uniform", "round_robin", "weighted", "cheapest", "trust_softmax",
                     "stake_weighted", "power_of_two")
            ),
            "mechanism.beta_inference": draw(some(0.3, 5.0)),
            "mechanism.evaluator_reward": draw(some("closeness", "peer_correlation", "dmi")),
            "mechanism.reward": {
                "family": draw(some("linear", "convex_cost", "ratio", "threshold")),
                "exponent": 2.5,
            },
            "mechanism.trust": {"update": "multiplicative", "rate": 1.0},
            "economy": draw(ECONOMY),
        }
    )  # fmt: skip


class WitnessedAccounts(Accounts):
    """Accounts that remember what every node put up, and refuse an account in the red."""

    def __init__(self, nodes: int) -> None:
        super().__init__(nodes)
        self.put_up = np.zeros(nodes)

    def move(self, source: Any, target: Any, amounts: Any) -> None:
        super().move(source, target, amounts)
        if (source, target) == (Fund.OUTSIDE, Holding.BOND):
            self.put_up += amounts
        assert np.isfinite(self.funds).all()
        assert np.isfinite(self.nodes).all()

    def assert_solvent(self) -> None:
        least = -TOLERANCE * max(self.moved, 1.0)
        for holding in (Holding.BOND, Holding.UNBONDING):
            assert self.nodes[holding].min() >= least, holding
        for fund in (Fund.POOL, Fund.TREASURY, Fund.NETWORK, Fund.BURNED):
            assert self.funds[fund] >= least, fund
        assert self.funds[Fund.MINT] <= 0.0
        assert self.funds[Fund.USERS] <= 0.0


@settings(max_examples=150, deadline=None, derandomize=True)
@given(economies())
def test_accounts_balance_and_wallets_reconcile_every_epoch(scenario: Scenario) -> None:
    economy = Economy(scenario, build_game(scenario, PUBLISHED), PUBLISHED)
    accounts = WitnessedAccounts(economy.population.size)
    economy.accounts = accounts
    economy.bond(economy.population.active)
    while not economy.finished:
        economy.step()
        assert accounts.imbalance() <= TOLERANCE
        accounts.assert_solvent()
        sums = economy.record.sums
        earned = accounts.put_up + sums["reward"] + sums["received"]
        earned = earned - sums["cost_in_money"] - sums["slashed"]
        scale = TOLERANCE * max(accounts.moved, 1.0)
        np.testing.assert_allclose(accounts.nodes.sum(axis=0), earned, rtol=0.0, atol=scale)
    if economy.halted < 0:
        minted = np.nansum(network(economy, "emissions"))
        assert -accounts.funds[Fund.MINT] == pytest.approx(minted, rel=TOLERANCE, abs=1e-12)
        fees = np.nansum(network(economy, "fees"))
        assert -accounts.funds[Fund.USERS] == pytest.approx(fees, rel=TOLERANCE, abs=1e-12)
