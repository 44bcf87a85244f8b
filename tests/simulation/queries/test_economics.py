from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poq_abm.simulation.queries.economics import (
    break_even_slash,
    capital_cost,
    cheapest_deterrence,
    detection_after,
    deterrence_threshold,
    is_deterred,
    queries_to_detect,
    sampling_threshold,
)

_examples = settings(max_examples=200, deadline=None, derandomize=True, database=None)
_amount = st.floats(0.01, 10.0)


@_examples
@given(st.floats(0.001, 1.0), _amount, _amount, _amount)
def test_the_threshold_is_where_deterrence_begins(
    p: float, gain: float, stake: float, fee: float
) -> None:
    threshold = deterrence_threshold(gain, stake, fee)
    if abs(p / threshold - 1.0) > 1e-9:
        assert is_deterred(p, gain, stake, fee) == (p > threshold)


def test_nothing_at_risk_deters_nothing() -> None:
    assert deterrence_threshold(0.1, 0.0, 0.0) == float("inf")


@_examples
@given(st.floats(0.01, 0.999), st.floats(0.001, 0.999))
def test_the_fewest_cheats_that_are_noticed_are_the_fewest(target: float, rate: float) -> None:
    n = queries_to_detect(target, rate)
    assert detection_after(n, rate) >= target - 1e-12
    assert n == 1 or detection_after(n - 1, rate) < target + 1e-12


def test_published_thresholds() -> None:
    assert (queries_to_detect(0.90, 0.01), queries_to_detect(0.99, 0.01)) == (230, 459)
    assert break_even_slash(10.0, 0.2) == pytest.approx(40.0)
    assert sampling_threshold(0.8, 1.0, 1.0, 0.0) == pytest.approx(0.4)


@pytest.mark.parametrize("least", [0.0, 1.0, 50.0])
@pytest.mark.parametrize("gain", [0.01, 0.5, 3.0])
@pytest.mark.parametrize("window", [60.0, 604_800.0])
@pytest.mark.parametrize("recheck", [1e-3, 20.0])
def test_no_other_parameters_deter_for_less(
    least: float, gain: float, window: float, recheck: float
) -> None:
    """A search over stakes and all mixtures of proofs and checks finds nothing cheaper."""
    fee, proof, rate = 0.1, 7.0, 0.08
    best = cheapest_deterrence(gain, fee, proof, recheck, rate, window, least)
    assert is_deterred(best.detection * (1 + 1e-12), gain, best.stake, fee)
    assert best.stake >= least
    stakes = np.geomspace(max(least, gain - fee, 1e-3), 1e6, 4000)[:, None]
    needed = np.minimum(gain / (stakes + fee), 1.0)
    proofs = needed * np.linspace(0.0, 1.0, 21)[None, :]
    checks = 1.0 - np.divide(
        1.0 - needed, 1.0 - proofs, where=proofs < 1.0, out=np.ones_like(proofs)
    )
    costs = proofs * proof + checks * recheck + stakes * capital_cost(1.0, rate, window)
    assert best.cost <= costs.min() * (1 + 1e-9)
    assert best.cost == pytest.approx(costs.min(), rel=1e-2), "and it is attained"


def test_free_capital_has_no_cheapest_stake() -> None:
    with pytest.raises(ValueError, match="without end"):
        cheapest_deterrence(0.1, 0.1, 1.0, 1.0, 0.0, 60.0)


def test_no_gain_needs_no_deterrence() -> None:
    assert cheapest_deterrence(0.0, 0.1, 1.0, 1.0, 0.08, 60.0)[:4] == (0.0, 0.0, 0.0, 0.0)
