from __future__ import annotations

import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from poq_abm.analysis.trilemma import changed
from poq_abm.rules.protocol.optimistic import bisection_s
from poq_abm.rules.protocol.watching import (
    answer_to_gain,
    in_time,
    inspection_equilibrium,
    learn_by_playing,
    watch,
)
from poq_abm.scenario.schema.verification import Verification


def found(**changes: object):
    chosen = changed(Verification(protocol="otr"), changes)
    figures = dict(chosen.otr)
    return watch(
        chosen.conditions, figures["window_s"], bisection_s(figures), figures["proof_rate"]
    )


def test_watchers_check_independently() -> None:
    timely = 1.0 - math.exp(-(3600.0 - 40.0) / 600.0)
    watching = found(**{"watchers.count": 3, "watchers.check_probability": 0.1})
    assert watching.disputed == pytest.approx(1.0 - (1.0 - 0.1 * timely) ** 3)
    assert watching.checks == pytest.approx(0.3)
    assert math.isnan(watching.cheating)


def test_a_window_of_one_bisection_leaves_no_time_to_notice() -> None:
    assert found(**{"otr.window_s": 40.0}).disputed == 0.0
    assert in_time(1e9, 40.0, 600.0) == 1.0


def test_lazy_and_colluding_watchers_do_nothing() -> None:
    lazy = found(**{"watchers.count": 10, "watchers.lazy_share": 0.5})
    ring = found(**{"watchers.count": 10, "adversaries.collusion.watcher_share": 0.5})
    assert lazy == ring == found(**{"watchers.count": 5})
    assert found(**{"watchers.lazy_share": 1.0})[:2] == (0.0, 0.0)


def test_a_colluding_sequencer_suppresses_disputes() -> None:
    free = found().disputed
    quiet = found(**{"adversaries.collusion.sequencer": True}).disputed
    assert quiet == pytest.approx(0.1 * free)


def test_in_the_equilibrium_watchers_make_the_node_indifferent() -> None:
    watching = found(
        **{
            "watchers.check_probability": "equilibrium",
            "watchers.check_usd": 0.02,
            "adversaries.downgrade.gain_usd": 0.5,
        }
    )
    detection = 1.0 - 0.99 * (1.0 - watching.disputed)
    assert detection * 5.1 == pytest.approx(0.5)
    timely = in_time(3600.0, 40.0, 600.0)
    assert watching.cheating == pytest.approx(0.02 / (0.99 * timely * 1.0))
    assert watching.checks == pytest.approx(watching.disputed / timely)


def test_without_an_honest_watcher_the_equilibrium_is_that_all_cheat() -> None:
    watching = found(
        **{
            "watchers.count": 0,
            "watchers.check_probability": "equilibrium",
            "adversaries.downgrade.gain_usd": 0.5,
        }
    )
    assert watching == (0.0, 0.0, 1.0)


# ------------------------------------------------------------------------- the inspection game

_amount = st.floats(0.01, 10.0)
_examples = settings(max_examples=200, deadline=None, derandomize=True, database=None)


@_examples
@given(_amount, _amount, _amount, _amount, _amount)
def test_at_the_equilibrium_both_sides_are_indifferent(
    gain: float, stake: float, fee: float, check: float, bounty: float
) -> None:
    assume(check < bounty)
    x, y = inspection_equilibrium(gain, stake, fee, check, bounty)
    assert x * bounty == pytest.approx(check)
    assert (1.0 - y) * gain == pytest.approx(y * (stake + fee))


@_examples
@given(_amount, _amount, st.floats(0.0, 0.9), st.floats(0.1, 1.0), st.booleans())
def test_proofs_and_unheard_checks_leave_the_node_indifferent(
    gain: float, at_risk: float, rate: float, reach: float, keeps: bool
) -> None:
    x, y = answer_to_gain(gain, at_risk, 0.01, 10.0, rate, reach, keeps=keeps)
    assume(0.0 < y < 1.0)
    p = 1.0 - (1.0 - rate) * (1.0 - y * reach)
    kept = gain if keeps else (1.0 - p) * gain
    assert kept == pytest.approx(p * at_risk)
    assert x * (1.0 - rate) * reach * 10.0 == pytest.approx(0.01)


def test_the_corners() -> None:
    assert answer_to_gain(1.0, 9.0, 3.0, 2.0, 0.0, 1.0, keeps=True) == (1.0, 0.0), "not worth it"
    assert answer_to_gain(0.5, 9.5, 0.1, 2.0, 0.06, 1.0, keeps=True) == (0.0, 0.0), "proofs deter"
    assert answer_to_gain(20.0, 9.0, 0.1, 2.0, 0.0, 1.0, keeps=True) == (1.0, 1.0), "nothing deters"
    assert answer_to_gain(1.0, 0.0, 0.1, 2.0, 0.0, 1.0, keeps=True) == (1.0, 1.0)
    assert answer_to_gain(1.0, 9.0, 0.1, 2.0, 0.0, 0.0, keeps=True) == (1.0, 0.0), "nobody watches"


@pytest.mark.parametrize(
    ("gain", "stake", "fee", "check", "bounty"),
    [(0.5, 4.4, 0.1, 0.02, 0.4), (1.0, 0.5, 0.5, 0.3, 1.0), (2.0, 1.0, 1.0, 0.4, 0.5)],
)
def test_fictitious_play_finds_the_equilibrium(
    gain: float, stake: float, fee: float, check: float, bounty: float
) -> None:
    """The error falls like one over the square root of the rounds: 0.002 for 400,000."""
    expected = inspection_equilibrium(gain, stake, fee, check, bounty)
    learnt = learn_by_playing(gain, stake, fee, check, bounty, 400_000)
    assert math.dist(learnt, expected) < 0.005
