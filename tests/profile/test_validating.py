"""Every fault of a folder at once."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from profile_support import write_parts

from poq_abm.errors import InputError
from poq_abm.profile.library import folder_of, profile_names
from poq_abm.profile.store import content_hash
from poq_abm.profile.validating import profile_faults


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
