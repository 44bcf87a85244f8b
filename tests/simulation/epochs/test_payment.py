from __future__ import annotations

import numpy as np
import pytest
from economy_support import network, played
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from poq_abm.scenario.schema.economy import Payment
from poq_abm.simulation.epochs.accounts import Accounts, Fund, Holding
from poq_abm.simulation.epochs.payment import (
    collect_fees,
    entitlements,
    minted_for_pool,
    pay_rewards,
    price_of_point,
)

#: what nodes earned: sums of rewards, whose rounding is coarser than this grid
POINTS = st.floats(-1e6, 1e6).map(lambda points: round(points, 9))


def test_fees_are_skimmed_before_they_feed_the_pool() -> None:
    accounts = Accounts(1)
    collect_fees(accounts, Payment(network_share=0.2, treasury_share=0.18), 100.0)
    assert accounts.funds[Fund.USERS] == -100.0
    assert accounts.funds[Fund.NETWORK] == 20.0
    assert accounts.funds[Fund.TREASURY] == 18.0
    assert accounts.funds[Fund.POOL] == 62.0


def test_emissions_decay_geometrically() -> None:
    payment = Payment(scheme="pool", pool=100.0, decay=0.9)
    assert [minted_for_pool(payment, epoch) for epoch in (0, 1)] == [100.0, 90.0]
    economy = played(
        {"epochs": 3, "payment": {"scheme": "pool", "pool": 100.0, "decay": 0.9}}, rounds=90
    )
    np.testing.assert_allclose(network(economy, "emissions"), [100.0, 90.0, 81.0])


@settings(deadline=None, derandomize=True)
@given(st.floats(0.0, 1e9), hnp.arrays(np.float64, 6, elements=POINTS))
def test_a_pool_is_shared_pro_rata_or_kept(pool: float, points: np.ndarray) -> None:
    payment = Payment(scheme="pool", evaluator_share=0.0)
    paid = entitlements(payment, pool, points, points.size)
    price = price_of_point(payment, pool, points, points.size)
    np.testing.assert_array_equal(paid, price * np.maximum(points, 0.0))
    assert (paid >= 0.0).all()
    assert (paid[points <= 0.0] == 0.0).all()
    if (points > 0.0).any():
        assert paid.sum() == pytest.approx(pool, rel=1e-12)
        order = np.argsort(points, kind="stable")
        assert (np.diff(paid[order]) >= 0.0).all()
    else:
        assert paid.sum() == 0.0


def test_roles_share_a_pool_before_nodes_do() -> None:
    payment = Payment(scheme="pool", evaluator_share=0.25)
    points = np.array([1.0, 3.0, -5.0, 2.0, 2.0])
    assert entitlements(payment, 8.0, points, 3).tolist() == [1.5, 4.5, 0.0, 1.0, 1.0]
    assert entitlements(Payment(), 8.0, points, 3) is points


def test_what_nobody_earned_stays_in_the_pool() -> None:
    payment = Payment(scheme="pool", pool=10.0, evaluator_share=0.5)
    accounts = Accounts(2)
    due = entitlements(payment, 10.0, np.array([-1.0, 4.0]), 1)
    assert pay_rewards(accounts, payment, 10.0, due) == 10.0
    assert accounts.nodes[Holding.WALLET].tolist() == [0.0, 5.0]
    assert accounts.funds[Fund.POOL] == 5.0


@pytest.mark.parametrize(
    ("fees", "minted", "treasury"), [(0.0, 3.0, 0.0), (1.0, 2.0, 0.0), (5.0, 0.0, 2.0)]
)
def test_per_round_fees_come_first_and_what_they_leave_is_the_treasury_s(
    fees: float, minted: float, treasury: float
) -> None:
    accounts = Accounts(2)
    collect_fees(accounts, Payment(), fees)
    assert pay_rewards(accounts, Payment(), 0.0, np.array([1.0, 2.0])) == minted
    assert accounts.nodes[Holding.WALLET].tolist() == [1.0, 2.0]
    assert accounts.funds[Fund.TREASURY] == treasury
    assert accounts.funds[Fund.POOL] == 0.0


def test_a_negative_reward_is_owed() -> None:
    accounts = Accounts(2)
    assert pay_rewards(accounts, Payment(), 0.0, np.array([-2.0, 0.5])) == 0.0
    assert accounts.nodes[Holding.WALLET].tolist() == [-2.0, 0.5]
    assert accounts.funds[Fund.TREASURY] == 1.5


def test_a_pool_pays_all_of_its_tokens_to_those_who_were_there() -> None:
    economy = played({"epochs": 2, "payment": {"scheme": "pool", "pool": 50.0}}, rounds=100)
    wallets = economy.accounts.nodes[Holding.WALLET]
    assert wallets[: economy.population.inference].sum() == pytest.approx(70.0)
    assert wallets[economy.population.inference :].sum() == pytest.approx(30.0)


def test_fast_service_costs_users_more_and_skims_follow() -> None:
    """All idle: every latency is the node's own, quickest over own is 1 or 1/2."""
    payment = {"fee": 2.0, "latency_penalty": 0.5, "network_share": 0.1, "treasury_share": 0.2}
    economy = played({"epochs": 1, "payment": payment}, rounds=100)
    jobs = economy.record.sums["jobs"]
    quick, slow = jobs[:2].sum(), jobs[2:4].sum()
    fees = 2.0 * (1.5 * quick + 1.25 * slow)
    assert network(economy, "fees")[0] == pytest.approx(fees)
    assert network(economy, "network_income")[0] == pytest.approx(0.1 * fees)
