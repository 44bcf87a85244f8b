"""Rational nodes cheat exactly when they expect to gain."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from verification_support import ALL_RATIONAL, BROKEN, INTACT, played

from poq_abm.analysis.deterrence import is_deterred
from poq_abm.analysis.trilemma import changed
from poq_abm.scenario.schema.verification import Verification, protocol_of
from poq_abm.simulation.queries.beliefs import Action, best_choice, expected_advantage

FLAT = np.full((4, 3), 5.0)


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(st.floats(0.0, 1.0), st.floats(0.001, 2.0), st.floats(0.0, 20.0), st.floats(0.0, 2.0))
def test_a_node_cheats_exactly_when_the_threshold_is_missed(
    rate: float, gain: float, stake: float, fee: float
) -> None:
    protocol = protocol_of(
        changed(
            Verification(protocol="otr"),
            {
                "otr.proof_rate": rate,
                "watchers.count": 0,
                "economics.stake_usd": stake,
                "economics.bounty_usd": 0.0,
                "economics.fee_usd": fee,
                "adversaries.downgrade.gain_usd": gain,
            },
        )
    )
    assume(abs(rate * (stake + fee) - gain) > 1e-9)
    choice = best_choice(protocol, FLAT, broken=True)
    assert (choice.action == Action.HONEST) == is_deterred(rate, gain, stake, fee)
    expected = expected_advantage(protocol, gain, FLAT[1], FLAT[0], broken=True)
    assert expected == pytest.approx(gain - rate * (stake + fee), abs=1e-9)


def test_the_way_that_promises_most_is_taken() -> None:
    settings_ = {
        "adversaries.actions": ["downgrade", "cached", "judge_hack"],
        "adversaries.cached.gain_usd": 0.09,
    }
    unpaid = protocol_of(changed(Verification(protocol="none"), settings_))
    assert best_choice(unpaid, FLAT, broken=False).action == Action.CACHED
    by_score = protocol_of(changed(Verification(protocol="poq"), settings_))
    scores = np.array([[6.0], [5.0], [0.5], [8.0]])
    assert best_choice(by_score, scores, broken=False).action == Action.JUDGE_HACK


def test_who_runs_the_cheapest_model_cannot_run_a_cheaper_one() -> None:
    protocol = protocol_of(Verification(protocol="none"))
    assert best_choice(protocol, FLAT, broken=False, can_downgrade=False).action == Action.HONEST


def test_pay_by_score_can_deter_by_itself() -> None:
    protocol = protocol_of(changed(Verification(protocol="poq"), {"economics.fee_usd": 1.0}))
    worse = np.array([[9.0], [2.0], [2.0], [2.0]])
    assert best_choice(protocol, worse, broken=False).action == Action.HONEST
    assert best_choice(protocol, FLAT, broken=False).action == Action.DOWNGRADE


def test_a_watcher_of_the_coalition_softens_the_slash() -> None:
    base = {"watchers.check_probability": 0.5, "economics.bounty_usd": 4.0}
    share = {"adversaries.collusion.watcher_share": 0.4}
    alone = protocol_of(changed(Verification(protocol="opml"), base))
    ring = protocol_of(changed(Verification(protocol="opml"), {**base, **share}))
    assert ring.terms.refund == pytest.approx(1.6)
    assert ring.terms.watched < alone.terms.watched
    expect = [expected_advantage(p, 0.05, FLAT[1], FLAT[0], broken=True) for p in (alone, ring)]
    assert expect[1] > expect[0]


@pytest.mark.parametrize(("stake", "share"), [(2.41, 1.0), (2.39, 1.0), (2.61, 0.0)])
def test_in_play_they_do_as_they_believe(stake: float, share: float) -> None:
    """p = 0.2, G = 0.5, F = 0.1 deter from S = 2.4 on; 4% above, nobody cheats."""
    settings_ = {
        "otr.proof_rate": 0.2 if share == 0.0 else 0.199 * 2.5 / (stake + 0.1),
        "watchers.count": 0,
        "economics.stake_usd": stake,
        "adversaries.downgrade.gain_usd": 0.5,
    }
    assert played("otr", ALL_RATIONAL, BROKEN, settings_, queries=500)["cheating_share"] == share


def test_an_intact_enclave_deters_all_but_the_byzantine() -> None:
    assert played("tee", ALL_RATIONAL, INTACT)["cheating_share"] == 0.0
    assert played("tee", ALL_RATIONAL, BROKEN)["cheating_share"] == 1.0
