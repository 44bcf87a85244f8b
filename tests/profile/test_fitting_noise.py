from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from poq_abm.errors import InputError
from poq_abm.profile.fitting_noise import LEAST_TAIL_INDEX, fit_latency_noise, fit_table, main
from poq_abm.profile.latency_noise import LatencyNoise, latency_quantile
from poq_abm.random import Purpose, uniform

REQUESTS = Path("/work/shared/data/provider_latency.csv")


def sample(noise: LatencyNoise, size: int, replication: int = 0) -> np.ndarray:
    keys = ((5, replication, Purpose.BOOTSTRAP, 0, i) for i in range(size))
    return np.array([latency_quantile(*noise, uniform(*key)) for key in keys])


def test_the_parameters_that_made_the_sample_are_found() -> None:
    true = LatencyNoise(0.08, 0.05, 2.0)
    fit = fit_latency_noise(3.0 * sample(true, 3000), resamples=0)
    # Six standard errors each, as seen over 60 samples of this size.
    assert fit.noise.sigma == pytest.approx(0.08, abs=6 * 0.00095)
    assert fit.noise.tail_share == pytest.approx(0.05, abs=6 * 0.0031)
    assert fit.noise.tail_index == pytest.approx(2.0, abs=6 * 0.16)
    assert fit.median == pytest.approx(3.0, rel=6 * 0.08 / np.sqrt(3000))
    assert fit.heavier > 0
    assert not fit.at_bound


def test_intervals_cover_what_made_the_sample() -> None:
    true = LatencyNoise(0.08, 0.05, 2.0)
    covered = np.zeros(3)
    for replication in range(12):
        fit = fit_latency_noise(sample(true, 600, replication), resamples=40)
        ends = (fit.sigma_interval, fit.tail_share_interval, fit.tail_index_interval)
        covered += [low <= value <= high for value, (low, high) in zip(true, ends, strict=True)]
    # Binomial(12, 0.9) is below 7 with probability 5e-4; percentile intervals cover a little less
    # than the 95 % they are called.
    assert (covered >= 7).all()


def test_a_log_normal_seldom_shows_a_tail() -> None:
    found = [
        fit_latency_noise(sample(LatencyNoise(0.1), 150, replication), resamples=0).noise
        for replication in range(40)
    ]
    # 5 % of 200 samples did: Binomial(40, 0.05) exceeds 9 with probability 1e-5.
    assert sum(noise.tail_share > 0.0 for noise in found) <= 9
    sigmas = [noise.sigma for noise in found if noise.tail_share == 0.0]
    assert np.mean(sigmas) == pytest.approx(0.1, abs=0.004)


def test_a_tail_heavier_than_allowed_stops_at_the_bound_and_says_so() -> None:
    values = np.concatenate([sample(LatencyNoise(0.05), 200), np.full(6, 500.0)])
    fit = fit_latency_noise(values, resamples=0)
    assert fit.at_bound
    assert fit.noise.tail_index == LEAST_TAIL_INDEX


def test_the_same_key_gives_the_same_intervals_and_another_unit_the_same_shape() -> None:
    values = sample(LatencyNoise(0.1, 0.05, 2.0), 200)
    first, again = (fit_latency_noise(values, resamples=20) for _ in range(2))
    assert first == again
    other = fit_latency_noise(values * 1024.0, resamples=20)
    assert other.noise == pytest.approx(first.noise, rel=1e-2)
    assert fit_latency_noise(values, resamples=20, seed=2).sigma_interval != first.sigma_interval


def test_latencies_without_spread_have_no_noise() -> None:
    assert fit_latency_noise(np.full(30, 7.0), resamples=5).noise == LatencyNoise(0.0)


def test_failures_become_a_share_with_its_interval() -> None:
    fit = fit_latency_noise(np.full(75, 7.0), failures=25, resamples=0)
    assert fit.outage_share == 0.25
    # Wilson's interval of 25 in 100
    assert fit.outage_interval == pytest.approx((0.17545, 0.34304), abs=1e-5)


@pytest.mark.parametrize(
    ("values", "said"),
    [(np.ones(19), "at least 20"), ([0.0] * 20, "positive"), ([np.nan] * 20, "finite")],
)
def test_what_cannot_be_fitted_is_refused(values: object, said: str) -> None:
    with pytest.raises(InputError, match=said):
        fit_latency_noise(values)  # type: ignore[arg-type]


def small_table() -> pd.DataFrame:
    fast = pd.DataFrame({"who": "fast", "s": sample(LatencyNoise(0.1), 40), "bad": False})
    few = pd.DataFrame({"who": "few", "s": 1.0, "bad": [False] * 19 + [True] * 21})
    return pd.concat([fast, few])


def test_groups_are_fitted_one_by_one_and_too_few_answers_left_out() -> None:
    table = fit_table(small_table(), ["who"], latency="s", failed="bad", resamples=0)
    assert table["who"].tolist() == ["fast"]
    assert table["n"].tolist() == [40]


def test_the_command_prints_a_line_for_each_group(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small_table().to_csv(tmp_path / "requests.csv")
    options = ["--by", "who", "--latency", "s", "--failed", "bad", "--resamples", "5"]
    assert main([str(tmp_path / "requests.csv"), *options]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:2] == ["fast", "40"]
    assert main([str(tmp_path / "requests.csv"), "--by", "whom"]) == 2
    assert "lacks the columns whom" in capsys.readouterr().err


@pytest.mark.skipif(not REQUESTS.is_file(), reason="the timed requests are not here")
def test_timed_requests_of_providers() -> None:
    """Most groups are close to log-normal with a coefficient of variation of 0.04 to 0.20."""
    table = fit_table(pd.read_csv(REQUESTS), ["provider", "model"], resamples=0)
    assert len(table) == 19
    calm = table[~table["provider"].isin(["replicate", "perplexity"])]
    assert calm["sigma"].between(0.03, 0.22).all()
    worst = table.set_index(["provider", "model"]).loc[("together", "llama2-13b")]
    assert worst["at_bound"]
    assert 0.005 < worst["tail_share"] < 0.05
