"""Logs of scores in the shapes that tools give them; every value is made up."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from importing_support import import_parts

from calibration.profile.score_logs import LAYOUTS, read_logs
from poq_abm.errors import InputError
from poq_abm.profile import Profile, read_profile

MODELS = ("meta-llama/Llama-3.2-3B-Instruct", "Qwen/Qwen2-1.5B", "gpt-4")
COLUMNS: dict[str, Any] = {
    "record": "prompt_id",
    "model": "system",
    "truth": "truth",
    "evaluators": ["cos", "ten"],
}


@pytest.fixture
def table() -> pd.DataFrame:
    made = np.random.default_rng(0)
    rows = [(f"q{record}", model) for record in range(6) for model in MODELS]
    table = pd.DataFrame(rows, columns=["prompt_id", "system"])
    table["truth"] = made.uniform(0, 10, len(table)).round(2)
    table["cos"] = (table["truth"] / 15 + 0.2).round(3)
    table["ten"] = (table["truth"] + made.normal(0, 1, len(table))).clip(0, 10).round(2)
    return table


def profile_of(path: Path | list[Path], folder: Path, **changes: Any) -> Profile:
    return read_profile(import_parts(path, **{**COLUMNS, "out": folder / "mine", **changes}))


def lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


SHAPES: dict[str, Callable[[pd.DataFrame, Path], Any]] = {
    "a.csv": lambda t, p: t.to_csv(p, index=False),
    "semicolons.csv": lambda t, p: t.to_csv(p, index=False, sep=";", decimal=","),
    "points.csv": lambda t, p: t.to_csv(p, index=False, sep=";"),
    "bars.csv": lambda t, p: t.to_csv(p, index=False, sep="|"),
    "a.tsv": lambda t, p: t.to_csv(p, index=False, sep="\t"),
    "bom.csv": lambda t, p: t.to_csv(p, index=False, encoding="utf-8-sig"),
    "utf_16.csv": lambda t, p: t.to_csv(p, index=False, sep="\t", encoding="utf-16"),
    "windows.csv": lambda t, p: t.to_csv(p, index=False, lineterminator="\r\n"),
    "a.csv.gz": lambda t, p: t.to_csv(p, index=False),
    "array.json": lambda t, p: t.to_json(p, orient="records"),
    "a.jsonl": lambda t, p: t.to_json(p, orient="records", lines=True),
    "a.jsonl.gz": lambda t, p: p.write_bytes(
        gzip.compress(t.to_json(orient="records", lines=True).encode())
    ),
    "a.parquet": lambda t, p: t.to_parquet(p),
    "index.csv": lambda t, p: t.to_csv(p),
    "blanks.csv": lambda t, p: t.rename(columns={"truth": " truth "}).to_csv(p, index=False),
    "marks.csv": lambda t, p: t.assign(ten=t["ten"].astype(str) + "/10").to_csv(p, index=False),
}


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_gives_the_same_profile(name: str, table: pd.DataFrame, tmp_path: Path) -> None:
    SHAPES[name](table, tmp_path / name)
    profile = profile_of(tmp_path / name, tmp_path)
    assert profile.records == tuple(f"q{record}" for record in range(6))
    assert profile.models == ("meta_llama_llama_3_2_3b_instruct", "qwen_qwen2_1_5b", "gpt_4")
    np.testing.assert_allclose(profile.truth.ravel(), table["truth"])
    np.testing.assert_allclose(profile.scores[:, :, 0].ravel(), 10 * table["cos"])
    np.testing.assert_allclose(profile.scores[:, :, 1].ravel(), table["ten"])


def test_a_workbook_is_read_where_its_library_is(
    table: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openpyxl")
    table.to_excel(tmp_path / "a.xlsx", index=False)
    np.testing.assert_allclose(profile_of(tmp_path / "a.xlsx", tmp_path).truth.ravel(), table.truth)


def test_a_workbook_without_its_library_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.xlsx").write_bytes(b"PK\3\4")

    def absent(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr("calibration.corpus.rows.import_module", absent)
    with pytest.raises(InputError, match=r"needs openpyxl; pip install openpyxl, or save the"):
        profile_of(tmp_path / "a.xlsx", tmp_path)


def test_letters_that_are_not_utf_8_are_read_and_told(table: pd.DataFrame, tmp_path: Path) -> None:
    french = table.replace({"system": {"gpt-4": "modèle"}})
    french.to_csv(tmp_path / "a.csv", index=False, encoding="latin-1")
    said: list[str] = []
    assert profile_of(tmp_path / "a.csv", tmp_path, report=said.append).models[2] == "modele"
    assert said[0] == "a.csv is not UTF-8; it was read as cp1252."


@pytest.mark.parametrize("ending", ["csv", "json", "parquet"])
def test_names_stay_what_they_are(table: pd.DataFrame, tmp_path: Path, ending: str) -> None:
    names = {"gpt-4": "None", "Qwen/Qwen2-1.5B": "NA"}
    odd = table.replace({"system": names}).assign(prompt_id=[f"00{i // 3}" for i in range(18)])
    path = tmp_path / f"a.{ending}"
    {"csv": odd.to_csv, "json": odd.to_json, "parquet": odd.to_parquet}[ending](
        path, **({"orient": "records"} if ending == "json" else {"index": False})
    )
    profile = profile_of(path, tmp_path)
    assert set(profile.models) >= {"none", "na"}
    assert profile.records[0] == "000"


@pytest.mark.parametrize("mark", ["", "N/A", "nan", "NULL", "None", " - ", "?"])
def test_usual_marks_of_a_missing_score(table: pd.DataFrame, tmp_path: Path, mark: str) -> None:
    spoilt = table.astype({"ten": object})
    spoilt.loc[3, "ten"] = mark
    spoilt.to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(InputError, match=r"1 of 6 records lack .* --incomplete drop"):
        profile_of(tmp_path / "a.csv", tmp_path)
    profile = profile_of(tmp_path / "a.csv", tmp_path, incomplete="drop")
    assert profile.records == ("q0", "q2", "q3", "q4", "q5")


@pytest.mark.parametrize("cell", ["eight", "8 of 10", "1.234,5", "8,5", "0x8", "inf", "1/2/3"])
def test_what_is_no_number_is_named_with_its_line(
    table: pd.DataFrame, tmp_path: Path, cell: str
) -> None:
    spoilt = table.astype({"ten": object})
    spoilt.loc[3, "ten"] = cell
    spoilt.to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(InputError, match=r"^a\.csv: line 5: column 'ten' holds '") as refused:
        profile_of(tmp_path / "a.csv", tmp_path)
    assert cell in str(refused.value)


def test_marks_out_of_several_tops_are_refused(table: pd.DataFrame, tmp_path: Path) -> None:
    spoilt = table.assign(ten=[f"{i % 5}/{5 + 5 * (i % 2)}" for i in range(18)])
    spoilt.to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(InputError, match="'ten' has marks out of 5 and of 10"):
        profile_of(tmp_path / "a.csv", tmp_path)


def test_one_row_per_annotator(table: pd.DataFrame, tmp_path: Path) -> None:
    long = table.melt(["prompt_id", "system"], var_name="who", value_name="score")
    long.to_csv(tmp_path / "long.csv", index=False)
    profile = profile_of(tmp_path / "long.csv", tmp_path, long="who,score")
    np.testing.assert_allclose(profile.truth.ravel(), table["truth"])
    with pytest.raises(InputError, match="no column 'whom'; did you mean 'who'"):
        profile_of(tmp_path / "long.csv", tmp_path / "b", long="whom,score")
    with pytest.raises(InputError, match="takes two columns, annotator,score"):
        profile_of(tmp_path / "long.csv", tmp_path / "b", long="who")
    pd.concat([long, long.iloc[:1]]).to_csv(tmp_path / "twice.csv", index=False)
    with pytest.raises(InputError, match="the who 'truth' scored this row twice"):
        profile_of(tmp_path / "twice.csv", tmp_path / "b", long="who,score")


def mt_bench() -> list[dict[str, Any]]:
    return [
        {
            "question_id": 81 + i, "model": model, "judge": ["gpt-4", "single-v1"], "turn": turn,
            "judgment": "Rating: [[8]]", "score": (3 * i + m + turn) % 10 + 1 if i else -1,
        }
        for i in range(4) for m, model in enumerate(MODELS) for turn in (1, 2)
    ]  # fmt: skip


def test_mt_bench_needs_no_column_named(tmp_path: Path) -> None:
    path, said = lines(tmp_path / "judgement.jsonl", mt_bench()), list[str]()
    with pytest.raises(InputError, match="2 of 8 records lack a number"):
        import_parts(path, out=tmp_path / "mine")
    made = import_parts(path, out=tmp_path / "mine", incomplete="drop", report=said.append)
    profile = read_profile(made)
    assert profile.records == ("82_1", "82_2", "83_1", "83_2", "84_1", "84_2")
    assert said[0] == "judgement.jsonl has the layout of MT-Bench single judgements."
    assert profile.scores.max() == 10.0
    assert not profile.knows_truth


def test_mt_bench_pairs_become_shares_of_games_won(tmp_path: Path) -> None:
    pairs = [("a", "b"), ("a", "c"), ("b", "c")]
    rows = [
        {
            "question_id": 81 + i, "model_1": one, "model_2": two, "judge": ["gpt-4", "pair-v2"],
            "g1_winner": "model_1", "g2_winner": "tie" if i else "model_1", "turn": 1,
        }
        for i in range(3) for one, two in pairs
    ]  # fmt: skip
    made = read_profile(import_parts(lines(tmp_path / "p.jsonl", rows), out=tmp_path / "mine"))
    assert made.records == ("81_1", "82_1", "83_1")
    assert made.scores[0, :, 0].tolist() == [10.0, 5.0, 0.0]
    assert made.scores[1, :, 0].tolist() == [7.5, 5.0, 2.5]
    errors = [{**row, "g2_winner": "error"} for row in rows]
    made = read_profile(import_parts(lines(tmp_path / "e.jsonl", errors), out=tmp_path / "other"))
    assert made.scores[1, :, 0].tolist() == [10.0, 5.0, 0.0]


def test_alpaca_eval_needs_no_column_named(tmp_path: Path) -> None:
    """A preference of 2 is one for ``output_2``, the model's."""
    rows = [
        {"instruction": f"i{i}", "output_1": "a", "generator_1": "gpt4", "output_2": "b",
         "generator_2": model, "annotator": "weighted", "preference": 1.0 + (i + m) / 10}
        for i in range(4) for m, model in enumerate(MODELS)
    ]  # fmt: skip
    (tmp_path / "annotations.json").write_text(json.dumps(rows))
    made = read_profile(import_parts(tmp_path / "annotations.json", out=tmp_path / "mine"))
    np.testing.assert_allclose(made.scores[0, :, 0], [0.0, 1.0, 2.0])


