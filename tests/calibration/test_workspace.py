"""Whole files: written or as before."""

from __future__ import annotations

import errno
import os
from io import FileIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.workspace import (
    Log,
    StageCounts,
    Stamp,
    Workspace,
    digest,
    read_stamp,
    sift,
    to_line,
    write_stamp,
    write_whole,
)
from poq_abm.errors import InputError


def test_a_file_is_replaced_whole_and_its_folder_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.json"
    for text in ("first\n", "zweite Größe\n"):
        write_whole(path, text)
        assert path.read_bytes() == text.encode()
    assert [entry.name for entry in path.parent.iterdir()] == ["b.json"]


def test_a_full_disk_keeps_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    write_whole(tmp_path / "b.json", "first\n")
    monkeypatch.setattr(os, "fsync", fill)
    with pytest.raises(InputError, match=r"cannot write .*b\.json: No space left on device"):
        write_whole(tmp_path / "b.json", "second\n")
    assert (tmp_path / "b.json").read_text() == "first\n"
    assert [entry.name for entry in tmp_path.iterdir()] == ["b.json"]


def test_a_file_where_a_folder_should_be_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        write_whole(tmp_path / "a" / "b.json", "x")


def test_every_stage_has_a_place_of_its_own_and_none_is_made(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "mine")
    places = [
        workspace.corpus,
        workspace.judgements,
        workspace.profile,
        workspace.generations("a"),
        workspace.generations("b"),
        workspace.scores("a"),
        workspace.efficiency("inference", "a", 1),
        workspace.efficiency("inference", "a", 8),
        workspace.efficiency("evaluator", "a", 8),
    ]
    assert len(set(places)) == len(places)
    assert all(workspace.out in place.parents for place in places)
    assert not workspace.out.exists()


def test_timings_are_listed_by_name(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    assert workspace.efficiencies() == []
    made = [workspace.efficiency("inference", node, 1) for node in ("b", "a")]
    made[0].parent.mkdir()
    for path in made:
        path.write_text("{}")
    (made[0].parent / "note.txt").write_text("")
    assert workspace.efficiencies() == sorted(made)


@pytest.mark.parametrize("name", ["../up", "a/b", "", "A", "a.b", "a" * 81, "nul\0"])
def test_a_name_that_could_leave_the_folder_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="must be made of a-z"):
        Workspace(Path("x")).scores(name)


ROWS = [{"record": f"q{i}", "output": f"a\n{i} \u2028 é"} for i in range(3)]


@pytest.fixture
def log(tmp_path: Path) -> Log:
    log = Log(tmp_path / "folder" / "rows.jsonl")
    for row in ROWS:
        log.append(row)
    return log


def test_what_was_appended_is_read_and_a_log_that_is_not_there_is_empty(
    log: Log, tmp_path: Path
) -> None:
    assert Log(log.path).read() == (ROWS, 0)
    assert len(log.path.read_bytes().splitlines()) == len(ROWS)
    assert Log(tmp_path / "none.jsonl").read() == ([], 0)


