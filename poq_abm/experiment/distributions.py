"""Rank correlation and quantiles of rewards, read off a replication's histograms."""

from __future__ import annotations

import numpy as np

from poq_abm.simulation.histograms import MEASURES, measure_histograms
from poq_abm.simulation.replication import Memory

__all__ = ["REWARD_QUANTILES", "distribution_measures"]

#: the measures that are quantiles of rewards
REWARD_QUANTILES = tuple(name for name in MEASURES if "_reward_" in name)


def distribution_measures(memory: Memory) -> dict[str, float]:
    """Return Spearman's correlation of consensus and truth, and reward quantiles by kind."""
    found = np.empty(len(MEASURES))
    measure_histograms(memory.histograms, found)
    return dict(zip(MEASURES, found.tolist(), strict=True))