def test_lm_eval_samples_are_a_file_per_model(tmp_path: Path) -> None:
    paths = []
    for m, model in enumerate(("llama", "qwen")):
        rows = [
            {"doc_id": i, "doc": {"question": "?"}, "target": "3", "resps": [["3"]],
             "exact_match": float((i + m) % 2)}
            for i in range(4)
        ]  # fmt: skip
        (tmp_path / model).mkdir()
        paths.append(lines(tmp_path / model / "samples_gsm8k.jsonl", rows))
    roles = {"truth": "exact_match", "evaluators": ["exact_match"]}
    made = read_profile(import_parts(paths, out=tmp_path / "mine", **roles))
    assert made.models == ("llama", "qwen")
    assert made.truth.tolist() == [[0, 10], [10, 0], [0, 10], [10, 0]]
    with pytest.raises(InputError, match=r"say which column is what with --evaluators;"):
        import_parts(paths, out=tmp_path / "other")


def test_helm_statistics_become_columns_and_perturbed_ones_do_not(tmp_path: Path) -> None:
    stat = lambda name, mean, **more: {"name": {"name": name, **more}, "mean": mean}  # noqa: E731
    rows = [
        {"instance_id": f"id{i}", "train_trial_index": 0,
         "stats": [stat("f1_score", i / 4), stat("f1_score", 0.0, perturbation={"name": "typos"})]}
        for i in range(4)
    ]  # fmt: skip
    (tmp_path / "per_instance_stats.json").write_text(json.dumps(rows))
    roles = {"truth": "f1_score", "evaluators": ["f1_score"]}
    path = tmp_path / "per_instance_stats.json"
    made = read_profile(import_parts(path, out=tmp_path / "mine", **roles))
    assert made.truth.ravel().tolist() == [0, 2.5, 5, 7.5]
    assert made.models == (read_logs([path]).frame["folder"].iloc[0].replace("-", "_").lower(),)


