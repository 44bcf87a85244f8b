"""Append-only logs, one JSON object per line: what is on the disk is done, whatever happens next.

A line is flushed to the disk before :meth:`Log.append` returns. A process killed in the middle of a
line leaves a last line that cannot be decoded: it is dropped, counted, and cut off before the next
append, so that its row is made again. A bad line anywhere else was made by somebody else and is an
error.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from io import RawIOBase
from pathlib import Path
from typing import Any, NoReturn

from calibration.files import naming
from poq_abm.errors import InputError

__all__ = ["Log", "to_line"]


class Log:
    """One append-only file of JSON objects; it need not exist yet.

    One process at a time may append.

    >>> import tempfile
    >>> log = Log(Path(tempfile.mkdtemp()) / "rows.jsonl")
    >>> log.read()
    ([], 0)
    >>> log.append({"record": "q1", "score": 4.5})
    >>> log.read()
    ([{'record': 'q1', 'score': 4.5}], 0)
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._is_clean = False

    def read(self) -> tuple[list[dict[str, Any]], int]:
        """Return the rows and how many lines were dropped: 1 if the last is damaged, else 0.

        Raises :class:`~poq_abm.errors.InputError` naming file and line for a bad line before the
        last, and when the file cannot be read.
        """
        rows, _, dropped = self._scan()
        return rows, dropped

    def append(self, row: Mapping[str, Any]) -> None:
        """Write one row and wait until the disk has it.

        Raises :class:`~poq_abm.errors.InputError` when the disk refuses, with no part of the row
        left in the file.
        """
        line = to_line(row)
        with naming(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        if not self._is_clean:
            self._cut()
        # unbuffered: closing after a failure must not write the rest of the line once more
        with naming(self.path), self.path.open("ab", buffering=0) as stream:
            before = stream.seek(0, os.SEEK_END)
            try:
                _write_all(stream, line)
                os.fsync(stream.fileno())
            except BaseException:
                self._is_clean = False
                stream.truncate(before)
                raise

    def _cut(self) -> None:
        """Cut a damaged last line off, and end a whole one that lacks its line break."""
        _, end, _ = self._scan()
        with naming(self.path), self.path.open("ab") as stream:
            stream.truncate(end)
            stream.seek(0, os.SEEK_END)
            if end and not self._ends_with_break():
                stream.write(b"\n")
        self._is_clean = True

    def _ends_with_break(self) -> bool:
        with self.path.open("rb") as stream:
            stream.seek(-1, os.SEEK_END)
            return stream.read(1) == b"\n"

    def _scan(self) -> tuple[list[dict[str, Any]], int, int]:
        """Return the rows, the bytes that are whole, and the number of lines dropped."""
        if not self.path.exists():
            return [], 0, 0
        if not self.path.is_file():  # a device, say, has no end to read to
            raise InputError(f"cannot read {self.path}: this is no regular file")
        with naming(self.path, "read"):
            content = self.path.read_bytes()
        rows: list[dict[str, Any]] = []
        end = 0
        for number, line in enumerate(content.splitlines(keepends=True), start=1):
            if line.strip():
                try:
                    rows.append(_decode(line))
                except ValueError as error:
                    if content[end + len(line) :].strip():
                        raise InputError(f"{self.path}:{number}: {error}") from error
                    return rows, end, 1
            end += len(line)
        return rows, end, 0


def to_line(row: Mapping[str, Any]) -> bytes:
    r"""Return a row as one line of UTF-8; NaN and infinity are refused with a ``ValueError``.

    >>> to_line({"output": "Größe\n"}).decode()
    '{"output": "Größe\\n"}\n'
    """
    try:
        return (json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n").encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which a model may well produce
        return (json.dumps(row, allow_nan=False) + "\n").encode()


def _write_all(stream: RawIOBase, line: bytes) -> None:
    left = memoryview(line)
    while left:  # a nearly full disk takes a part first and refuses the rest
        left = left[stream.write(left) or 0 :]


def _decode(line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"this line is not JSON: {error}") from error
    if not isinstance(row, dict):
        raise ValueError(f"a line must be a JSON object, got {type(row).__name__}")  # noqa: TRY004
    return row


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")
