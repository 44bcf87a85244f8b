"""The phase tables say of their points what the simulation gives there."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError
from verification_support import ALL_RATIONAL, BROKEN, market, played

from poq_abm.scenario.schema.verification import Verification
from poq_abm.simulation.queries.phases import (
    changed,
    proof_rate_by_stake,
    vulnerability_by_patch,
    watchers_by_window,
)
from poq_abm.simulation.queries.query_replication import play_queries

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
