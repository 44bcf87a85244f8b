"""Corpora of other people's formats: what is read, and what is said of what cannot be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from calibration.corpus.formats import read_source
from calibration.corpus.records import Record, split_question
from calibration.stage_settings import CorpusSource
from poq_abm.errors import InputError

XQUAD = Path(__file__).parents[4] / "shared" / "data" / "xquad_en.json"


def question(name: str, *answers: str, **change: Any) -> dict[str, Any]:
    found = {"id": name, "question": f"Who is {name}?", "answers": [{"text": a} for a in answers]}
    return {**found, **change}


def squad(*questions: dict[str, Any], context: str = "It is Ann.") -> dict[str, Any]:
    return {"version": "1.1", "data": [{"paragraphs": [{"context": context, "qas": questions}]}]}


def write(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def read(path: Path, file_format: str, **settings: Any) -> list[Record]:
    return read_source(CorpusSource(format=file_format, path=path, **settings))  # type: ignore[arg-type]


def complaint(path: Path, file_format: str, **settings: Any) -> str:
    with pytest.raises(InputError) as caught:
        read(path, file_format, **settings)
    return str(caught.value)


def test_a_squad_question_stands_before_its_context_and_keeps_all_its_answers(
    tmp_path: Path,
) -> None:
    path = write(
        tmp_path / "s.json", squad(question("q1", "Ann", "Ann", "Ann B."), question("q2", "x"))
    )
    first, second = read(path, "squad")
    assert first == Record(
        "q1", "qa", "Question: Who is q1?\n\nContext: It is Ann.", ("Ann", "Ann B.")
    )
    assert (second.id, second.references) == ("q2", ("x",))
    assert read(path, "squad", task="trivia")[0].task == "trivia"


@pytest.mark.skipif(not XQUAD.is_file(), reason="the file of real questions is not here")
def test_real_questions_are_all_read() -> None:
    records = read(XQUAD, "squad")
    articles = json.loads(XQUAD.read_text(encoding="utf-8"))["data"]
    asked = {
        entry["id"]: (entry["question"], paragraph["context"])
        for article in articles
        for paragraph in article["paragraphs"]
        for entry in paragraph["qas"]
    }
    assert len(records) == len(asked) == 1190
    for record in records:
        text, context = split_question(record.input)
        assert text.split() == asked[record.id][0].split()
        assert context == asked[record.id][1].strip()
        assert all(reference in context for reference in record.references)


def test_cnn_dailymail_reads_articles_and_highlights(tmp_path: Path) -> None:
    rows = [{"id": "7", "article": "Long.", "highlights": "Short ."}]
    path = write(tmp_path / "c.jsonl", "\n".join(map(json.dumps, rows)))
    assert read(path, "cnn_dailymail") == [Record("7", "summarization", "Long.", ("Short .",))]


@pytest.mark.parametrize(
    ("row", "settings"),
    [
        ({"id": 7, "task": "qa", "input": "?", "reference": "a"}, {}),
        ({"id": "7", "task": "qa", "input": "?", "references": ["a", "", None, "a"]}, {}),
        ({"n": "7", "q": "?", "x": "", "y": "a"},
         {"id": "n", "input": "q", "reference": ("x", "y"), "task": "qa"}),
        ({"id": "7", "kind": "qa", "input": "?", "reference": "a"}, {"task_column": "kind"}),
    ],
)  # fmt: skip
def test_a_table_may_call_its_columns_what_it_likes(
    row: dict[str, Any], settings: dict[str, Any], tmp_path: Path
) -> None:
    path = write(tmp_path / "t.jsonl", json.dumps(row) + "\n")
    assert read(path, "table", **settings) == [Record("7", "qa", "?", ("a",))]


def test_every_fault_is_counted_and_placed_at_once(tmp_path: Path) -> None:
    table = (
        "id,task,input,reference\n"
        "a,qa,?,x\n"
        ",qa,?,x\n"
        "a,qa,?,x\n"
        "b,qa, ,x\n"
        "c,qa,?,\n"
        "d,qa,?,  \n"
        "e,Q A,?,x\n"
    )
    path = write(tmp_path / "t.csv", table)
    said = complaint(path, "table").replace(f"{path}: ", "").splitlines()
    assert said == [
        "1 record without an id that is text or a whole number: line 3",
        "1 record with an id that is already taken: 'a' (line 4)",
        "1 record without an input: 'b' (line 5)",
        "2 records without a reference ('unreferenced: skip' leaves such out): "
        "'c' (line 6); 'd' (line 7)",
        "1 record whose task is not made of a-z, 0-9 and _: 'Q A' (line 8)",
    ]


def test_of_many_faults_of_a_kind_five_are_shown(tmp_path: Path) -> None:
    path = write(tmp_path / "s.json", squad(*(question(f"q{i}") for i in range(9))))
    said = complaint(path, "squad")
    assert "9 records without a reference ('unreferenced: skip' leaves such out)" in said
    assert "'q4'" in said
    assert "'q5'" not in said


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"id": None}, "without an id"),
        ({"id": 1.5}, "without an id"),
        ({"question": " "}, "without an input"),
        ({"question": 3}, "without an input"),
    ],
)
def test_a_squad_question_without_one_of_its_parts(
    change: dict[str, Any], fault: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "s.json", squad(question("q1", "a", **change)))
    assert fault in complaint(path, "squad")
    assert "data.0.paragraphs.0.qas.0" in complaint(path, "squad")


def nested(**article: Any) -> dict[str, Any]:
    return {"data": [article]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([{"article": "", "highlights": ""}], "found a list of 1; did you mean 'format: cnn_dail"),
        ([{"id": 1, "input": ""}], "found a list of 1; is it a table ('format: table')?"),
        (3, "a squad file is an object with 'data', found int"),
        (nested(paragraph=[]), "data.0 needs 'paragraphs', found an object with 'paragraph'; "
         "did you mean 'paragraph'?"),
        ({"data": {}}, "data must be a list, found an object with no keys"),
        ({"data": ["x"]}, "data.0 needs 'paragraphs', found str"),
        (squad({"id": "q", "query": "?", "answers": []}), "qas.0 needs 'question', found"),
        (squad({"id": "q", "question": "?"}), "qas.0 needs 'answers'"),
        (squad(question("q", answers=["Ann"])), "qas.0.answers.0 needs 'text', found str"),
        (nested(paragraphs=[{"qas": []}]), "paragraphs.0 needs 'context'"),
        ({"data": []}, "holds no record"),
    ],
)  # fmt: skip
def test_what_is_no_squad_file_is_told_with_what_was_found(
    content: Any, message: str, tmp_path: Path
) -> None:
    assert message in complaint(write(tmp_path / "s.json", content), "squad")


@pytest.mark.parametrize(
    ("file_format", "row", "message"),
    [
        ("cnn_dailymail", {"id": "1", "articles": "", "highlights": ""},
         "no column 'article', did you mean 'articles'?"),
        ("cnn_dailymail", {"id": "1", "task": "", "input": "", "reference": ""},
         "its columns are those of 'format: table'"),
        ("table", {"id": "1", "article": "", "highlights": ""},
         "its columns are those of 'format: cnn_dailymail'"),
        ("table", {"id": "1", "context": "", "question": "", "answers": {}},
         "its columns are those of 'format: squad'"),
        ("table", {"data": []}, "its columns are those of SQuAD"),
    ],
)  # fmt: skip
def test_a_table_of_another_schema_is_told_with_the_nearest(
    file_format: str, row: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "t.jsonl", json.dumps(row) + "\n")
    assert message in complaint(path, file_format)


def hub(name: str, *answers: str) -> dict[str, Any]:
    """A question as a data hub's table has it."""
    starts = [0] * len(answers)
    cells = {"id": name, "title": "T", "context": "Denver won.", "question": f"Who won {name}?"}
    return {**cells, "answers": {"text": list(answers), "answer_start": starts}}


