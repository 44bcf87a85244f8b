"""Every fault a profile can have is refused with its own message, before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from profile_support import write_parts

from poq_abm.errors import InputError
from poq_abm.profile.checks import check_header

Parts = dict[str, Any]


def put(table: str, row: int, column: str, value: object) -> Callable[[Parts], None]:
    def spoil(parts: Parts) -> None:
        parts[table].loc[row, column] = value

    return spoil


def drop(
    table: str, *, row: int | None = None, column: str | None = None
) -> Callable[[Parts], None]:
    def spoil(parts: Parts) -> None:
        parts[table] = parts[table].drop(index=row, columns=column)

    return spoil


def double(table: str, row: int) -> Callable[[Parts], None]:
    def spoil(parts: Parts) -> None:
        parts[table] = pd.concat([parts[table], parts[table].iloc[[row]]])

    return spoil


def give(field: str, value: object) -> Callable[[Parts], None]:
    return lambda parts: parts.update({field: value})


def text_for_numbers(table: str, column: str) -> Callable[[Parts], None]:
    def spoil(parts: Parts) -> None:
        parts[table][column] = "high"

    return spoil


FAULTS = {
    "scores lack a column": (drop("scores_table", column="truth"), "lacks the columns truth"),
    "evaluator lacks a column": (drop("scores_table", column="cross"), "lacks the columns cross"),
    "costs lack a column": (drop("costs_table", column="energy_j"), "lacks the columns energy_j"),
    "incomplete grid": (drop("scores_table", row=0), "incomplete: record 'q1' has 1 of 2 models"),
    "duplicated row": (double("scores_table", 3), "two rows for record 'q0', model 'large'"),
    "record in two tasks": (put("scores_table", 0, "task", "news"), "'q1' appears in two tasks"),
    "record without a name": (put("scores_table", 0, "record", None), "rows without record"),
    "score is NaN": (put("scores_table", 2, "bi", np.nan), "bi of record 'q0', model 'small' is"),
    "truth is NaN": (put("scores_table", 2, "truth", np.nan), "truth of record 'q0'.* is NaN"),
    "score too high": (put("scores_table", 1, "cross", 10.01), r"is 10.01, outside \[0, 10\]"),
    "score too low": (put("scores_table", 1, "cross", -0.1), r"is -0.1, outside \[0, 10\]"),
    "score infinite": (put("scores_table", 1, "bi", np.inf), r"is inf, outside \[0, 10\]"),
    "truth too high": (put("scores_table", 0, "truth", 11.0), r"truth .* outside \[0, 10\]"),
    "judge too high": (put("scores_table", 1, "judge", 11.0), r"judge .* outside \[0, 10\]"),
    "score is text": (text_for_numbers("scores_table", "bi"), "column bi must hold numbers"),
    "unknown model": (put("scores_table", 0, "model", "smal"), "did you mean 'small'"),
    "unknown task": (put("scores_table", 0, "task", "newz"), "did you mean 'news'"),
    "task without records": (give("tasks", ["qa", "news", "code"]), "no record of task 'code'"),
    "no cost of a model": (drop("costs_table", row=0), "no row for inference node 'small'"),
    "no cost of an evaluator": (drop("costs_table", row=4), "no row for evaluator node 'cross'"),
    "wrong role": (put("costs_table", 4, "role", "inference"), "no row for evaluator node 'cross'"),
    "unknown role": (put("costs_table", 4, "role", "evaluatr"), "did you mean 'evaluator'"),
    "unknown node": (put("costs_table", 4, "node", "cros"), "did you mean 'cross'"),
    "unknown hardware": (put("costs_table", 2, "hardware", "gpu_c"), "hardware 'gpu_c' is not in"),
    "cost twice": (double("costs_table", 2), "two rows for node 'large', hardware 'gpu_b'"),
    "latency zero": (
        put("costs_table", 1, "latency_ms", 0.0),
        "latency_ms of node 'large'.*positive",
    ),
    "latency NaN": (put("costs_table", 1, "latency_ms", np.nan), "latency_ms .* positive"),
    "latency infinite": (put("costs_table", 1, "latency_ms", np.inf), "latency_ms .* finite"),
    "negative memory": (put("costs_table", 1, "peak_memory_mb", -1.0), "peak_memory_mb .* or more"),
    "latency is text": (
        text_for_numbers("costs_table", "latency_ms"),
        "latency_ms must hold numbers",
    ),
    "bad name": (give("name", "My Profile"), "name 'My Profile' must be made of"),
    "bad evaluator name": (give("evaluators", ["bi", "Cross!"]), "has the name 'Cross!'"),
    "evaluator named like a column": (give("evaluators", ["bi", "truth"]), "truth cannot be"),
    "evaluator named like a model": (give("evaluators", ["bi", "small"]), "small cannot be"),
    "no models": (give("models", []), "'models' must be a list with at least one entry"),
    "model named twice": (give("models", ["small", "small"]), "names something twice"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_refused(fault: str, parts: Parts, tmp_path: Path) -> None:
    spoil, message = FAULTS[fault]
    spoil(parts)
    with pytest.raises(InputError, match=message):
        write_parts(tmp_path / "tiny", **parts)
    assert list(tmp_path.iterdir()) == []


def test_the_unspoilt_parts_are_valid(parts: Parts, tmp_path: Path) -> None:
    assert write_parts(tmp_path / "tiny", **parts).is_dir()


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ([], "one JSON object"),
        ({}, "schema version None"),
        ({"schema_version": 1, "name": "x"}, "lacks provenance, tasks, models"),
    ],
)
def test_header_of_the_wrong_kind(header: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_header(header)