def test_lm_eval_filters_and_tasks_are_told_apart(tmp_path: Path) -> None:
    """Of several filters a document has a row each; of several tasks the same numbers."""
    paths = []
    for m, model in enumerate(("meta-llama__Llama-3.2-1B", "Qwen__Qwen2-1.5B")):
        home = tmp_path / model
        home.mkdir()
        filtered = [
            {"doc_id": i, "doc": {"question": "?"}, "target": "3", "resps": [["so 3"]],
             "filtered_resps": [name], "filter": name, "metrics": ["exact_match"],
             "arguments": {"gen_args_0": {"arg_0": "Q", "arg_1": {"until": ["Q"]}}},
             "exact_match": float((i + m) % 2 if name == "strict-match" else i % 2)}
            for name in ("strict-match", "flexible-extract") for i in range(4)
        ]  # fmt: skip
        time = f"2024-10-0{m + 1}T12-00-00.123"
        paths.append(lines(home / f"samples_gsm8k_{time}.jsonl", filtered))
    named = ["exact_match.strict-match", "exact_match.flexible-extract"]
    made = read_profile(import_parts(paths, out=tmp_path / "mine", evaluators=named))
    assert made.models == ("meta_llama__llama_3_2_1b", "qwen__qwen2_1_5b")
    assert (made.tasks, made.records[0]) == (("gsm8k",), "gsm8k_0")
    assert made.scores[:, 0, 0].tolist() == [0, 10, 0, 10]
    assert made.scores[:, 1, 0].tolist() == [10, 0, 10, 0]
    assert made.scores[:, 1, 1].tolist() == [0, 10, 0, 10]


