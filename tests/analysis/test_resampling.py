"""Bootstrap intervals over records."""

from __future__ import annotations

import numpy as np
import pytest

from poq_abm.analysis.resampling import _draws, _resampled_totals, record_intervals
from poq_abm.random import Purpose, below


def mean(totals):
    return totals[:, :, 0].sum(axis=1, keepdims=True) / 40


def normals(seed: int, records: int = 40):
    return np.random.default_rng(seed).normal(size=(records, 1))


ONE_TASK = np.zeros(40, dtype=np.int64)


def test_the_interval_of_a_mean_is_students() -> None:
    """Expanded percentiles are Student's interval up to the noise of 4,000 resamples."""
    sums = normals(1)
    found = record_intervals(sums, ONE_TASK, mean, resamples=4000)
    half = 2.0227 * sums.std(ddof=1) / np.sqrt(40)
    # a 2.2% quantile of 4,000 resamples has a standard error of about 5% of the half-width
    expected = sums.mean() + half * np.array([-1, 1])
    np.testing.assert_allclose([found.low[0], found.high[0]], expected, atol=0.15 * half)


def test_draws_are_keyed_by_the_seed() -> None:
    first, again, other = (
        record_intervals(normals(1), ONE_TASK, mean, resamples=50, seed=seed) for seed in (1, 1, 2)
    )
    assert first.low == again.low
    assert first.low != other.low


@pytest.mark.parametrize(("records", "seed"), [(1, 1), (70, 3), (130, 2**40 + 5)])
def test_a_sample_holds_the_records_of_its_keyed_draws(records: int, seed: int) -> None:
    """To the last bit: the sums are added in the order of the slots."""
    sums = np.random.default_rng(1).normal(size=(2 * records, 2))
    blocks = [np.arange(records), np.arange(records, 2 * records)]
    found = _resampled_totals(sums, blocks, 5, seed)
    for sample, task in np.ndindex(5, 2):
        total = np.zeros(2)
        for slot in range(records):
            total += sums[blocks[task]][
                below(seed, sample, int(Purpose.BOOTSTRAP), task, slot, records)
            ]
        assert found[sample, task].tolist() == total.tolist()


def test_a_rejected_word_is_drawn_again() -> None:
    """Of three billion records a quarter of the words would favour some."""
    records, samples = 3 * 2**30, 40
    drawn = next(_draws(records, samples, 1, 0))
    expected = [below(1, s, int(Purpose.BOOTSTRAP), 0, 0, records) for s in range(samples)]
    assert drawn.tolist() == expected


def test_records_are_drawn_within_their_task() -> None:
    """Two tasks without spread inside: every resample is the table."""
    tasks = np.repeat([0, 1], 20)
    found = record_intervals(100.0 * tasks[:, None], tasks, mean, resamples=50)
    assert found.low == found.high == found.estimate == 50.0


def test_a_task_with_one_record_has_no_interval() -> None:
    found = record_intervals(normals(1), np.array([0] * 39 + [1]), mean, resamples=50)
    assert np.isfinite(found.estimate).all()
    assert np.isnan([found.low, found.high]).all()


def test_a_fragile_statistic_has_no_interval() -> None:
    """One record of forty carries it: a third of the resamples lack that record."""
    sums = np.zeros((40, 1))
    sums[7] = 1.0

    def inverse(totals):
        with np.errstate(divide="ignore"):
            return np.where(totals[:, 0] > 0, 1 / totals[:, 0], np.nan)

    found = record_intervals(sums, ONE_TASK, inverse, resamples=200)
    assert found.estimate == 1.0
    assert np.isnan(found.low).all()
