"""Profiles from somebody's logs: the numbers that arrive, and every mistake a table can have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from calibration.correlations import correlation_table
from calibration.importing import import_table, simple_name
from poq_abm.errors import InputError
from poq_abm.profile import read_profile

SUMMEVAL = Path("/work/shared/data/summeval_scores.csv")
COLUMNS: dict[str, Any] = {
    "record": "prompt",
    "model": "system",
    "truth": "expert",
    "evaluators": ["bi", "GPT-4 (judge)"],
}


@pytest.fixture
def table() -> pd.DataFrame:
    """Three systems on four prompts of two topics; ``bi`` is a cosine, the other a mark."""
    rows = [(p, "qa" if p < 2 else "news", s) for p in range(4) for s in ("A-1", "B", "C")]
    table = pd.DataFrame(rows, columns=["prompt", "topic", "system"])
    table["expert"] = [1.0, 4, 9, 2, 5, 7, 0, 10, 3, 8, 6, 2]
    table["bi"] = [-0.5, 0.1, 0.9, 0.0, 0.3, 0.4, 0.2, 1.0, 0.5, 0.8, 0.6, -0.2]
    table["GPT-4 (judge)"] = [2.0, 4, 8, 2, 4, 8, 2, 10, 4, 6, 6, 4]
    table["crowd"] = [np.nan, 3, 4, 5, 5, 6, 6, 7, 7, 8, 9, 9]
    return table


def imported(table: pd.DataFrame, folder: Path, **changes: Any) -> Path:
    path = folder / "scores.csv"
    table.to_csv(path, index=False)
    return import_table(path, **{**COLUMNS, "out": folder / "mine", **changes})


def header(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "profile.json").read_text(encoding="utf-8"))
    return found


def refusal(table: pd.DataFrame, folder: Path, **changes: Any) -> str:
    with pytest.raises(InputError) as refused:
        imported(table, folder, **changes)
    assert not (folder / "mine").exists()
    return str(refused.value)


def test_correlations_are_those_of_the_table(table: pd.DataFrame, tmp_path: Path) -> None:
    profile = read_profile(imported(table, tmp_path, judge="crowd"))
    found = correlation_table(profile, resamples=20).set_index(["against", "evaluator"])
    expected = table[["bi", "GPT-4 (judge)"]].corrwith(table["expert"])
    np.testing.assert_allclose(found.loc["truth", "correlation"], expected, rtol=1e-9)
    expected = table[["bi", "GPT-4 (judge)"]].corrwith(table["crowd"])
    np.testing.assert_allclose(found.loc["judge", "correlation"], expected, rtol=1e-9)


@pytest.mark.skipif(not SUMMEVAL.is_file(), reason="the table is not here")
def test_correlations_of_real_logs(tmp_path: Path) -> None:
    raw = pd.read_csv(SUMMEVAL)
    judges = ["sts_minilm_reference", "sts_minilm_source", "judge_gpt4", "judge_gpt35"]
    judges += ["judge_llama2_7b", "judge_llama2_13b", "judge_llama2_70b"]
    folder = import_table(
        SUMMEVAL,
        record="record",
        model="system",
        truth="human_expert",
        evaluators=judges,
        judge="crowd",
        out=tmp_path / "summeval",
    )
    profile = read_profile(folder)
    assert profile.scores.shape == (100, 12, 7)
    found = correlation_table(profile, resamples=20).query("against == 'truth'")
    expected = raw[judges].corrwith(raw["human_expert"])
    np.testing.assert_allclose(found["correlation"], expected, rtol=1e-9)
    kept = pd.DataFrame(header(folder)["provenance"]["findings"]["correlations"])
    np.testing.assert_allclose(
        kept.loc[kept["against"] == "truth", "correlation"], expected, atol=1e-6
    )


def test_names_are_made_simple_and_keep_their_label(table: pd.DataFrame, tmp_path: Path) -> None:
    written = header(imported(table, tmp_path, task="topic"))
    assert written["models"][0] == {"name": "a_1", "label": "A-1"}
    assert written["evaluators"][1] == {"name": "gpt_4_judge", "label": "GPT-4 (judge)"}
    assert [task["name"] for task in written["tasks"]] == ["qa", "news"]
    assert written["name"] == "mine"


def test_scores_on_the_scale_are_kept_and_others_mapped(
    table: pd.DataFrame, tmp_path: Path
) -> None:
    folder = imported(table, tmp_path, task="topic")
    profile, transform = read_profile(folder), header(folder)["normalisation"]
    assert transform["kept"] == ["gpt_4_judge"]
    assert transform["evaluators"]["bi"]["qa"] == {"minimum": -0.5, "maximum": 0.9}
    assert profile.scores[0, 0].tolist() == [0.0, 2.0]
    assert profile.scores[0, 1, 0] == pytest.approx(10 * 0.6 / 1.4)


def test_normalisation_when_it_is_asked_for(table: pd.DataFrame, tmp_path: Path) -> None:
    folder = imported(table, tmp_path, normalise="whole_set")
    assert read_profile(folder).scores[0, 0].tolist() == [0.0, 0.0]
    assert header(folder)["normalisation"]["evaluators"]["gpt_4_judge"][""] == {
        "minimum": 2.0,
        "maximum": 10.0,
    }


def test_unknown_costs_are_equal_and_assumed(table: pd.DataFrame, tmp_path: Path) -> None:
    folder = imported(table, tmp_path)
    costs = read_profile(folder).costs
    assert costs.groupby("role")["latency_ms"].nunique().tolist() == [1, 1]
    assumed = " ".join(header(folder)["provenance"]["assumed"])
    assert "inference nodes: not known, set equal" in assumed
    assert "evaluator nodes: not known, set equal" in assumed


def test_costs_may_come_along(table: pd.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "costs.csv").write_text("node,latency_ms\nA-1,10\nB,20\nc,30\n")
    folder = imported(table, tmp_path, costs=tmp_path / "costs.csv")
    profile = read_profile(folder)
    assert [profile.latency_ms(m, "unnamed") for m in profile.models] == [10.0, 20.0, 30.0]
    assert profile.latency_ms("bi", "none") == 1.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("node,latency_ms\nA-1,10\nBB,20\n", "no model or evaluator 'BB'; did you mean 'B'"),
        ("node,latency_ms\nA-1,10\nB,20\n", "no row for inference node 'c'"),
        ("node,latncy_ms\nA-1,10\n", "did you mean 'latency_ms'"),
        ("node,latency_ms\nA-1,fast\nB,1\nC,1\n", "'latency_ms' must hold numbers"),
        ("node,latency_ms\nA-1,0\nB,1\nC,1\n", "latency_ms .* must be finite and positive"),
    ],
)
def test_bad_costs(table: pd.DataFrame, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "costs.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        imported(table, tmp_path, costs=tmp_path / "costs.csv")


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_every_format_gives_the_same_profile(
    table: pd.DataFrame, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / f"scores.{kind}"
    if kind == "parquet":
        table.to_parquet(path)
    else:
        path.write_text(table.to_json(orient="records", lines=True), encoding="utf-8")
    other = read_profile(import_table(path, **COLUMNS, out=tmp_path / "other"))
    csv = read_profile(imported(table, tmp_path))
    assert other.records == csv.records == ("0", "1", "2", "3")
    assert np.array_equal(other.scores, csv.scores)
    assert np.array_equal(other.truth, csv.truth)


def test_ids_stay_text(table: pd.DataFrame, tmp_path: Path) -> None:
    table["prompt"] = [f"{7 + p:03d}" for p in table["prompt"]]
    assert read_profile(imported(table, tmp_path)).records[0] == "007"


FAULTS = {
    "a misspelt column": ({"truth": "expart"}, "no column 'expart'; did you mean 'expert'"),
    "a misspelt evaluator": ({"evaluators": ["bi", "GPT4 judge"]}, "did you mean 'GPT-4 (judge)'"),
    "no evaluator": ({"evaluators": []}, "no evaluator is named"),
    "an evaluator twice": ({"evaluators": ["bi", "bi"]}, "column 'bi' is named twice"),
    "the truth as evaluator": ({"evaluators": ["expert"]}, "column 'expert' is named twice"),
    "text as an evaluator": ({"evaluators": ["topic"]}, "'topic' holds 'qa' for record '0'"),
    "an unknown normalisation": ({"normalise": "per_tsk"}, "did you mean 'per_task'"),
    "a name of nothing": ({"name": "!!"}, "no letter or digit"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_asked_cannot_be_had(table: pd.DataFrame, tmp_path: Path, fault: str) -> None:
    changes, message = FAULTS[fault]
    assert message in refusal(table, tmp_path, **changes)


def put(row: int, column: str, value: object):
    def spoil(table: pd.DataFrame) -> pd.DataFrame:
        table = table.astype({column: "object"})
        table.loc[row, column] = value
        return table

    return spoil


SPOILT = {
    "duplicate rows": (
        lambda t: pd.concat([t, t.iloc[[4]]]),
        "two rows for record '1', model 'b'",
    ),
    "a missing cell": (
        lambda t: t.drop(index=4),
        "record '1' has no row for model 'b'; every record needs every model",
    ),
    "an evaluator without a value": (put(4, "bi", np.nan), "evaluator 'bi' is nan for record '1'"),
    "an infinite evaluator": (put(4, "bi", np.inf), "evaluator 'bi' is inf for record '1'"),
    "a constant evaluator": (lambda t: t.assign(bi=0.25), "'bi' is constant (0.25)"),
    "truth without a value": (put(4, "expert", np.nan), "the truth is nan for record '1'"),
    "truth off the scale": (put(4, "expert", 57.3), "lies in [0, 57.3]; bring it to [0, 10]"),
    "judge off the scale": (put(4, "crowd", -1), "judge 'crowd' lies in [-1, 9]"),
    "a record without an id": (put(4, "prompt", None), "rows without record, task or model"),
    "a record in two tasks": (put(4, "topic", "news"), "record '1' appears in two tasks"),
    "a task with one record": (
        lambda t: t[t["prompt"] != 0],
        "task 'qa' has one record; a task needs two or more",
    ),
    "two names that become one": (put(1, "system", "a 1"), "would both be called 'a_1'"),
    "no rows": (lambda t: t.iloc[:0], "there are no rows"),
    "an evaluator called like a model": (
        lambda t: t.replace({"system": {"B": "bi"}}),
        "bi cannot be an evaluator's name",
    ),
}


@pytest.mark.parametrize("fault", SPOILT)
def test_a_spoilt_table_is_refused(table: pd.DataFrame, tmp_path: Path, fault: str) -> None:
    spoil, message = SPOILT[fault]
    assert message in refusal(spoil(table), tmp_path, task="topic", judge="crowd")


def test_every_fault_is_told_at_once(table: pd.DataFrame, tmp_path: Path) -> None:
    spoilt = table.assign(bi=0.25).drop(index=4)
    told = refusal(spoilt, tmp_path)
    assert "'bi' is constant" in told
    assert "no row for model" in told


def test_a_constant_within_a_task_has_no_scale_there(table: pd.DataFrame, tmp_path: Path) -> None:
    table.loc[table["topic"] == "qa", "bi"] = -0.1
    told = refusal(table, tmp_path, task="topic")
    assert "'bi' gives all 6 outputs of task 'qa' the same value" in told


def test_an_existing_folder_is_left_alone(table: pd.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(InputError, match="exists; a profile is never overwritten"):
        imported(table, tmp_path)
    assert list((tmp_path / "mine").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("scores.txt", b"", r"must be a \.csv, \.parquet or \.jsonl"),
        ("scores.parquet", b"junk", "not readable PARQUET"),
        ("scores.csv", b"", "not readable CSV"),
        ("scores.csv", b"\xff\xfe\x00", "not readable CSV"),
        ("scores.jsonl", b'{"a": 1}\n{"a": ', "last line is damaged"),
        ("scores.jsonl", b'{"a": \n{"a": 1}\n', r"scores\.jsonl:1"),
    ],
)
def test_a_file_of_something_else(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        import_table(tmp_path / name, **COLUMNS, out=tmp_path / "mine")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file"):
        import_table(tmp_path / "nowhere.csv", **COLUMNS, out=tmp_path / "mine")


def test_shares_are_suspected(table: pd.DataFrame, tmp_path: Path) -> None:
    folder = imported(table.assign(expert=table["expert"] / 10), tmp_path)
    assert "No truth exceeds 1" in " ".join(header(folder)["provenance"]["caveats"])


def test_a_simple_name_stays() -> None:
    assert simple_name("llama_3_2_3b", "model") == "llama_3_2_3b"