def test_helm_folders_name_model_and_task(tmp_path: Path) -> None:
    stat = lambda name, mean: {"name": {"name": name, "split": "test"}, "mean": mean}  # noqa: E731
    paths = []
    for m, model in enumerate(("openai_gpt-4o", "meta_llama-3.1-8b")):
        for task in ("anatomy", "law"):
            home = tmp_path / f"mmlu:subject={task},method=joint,model={model}"
            home.mkdir()
            rows = [
                {"instance_id": f"id{i}", "train_trial_index": 0, **changed,
                 "stats": [stat("exact_match", float((i + m) % 2)), stat("em", i / 4)]}
                for i in range(4) for changed in ({}, {"perturbation": {"name": "typos"}})
            ]  # fmt: skip
            paths.append(home / "per_instance_stats.json")
            paths[-1].write_text(json.dumps(rows, indent=1))
    roles = {"truth": "exact_match", "evaluators": ["em"]}
    made = read_profile(import_parts(paths, out=tmp_path / "mine", **roles))
    assert made.models == ("openai_gpt_4o", "meta_llama_3_1_8b")
    assert made.tasks == ("mmlu_subject_anatomy_method_joint", "mmlu_subject_law_method_joint")
    assert made.truth.shape == (8, 2)


def test_nested_objects_are_columns_with_dots(tmp_path: Path) -> None:
    rows = [{"a": {"b": {"c": 1}, "d": [2]}}]
    found = read_logs([lines(tmp_path / "a.jsonl", rows)]).frame
    assert found.drop(columns=["file", "folder"]).to_dict("records") == [{"a.b.c": 1, "a.d": [2]}]


def test_files_of_several_layouts_are_refused(table: pd.DataFrame, tmp_path: Path) -> None:
    table.to_csv(tmp_path / "a.csv", index=False)
    other = lines(tmp_path / "b.jsonl", mt_bench())
    with pytest.raises(InputError, match=r"a\.csv and b\.jsonl have different layouts"):
        read_logs([tmp_path / "a.csv", other])


def test_layouts_are_told_apart() -> None:
    for layout in LAYOUTS:
        assert [other for other in LAYOUTS if other.known_by <= layout.known_by] == [layout]