@settings(deadline=None)  # a disk takes its time
@given(cut=st.integers(min_value=0, max_value=len(b"".join(map(to_line, ROWS)))))
def test_cut_anywhere_a_log_keeps_every_whole_line_and_goes_on(
    cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("log") / "rows.jsonl"
    path.write_bytes(b"".join(map(to_line, ROWS))[:cut])
    ends = [sum(len(to_line(row)) for row in ROWS[:n]) for n in range(len(ROWS) + 1)]
    whole = sum(1 for end in ends[1:] if cut >= end - 1)  # the line break is not missed
    is_damaged = cut not in ends and cut + 1 not in ends
    log = Log(path)
    assert log.read() == (ROWS[:whole], int(is_damaged))
    log.append({"record": "next"})
    log.append({"record": "last"})
    assert Log(path).read() == ([*ROWS[:whole], {"record": "next"}, {"record": "last"}], 0)


@pytest.mark.parametrize(
    "rest", [b"\0\0\0\0", b"\xff\xfe\n", b"12\n", b"NaN", b'{"a": Infinity}\n']
)
def test_what_a_crash_leaves_behind_is_dropped_and_counted(log: Log, rest: bytes) -> None:
    with log.path.open("ab") as stream:
        stream.write(rest)
    assert Log(log.path).read() == (ROWS, 1)
    fresh = Log(log.path)
    fresh.append({"record": "next"})
    assert fresh.read() == ([*ROWS, {"record": "next"}], 0)


@pytest.mark.parametrize("bad", [b"{]\n", b"[1]\n", b'{"a": NaN}\n', b"\xff\n"])
def test_a_bad_line_in_the_middle_names_file_and_line_and_changes_nothing(
    log: Log, bad: bytes
) -> None:
    lines = log.path.read_bytes().splitlines(keepends=True)
    log.path.write_bytes(lines[0] + b"\n" + bad + lines[2])
    before = log.path.read_bytes()
    for act in (lambda: Log(log.path).read(), lambda: Log(log.path).append({"record": "x"})):
        with pytest.raises(InputError, match=r"rows\.jsonl:3: "):
            act()
    assert log.path.read_bytes() == before


def test_a_full_disk_is_a_clear_error_and_leaves_no_part_of_a_row(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fill)
        with pytest.raises(InputError, match=r"cannot write .*rows\.jsonl: No space left"):
            log.append({"record": "too much"})
    assert Log(log.path).read() == (ROWS, 0)
    log.append({"record": "next"})
    assert Log(log.path).read() == ([*ROWS, {"record": "next"}], 0)


def test_a_row_that_only_partly_fits_leaves_nothing_of_itself(log: Log) -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    room = log.path.stat().st_size + 10
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
        with pytest.raises(InputError, match=r"cannot write .*rows\.jsonl: File too large"):
            log.append({"record": "x" * 100})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert log.path.read_bytes() == b"".join(map(to_line, ROWS))
    log.append({"record": "next"})
    assert log.read() == ([*ROWS, {"record": "next"}], 0)


def test_a_disk_that_takes_a_part_gets_the_rest(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    from calibration import workspace

    class Slow:
        def __init__(self) -> None:
            self.content = b""

        def write(self, part: memoryview) -> int:
            self.content += bytes(part[:3])
            return min(3, len(part))

    slow = Slow()
    workspace._write_all(slow, to_line(ROWS[0]))  # type: ignore[arg-type]
    assert slow.content == to_line(ROWS[0])


def test_an_interrupted_write_leaves_no_part_of_a_row(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    from calibration import workspace

    def interrupted(stream: FileIO, line: bytes) -> None:
        stream.write(line[:5])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(workspace, "_write_all", interrupted)
        with pytest.raises(KeyboardInterrupt):
            log.append({"record": "x"})
    assert Log(log.path).read() == (ROWS, 0)


def test_half_a_surrogate_pair_survives_and_nan_is_refused(log: Log) -> None:
    log.append({"output": "\ud83d"})
    assert log.read()[0][-1] == {"output": "\ud83d"}
    with pytest.raises(ValueError, match="JSON compliant"):
        log.append({"value": float("nan")})
    assert len(log.read()[0]) == len(ROWS) + 1


@pytest.mark.parametrize("path", [Path("/dev/zero"), Path(__file__).parent])
def test_what_is_no_regular_file_is_never_read(path: Path) -> None:
    if not path.exists():
        pytest.skip("no such device")
    with pytest.raises(InputError, match="no regular file"):
        Log(path).read()


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
    assert str(StageCounts(4, 1, 3, 0, 0)) == "4 of 4 rows, 3 of them new"
    assert "2 rows of other settings are kept and ignored" in str(StageCounts(4, 4, 0, 2, 0))
    assert "1 damaged last line was dropped" in str(StageCounts(4, 3, 1, 0, 1))
