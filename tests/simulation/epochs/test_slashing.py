from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from economy_support import account, held, network, played, small_profile
from hypothesis import given, settings
from hypothesis import strategies as st

from poq_abm.scenario.schema.stake import Slashing
from poq_abm.simulation.epochs.accounts import Fund, Holding
from poq_abm.simulation.epochs.economy import Economy
from poq_abm.simulation.epochs.slashing import TIERS, severity, slashed_share

EVERYBODY = np.ones(4, np.bool_)
WORST = np.array([0.0, 0.1, 0.3, 1.0])


def test_severity_runs_from_the_limit_to_the_worst_there_is() -> None:
    measured = np.array([0.0, 0.2, 0.6, 1.0, np.nan])
    np.testing.assert_allclose(severity(measured, 0.2), [0.0, 0.0, 0.5, 1.0, 0.0])
    assert severity(measured, None).tolist() == [0.0] * 5
    assert severity(measured, 1.0).tolist() == [0.0] * 5  # nothing lies above it


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"rate": 0.5}, [0.0, 0.05, 0.15, 0.5]),
        ({"form": "tiered"}, [0.0, 0.05, 0.10, 0.20]),
        ({"form": "tiered", "rate": 0.0}, [0.0, 0.05, 0.10, 0.20]),  # whatever the rate
        ({"form": "correlated", "rate": 0.1, "correlation": 4.0}, [0.0, 0.03, 0.09, 0.3]),
        ({"form": "correlated", "rate": 0.5, "correlation": 8.0}, [0.0, 0.3, 0.9, 1.0]),
        ({"form": "correlated", "rate": 0.5, "correlation": 0.0}, [0.0, 0.05, 0.15, 0.5]),
    ],
)
def test_forms_by_hand(rule: dict[str, object], expected: list[float]) -> None:
    """Three of four fail: correlation 4 makes a factor of 3."""
    np.testing.assert_allclose(slashed_share(WORST, EVERYBODY, Slashing(**rule)), expected)


def test_who_is_not_there_does_not_count_among_those_who_fail() -> None:
    rule = Slashing(form="correlated", rate=0.1, correlation=2.0)
    active = np.array([False, False, True, True])
    worst = np.array([0.0, 0.0, 0.5, 0.5])
    np.testing.assert_allclose(slashed_share(worst, active, rule), [0.0, 0.0, 0.1, 0.1])


@settings(deadline=None, derandomize=True)
@given(
    st.lists(st.floats(0.0, 1.0), min_size=4, max_size=4),
    st.sampled_from(["linear", "tiered", "correlated"]),
    st.floats(0.0, 1.0),
    st.floats(0.0, 100.0),
)
def test_a_share_is_a_share_and_grows_with_severity(
    worst: list[float], form: str, rate: float, correlation: float
) -> None:
    rule = Slashing(form=form, rate=rate, correlation=correlation)
    ordered = np.sort(np.array(worst))
    share = slashed_share(ordered, EVERYBODY, rule)
    assert ((share >= 0.0) & (share <= 1.0)).all()
    assert (np.diff(share) >= 0.0).all()
    assert (share[ordered == 0.0] == 0.0).all()


def test_tiers_rise() -> None:
    assert list(TIERS) == sorted(TIERS)


DOWN = {"outage_probability": 1.0, "outage_share": 0.5}
RULE = {"downtime": 0.0, "rate": 0.2, "form": "linear"}


@pytest.mark.parametrize("goes_to", ["burned", "treasury", "redistributed"])
def test_downtime_costs_inference_nodes_a_tenth_of_their_bond(goes_to: str) -> None:
    economy = played(
        {
            "epochs": 2,
            "latency": DOWN,
            "stake": {"bond": 100.0, "slashing": {**RULE, "goes_to": goes_to}},
        },
        rounds=100,
        mechanism__alpha_evaluator=1.0,
    )
    lost = 100.0 * (1.0 - 0.9**2)
    np.testing.assert_allclose(held(economy, Holding.BOND), [100.0 - lost] * 4 + [100.0] * 5)
    np.testing.assert_allclose(account(economy, "slashed"), [lost] * 4 + [0.0] * 5)
    received = [0.0] * 4 + [4.0 * lost / 5.0 * (goes_to == "redistributed")] * 5
    np.testing.assert_allclose(account(economy, "received"), received)
    funds = economy.accounts.funds
    assert funds[Fund.BURNED] == pytest.approx(4.0 * lost * (goes_to == "burned"))
    assert funds[Fund.TREASURY] == pytest.approx(4.0 * lost * (goes_to == "treasury"))


