"""A profit split into what was paid and charged."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

import poq_abm
from poq_abm.analysis.explanation import (
    PROFIT_COMPONENTS,
    REMAINDER,
    explain_difference,
    explain_profit,
)
from poq_abm.analysis.stored_run import scenarios_of
from poq_abm.errors import InputError
from poq_abm.scenario import Scenario

EPOCHS = 6
BUSY = {
    "epochs": EPOCHS,
    "cost": {"basis": "money"},
    "latency": {"distribution": "exponential", "charged": "realised"},
    "demand": {"arrivals": "poisson"},
    "controllers": [{"move": "beta_inference", "target": 0.1, "step": 0.5}],
    "payment": {"fee": 0.1},
    "stake": {
        "bond": 50.0,
        "capital_rate": 0.01,
        "slashing": {"deviation": 0.05, "rate": 0.5, "goes_to": "redistributed"},
    },
    "audits": {"rate": 0.5, "slash": 3.0},
    "adaptation": [{"name": "imitation", "role": "evaluator", "rate": 0.5}],
}


def scenario(economy: dict, **changes: object) -> Scenario:
    return poq_abm.load("cost_aware_poq", ["rounds=300", "replications=3"]).replace(
        {
            "population.inference.0.behaviour": {"name": "misreport_cost", "factor": 0.25},
            "population.inference.0.hardware": "rtx_4090",
            "population.inference.4.behaviour": {"name": "misreport_cost", "factor": 0.5},
            "population.evaluators.1.behaviour": {"name": "boost", "b": 4.0},
            "economy": economy,
            **{path.replace("__", "."): value for path, value in changes.items()},
        }
    )


@pytest.fixture(scope="module")
def results():
    swept = {"economy.payment.scheme": ["per_round", "pool"], "economy.payment.pool": [100.0]}
    return poq_abm.run(scenario(BUSY, sweep=swept))


@pytest.fixture(scope="module")
def ledger(results) -> pd.DataFrame:
    return explain_profit(results.accounts, scenarios_of(results))


def test_every_row_sums_exactly_to_the_profit(ledger: pd.DataFrame) -> None:
    parts = ledger[[*PROFIT_COMPONENTS, REMAINDER]].to_numpy().tolist()
    assert [math.fsum(row) for row in parts] == ledger["profit"].tolist()


def test_what_remains_is_rounding(ledger: pd.DataFrame) -> None:
    # 300 rounds and the same number of sums of amounts below 1,000 tokens.
    assert ledger[REMAINDER].abs().max() < 300 * 1000 * 2.3e-16


def test_every_component_takes_part_in_a_busy_economy(ledger: pd.DataFrame) -> None:
    largest = ledger[[*PROFIT_COMPONENTS]].abs().max()
    assert largest[largest == 0.0].index.tolist() == []


def test_what_pay_was_for_is_in_tokens_whatever_the_scheme(results, ledger: pd.DataFrame) -> None:
    paid = ledger[["quality", "closeness", "cost"]].sum(axis=1)
    accounts = results.accounts
    assert paid.to_numpy() == pytest.approx((accounts["reward"] + accounts["forfeited"]).to_numpy())


def test_a_misreported_cost_is_charged_as_reported() -> None:
    results = poq_abm.run(scenario({"epochs": EPOCHS}))
    table = explain_profit(results.accounts, scenarios_of(results))
    slow = table[table["group"] == "phi3_mini_4k"]  # C is 1, it reports half of it, beta_F is 0.3
    assert slow["cost"].to_numpy() == pytest.approx(-0.3 * 0.5 * slow["jobs"].to_numpy())
    rewards = results.nodes["reward_total"].to_numpy()
    assert table["profit"].to_numpy() == pytest.approx(rewards)


def test_a_threshold_charges_beta_times_cost() -> None:
    family = {"family": "threshold", "threshold": 0.3}
    results = poq_abm.run(scenario({"epochs": EPOCHS}, mechanism__reward=family))
    table = explain_profit(results.accounts, scenarios_of(results))
    slow = table[table["group"] == "phi3_mini_4k"]
    assert slow["cost"].to_numpy() == pytest.approx(-0.15 * slow["jobs"].to_numpy())
    # alpha_F is 1: full pay for some rounds, none for others
    assert slow["quality"].to_numpy() == pytest.approx(np.round(slow["quality"]))


def test_an_audit_takes_the_reward_and_the_fine() -> None:
    economy = {"epochs": EPOCHS, "stake": {"bond": 100.0}, "audits": {"rate": 1.0, "slash": 2.0}}
    results = poq_abm.run(scenario(economy))
    table = explain_profit(results.accounts, scenarios_of(results))
    liar = table[table["group"] == "phi3_mini_4k"]
    earned = liar["quality"] + liar["cost"]
    # every epoch's reward where it was above 0, and 2 tokens of bond an epoch
    assert (liar["audits"] <= -(earned + 2.0 * EPOCHS) + 1e-9).all()
    assert (liar["profit"] <= -2.0 * EPOCHS + 1e-9).all()
    assert (liar["slashing"] == 0.0).all()


def test_differences_of_components_sum_to_the_difference_of_profits(ledger: pd.DataFrame) -> None:
    a, b = ledger["treatment"].astype(str).unique()
    moved = explain_difference(ledger, a, b)
    for _, node in moved.groupby("node"):
        parts = node.set_index("component")["difference"]
        assert math.fsum(parts.drop("profit")) == parts["profit"]
    assert moved["component"].tolist()[-1] == "profit"


def test_accounts_of_an_older_run_are_refused_with_a_reason(results) -> None:
    older = results.accounts.drop(columns="fined")
    with pytest.raises(InputError, match="have no fined: they were stored before"):
        explain_profit(older, scenarios_of(results))
