"""Every fault a profile can have is refused with its own message, before anything is written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from profile_support import write_parts

from poq_abm.errors import InputError
from poq_abm.profile.profile import folder_of, profile_names
from poq_abm.profile.validity import check_header, content_hash, profile_faults

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


@pytest.fixture
def folder(parts: dict[str, Any], tmp_path: Path) -> Path:
    return write_parts(tmp_path / "tiny", **parts)


def forge(folder: Path, file: str, table: pd.DataFrame) -> None:
    """Replace a table and sign the folder again."""
    table.to_parquet(folder / file)
    header = json.loads((folder / "profile.json").read_text(encoding="utf-8"))
    header["files"][file] = hashlib.sha256((folder / file).read_bytes()).hexdigest()
    header["content_hash"] = content_hash(header)
    (folder / "profile.json").write_text(json.dumps(header), encoding="utf-8")


@pytest.mark.parametrize("name", profile_names())
def test_what_ships_is_valid(name: str) -> None:
    assert profile_faults(folder_of(name)) == []


def test_a_sound_folder_has_no_fault(folder: Path) -> None:
    assert profile_faults(folder) == []


def test_all_faults_of_both_tables_are_told(folder: Path, parts: dict[str, Any]) -> None:
    scores, costs = parts["scores_table"], parts["costs_table"]
    scores.loc[1, "bi"] = 11.0
    scores.loc[2, "bi"] = 12.0
    scores.loc[3, "truth"] = None
    costs.loc[0, "latency_ms"] = 0.0
    forge(folder, "scores.parquet", scores.drop(index=0))
    forge(folder, "costs.parquet", costs.drop(index=4))
    assert profile_faults(folder) == [
        "scores.parquet is incomplete: record 'q1' has 1 of 2 models",
        "scores.parquet: truth of record 'q0', model 'large' is NaN",
        "scores.parquet: bi of record 'q1', model 'large' is 11.0, outside [0, 10] (and 1 more)",
        "costs.parquet has no row for evaluator node 'cross'",
        "costs.parquet: latency_ms of node 'small', hardware 'gpu_a' must be finite and positive",
    ]


def test_an_altered_table_is_told_and_still_looked_at(folder: Path, parts: dict[str, Any]) -> None:
    parts["scores_table"].drop(columns="cross").to_parquet(folder / "scores.parquet")
    altered, missing = profile_faults(folder)
    assert altered == "scores.parquet was altered: its hash is not the one in profile.json"
    assert missing == "scores.parquet lacks the columns cross"


def test_an_altered_header_is_told(folder: Path) -> None:
    header = json.loads((folder / "profile.json").read_text(encoding="utf-8"))
    header["name"] = "My Profile"
    header["models"].append({"name": "big"})
    (folder / "profile.json").write_text(json.dumps(header), encoding="utf-8")
    told = "\n".join(profile_faults(folder))
    assert "the name 'My Profile' must be made of" in told
    assert "profile.json was altered: its content hash differs" in told
    assert "record 'n0' has 2 of 3 models (and 2 more)" in told
    assert "no row for inference node 'big'" in told


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"schema_version": 1}', "[" * 100_000])
def test_a_header_of_something_else(folder: Path, content: str) -> None:
    (folder / "profile.json").write_text(content, encoding="utf-8")
    faults = profile_faults(folder)
    assert faults
    assert all("profile.json" in fault for fault in faults)


def test_missing_and_unreadable_files(folder: Path) -> None:
    (folder / "costs.parquet").unlink()
    (folder / "scores.parquet").write_bytes(b"junk")
    told = "\n".join(profile_faults(folder))
    assert "costs.parquet is missing" in told
    assert "scores.parquet is not readable Parquet" in told


def test_an_empty_folder(tmp_path: Path) -> None:
    assert profile_faults(tmp_path) == [
        "profile.json is missing",
        "scores.parquet is missing",
        "costs.parquet is missing",
    ]


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no profile folder"):
        profile_faults(tmp_path / "nowhere")
