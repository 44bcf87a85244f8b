"""The files and columns of a profile folder: one place for reader, writer and checks."""

from __future__ import annotations

__all__ = [
    "COSTS_FILE",
    "COST_COLUMNS",
    "COST_KEYS",
    "HEADER_FIELDS",
    "HEADER_FILE",
    "ROLES",
    "SCHEMA_VERSION",
    "SCORES_FILE",
    "SCORE_COLUMNS",
    "TOP",
]

SCHEMA_VERSION = 1

HEADER_FILE = "profile.json"
SCORES_FILE = "scores.parquet"
COSTS_FILE = "costs.parquet"

#: Fields of ``profile.json``; each named list holds objects with at least a ``name``.
HEADER_FIELDS = (
    "schema_version",
    "name",
    "provenance",
    "tasks",
    "models",
    "evaluators",
    "normalisation",
    "hardware",
    "files",
    "content_hash",
)

#: Columns of the score table besides one column per evaluator.
SCORE_COLUMNS = ("record", "task", "model", "truth", "judge")

COST_KEYS = ("role", "node", "hardware")

#: Columns of the cost table: keys, then milliseconds, tokens per second, megabytes and joules.
COST_COLUMNS = (
    *COST_KEYS,
    "latency_ms",
    "latency_sd_ms",
    "latency_p50_ms",
    "latency_p95_ms",
    "throughput_tokens_per_s",
    "peak_memory_mb",
    "energy_j",
)

ROLES = ("inference", "evaluator")

#: Top of the scale of scores, truth and judge.
TOP = 10.0
