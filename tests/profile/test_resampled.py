"""Resampled profiles: rows whole, within their tasks, at their places; means of latencies."""

from __future__ import annotations

import numpy as np
import pytest
from network_support import small_profile

from poq_abm.profile import Profile
from poq_abm.profile.resampled import resampled_profile


@pytest.fixture(scope="module")
def profile() -> Profile:
    made = small_profile(records=(40, 25), latency_ms=(100.0, 300.0, 1.0, 2.0, 3.0))
    costs = made.costs.assign(latency_sd_ms=[50.0, np.nan, 0.5, 0.5, 0.5])
    return Profile(**{**made.__dict__, "costs": costs})


def test_rows_stay_whole_and_in_their_tasks(profile: Profile) -> None:
    other = resampled_profile(profile, 1, 0)
    rows = [profile.records.index(record) for record in other.records]
    assert (profile.task_of_record[rows] == other.task_of_record).all()
    for name in ("scores", "truth", "judge"):
        assert np.array_equal(getattr(other, name), getattr(profile, name)[rows], equal_nan=True)
        assert not getattr(other, name).flags.writeable
    assert np.array_equal(other.agreed, profile.agreed[rows])


def test_a_record_that_is_drawn_stands_at_its_place(profile: Profile) -> None:
    other = resampled_profile(profile, 1, 3)
    kept = set(other.records)
    assert all(
        (here == there) == (here in kept)
        for here, there in zip(profile.records, other.records, strict=True)
    )


def test_resamples_are_keyed_and_differ(profile: Profile) -> None:
    first = resampled_profile(profile, 1, 0)
    assert resampled_profile.__wrapped__(profile, 1, 0).records == first.records
    others = [resampled_profile(profile, 1, 1), resampled_profile(profile, 2, 0)]
    assert len({first.content_hash, profile.content_hash, *(o.content_hash for o in others)}) == 4
    assert all(other.records != first.records for other in others)


def test_every_record_is_drawn_once_on_average(profile: Profile) -> None:
    many = [resampled_profile.__wrapped__(profile, 1, k).records for k in range(400)]
    times = np.array([[records.count(name) for name in profile.records] for records in many])
    assert abs(times.mean(axis=0) - 1.0).max() < 0.25
    assert times[:, :40].var() == pytest.approx(39 / 40, abs=0.1)
    assert abs((times == 0).mean() - 0.37) < 0.02


def test_mean_latencies_have_the_standard_error_of_a_mean(profile: Profile) -> None:
    many = [resampled_profile.__wrapped__(profile, 1, k) for k in range(400)]
    means = np.array([other.costs["latency_ms"].to_numpy() for other in many])
    assert (means[:, 1] == 300.0).all()  # of this one no spread is known
    assert means[:, 0].mean() == pytest.approx(100.0, abs=1.0)
    assert means[:, 0].std() == pytest.approx(50.0 / np.sqrt(65), rel=0.15)
    assert many[0].latency_ms("f0", "gpu") == means[0, 0]


def test_latencies_without_any_spread_stay() -> None:
    plain = small_profile()
    assert resampled_profile(plain, 1, 0).costs is plain.costs