def test_where_everybody_is_slashed_nothing_is_redistributed() -> None:
    economy = played(
        {
            "epochs": 1,
            "latency": DOWN,
            "stake": {
                "bond": 100.0,
                "slashing": {**RULE, "deviation": 0.0, "goes_to": "redistributed"},
            },
        },
        rounds=100,
    )
    assert account(economy, "received").sum() == 0.0
    assert network(economy, "burned")[0] == pytest.approx(account(economy, "slashed").sum())


def test_a_node_cannot_lose_more_than_its_bond() -> None:
    """All of it goes for a whole epoch down, and an audit would take as much again."""
    economy = played(
        {
            "epochs": 2,
            "latency": {"outage_probability": 1.0, "outage_share": 1.0},
            "audits": {"rate": 1.0, "slash": 1e6},
            "stake": {"bond": 10.0, "slashing": {"downtime": 0.0, "rate": 1.0}},
        },
        rounds=100,
        population__inference=[{"model": "f0", "count": 2, "behaviour": "misreport_cost"}],
    )
    assert held(economy, Holding.BOND)[:2].tolist() == [0.0, 0.0]
    assert account(economy, "slashed")[:2].tolist() == [10.0, 10.0]


def test_those_who_score_planted_records_wrongly_are_slashed_and_others_are_not() -> None:
    """The truth is 5 everywhere: an evaluator that says 5 is right, one that lies by 5 is not."""
    profile = small_profile(scores=5.0)
    profile = replace(profile, truth=np.full_like(profile.truth, 5.0))
    economy = played(
        {
            "epochs": 1,
            "stake": {"bond": 8.0, "slashing": {"gold": 0.5, "rate": 0.5, "gold_tolerance": 0.3}},
        },
        rounds=400,
        profile=profile,
        mechanism__trust={"gold_share": 1.0},
        population__evaluators=[
            {"model": "m0", "count": 2},
            {"model": "m1", "behaviour": {"name": "boost", "b": 5.0}},
            {"model": "m2", "count": 2},
        ],
    )
    np.testing.assert_allclose(account(economy, "slashed")[4:], [0.0, 0.0, 4.0, 0.0, 0.0])


def exhausted(top_up: bool) -> Economy:
    """Two nodes that are caught in each of three epochs, with a bond of one and a half fines."""
    return played(
        {
            "epochs": 3,
            "audits": {"rate": 1.0, "slash": 6.0},
            "stake": {"bond": 9.0, "top_up": top_up},
        },
        rounds=90,
        population__inference=[{"model": "f0", "behaviour": "misreport_cost"}, {"model": "f1"}],
    )


def test_a_bond_that_runs_out_leaves_fines_uncovered_and_says_so() -> None:
    economy = exhausted(top_up=False)
    assert held(economy, Holding.BOND)[:2].tolist() == [0.0, 9.0]
    assert account(economy, "fined")[:2].tolist() == [9.0, 0.0]
    assert account(economy, "uncovered")[:2].tolist() == [9.0, 0.0]


def test_a_bond_that_is_topped_up_covers_every_fine() -> None:
    economy = exhausted(top_up=True)
    assert held(economy, Holding.BOND)[:2].tolist() == [9.0, 9.0]
    assert account(economy, "fined")[:2].tolist() == [18.0, 0.0]
    assert account(economy, "uncovered")[:2].tolist() == [0.0, 0.0]
    assert account(economy, "profit")[0] == account(economy, "reward")[0] - 18.0


def test_who_is_ejected_tops_up_no_more() -> None:
    economy = played(
        {
            "epochs": 2,
            "audits": {"rate": 1.0, "slash": 6.0},
            "stake": {"bond": 9.0, "top_up": True, "eject_below": 0.5},
        },
        rounds=60,
        population__inference=[{"model": "f0", "behaviour": "misreport_cost"}, {"model": "f1"}],
    )
    assert account(economy, "epochs")[:2].tolist() == [1.0, 2.0]
    assert held(economy, Holding.BOND)[0] == 0.0
