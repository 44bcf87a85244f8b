"""Formulas of deterrence by hand, and the phase diagrams that rest on them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from verification_support import ALL_RATIONAL, BROKEN, market, played

from poq_abm.analysis.deterrence import (
    break_even_slash,
    capital_cost,
    changed,
    cheapest_deterrence,
    detection_after,
    deterrence_threshold,
    is_deterred,
    proof_rate_by_stake,
    queries_to_detect,
    sampling_threshold,
    vulnerability_by_patch,
    watchers_by_window,
)
from poq_abm.scenario.schema.verification import Verification
from poq_abm.simulation.queries.query_replication import play_queries

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


OTR = Verification(protocol="otr")


def test_cheating_begins_where_the_table_says_over_proof_rate_and_stake() -> None:
    settings = {"watchers.count": 0, "adversaries.downgrade.gain_usd": 0.31}
    table = proof_rate_by_stake(changed(OTR, settings), [0.01, 0.1, 0.5], [0.5, 2.0, 40.0])
    expected = np.array([[0, 0, 1], [0, 0, 1], [0, 1, 1]], dtype=bool)  # p (S + 0.1) >= 0.31
    assert (table["deterred"].to_numpy().reshape(3, 3) == expected).all()
    for row in table.itertuples():
        point = {"otr.proof_rate": row.proof_rate, "economics.stake_usd": row.stake_usd,
                 "economics.bounty_usd": 0.0}  # fmt: skip
        share = played("otr", ALL_RATIONAL, BROKEN, settings, point, queries=50)["cheating_share"]
        assert share == float(not row.deterred)


@pytest.mark.parametrize("protocol", ["opml", "otr"])
def test_cheating_begins_where_the_table_says_over_watchers_and_window(protocol: str) -> None:
    settings = {
        "watchers.count": 10,
        "watchers.check_probability": 0.02,
        "economics.stake_usd": 1.0,
        "adversaries.downgrade.gain_usd": 0.15,
        "otr.proof_rate": 0.0,
    }
    chosen = changed(Verification(protocol=protocol), settings)
    table = watchers_by_window(chosen, [0.0, 0.5, 1.0], [1300.0, 1e5])
    assert 0 < table["deterred"].sum() < len(table)
    for row in table.itertuples():
        point = {
            "watchers.lazy_share": 1.0 - row.active_share,
            f"{protocol}.window_s": row.window_s,
        }
        share = played(protocol, ALL_RATIONAL, BROKEN, settings, point, queries=50)[
            "cheating_share"
        ]
        assert share == float(not row.deterred)


def test_what_stands_over_vulnerabilities_is_what_stands_on_average() -> None:
    """400 replications of a stationary process; 4.5 standard errors over them."""
    tee = Verification(protocol="tee")
    (row,) = vulnerability_by_patch(tee, [12.0], [30.4375]).itertuples()
    assert row.broken_share == pytest.approx(0.5)
    vendor = {
        "vendor_a": None,
        "vendor_b": None,
        "v": {"share": 1.0, "vulnerability_per_year": 12.0, "patch_days": 30.4375},
    }
    chosen = market("tee", {"adversaries.vendors": vendor}, queries=20, nodes=20)
    stands = [play_queries(chosen, r)["dishonest_stands"] for r in range(400)]
    assert np.mean(stands) == pytest.approx(row.dishonest_stands, abs=4.5 * np.std(stands) / 20)


def test_a_point_out_of_range_is_refused() -> None:
    with pytest.raises(ValidationError):
        proof_rate_by_stake(OTR, [1.5], [1.0])
