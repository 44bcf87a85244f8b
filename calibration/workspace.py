"""What a calibration leaves on the disk, and when a row there may stand for one that is wanted.

A file is whole or absent. A log is append-only, one JSON object a line, each flushed to the disk
before :meth:`Log.append` returns: a process killed in the middle of a line leaves a last line that
cannot be decoded, which is dropped, counted, and cut off before the next append. A bad line
anywhere else was made by somebody else and is an error.

A row carries the digest of everything that made it. Part of that is in the configuration; the rest
(the revision that a name meant, the kind of device, the versions of the libraries) is written as a
stamp beside the log, so that later stages can tell the current rows on a machine that has neither
the models nor the libraries.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from io import RawIOBase
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from poq_abm.errors import InputError

__all__ = [
    "NAME",
    "Log",
    "StageCounts",
    "Stamp",
    "Workspace",
    "complete_log",
    "current_rows",
    "digest",
    "naming",
    "read_stamp",
    "sift",
    "to_line",
    "versions",
    "without_folder",
    "write_stamp",
    "write_whole",
]


@contextlib.contextmanager
def naming(path: Path, doing: str = "write") -> Iterator[None]:
    """Turn a refusal by the operating system, such as a full disk, into an input error.

    >>> with naming(Path("a.txt"), "read"):
    ...     Path("no/such/folder/a.txt").read_text()
    Traceback (most recent call last):
    poq_abm.errors.InputError: cannot read a.txt: No such file or directory
    """
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot {doing} {path}: {error.strerror or error}") from error


def write_whole(path: Path, text: str) -> None:
    """Write a UTF-8 file aside, flush it to the disk, and rename it: nobody ever sees half of it.

    Makes the folder if there is none. Raises :class:`~poq_abm.errors.InputError` when the disk
    refuses; what was at ``path`` then is as it was.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with aside.open("w", encoding="utf-8", newline="\n") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)


#: What a model, an evaluator or a task may be called: a profile allows no more, and no file
#: system minds any of it.
NAME = re.compile(r"[a-z0-9_]{1,80}")


@dataclass(frozen=True)
class Workspace:
    """The folder of one calibration; making one writes nothing.

    >>> workspace = Workspace(Path("runs/mine"))
    >>> workspace.generations("llama_3_2_3b").as_posix()
    'runs/mine/generations/llama_3_2_3b.jsonl'
    >>> workspace.efficiency("inference", "llama_3_2_3b", 8).as_posix()
    'runs/mine/efficiency/inference.llama_3_2_3b.b8.json'
    """

    out: Path

    @property
    def corpus(self) -> Path:
        """The records."""
        return self.out / "corpus.jsonl"

    @property
    def judgements(self) -> Path:
        """The judge's scores and refusals."""
        return self.out / "judgements.jsonl"

    @property
    def profile(self) -> Path:
        """The folder of the finished profile."""
        return self.out / "profile"

    def generations(self, model: str) -> Path:
        """Return where the outputs are of one inference model."""
        return self.out / "generations" / f"{_safe(model)}.jsonl"

    def scores(self, evaluator: str) -> Path:
        """Return where the raw scores are of one evaluator."""
        return self.out / "scores" / f"{_safe(evaluator)}.jsonl"

    def timed(self, model: str, concurrency: int) -> Path:
        """Return where the answers are that an endpoint was timed by."""
        return self.out / "efficiency" / f"{_safe(model)}.c{concurrency}.jsonl"

    def efficiency(self, role: str, node: str, batch_size: int) -> Path:
        """Return where the timings are of one node at one batch size.

        ``role`` is ``inference`` or ``evaluator``.
        """
        return self.out / "efficiency" / f"{_safe(role)}.{_safe(node)}.b{batch_size}.json"

    def efficiencies(self) -> list[Path]:
        """Return the timings that are there, sorted by name."""
        return sorted((self.out / "efficiency").glob("*.json"))


def _safe(name: str) -> str:
    if not NAME.fullmatch(name):
        raise InputError(f"the name {name[:80]!r} must be made of a-z, 0-9 and _, at most 80")
    return name


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


Row = dict[str, Any]
K = TypeVar("K")


