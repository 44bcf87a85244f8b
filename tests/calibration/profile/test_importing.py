"""Profiles from somebody's logs: the numbers that arrive, and every mistake a table can have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from importing_support import import_parts

from calibration.profile.importing import simple_name
from calibration.profile.scales import points_of
from poq_abm.analysis.evaluator_correlation import correlation_table
from poq_abm.errors import InputError
from poq_abm.profile import read_profile

SUMMEVAL = Path("/work/shared/data/summeval_scores.csv")
COLUMNS: dict[str, Any] = {
    "record": "prompt",
    "model": "system",
    "truth": "expert",
    "evaluators": ["bi", "GPT-4 (judge)"],
    "scales": ["bi=whole_set"],
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
    return import_parts(path, **{**COLUMNS, "out": folder / "mine", **changes})


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
    folder = import_parts(
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
    folder = imported(table, tmp_path, task="topic", scales={"bi": "per_task"})
    profile, transform = read_profile(folder), header(folder)["normalisation"]
    assert transform["scales"]["gpt_4_judge"] == {
        "column": "GPT-4 (judge)", "minimum": 0.0, "maximum": 10.0, "known": "inferred",
        "values": [2.0, 10.0],
    }  # fmt: skip
    assert transform["min_max"]["bi"]["evaluators"]["bi"]["qa"] == {"minimum": -0.5, "maximum": 0.9}
    told = "Scores of bi: by minimum and maximum, qa [-0.5, 0.9]; news [-0.2, 1] to [0, 10]."
    assert told in header(folder)["provenance"]["inferred"]
    assert profile.scores[0, 0].tolist() == [0.0, 2.0]
    assert profile.scores[0, 1, 0] == pytest.approx(10 * 0.6 / 1.4)


def test_normalisation_when_it_is_asked_for(table: pd.DataFrame, tmp_path: Path) -> None:
    folder = imported(table, tmp_path, normalise="whole_set")
    assert read_profile(folder).scores[0, 0].tolist() == [0.0, 0.0]
    fitted = header(folder)["normalisation"]["min_max"]["gpt_4_judge"]
    assert fitted["evaluators"]["gpt_4_judge"][""] == {"minimum": 2.0, "maximum": 10.0}


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


def test_latencies_in_seconds_become_milliseconds_and_are_told(
    table: pd.DataFrame, tmp_path: Path
) -> None:
    (tmp_path / "costs.csv").write_text("node;latency_s\nA-1;0,3\nB;0.9\nc;2\n")
    folder = imported(table, tmp_path, costs=tmp_path / "costs.csv")
    profile = read_profile(folder)
    assert [profile.latency_ms(m, "unnamed") for m in profile.models] == [300.0, 900.0, 2000.0]
    told = "Latencies of the inference nodes, 300 to 2000 ms, by whoever wrote the file."
    assert told in header(folder)["provenance"]["measured"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("node,latency_ms\nA-1,10\nBB,20\n", "no model or evaluator 'BB'; did you mean 'B'"),
        ("node,latency_ms\nA-1,10\nB,20\n", "no row for inference node 'c'"),
        ("node,latncy_ms\nA-1,10\n", "did you mean 'latency_ms'"),
        ("node,latency_ms\nA-1,fast\nB,1\nC,1\n", "'latency_ms' holds 'fast', which is no number"),
        ("node,latency_ms,latency_s\nA-1,1,1\n", "give latency_ms or latency_s, not both"),
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
    other = read_profile(import_parts(path, **COLUMNS, out=tmp_path / "other"))
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
    "no evaluator": (
        {"evaluators": [], "scales": []},
        "say which column is what with --evaluators",
    ),
    "an evaluator twice": ({"evaluators": ["bi", "bi"]}, "column 'bi' is named twice"),
    "a name as evaluator": ({"evaluators": ["system"]}, "column 'system' is named twice"),
    "text as an evaluator": (
        {"evaluators": ["topic"], "scales": []},
        "line 2: column 'topic' holds",
    ),
    "a scale of nothing": ({"scales": ["by=0:1"]}, "--scale names 'by', no column of numbers"),
    "a scale of a name": ({"scales": ["topic=0:1"]}, "--scale names 'topic', no column of numbers"),
    "a scale without ends": ({"scales": ["bi=1"]}, "--scale takes column=low:high, such as bi=0:1"),
    "a scale upside down": ({"scales": ["bi=1:0"]}, "the low end must be below the high one"),
    "a scale twice": ({"scales": ["bi=0:1", "bi=0:2"]}, "--scale names 'bi' twice"),
    "a scale too short": (
        {"scales": ["bi=0:1"]},
        "is on 0:1, and 2 of its values are not, such as",
    ),
    "a truth to be stretched": (
        {"scales": ["bi=per_task", "expert=per_task"]},
        "truth and judge are on a scale and never stretched",
    ),
    "no treatment": ({"incomplete": "drp"}, "did you mean 'drop'"),
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
    "an infinite evaluator": (put(4, "bi", np.inf), "line 6: column 'bi' holds 'inf', which is no"),
    "a constant evaluator": (lambda t: t.assign(bi=0.25), "'bi' is constant (0.25)"),
    "truth without a value": (put(4, "expert", np.nan), "the truth is nan for record '1'"),
    "truth off the scale": (
        put(4, "expert", 57.3),
        "column 'expert' lies in [0, 57.3]: values of 0:10 with noise or an error, or of 0:100 "
        "(1 of 12 are above 10)? State the scale with --scale expert=LOW:HIGH",
    ),
    "truth off any scale": (put(4, "expert", 573), "lies in [0, 573]; truth and judge are on a"),
    "a mark of a missing score": (
        put(4, "crowd", -1),
        "column 'crowd' lies in [-1, 9]: is -1 the mark of a missing score (1 of 11 values; then "
        "say --missing -1)?",
    ),
    "a record without an id": (put(4, "prompt", None), "rows without record, task or model"),
    "a record in two tasks": (put(4, "topic", "news"), "record '1' appears in two tasks"),
    "a task with one record": (
        lambda t: t[t["prompt"] != 0],
        "task 'qa' has one record; a task needs two or more",
    ),
    "no rows": (lambda t: t.iloc[:0], "there are no rows"),
}


@pytest.mark.parametrize("fault", SPOILT)
def test_a_spoilt_table_is_refused(table: pd.DataFrame, tmp_path: Path, fault: str) -> None:
    spoil, message = SPOILT[fault]
    assert message in refusal(spoil(table), tmp_path, task="topic", judge="crowd")


def test_what_may_tell_repeated_rows_apart_is_said(table: pd.DataFrame, tmp_path: Path) -> None:
    twice = pd.concat([table.assign(turn=1), table.assign(turn=2)])
    assert "with --record prompt,COLUMN, or with --long" in refusal(twice, tmp_path)
    profile = read_profile(imported(twice, tmp_path, record="prompt,turn"))
    assert profile.records[:2] == ("0_1", "0_2")


def test_every_fault_is_told_at_once(table: pd.DataFrame, tmp_path: Path) -> None:
    spoilt = table.assign(bi=0.25).drop(index=4)
    told = refusal(spoilt, tmp_path)
    assert "'bi' is constant" in told
    assert "no row for model" in told


def test_a_constant_within_a_task_has_no_scale_there(table: pd.DataFrame, tmp_path: Path) -> None:
    table.loc[table["topic"] == "qa", "bi"] = -0.1
    told = refusal(table, tmp_path, task="topic", scales=["bi=per_task"])
    assert "'bi' gives all 6 outputs of task 'qa' the same value" in told


def test_an_existing_folder_is_left_alone(table: pd.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(InputError, match="exists; a profile is never overwritten"):
        imported(table, tmp_path)
    assert list((tmp_path / "mine").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("scores.txt", b"", r"a table ends in \.csv, .* not in '\.txt'"),
        ("scores.parquet", b"junk", "not readable Parquet"),
        ("scores.csv", b"", "there are no rows"),
        ("scores.csv", b"\xff\xfe\x81", r"scores\.csv:1: this is not UTF-8 text"),
        ("scores.csv", b"prompt,system\n1\n", r"scores\.csv:2: 1 cells under 2 columns"),
        ("scores.json", b'{\n"results": []}', "a list of objects, found an object with"),
        ("scores.csv.gz", b"junk", "not readable gzip"),
        ("scores.jsonl", b'{"a": 1}\n{"a": ', "last line is damaged"),
        ("scores.jsonl", b'{"a": \n{"a": 1}\n', r"scores\.jsonl:1"),
    ],
)
def test_a_file_of_something_else(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        import_parts(tmp_path / name, **COLUMNS, out=tmp_path / "mine")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file"):
        import_parts(tmp_path / "nowhere.csv", **COLUMNS, out=tmp_path / "mine")


def by_hand(low: float, high: float, values: pd.Series) -> np.ndarray:
    return (10 * (values - low) / (high - low)).to_numpy()


#: what is made of the table, the scale of the column, and whether it has to be stated
ON_SCALES: dict[str, tuple[str, Any, str, bool]] = {
    "shares": ("share", lambda t: t["expert"] / 10, "0:1", False),
    "points": ("points", lambda t: t["expert"], "0:10", False),
    "percent": ("percent", lambda t: t["expert"] * 10, "0:100", False),
    "marks of ten": ("of_ten", lambda t: t["expert"].map("{:g}/10".format), "0:10", False),
    "marks of five": ("of_five", lambda t: (t["expert"] / 2).map("{:g} / 5".format), "0:5", False),
    "percent signs": ("signs", lambda t: (t["expert"] * 10).map("{:g}%".format), "0:100", False),
    "verdicts": ("verdict", lambda t: (t["expert"] > 4) * 1, "0:1", False),
    "bools": ("flag", lambda t: t["expert"] > 4, "0:1", False),
    "likert": ("likert", lambda t: (t["expert"] / 2.5 + 1).round(), "1:5", True),
    "means of likert": ("mean", lambda t: t["expert"] / 2.5 + 1, "1:5", True),
    "seven": ("seven", lambda t: (t["expert"] * 0.6 + 1).round(), "1:7", True),
    "cosines": ("cosine", lambda t: t["expert"] / 5 - 1, "-1:1", True),
    "noisy shares": ("noisy", lambda t: t["expert"] / 10 + 0.1, "0:1.2", True),
    "preferences": ("prefers", lambda t: t["expert"] / 10 + 1, "1:2", True),
}


@pytest.mark.parametrize("case", ON_SCALES)
def test_a_column_is_mapped_by_its_scale_which_is_told_and_kept_or_asked_for(
    table: pd.DataFrame, tmp_path: Path, case: str
) -> None:
    """Truth, evaluator and judge alike, and all three at once."""
    column, make, scale, has_to_be_stated = ON_SCALES[case]
    table[column] = make(table)
    low, high = map(float, scale.split(":"))
    roles = {"truth": column, "evaluators": [column], "judge": column}
    stated = [f"{column}={scale}"] if has_to_be_stated else []
    if has_to_be_stated:
        told = refusal(table, tmp_path, **roles, scales=[])
        assert told.endswith(f"State the scale with --scale {column}=LOW:HIGH")
        assert "\n" not in told
    said: list[str] = []
    folder = imported(table, tmp_path, **roles, scales=stated, report=said.append)
    raw = make(table)
    if raw.dtype == object or pd.api.types.is_string_dtype(raw):
        raw = raw.str.extract(r"^([\d.]+)")[0].astype(float)
    expected = by_hand(low, high, raw.astype(float))
    profile = read_profile(folder)
    for found in (profile.truth, profile.scores[:, :, 0], profile.judge):
        np.testing.assert_allclose(found.ravel(), expected, atol=1e-12)
    kept = header(folder)["normalisation"]["scales"]
    assert [(kept[name]["minimum"], kept[name]["maximum"]) for name in kept] == [(low, high)] * 3
    provenance = header(folder)["provenance"]
    mappings = [line for line in said if line.startswith(f"Scale of {column} (column {column!r})")]
    assert len(mappings) == 1
    assert mappings[0] in provenance["inferred"] + provenance["measured"]
    assert f"{low:g}:{high:g}" in mappings[0]


def test_what_is_kept_puts_later_outputs_on_the_same_scale(
    table: pd.DataFrame, tmp_path: Path
) -> None:
    scales = {"bi": "per_task", "expert": "0:20"}
    names = ["bi", "GPT-4 (judge)", "expert"]
    folder = imported(table, tmp_path, task="topic", scales=scales, evaluators=names)
    transform, scores = header(folder)["normalisation"], read_profile(folder).scores
    rows = table[["topic", *names]].itertuples(index=False, name=None)
    evaluators = ("bi", "gpt_4_judge", "expert")
    again = [
        [points_of(transform, e, task, value) for e, value in zip(evaluators, values, strict=True)]
        for task, *values in rows
    ]
    np.testing.assert_allclose(scores.reshape(-1, 3), again)
    with pytest.raises(InputError, match="no scale was fitted for 'gpt'"):
        points_of(transform, "gpt", "qa", 1.0)


def test_four_verdicts_in_shares_are_worth_ten_times_as_much(
    table: pd.DataFrame, tmp_path: Path
) -> None:
    """The consensus of four columns in [0, 1] was .63 of 10 in place of 6.3."""
    names = ["a", "b", "c", "d"]
    for shift, name in enumerate(names):
        table[name] = ((table["expert"] + shift) % 10.5 / 10.5).round(3)
    folder = imported(table, tmp_path, evaluators=names, scales=[])
    mean = read_profile(folder).scores.mean()
    assert mean == pytest.approx(10 * table[names].to_numpy().mean())


def test_the_rule_does_not_hang_on_one_value(table: pd.DataFrame, tmp_path: Path) -> None:
    """A value or two beyond a scale are asked about; they do not move the column to another."""
    for wrong in (1.3, -0.2, 9.0):
        spoilt = table.assign(bi=(table["expert"] / 10).where(table.index != 5, wrong))
        assert "State the scale with --scale bi=" in refusal(spoilt, tmp_path, scales=[])


def test_raw_values_that_fit_no_scale_are_stretched_per_task_and_told(
    table: pd.DataFrame, tmp_path: Path
) -> None:
    said: list[str] = []
    logits = table.assign(bi=table["bi"] * 12)
    folder = imported(logits, tmp_path, scales=[], task="topic", report=said.append)
    assert header(folder)["normalisation"]["min_max"]["bi"]["scope"] == "task"
    assert (
        "Scores of bi: by minimum and maximum, qa [-6, 10.8]; news [-2.4, 12] to [0, 10]." in said
    )


def test_one_column_may_be_truth_and_evaluator(table: pd.DataFrame, tmp_path: Path) -> None:
    folder = imported(table, tmp_path, evaluators=["expert", "bi"])
    profile = read_profile(folder)
    assert profile.evaluators == ("expert", "bi")
    np.testing.assert_array_equal(profile.scores[:, :, 0], profile.truth)
    assert "The evaluator 'expert' is the truth itself." in header(folder)["provenance"]["caveats"]
    called = table.rename(columns={"expert": "truth"})
    (tmp_path / "other").mkdir()
    other = imported(called, tmp_path / "other", truth="truth", evaluators=["truth", "bi"])
    assert read_profile(other).evaluators == ("truth_evaluator", "bi")


def test_names_that_would_be_one_are_told_apart(table: pd.DataFrame, tmp_path: Path) -> None:
    said: list[str] = []
    other = table.replace({"system": {"B": "a 1", "C": "通义千问"}})
    profile = read_profile(imported(other, tmp_path, report=said.append))
    assert profile.models == ("a_1", "a_1_2", "model_3")
    assert "The model 'a 1' is called a_1_2." in said
    assert "The model '通义千问' is called model_3." in said
    assert [model["label"] for model in header(tmp_path / "mine")["models"]] == [
        *("A-1", "a 1", "通义千问"),
    ]


def test_an_evaluator_called_like_a_model_gets_another_name(
    table: pd.DataFrame, tmp_path: Path
) -> None:
    profile = read_profile(imported(table.replace({"system": {"B": "bi"}}), tmp_path))
    assert profile.evaluators == ("bi_evaluator", "gpt_4_judge")


def test_a_record_that_lacks_something_is_left_out_on_request_and_told(
    table: pd.DataFrame, tmp_path: Path
) -> None:
    spoilt = put(4, "expert", "N/A")(put(0, "bi", -9)(table)).drop(index=8)
    told = refusal(spoilt, tmp_path, missing=["-9"])
    assert "3 of 4 records lack a number or a model's row; --incomplete drop leaves them" in told
    spoilt = put(0, "bi", -9)(table).drop(index=4)
    said: list[str] = []
    folder = imported(spoilt, tmp_path, missing=["-9"], incomplete="drop", report=said.append)
    left = "Left out: 2 of 4 records lack a number or a model's row: '0', '1'."
    assert read_profile(folder).records == ("2", "3")
    assert left in said
    assert left in header(folder)["provenance"]["caveats"]


def test_a_task_that_is_left_out_as_a_whole_is_none(table: pd.DataFrame, tmp_path: Path) -> None:
    spoilt = table.assign(bi=table["bi"].where(table["topic"] == "news"))
    folder = imported(spoilt, tmp_path, task="topic", incomplete="drop")
    assert read_profile(folder).tasks == ("news",)


def test_a_table_of_nothing_but_holes_is_refused(table: pd.DataFrame, tmp_path: Path) -> None:
    told = refusal(table.assign(bi=np.nan), tmp_path, incomplete="drop")
    assert "evaluator 'bi' is nan for record '0', model 'a_1' (and 11 more)" in told


def test_a_simple_name_stays() -> None:
    assert simple_name("llama_3_2_3b", "model") == "llama_3_2_3b"
