from __future__ import annotations

import numpy as np
import pytest

from poq_abm.scenario.schema.verification_conditions import Adversaries, EnclaveVendor
from poq_abm.simulation.buffers import ReplicationKey
from poq_abm.simulation.queries.node_types import advance, broken_share, open_vendors

DAY = 86_400.0


def adversaries(rate: float, days: float, enclaves: str = "stationary") -> Adversaries:
    vendor = EnclaveVendor(share=1.0, vulnerability_per_year=rate, patch_days=days)
    return Adversaries.model_validate({"enclaves": enclaves, "vendors": {"v": vendor.model_dump()}})


@pytest.mark.parametrize(("rate", "days"), [(12.0, 30.4375), (100.0, 1.0)])
def test_over_a_long_time_a_vendor_is_broken_for_its_share(rate: float, days: float) -> None:
    """Over 4,000 cycles the share has a relative s.d. of at most sqrt(2 / 4000) = 2.2%."""
    cycle = 365.25 / rate + days
    vendors = open_vendors(adversaries(rate, days), 1, 0)
    times = np.linspace(0.0, 4_000 * cycle * DAY, 200_000)
    states = [advance(vendors, 0, float(t), ReplicationKey(1, 0)) for t in times]
    assert np.mean(states) == pytest.approx(broken_share(rate, days), rel=0.09)


def test_at_the_start_it_is_broken_in_that_share_of_replications() -> None:
    found = [open_vendors(adversaries(12.0, 30.4375), 1, r).broken[0] for r in range(2_000)]
    assert np.mean(found) == pytest.approx(0.5, abs=4.5 * np.sqrt(0.25 / 2_000))


@pytest.mark.parametrize("state", ["intact", "broken"])
def test_a_state_that_is_held_never_changes(state: str) -> None:
    vendors = open_vendors(adversaries(1e5, 1e-3, state), 1, 0)
    assert all(
        advance(vendors, 0, t, ReplicationKey(1, 0)) == (state == "broken")
        for t in (0.0, 1e3, 1e12)
    )


def test_no_discovery_or_an_instant_patch_leave_it_intact() -> None:
    for rate, days in ((0.0, 30.0), (5.0, 0.0)):
        assert broken_share(rate, days) == 0.0
        vendors = open_vendors(adversaries(rate, days), 1, 0)
        assert not any(advance(vendors, 0, t * DAY, ReplicationKey(1, 0)) for t in range(1000))


def test_the_state_does_not_depend_on_when_one_looks() -> None:
    often = open_vendors(adversaries(50.0, 5.0), 3, 7)
    rarely = open_vendors(adversaries(50.0, 5.0), 3, 7)
    seen = [advance(often, 0, t * DAY, ReplicationKey(3, 7)) for t in range(400)]
    assert [advance(rarely, 0, t * DAY, ReplicationKey(3, 7)) for t in range(0, 400, 13)] == seen[
        ::13
    ]
