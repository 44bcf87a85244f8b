"""A small valid profile, as the arguments of ``write_parts``, for tests to spoil."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def parts() -> dict[str, Any]:
    records = [("qa", "q1"), ("qa", "q0"), ("news", "n0")]
    models = ["small", "large"]
    rows = [(record, task, model) for task, record in records for model in models]
    scores = pd.DataFrame(rows, columns=["record", "task", "model"])
    n = len(scores)
    scores["truth"] = np.linspace(0.0, 10.0, n)
    scores["judge"] = [np.nan, *np.linspace(1.0, 9.0, n - 1)]
    scores["bi"] = np.arange(n) + 0.25
    scores["cross"] = 10.0 - np.arange(n)
    costs = pd.DataFrame(
        [
            ("inference", "small", "gpu_a", 10.0, 200.0),
            ("inference", "large", "gpu_a", 30.0, np.nan),
            ("inference", "large", "gpu_b", 20.0, 100.0),
            ("evaluator", "bi", "gpu_a", 1.0, np.nan),
            ("evaluator", "cross", "gpu_a", 2.0, np.nan),
        ],
        columns=["role", "node", "hardware", "latency_ms", "throughput_tokens_per_s"],
    )
    for column in (
        "latency_sd_ms",
        "latency_p50_ms",
        "latency_p95_ms",
        "peak_memory_mb",
        "energy_j",
    ):
        costs[column] = np.nan
    return {
        "name": "tiny",
        "scores_table": scores,
        "costs_table": costs,
        "tasks": ["qa", "news"],
        "models": {"small": {"checkpoint": "org/small"}, "large": {}},
        "evaluators": ["bi", "cross"],
        "normalisation": {"method": "min_max", "scope": "task"},
        "hardware": ["gpu_a", "gpu_b"],
        "provenance": {"assumed": ["everything: été"]},
    }
