"""Keys and stamps: which rows are current."""

from __future__ import annotations

from pathlib import Path

import pytest

from calibration.caching import Histograms, Stamp, digest, read_stamp, sift, write_stamp
from poq_abm.errors import InputError

STAMP = Stamp("sha256:00", "cpu", {"torch": "2.13.0"})


def test_a_stamp_is_read_back(tmp_path: Path) -> None:
    log = tmp_path / "generations" / "llama.jsonl"
    assert read_stamp(log) is None
    write_stamp(log, STAMP)
    assert read_stamp(log) == STAMP
    write_stamp(log, Stamp("sha256:01", "cpu", {}))
    assert read_stamp(log) == Stamp("sha256:01", "cpu", {})
    assert not log.exists()


def test_a_damaged_stamp_is_an_input_error(tmp_path: Path) -> None:
    log = tmp_path / "llama.jsonl"
    write_stamp(log, STAMP)
    for damaged in (b"{", b"[]", b'{"revision": "x"}', b"\xff"):
        (tmp_path / "llama.stamp.json").write_bytes(damaged)
        with pytest.raises(InputError, match=r"llama\.stamp\.json is damaged"):
            read_stamp(log)


def test_the_last_of_two_equal_rows_counts_and_others_are_ignored() -> None:
    rows = [
        {"record": "a", "key": "1", "output": "x"},
        {"record": "a", "key": "0", "output": "old"},
        {"record": "gone", "key": "1", "output": "?"},
        {"record": "a", "key": "1", "output": "y"},
        {"record": "b"},
    ]
    found, ignored = sift(rows, {"a": "1", "b": "1"}, lambda row: row["record"])
    assert found == {"a": rows[3]}
    assert ignored == 3


def test_a_digest_depends_on_every_value() -> None:
    assert digest(["ab", "c"]) != digest(["a", "bc"])
    assert digest({"x": 1.0}) != digest({"x": "1.0"})


def test_a_tally_says_what_it_holds() -> None:
    assert str(Histograms(4, 1, 3, 0, 0)) == "4 of 4 rows, 3 of them new"
    assert "2 rows of other settings are kept and ignored" in str(Histograms(4, 4, 0, 2, 0))
    assert "1 damaged last line was dropped" in str(Histograms(4, 3, 1, 0, 1))
