from __future__ import annotations

import math

import pytest

from poq_abm.analysis.trilemma import changed
from poq_abm.rules.protocol.watching import in_time, watch
from poq_abm.scenario.schema.verification import Verification


def found(**settings: object):
    chosen = changed(Verification(protocol="otr"), settings)
    return watch(chosen, chosen.otr, chosen.otr.proof_rate)


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
