"""The 95% intervals hold what they should, over synthetic tables whose truth is known.

Of 300 tables the number covered is binomial: with a coverage of 95% it lies in [272, 295] with
probability 99.8%, and an interval that covers less than 90.5% would miss that range half the time.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.stats import binom

from poq_abm.analysis.evaluator_correlation import correlation_table
from poq_abm.analysis.variance import variance_shares
from poq_abm.profile.synthetic import SyntheticSettings, synthetic_profile

TABLES = 300
RESAMPLES = 400
FEWEST, MOST = binom.ppf([0.001, 0.999], TABLES, 0.95)

SLOPES = (1.0, 0.0, -0.5)
NOISE = (0.8, 1.0, 1.0)
TRUE = [k / np.hypot(k, s) for k, s in zip(SLOPES, NOISE, strict=True)]


@cache
def covered_correlations() -> np.ndarray:
    """Return how often each evaluator's interval held its correlation: per task, and averaged."""
    hits = np.zeros((3, len(SLOPES)))
    for seed in range(1, TABLES + 1):
        settings = SyntheticSettings(
            records=60, models=4, evaluators=len(SLOPES), slope=SLOPES, noise_sd=NOISE,
            truth_sd=1.0, error_correlation=0.3, task=("qa", "summarization"), seed=seed,
        )  # fmt: skip
        table = correlation_table(synthetic_profile(settings), resamples=RESAMPLES, seed=seed)
        truth = table[table["against"] == "truth"]
        inside = (truth["low"] <= np.tile(TRUE, 3)) & (np.tile(TRUE, 3) <= truth["high"])
        hits += inside.to_numpy().reshape(hits.shape)
    return hits


@pytest.mark.slow
@pytest.mark.parametrize("evaluator", range(len(SLOPES)))
@pytest.mark.parametrize("task", range(3), ids=["qa", "summarization", "average"])
def test_correlations_are_covered(task: int, evaluator: int) -> None:
    assert FEWEST <= covered_correlations()[task, evaluator] <= MOST


COMPONENTS = {"all three": (1.0, 0.5, 1.0), "hard records": (1.4, 0.3, 0.6)}


@cache
def covered_shares(case: str) -> np.ndarray:
    """Return how often the interval of each share held it."""
    record, model, residual = COMPONENTS[case]
    true = np.square(COMPONENTS[case]) / np.square(COMPONENTS[case]).sum()
    effects = np.array([-1.5, -0.5, 0.0, 0.5, 1.5])
    effects *= model / effects.std(ddof=1)
    base = synthetic_profile(SyntheticSettings(records=100, models=5, evaluators=1))
    hits = np.zeros(3)
    for seed in range(TABLES):
        random = np.random.default_rng(seed)
        truth = (
            5.0
            + record * random.normal(size=(100, 1))
            + effects
            + residual * random.normal(size=(100, 5))
        )
        table = variance_shares(replace(base, truth=truth), resamples=RESAMPLES, seed=seed + 1)
        found = table[table["quantity"] == "truth"]
        hits += ((found["low"] <= true) & (true <= found["high"])).to_numpy()
    return hits


@pytest.mark.slow
@pytest.mark.parametrize("source", range(3), ids=["record", "model", "residual"])
@pytest.mark.parametrize("case", COMPONENTS)
def test_variance_shares_are_covered(case: str, source: int) -> None:
    assert FEWEST <= covered_shares(case)[source] <= MOST
