"""The corpus file: what is written comes back, and nothing half is read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.corpus.records import (
    SLOT,
    TEMPLATES,
    Record,
    instruction,
    join_question,
    read_corpus,
    split_question,
    template_fault,
    write_corpus,
)
from poq_abm.errors import InputError

RECORDS = [
    Record("q1", "qa", "Who?\n\u2028é", ("Ann", "Ann B.")),
    Record("s1", "summarization", "Long \ud83d.", ("Short.",)),
]


ROW = {"id": "q1", "task": "qa", "input": "Who?", "references": ["Ann"]}


def test_a_corpus_comes_back_as_it_was_written(tmp_path: Path) -> None:
    write_corpus(tmp_path / "corpus.jsonl", RECORDS)
    assert read_corpus(tmp_path / "corpus.jsonl") == RECORDS
    first = json.loads((tmp_path / "corpus.jsonl").read_text(encoding="utf-8").split("\n")[0])
    assert first == {
        "id": "q1", "task": "qa", "input": RECORDS[0].input, "references": ["Ann", "Ann B."]
    }  # fmt: skip


def test_no_corpus_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="poq calibrate corpus"):
        read_corpus(tmp_path / "corpus.jsonl")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": ""}, ":2: no id"),
        ({"references": []}, ":2: no references"),
        ({"task": None, "input": ""}, ":2: no task, input"),
        ({"references": "Ann"}, ":2: .* references a list of texts"),
        ({"references": ["Ann", 3]}, ":2: .* references a list of texts"),
        ({"id": 7}, ":2: id, task and input are text"),
        ({}, ":2: the id 'q1' is already taken"),
    ],
)
def test_a_bad_record_is_an_error_that_names_its_line(
    change: dict[str, object], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "corpus.jsonl"
    path.write_text(json.dumps(ROW) + "\n" + json.dumps({**ROW, **change}) + "\n")
    with pytest.raises(InputError, match=message):
        read_corpus(path)


def test_a_damaged_last_line_asks_for_the_corpus_again(tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl").write_text(json.dumps(ROW) + "\n" + json.dumps(ROW)[:9])
    with pytest.raises(InputError, match="the last line is damaged"):
        read_corpus(tmp_path / "corpus.jsonl")


@given(st.text(min_size=1), st.text(min_size=1))
def test_question_and_context_are_told_apart_again(question: str, context: str) -> None:
    split = split_question(join_question(question, context))
    assert split == (" ".join(question.split()), context.strip())


def test_a_context_that_looks_like_a_question_stays_a_context() -> None:
    tricky = "Question: a\n\nContext: b"
    assert split_question(join_question("Who\n\nContext: me?", tricky)) == (
        "Who Context: me?",
        tricky,
    )


QA, TRANSLATION = (Record("r", task, "{x} {input}?", ("!",)) for task in ("qa", "translation"))


@pytest.mark.parametrize("task", TEMPLATES)
def test_every_template_that_ships_is_sound_and_keeps_the_input_whole(task: str) -> None:
    assert template_fault(TEMPLATES[task]) is None
    before, after = TEMPLATES[task].split(SLOT)
    record = Record("r", task, "the input", ("!",))
    assert instruction(record) == f"{before}the input{after}"


def test_the_users_template_of_the_task_comes_first_then_ours_then_the_default() -> None:
    mine = {"default": "D {input}"}
    assert instruction(TRANSLATION, mine) == "D {x} {input}?"
    assert instruction(QA, mine) == instruction(QA)
    assert instruction(QA, {"qa": "Q {input} {}"}) == "Q {x} {input}? {}"
    assert instruction(TRANSLATION) == TEMPLATES["default"].replace(SLOT, TRANSLATION.input)


@pytest.mark.parametrize("template", ["", "{Input}", "{input} {input}"])
def test_a_template_needs_the_input_exactly_once(template: str) -> None:
    assert "exactly once" in str(template_fault(template))
