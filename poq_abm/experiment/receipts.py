"""Receipts: what a worker says of a chunk it has stored, and whether it is true.

A shard counts only if its receipt is there and every file it names agrees with its checksum. The
receipt is written last, so a worker that dies leaves no receipt, or one whose files are whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq

from poq_abm.experiment.files import checksum, write_json
from poq_abm.experiment.harvest import Failure, played_of
from poq_abm.experiment.spans import Span

__all__ = ["Entry", "Receipt", "describe", "fault_of", "read_receipts"]


class Entry(NamedTuple):
    """A file, its digest and its number of rows."""

    file: str
    sha256: str
    rows: int


@dataclass(frozen=True)
class Receipt:
    """What one chunk left in the folder of shards."""

    name: str
    spans: tuple[Span, ...]
    seconds: tuple[float, ...]  #: of each span
    files: dict[str, Entry]  #: by table
    failures: tuple[Failure, ...]

    @property
    def played(self) -> list[Span]:
        """The spans without the replications that raised: those that left rows."""
        return played_of(self.spans, self.failures)

    def write(self, folder: Path) -> None:
        """Write the receipt beside its files."""
        data = {
            "spans": [list(span) for span in self.spans],
            "seconds": list(self.seconds),
            "files": {name: entry._asdict() for name, entry in self.files.items()},
            "failures": [failure.as_data() for failure in self.failures],
        }
        write_json(folder / f"{self.name}.json", data, flush=False)

    @classmethod
    def read(cls, path: Path) -> Receipt | None:
        """Return the receipt in a file, or nothing if that is no receipt."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                path.stem,
                tuple(Span(*span) for span in data["spans"]),
                tuple(data["seconds"]),
                {name: Entry(**entry) for name, entry in data["files"].items()},
                tuple(Failure(**failure) for failure in data["failures"]),
            )
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None

    def faults(self, folder: Path, *, without: frozenset[str] = frozenset()) -> Iterator[str]:
        """Yield what is wrong with the files, leaving out the tables ``without``."""
        for table, entry in self.files.items():
            if table not in without and (said := fault_of(folder, entry)):
                yield said


def describe(path: Path) -> Entry:
    """Return the entry of a Parquet file that is there."""
    return Entry(path.name, checksum(path), pq.ParquetFile(path).metadata.num_rows)


def fault_of(folder: Path, entry: Entry) -> str | None:
    """Return what is wrong with a file, if anything."""
    path = folder / entry.file
    if not path.is_file():
        return f"{entry.file} is missing"
    if checksum(path) != entry.sha256:
        return f"{entry.file} is not what was written: its checksum differs"
    return None


def read_receipts(folder: Path) -> tuple[list[Receipt], list[Path]]:
    """Return the receipts in a folder, in the order of their names, and files that are none."""
    receipts, broken = [], []
    for path in sorted(folder.glob("*.json")):
        receipt = Receipt.read(path)
        if receipt is None:
            broken.append(path)
        else:
            receipts.append(receipt)
    return receipts, broken