@pytest.mark.parametrize("ending", ["parquet", "jsonl", "json"])
def test_a_hubs_table_of_squad_is_read_as_the_original(ending: str, tmp_path: Path) -> None:
    rows = [hub("q1", "Denver", "Denver Broncos"), hub("q2", "Denver")]
    path = tmp_path / f"s.{ending}"
    if ending == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        text = json.dumps(rows) if ending == "json" else "\n".join(map(json.dumps, rows))
        path.write_text(text)
    first, second = read(path, "squad")
    text = "Question: Who won q1?\n\nContext: Denver won."
    assert first == Record("q1", "qa", text, ("Denver", "Denver Broncos"))
    assert second.references == ("Denver",)


def test_cnn_dailymail_is_read_as_the_hub_has_it(tmp_path: Path) -> None:
    rows = [
        {"article": f"(CNN) Text {i}.", "highlights": f"Point {i} .\nTwo .", "id": f"9c{i}"}
        for i in range(2)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "test-00000-of-00001.parquet")
    (first, _) = read(tmp_path / "test-00000-of-00001.parquet", "cnn_dailymail")
    assert first == Record("9c0", "summarization", "(CNN) Text 0.", ("Point 0 .\nTwo .",))


def test_questions_that_are_unanswerable_by_design_are_left_out_and_told(tmp_path: Path) -> None:
    impossible = question("q2", is_impossible=True)
    original = write(tmp_path / "s.json", squad(question("q1", "Ann"), impossible))
    table = tmp_path / "s.parquet"
    pq.write_table(pa.Table.from_pylist([hub("q1", "Ann"), hub("q2")]), table)
    for path in (original, table):
        said: list[str] = []
        found = read_source(CorpusSource(format="squad", path=path), said.append)
        assert [record.id for record in found] == ["q1"]
        assert said == ["left out: 1 unanswerable by design"]


