from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poq_abm.verification.histogram import BINS, RELATIVE_ERROR, bin_of, percentile


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(
    st.lists(st.floats(1.01e-4, 0.99e9), min_size=1, max_size=200),
    st.sampled_from([0.5, 0.95, 0.99]),
)
def test_a_percentile_errs_by_less_than_it_says(values: list[float], share: float) -> None:
    counts = np.zeros(BINS, np.int64)
    for value in values:
        counts[bin_of(value)] += 1
    exact = float(np.quantile(values, share, method="inverted_cdf"))
    assert percentile(counts, share) == pytest.approx(exact, rel=RELATIVE_ERROR * 1.0001)
    assert pytest.approx(0.0058, abs=5e-5) == RELATIVE_ERROR


def test_what_lies_outside_goes_to_the_ends() -> None:
    assert (bin_of(0.0), bin_of(1e30)) == (0, BINS - 1)


def test_no_entries_have_no_percentile() -> None:
    assert np.isnan(percentile(np.zeros(BINS, np.int64), 0.5))
