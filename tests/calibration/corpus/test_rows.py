"""Files of rows: the same rows whatever the format, and damage with its line."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from calibration.corpus.rows import READERS, read_rows
from poq_abm.errors import InputError

ROWS = [
    {"id": "a", "input": 'Größe,\n"quoted"', "reference": "NA"},
    {"id": "b", "input": "x" * 200_000, "reference": ""},
]


def write_csv(path: Path) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(ROWS[0]))
        writer.writeheader()
        writer.writerows(ROWS)


WRITERS: dict[str, Callable[[Path], Any]] = {
    "a.csv": write_csv,
    "a.CSV": write_csv,
    "a.jsonl": lambda path: path.write_text("".join(json.dumps(row) + "\n" for row in ROWS)),
    "a.ndjson": lambda path: path.write_text("\n".join(json.dumps(row) for row in ROWS)),
    "a.json": lambda path: path.write_text(json.dumps(ROWS, indent=1)),
    "lines.json": lambda path: path.write_text("".join(json.dumps(row) + "\n" for row in ROWS)),
    "a.parquet": lambda path: pd.DataFrame(ROWS).to_parquet(path),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_text(name: str, tmp_path: Path) -> None:
    WRITERS[name](tmp_path / name)
    rows = read_rows(tmp_path / name)
    assert [row.cells for row in rows] == ROWS
    assert len({row.place for row in rows}) == 2
    assert all(row.place.startswith(f"{tmp_path / name}: ") for row in rows)


def test_a_row_of_csv_is_placed_at_its_first_line(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv")
    assert [row.place.rsplit(": ")[-1] for row in read_rows(tmp_path / "a.csv")] == [
        "line 2",
        "line 4",
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"id,input\n1,2\n3\n", r"a\.csv:3: 1 cells under 2 columns"),
        ("a.csv", b"id,id\n1,2\n", r"a\.csv:1: a column has the name of another"),
        ("a.csv", b'id,input\n1,"2\n', r"a\.csv:2: this is not CSV"),
        ("a.csv", b"id,input\n1,\xff\n", r"a\.csv:2: this is not UTF-8"),
        ("a.jsonl", b'{"id": 1}\n{"id"\n{"id": 2}\n', r"a\.jsonl:2: this line is not JSON"),
        ("a.jsonl", b'{"id": 1}\n{"id"', r"a\.jsonl:2: the last line is damaged"),
        ("a.json", b'[{"id": 1},\n{"id" 2}]', r"a\.json:2: this is not JSON"),
        ("a.json", b"[1]", "a list of objects, found int"),
        ("a.json", b"3", "a list of objects, found int"),
        ("a.json", b'{\n"data": []}', "a list of objects, found an object with 'data'"),
        ("a.json", b"[" * 100_000, "not JSON"),
        ("a.parquet", b"PAR1", "is not readable Parquet"),
        ("a.xls", b"", r"a table ends in \.csv, .* not in '\.xls'"),
        ("a.csv.gz", b"no", r"a\.csv\.gz is not readable gzip"),
        ("a.csv", b"id, id\n1,2\n", "two columns have the same name but for blanks"),
    ],
)
def test_damage_is_an_error_with_its_line(
    name: str, content: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_rows(tmp_path / name)


@pytest.mark.parametrize("ending", READERS)
def test_a_file_that_is_not_there_is_an_error(ending: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*: No such file"):
        read_rows(tmp_path / f"none{ending}")


def test_the_limit_of_the_csv_module_is_left_as_it_was(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    write_csv(tmp_path / "a.csv")
    read_rows(tmp_path / "a.csv")
    assert csv.field_size_limit() == before


TABLE = [{"record": "в1", "分数": 3}, {"record": "в2", "分数": 4}]


@pytest.mark.parametrize(
    "written",
    [
        TABLE,
        {"data": TABLE},
        {"version": "1", "rows": TABLE},
        {"columns": ["record", "分数"], "index": [0, 1], "data": [["в1", 3], ["в2", 4]]},
        {"record": {"0": "в1", "1": "в2"}, "分数": {"0": 3, "1": 4}},
    ],
)
@pytest.mark.parametrize("indent", [None, 1])
def test_json_is_a_table_in_any_of_its_forms(
    tmp_path: Path, written: Any, indent: int | None
) -> None:
    path = tmp_path / "scores.json"
    path.write_text(json.dumps(written, ensure_ascii=False, indent=indent), encoding="utf-8")
    assert [row.cells for row in read_rows(path)] == TABLE


@pytest.mark.parametrize("written", [{"a": 1}, {"a": [1, 2]}, {"columns": ["a"], "data": [[1, 2]]}])
def test_json_that_is_no_table_is_said(tmp_path: Path, written: Any) -> None:
    path = tmp_path / "scores.json"
    path.write_text(json.dumps(written, indent=1))
    with pytest.raises(InputError, match="a table in JSON is a list of objects, found an object"):
        read_rows(path)