def test_a_table_without_ids_has_those_of_its_texts(tmp_path: Path) -> None:
    text = "article,highlights\nLong.,Short\nOther.,Short\nLong.,Brief\n"
    records = read(write(tmp_path / "c.csv", text), "cnn_dailymail")
    first, other, again = (record.id for record in records)
    assert again == f"{first}_2"
    assert len({first, other}) == 2
    shuffled = "article,highlights\nOther.,Short\nLong.,Short\n"
    moved = read(write(tmp_path / "d.csv", shuffled), "cnn_dailymail")
    assert [record.id for record in moved] == [other, first]
    assert "no column 'key'" in complaint(tmp_path / "c.csv", "cnn_dailymail", id="key")


def test_references_may_be_a_list_in_parquet(tmp_path: Path) -> None:
    rows = [{"id": i, "input": f"q {i}", "reference": ["x", "y"]} for i in range(2)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    assert read(tmp_path / "t.parquet", "table", task="qa")[0].references == ("x", "y")
    said = complaint(tmp_path / "t.parquet", "table")
    assert "give the source a 'task' if all its records have the same" in said


def test_an_empty_input_is_named_by_its_row(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "id,task,input,reference\n1,qa,?,x\n9,qa,,x\n")
    assert f"1 record without an input: '9' ({path}: line 3)" in complaint(path, "table")


def test_of_gsm8k_the_reference_is_the_final_answer(tmp_path: Path) -> None:
    rows = [{"question": "2 + 1?", "answer": "It is #### not\n#### 3"}]
    (record,) = read(write(tmp_path / "g.jsonl", "".join(map(json.dumps, rows))), "gsm8k")
    assert (record.task, record.input, record.references) == ("math", "2 + 1?", ("3",))
    assert read(tmp_path / "g.jsonl", "gsm8k", task="arithmetic")[0].task == "arithmetic"
    said = complaint(tmp_path / "g.jsonl", "table")
    assert said.endswith("its columns are those of 'format: gsm8k'")
    rows = [{"question": "2 + 1?", "answer": "3"}]
    path = write(tmp_path / "h.jsonl", "".join(map(json.dumps, rows)))
    assert "1 record without a reference" in complaint(path, "gsm8k")


def test_of_mt_bench_the_first_turn_is_read(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"question_id": 81, "category": "math", "turns": ["q", "r"], "reference": ["7", "8"]},
        {"question_id": 82, "category": "writing", "turns": ["s", "t"]},
    ]
    path = write(tmp_path / "question.jsonl", "\n".join(map(json.dumps, rows)))
    assert "1 record without a reference ('unreferenced: skip'" in complaint(path, "mt_bench")
    source = CorpusSource(format="mt_bench", path=path, unreferenced="skip")
    said: list[str] = []
    assert read_source(source, said.append) == [Record("81", "math", "q", ("7",))]
    assert said == ["left out: 1 without a reference"]
    table = {"id": "question_id", "input": "turns", "task_column": "category"}
    told = complaint(path, "table", **table)
    assert "whose input is a list ('format: mt_bench' takes the first turn)" in told


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"id": "1", "context": "", "question": ""}, "s.jsonl: row 1 needs 'answers', found"),
        ({"id": "1", "article": "", "highlights": ""}, "did you mean 'format: cnn_dailymail'?"),
        ({**hub("q"), "answers": "['Ann']"}, "answers must be an object with a list 'text', found"),
    ],
)
def test_what_is_no_hubs_table_of_squad(row: dict[str, Any], message: str, tmp_path: Path) -> None:
    assert message in complaint(write(tmp_path / "s.jsonl", json.dumps(row)), "squad")


def test_an_empty_table_holds_no_record(tmp_path: Path) -> None:
    assert "holds no record" in complaint(write(tmp_path / "t.csv", "id,task\n"), "table")
    assert "holds no record" in complaint(write(tmp_path / "t.jsonl", ""), "table")
