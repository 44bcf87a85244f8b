"""Who gains, and how demand and supply answer prices: closed forms, and books that balance."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from poq_abm.analysis.elasticity import arc_elasticity, elasticities
from poq_abm.analysis.surplus import surplus, surplus_by_replication, surplus_of_a_user
from poq_abm.experiment.running import run
from poq_abm.profile.hardware import hardware
from poq_abm.scenario import load
from poq_abm.scenario.schema.service import QueryDemand
from poq_abm.simulation.arrivals import ArrivalRate
from tests.conftest import Poq

FEW = ["rounds=240", "replications=3", "economy.epochs=4"]
PAID = [*FEW, "economy.payment.fee=0.2", "economy.payment.treasury_share=0.1",
        "economy.payment.network_share=0.05", "economy.payment.latency_penalty=0.2",
        "economy.demand.value=0.9"]  # fmt: skip
MONEY = ["economy.cost.basis=money", "economy.cost.usd_per_token=0.01"]
STAKED = ["economy.stake.bond=5", "economy.stake.capital_rate=0.01",
          "economy.stake.slashing.deviation=0.3"]  # fmt: skip
FOLLOWED = "economy.controllers=[{move: fee, target: 0.02, maximum: 50}]"


@given(
    price=st.floats(0.01, 30.0),
    above=st.floats(0.1, 20.0),
    elasticity=st.sampled_from([0.0, 0.3, 1.0, 1.0 + 1e-9, 2.5]),
    first=st.floats(0.5, 2.0),
)
def test_what_a_user_gains_is_the_area_under_the_demand_that_is_played(
    price: float, above: float, elasticity: float, first: float
) -> None:
    """Against the arrivals' own scale, integrated by quadrature; its corner is at 1,000."""
    demand = QueryDemand(elasticity=elasticity)
    rate = ArrivalRate(demand, 1.0, 1.0, 1, 0)
    end = price + above
    corner = first * 1000.0 ** (-1.0 / elasticity) if elasticity else 0.0
    area, _ = quad(lambda x: rate.scale(0, x / first), price, end, points=[min(corner, end)])
    expected = area / rate.scale(0, price / first)
    assert float(surplus_of_a_user(price, end, demand, first)) == pytest.approx(expected, rel=1e-6)


def test_what_has_no_end_is_known_where_the_area_is_finite() -> None:
    for elasticity, expected in ((3.0, 2.0 / 2.0), (1.0, math.nan), (0.5, math.nan)):
        found = surplus_of_a_user(2.0, math.inf, QueryDemand(elasticity=elasticity), 1.0)
        assert float(found) == pytest.approx(expected, nan_ok=True)
    assert math.isnan(float(surplus_of_a_user(2.0, math.inf, QueryDemand(), 1.0)))


@pytest.mark.parametrize("more", [[], MONEY, STAKED, [*MONEY, *STAKED]])
def test_the_gains_of_all_are_the_welfare_of_an_economy_with_inelastic_demand(
    more: list[str],
) -> None:
    results = run(load("cost_aware_poq", [*PAID, *more]))
    found = surplus_by_replication(results)
    welfare = results.replications.set_index("replication")["welfare"] / 4
    assert np.allclose(found["total", "all"].loc["base"], welfare, rtol=1e-9)
    accounts = results.accounts.groupby("replication")[["profit", "capital"]].sum() / 4
    profit = found["profit", "nodes"].loc["base"]
    assert np.allclose(profit, accounts["profit"])
    fixed = (found["producer_surplus", "nodes"].loc["base"] - profit).to_numpy()
    rent = hardware("rtx_4090").rental_usd_per_hour / 0.01 if MONEY[0] in more else 0.0
    nodes = len(results.accounts) / 3  # all on this machine, and there in all epochs of an hour
    assert np.allclose(fixed, accounts["capital"] + nodes * rent)
    assert (accounts["capital"] > 0.0).all() == bool(STAKED[0] in more)


def test_users_gain_by_the_declared_demand_where_the_fee_moves() -> None:
    elastic = ["economy.demand.elasticity=2.0", "economy.demand.arrivals=poisson", FOLLOWED]
    results = run(load("cost_aware_poq", [*FEW, "economy.payment.fee=0.2", *elastic]))
    network = results.epochs[results.epochs["group"] == "network"]
    expected = (network["queries"] * network["price"] / (2.0 - 1.0)).groupby(
        network["replication"]
    ).sum() / 4  # fmt: skip
    found = surplus_by_replication(results)["consumer_surplus", "users"].loc["base"]
    assert np.allclose(found, expected)


def test_what_nobody_declared_is_missing_and_not_zero() -> None:
    found = surplus(run(load("cost_aware_poq", FEW))).set_index(["measure", "whose"])
    assert math.isnan(found.loc[("consumer_surplus", "users"), "mean"])
    assert math.isnan(found.loc[("total", "all"), "mean"])
    assert found.loc[("profit", "nodes"), "mean"] > 0.0
    upgrade = ["economy.options.hardware=[h100_sxm]",
               "economy.adaptation=[{name: upgrade, rate: 0.5}]"]  # fmt: skip
    money = run(load("cost_aware_poq", [*FEW, *MONEY, *upgrade]))
    changed = surplus(money).set_index(["measure", "whose"])["mean"]
    assert math.isnan(changed["producer_surplus", "inference"]), "who changed machines is not known"
    assert not math.isnan(changed["profit", "inference"])