def digest(value: object) -> str:
    """Return the SHA-256 (hex) of plain data as canonical JSON: keys sorted, no blanks.

    >>> digest({"b": 1, "a": 2}) == digest({"a": 2, "b": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def without_folder(model: str) -> str:
    """Return a hub id as it is, and of a path the last name alone: folders are nobody's business.

    >>> without_folder("org/name"), without_folder("/home/me/model.gguf")
    ('org/name', 'model.gguf')
    """
    path = Path(model).expanduser()
    return path.name if path.is_absolute() or path.is_dir() else model


def versions(*packages: str) -> dict[str, str]:
    """Return the installed version of each package.

    >>> sorted(versions("numpy"))
    ['numpy']
    """
    return {package: version(package) for package in packages}


@dataclass(frozen=True)
class Stamp:
    """What made the rows of a log and cannot be read from the configuration.

    ``revision`` is the commit of a hub snapshot, or ``sha256:`` and the digest of a folder;
    ``device`` the kind of device, because no two kinds draw the same random numbers.
    """

    revision: str
    device: str
    versions: Mapping[str, str]

    def as_data(self) -> Row:
        """Return the stamp as plain data.

        >>> Stamp("abc", "cpu", {"torch": "2.6"}).as_data()["device"]
        'cpu'
        """
        return {**asdict(self), "versions": dict(self.versions)}


@dataclass(frozen=True)
class StageCounts:
    """What one log holds after a stage.

    ``wanted`` rows make it complete; ``found`` were there, ``made`` are new. ``ignored`` rows have
    another key or are not wanted any more; ``dropped`` counts damaged last lines.
    """

    wanted: int
    found: int
    made: int
    ignored: int
    dropped: int

    def __str__(self) -> str:
        parts = [f"{self.found + self.made} of {self.wanted} rows, {self.made} of them new"]
        if self.ignored:
            parts.append(f"{self.ignored} rows of other settings are kept and ignored")
        if self.dropped:
            parts.append(f"{self.dropped} damaged last line was dropped")
        return "; ".join(parts)


def sift(
    rows: Iterable[Row], keys: Mapping[K, str], name: Callable[[Row], K]
) -> tuple[dict[K, Row], int]:
    """Return the row of each wanted name that has the wanted key, and how many others there are.

    A row of an ``error``, or of a score that was ``refused``, is none of them.

    >>> rows = [{"record": "a", "key": "1"}, {"record": "a", "key": "2"}]
    >>> sift(rows, {"a": "2"}, lambda row: row["record"])
    ({'a': {'record': 'a', 'key': '2'}}, 1)
    """
    found: dict[K, Row] = {}
    ignored = 0
    for row in rows:
        who = name(row)
        if keys.get(who) is not None and keys[who] == row.get("key") and "refused" not in row:
            found[who] = row
        elif "error" not in row and "refused" not in row:
            ignored += 1
    return found, ignored


def current_rows(
    log: Path, keys_of: Callable[[Stamp], Mapping[K, str]], name: Callable[[Row], K]
) -> dict[K, Row]:
    """Return the current row of each wanted name of a log that has one.

    Current: with the key that ``keys_of`` gives under the log's stamp. A log without a stamp was
    made by other means; there the last row of a name counts.
    """
    rows, _ = Log(log).read()
    stamp = read_stamp(log)
    if stamp is None:
        wanted = keys_of(Stamp("", "", {}))
        return {name(row): row for row in rows if name(row) in wanted}
    return sift(rows, keys_of(stamp), name)[0]


def complete_log(
    log: Log,
    stamp: Stamp,
    keys: Mapping[K, str],
    name: Callable[[Row], K],
    make: Callable[[Mapping[K, Row], int], int],
) -> StageCounts:
    """Make the rows that a log lacks, and return what it holds then.

    ``make`` takes the rows that are there and how many are missing, and returns how many it made;
    without any missing it is not called.
    """
    rows, dropped = log.read()
    found, ignored = sift(rows, keys, name)
    write_stamp(log.path, stamp)
    missing = len(keys) - len(found)
    made = make(found, missing) if missing else 0
    return StageCounts(len(keys), len(found), made, ignored, dropped)


def write_stamp(log: Path, stamp: Stamp) -> None:
    """Write the stamp of a log beside it; raises an input error when the disk refuses."""
    text = json.dumps(stamp.as_data(), indent=2, sort_keys=True) + "\n"
    if read_stamp(log) != stamp:
        write_whole(_place(log), text)


def read_stamp(log: Path) -> Stamp | None:
    """Return the stamp of a log, or ``None`` if it has none.

    Raises :class:`~poq_abm.errors.InputError` for a stamp that somebody damaged.
    """
    path = _place(log)
    if not path.exists():
        return None
    with naming(path, "read"):
        text = path.read_bytes()
    try:
        data = json.loads(text)
        return Stamp(str(data["revision"]), str(data["device"]), dict(data["versions"]))
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} is damaged; remove it and run the stage again") from error


def _place(log: Path) -> Path:
    return log.with_suffix(".stamp.json")
