"""The corpus stage: keyed samples, one file, nothing written when a source is faulty."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.configuration import Calibration, load_configuration
from calibration.corpus.record_samples import build_corpus, sampled
from calibration.corpus.records import Record, read_corpus
from poq_abm.errors import InputError

NAMES = st.lists(st.text(max_size=4), unique=True, min_size=1, max_size=12)
XQUAD = Path(__file__).parents[4] / "shared" / "data" / "xquad_en.json"


def records(names: Sequence[str]) -> list[Record]:
    return [Record(name, "qa", "?", ("b",)) for name in names]


def rows(task: str, size: int) -> list[dict[str, Any]]:
    return [{"id": f"{task}{i}", "task": task, "input": "?", "reference": "b"} for i in range(size)]


def study(folder: Path, tables: dict[str, list[dict[str, Any]]], **changes: Any) -> Calibration:
    """A calibration with a source per table; what is called like a file's first letter is its."""
    sources = []
    for name, table in tables.items():
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in table))
        sources.append({"format": "table", "path": name, **changes.pop(name[0], {})})
    models, evaluators = ["llama_3_2_3b"], ["sts_stsb"]
    keys = {"out": "out", "corpus": sources, "models": models, "evaluators": evaluators}
    file = folder / "study.yaml"
    file.write_text(json.dumps({**keys, **changes}))  # JSON is YAML
    return load_configuration(file)


def silent(text: str) -> None:
    """Take a report and keep it to oneself."""


@settings(deadline=None)  # the first call compiles
@given(names=NAMES, seed=st.integers(min_value=0, max_value=2**63 - 1), data=st.data())
def test_a_sample_is_a_prefix_of_the_next_and_knows_no_order(
    names: list[str], seed: int, data: st.DataObject
) -> None:
    size = data.draw(st.integers(min_value=0, max_value=len(names) - 1))
    shuffled = data.draw(st.permutations(names))
    smaller, larger = (sampled(records(names), seed, n) for n in (size, size + 1))
    assert larger[:size] == smaller
    assert sampled(records(shuffled), seed, size) == smaller
    assert sorted(r.id for r in sampled(records(names), seed)) == sorted(names)


@settings(deadline=None)
@given(names=NAMES, seed=st.integers(min_value=0, max_value=99))
def test_taking_a_record_away_moves_no_other(names: list[str], seed: int) -> None:
    order = [record.id for record in sampled(records(names), seed)]
    for gone in names:
        rest = [record.id for record in sampled(records([n for n in names if n != gone]), seed)]
        assert rest == [name for name in order if name != gone]


def test_every_record_is_as_likely_as_any_other_to_be_drawn() -> None:
    names, size, seeds = [f"q{i}" for i in range(20)], 5, 4000
    counts = dict.fromkeys(names, 0)
    for seed in range(seeds):
        for record in sampled(records(names), seed, size):
            counts[record.id] += 1
    share = size / len(names)
    deviations = (np.array(list(counts.values())) - seeds * share) / np.sqrt(
        seeds * share * (1 - share)
    )
    assert np.abs(deviations).max() < 4.5  # 20 counts: a fair sampler fails once in 7,000 keys


def test_two_seeds_draw_different_samples() -> None:
    names = [f"q{i}" for i in range(200)]
    drawn = [{r.id for r in sampled(records(names), seed, 50)} for seed in (1, 2)]
    assert drawn[0] != drawn[1]


def test_the_corpus_has_the_sample_of_every_task(tmp_path: Path) -> None:
    both = rows("qa", 30) + rows("news", 20)
    calibration = study(tmp_path, {"a.jsonl": both}, a={"sample": 5})
    said: list[str] = []
    summary = build_corpus(calibration, said.append)
    assert summary.records_of_task == {"qa": 5, "news": 5}
    assert summary.path == tmp_path / "out" / "corpus.jsonl"
    found = read_corpus(summary.path)
    alone = sampled([r for r in found if r.task == "qa"], calibration.seed)
    assert found[:5] == alone
    assert said[0] == "qa: 5 of 30 records of a.jsonl"


