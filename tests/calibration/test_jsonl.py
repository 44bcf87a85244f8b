"""Append-only logs: what is on the disk survives kills, full disks and half lines."""

from __future__ import annotations

import errno
import os
from io import FileIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.jsonl import Log, to_line
from poq_abm.errors import InputError

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
    from calibration import jsonl

    class Slow:
        def __init__(self) -> None:
            self.content = b""

        def write(self, part: memoryview) -> int:
            self.content += bytes(part[:3])
            return min(3, len(part))

    slow = Slow()
    jsonl._write_all(slow, to_line(ROWS[0]))  # type: ignore[arg-type]
    assert slow.content == to_line(ROWS[0])


def test_an_interrupted_write_leaves_no_part_of_a_row(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    from calibration import jsonl

    def interrupted(stream: FileIO, line: bytes) -> None:
        stream.write(line[:5])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(jsonl, "_write_all", interrupted)
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
