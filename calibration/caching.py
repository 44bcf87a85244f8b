"""When a row that is on the disk may stand for one that is wanted: keys, stamps and tallies.

A row carries the digest of everything that made it. Part of that is in the configuration; the rest
(the revision that a name meant, the kind of device, the versions of the libraries) is written as a
stamp beside the log, so that later stages can tell the current rows on a machine that has neither
the models nor the libraries.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from calibration.files import naming, write_whole
from poq_abm.errors import InputError

__all__ = ["Histograms", "Stamp", "digest", "read_stamp", "sift", "versions", "write_stamp"]

Row = dict[str, Any]
K = TypeVar("K")


def digest(value: object) -> str:
    """Return the SHA-256 (hex) of plain data as canonical JSON: keys sorted, no blanks.

    >>> digest({"b": 1, "a": 2}) == digest({"a": 2, "b": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


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
class Histograms:
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

    >>> rows = [{"record": "a", "key": "1"}, {"record": "a", "key": "2"}]
    >>> sift(rows, {"a": "2"}, lambda row: row["record"])
    ({'a': {'record': 'a', 'key': '2'}}, 1)
    """
    found: dict[K, Row] = {}
    ignored = 0
    for row in rows:
        who = name(row)
        if keys.get(who) is not None and keys[who] == row.get("key"):
            found[who] = row
        else:
            ignored += 1
    return found, ignored


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