def test_a_larger_sample_keeps_what_was_there_and_says_so(tmp_path: Path) -> None:
    table = {"a.jsonl": rows("qa", 30)}
    smaller = read_corpus(build_corpus(study(tmp_path, table, a={"sample": 5}), silent).path)
    said: list[str] = []
    summary = build_corpus(study(tmp_path, table, a={"sample": 9}), said.append)
    assert read_corpus(summary.path)[:5] == smaller
    assert said[-1].endswith("9 records; 5 of 5 records of the corpus before are kept")


def test_a_second_run_leaves_the_file_alone(tmp_path: Path) -> None:
    calibration = study(tmp_path, {"a.jsonl": rows("qa", 4)})
    path = build_corpus(calibration, silent).path
    before = path.stat().st_mtime_ns
    said: list[str] = []
    build_corpus(calibration, said.append)
    assert path.stat().st_mtime_ns == before
    assert said[-1].endswith("is complete: 4 records")


def test_a_damaged_corpus_is_made_again(tmp_path: Path) -> None:
    calibration = study(tmp_path, {"a.jsonl": rows("qa", 4)})
    path = build_corpus(calibration, silent).path
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    build_corpus(calibration, silent)
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("tables", "changes", "message"),
    [
        ({"a.jsonl": rows("qa", 3)}, {"a": {"sample": 4}},
         r"a\.jsonl: 4 records of task 'qa' are asked for, 3 are there"),
        ({"a.jsonl": rows("qa", 3) + rows("news", 1)}, {}, "task 'news' has a single record"),
        ({"a.jsonl": rows("qa", 3)}, {"a": {"sample": 1}}, "task 'qa' has a single record"),
        ({"a.jsonl": rows("qa", 3), "b.jsonl": rows("qa", 2)}, {},
         r"b\.jsonl: the id 'qa[01]' is taken by another source"),
        ({"a.jsonl": rows("qa", 3)}, {"prompts": {"qaa": "{input}"}},
         "no record has the task 'qaa'; did you mean 'qa'"),
        ({"a.jsonl": [*rows("qa", 3), {"id": "x"}]}, {}, "1 record without a reference"),
    ],
)  # fmt: skip
def test_a_faulty_source_is_an_error_and_nothing_is_written(
    tables: dict[str, list[dict[str, Any]]],
    changes: dict[str, Any],
    message: str,
    tmp_path: Path,
) -> None:
    calibration = study(tmp_path, tables, **changes)
    with pytest.raises(InputError, match=message):
        build_corpus(calibration, silent)
    assert not calibration.out.exists()


def test_one_record_in_each_of_two_sources_is_enough_for_a_task(tmp_path: Path) -> None:
    other = [{**rows("qa", 1)[0], "id": "other"}]
    calibration = study(tmp_path, {"a.jsonl": rows("qa", 1), "b.jsonl": other})
    assert build_corpus(calibration, silent).records_of_task == {"qa": 2}


@pytest.mark.skipif(not XQUAD.is_file(), reason="the file of real questions is not here")
def test_a_sample_of_real_questions(tmp_path: Path) -> None:
    source = {"format": "squad", "path": str(XQUAD), "sample": 200}
    calibration = study(tmp_path, {}, corpus=[source])
    summary = build_corpus(calibration, silent)
    assert summary.records_of_task == {"qa": 200}
    assert len(read_corpus(summary.path)) == 200


def test_a_reference_of_which_normalisation_leaves_nothing_is_refused_or_left_out(
    tmp_path: Path,
) -> None:
    """An article alone, as the answer A of a multiple choice is one, or marks alone."""
    table = rows("qa", 4)
    table[1]["reference"] = "A."
    table[2] = {**table[2], "reference": None, "references": ["The", "b"]}
    named = {"t": {"reference": ["reference", "references"], "task": "qa"}}
    with pytest.raises(InputError) as caught:
        build_corpus(study(tmp_path, {"t.jsonl": table}, **named), silent)
    assert "2 records have a reference of which the normalisation" in str(caught.value)
    assert "an empty output would be worth 10: 'qa1' ('A.'); 'qa2' ('The')" in str(caught.value)
    assert not (tmp_path / "out").exists()
    named["t"]["unreferenced"] = "skip"
    said: list[str] = []
    made = build_corpus(study(tmp_path, {"t.jsonl": table}, **named), said.append)
    found = {record.id: record.references for record in read_corpus(made.path)}
    assert found == {"qa0": ("b",), "qa2": ("b",), "qa3": ("b",)}
    assert said[0].endswith("leaves nothing, and 1 of them no other")