def test_entry_that_leaves_nobody_more_than_elsewhere_has_unit_elastic_supply() -> None:
    """With a pool P and an outside option w, P / w nodes come, and a job pays in proportion to P.

    So the arc elasticity of nodes by their reward per job is 1, and profits equal what is outside.
    """
    sweep = "sweep={economy.payment.pool: [500.0, 1000.0]}"
    short = ["rounds=24000", "economy.epochs=120", "replications=2", sweep]
    found = elasticities(run(load("entry_exit", short))).set_index("curve")
    supply = found.loc["inference supply"]
    assert supply["elasticity"] == pytest.approx(1.0, abs=0.05)
    assert supply["price_to"] / supply["price_from"] == pytest.approx(2.0, rel=0.01)
    assert math.isnan(found.loc["demand", "elasticity"]), "no price, no elasticity"


def test_demand_that_answers_its_fee_has_the_elasticity_that_was_declared() -> None:
    """The first fee is the normal one: what moves it is what its controller aims at."""
    elastic = ["economy.demand.elasticity=1.5", "economy.demand.arrivals=poisson",
               "economy.payment.fee=0.2", "economy.epochs=30", "rounds=30000", "replications=4",
               "sweep={economy.controllers: [[{move: fee, target: 0.02, step: 0.5, maximum: 50}], "
               "[{move: fee, target: 0.05, step: 0.5, maximum: 50}]]}"]  # fmt: skip
    results = run(load("cost_aware_poq", elastic))
    found = elasticities(results).set_index("curve").loc["demand"]
    p1, p2 = found["price_from"], found["price_to"]
    expected = arc_elasticity(p1**-1.5, p2**-1.5, p1, p2)
    assert found["low"] - 0.1 < expected < found["high"] + 0.1
    assert found["high"] - found["low"] < 0.4


def test_both_are_tables_of_an_economy(poq: Poq, stored_runs) -> None:
    listed = poq("analyse", "surplus", stored_runs["economy"], "--csv")
    assert listed.code == 0
    assert "consumer_surplus,users" in listed.out
    assert "elasticity" in poq("analyse", "elasticity", stored_runs["economy"]).out
    refused = poq("analyse", "surplus", stored_runs["base"])
    assert refused.code == 2
    assert "needs an economy" in refused.err


def test_changes_are_paired() -> None:
    sweep = "sweep={economy.payment.fee: [0.1, 0.2]}"
    found = surplus(run(load("cost_aware_poq", [*FEW, "economy.demand.value=0.9", sweep])))
    users = found[found["measure"] == "consumer_surplus"].set_index("treatment")
    assert pd.isna(users["change"].iloc[0])
    assert users["change"].iloc[1] == pytest.approx(-0.1 * 60)  # 60 queries, a tenth more each


def test_who_buys_answers_pays_each_once_in_both_engines_and_has_no_fixed_cost() -> None:
    """Energy, rent and depreciation are of who runs a model; a constant and an idle node buy none.

    Who claims the dearer model buys the cheaper for what others pay; who answers with a model that
    nobody buys runs it, by the hour.
    """
    usd, per_token, epochs = {"gemma_2_2b_it": 4e-4, "tinylama_1_1b": 1e-4}, 0.01, 3
    bought = [{"model": model, "usd_per_answer": price} for model, price in usd.items()]
    cheats = [{"name": "downgrade", "model": m} for m in ("tinylama_1_1b", "phi3_mini_4k")]
    does = ["honest", *cheats, "freeload"]
    dear = [{**bought[0], "name": f"n{n}", "behaviour": one} for n, one in enumerate(does)]
    late = {**bought[1], "name": "late", "count": 2, "active": 1}
    paid = ["rounds=90", "replications=2", f"economy.epochs={epochs}", *PAID[3:], *MONEY, *STAKED]
    market = load("cost_aware_poq", paid).replace(
        {"population.inference": [*dear, late, {"model": "qwen2_1_5b"}]}
    )
    results, agents = run(market), run(market, engine="agents")
    for name in ("accounts", "epochs", "replications"):
        pd.testing.assert_frame_equal(getattr(results, name), getattr(agents, name))
    accounts = results.accounts.set_index(["group", "node"])
    cost, jobs = accounts["cost_in_money"] * per_token, accounts["jobs"]
    for group, price in zip(("n0", "n1", "late"), (4e-4, 1e-4, 1e-4), strict=True):
        assert (jobs[group] > 0.0).any()
        np.testing.assert_allclose(cost[group], jobs[group] * price, rtol=1e-12)
    assert (jobs["n3"] > 0.0).all() and (cost["n3"] == 0.0).all()
    assert sorted(jobs["late"] == 0.0) == [False, False, True, True]
    rent = hardware("rtx_4090").rental_usd_per_hour * epochs
    assert (cost["n2"] > rent).all() and (cost["qwen2_1_5b"] > rent).all()
    found = surplus_by_replication(results)
    fixed = (found["producer_surplus", "inference"] - found["profit", "inference"]) * epochs
    capital = accounts[accounts["role"] == "inference"].groupby("replication")["capital"].sum()
    np.testing.assert_allclose(fixed.loc["base"], capital + 2.0 * rent / per_token)
    welfare = results.replications.set_index("replication")["welfare"] / epochs
    np.testing.assert_allclose(found["total", "all"].loc["base"], welfare, rtol=1e-9)
