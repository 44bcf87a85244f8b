from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import lognorm

from poq_abm.compilation import compiled_loop
from poq_abm.profile.latency_noise import (
    LatencyNoise,
    latency_factor,
    latency_mean,
    latency_quantile,
)

property_test = settings(deadline=None, derandomize=True, max_examples=200)
noises = st.builds(
    LatencyNoise, st.floats(0.0, 1.0), st.one_of(st.just(0.0), st.floats(1e-4, 0.5)),
    st.floats(1.2, 50.0),
)  # fmt: skip
doubles = st.floats(1e-9, 1.0 - 1e-9)


@pytest.mark.parametrize("u", [1e-6, 0.1, 0.5, 0.9, 1.0 - 1e-6])
def test_without_a_tail_it_is_the_log_normal(u: float) -> None:
    assert latency_quantile(0.3, 0.0, 2.0, u) == pytest.approx(float(lognorm(0.3).ppf(u)))
    assert latency_mean(0.3, 0.0, 2.0) == pytest.approx(float(lognorm(0.3).mean()))


def test_the_tail_by_hand() -> None:
    # Without spread the tail starts at 1 and is the Pareto itself, of mean 3 / 2.
    assert latency_quantile(0.0, 0.2, 3.0, 1.0 - 0.2 / 8.0) == pytest.approx(2.0)
    assert latency_mean(0.0, 0.2, 3.0) == pytest.approx(0.8 + 0.2 * 1.5)


@property_test
@given(noises, doubles, doubles)
def test_the_quantile_rises_with_the_uniform(noise: LatencyNoise, one: float, two: float) -> None:
    low, high = sorted((one, two))
    assert 0.0 < latency_quantile(*noise, low) <= latency_quantile(*noise, high) * (1 + 1e-12)


@property_test
@given(noises.filter(lambda noise: noise.tail_share > 0.0))
def test_body_and_tail_meet(noise: LatencyNoise) -> None:
    splice = 1.0 - noise.tail_share
    before, after = (latency_quantile(*noise, splice + step) for step in (-1e-12, 1e-12))
    assert after == pytest.approx(before, rel=1e-6)


@property_test
@given(noises.filter(lambda noise: noise.tail_index > 3.0))
def test_the_mean_is_the_mean_of_the_quantiles(noise: LatencyNoise) -> None:
    midpoints = (np.arange(20_000) + 0.5) / 20_000
    mean = math.fsum(latency_quantile(*noise, u) for u in midpoints) / 20_000
    # What lies beyond the last midpoint is missing: at index 3 about (1 / 20,000)^(2/3) of 1.5.
    assert latency_mean(*noise) == pytest.approx(mean, rel=3e-3)


def test_the_factor_has_mean_one_also_in_a_compiled_loop() -> None:
    @compiled_loop
    def mean_factor(sigma: float, share: float, index: float, points: int) -> float:
        total = 0.0
        for i in range(points):
            total += latency_factor(sigma, share, index, (i + 0.5) / points)
        return total / points

    assert mean_factor(0.2, 0.05, 3.0, 200_000) == pytest.approx(1.0, abs=1e-3)
    noise = LatencyNoise(0.2, 0.05, 3.0)
    assert noise.quantile(0.99) == latency_quantile(*noise, 0.99) / noise.mean
