"""Quality against latency: what each inference model of a profile gives for its time."""

from __future__ import annotations

import numpy as np
import pandas as pd

from poq_abm.analysis.resampling import CONFIDENCE, RESAMPLES, record_intervals
from poq_abm.profile import Profile

__all__ = ["quality_against_latency"]


def quality_against_latency(
    profile: Profile,
    *,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 1,
) -> pd.DataFrame:
    """Return mean truth, judge and consensus of each model with intervals, beside its latency.

    One row per model and hardware it was timed on. Truth, judge and the consensus of all
    evaluators (their plain mean) lie in [0, 10] and are means over all records, whatever the task;
    a judge's over the rows it judged. ``truth_per_second`` is the mean truth over the mean latency
    in seconds. Intervals resample records within their tasks.

    Columns: model, hardware, latency_ms, truth, truth_low, truth_high, judge, judge_low,
    judge_high, consensus, consensus_low, consensus_high, truth_per_second.

    >>> from poq_abm.profile import load_profile
    >>> table = quality_against_latency(load_profile("published"), resamples=20)
    >>> table.set_index("model")["truth_per_second"].round(2)["llama_3_2_3b"]
    np.float64(4.96)
    """
    table = pd.DataFrame({"model": profile.models})
    values = {
        "truth": profile.truth,
        "judge": profile.judge,
        "consensus": profile.scores.mean(axis=2),
    }
    for name, column in values.items():
        known = ~np.isnan(column)
        found = record_intervals(
            np.hstack([known, np.where(known, column, 0.0)]),
            profile.task_of_record,
            _means,
            resamples=resamples,
            confidence=confidence,
            seed=seed,
        )
        table[name], table[f"{name}_low"], table[f"{name}_high"] = found
    timed = profile.costs.loc[profile.costs["role"] == "inference", :]
    timed = timed[["node", "hardware", "latency_ms"]].rename(columns={"node": "model"})
    table = table.merge(timed, on="model", how="left")
    table["truth_per_second"] = table["truth"] / (table["latency_ms"] / 1000.0)
    first = ["model", "hardware", "latency_ms"]
    return table[[*first, *table.columns.difference(first, sort=False)]]


def _means(totals: np.ndarray) -> np.ndarray:
    """Return sum over count per model, over all tasks; (samples, tasks, 2 M) to (samples, M)."""
    counts, values = np.split(totals.sum(axis=1), 2, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(values / counts)
