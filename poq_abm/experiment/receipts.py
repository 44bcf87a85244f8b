"""Receipts: what a worker says of a chunk it has stored, and whether it is true.

A shard counts only if its receipt is there, is of the configuration that is asked for, and every
file it names agrees with its checksum and says that it is of the same replications. The receipt is
written last, so a worker that dies leaves no receipt, or one whose files are whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from poq_abm.experiment.files import checksum, write_json
from poq_abm.experiment.harvest import played_of
from poq_abm.experiment.manifest import Count, Digest, Entry, FailureEntry, Seconds, first_fault
from poq_abm.experiment.schemas import SCHEMAS
from poq_abm.experiment.sealing import altered, read_object, sealed
from poq_abm.experiment.spans import Chunk, Span
from poq_abm.experiment.study import Failure

__all__ = ["PieceLabel", "Receipt", "describe", "fault_of", "read_receipts"]

_CONFIGURATION, _REPLICATIONS = "configuration", "replications"


class PieceLabel(NamedTuple):
    """What every stored piece says it is of, in the metadata of its Parquet file."""

    configuration: str  #: hash of the configuration
    spans: tuple[Span, ...]  #: the replications

    def metadata(self) -> dict[str, str]:
        """Return the label as key and value metadata.

        >>> PieceLabel("ab12", (Span(0, 0, 20),)).metadata()
        {'configuration': 'ab12', 'replications': '[[0, 0, 20]]'}
        """
        return {_CONFIGURATION: self.configuration, _REPLICATIONS: json.dumps(self.spans)}

    @classmethod
    def of(cls, file: Path) -> PieceLabel | None:
        """Return the label of a Parquet file, or nothing if it bears none."""
        try:
            held: Mapping[bytes, bytes] = pq.read_schema(file).metadata or {}
            spans = json.loads(held[_REPLICATIONS.encode()])
            return cls(held[_CONFIGURATION.encode()].decode(), tuple(Span(*s) for s in spans))
        except (OSError, ValueError, TypeError, KeyError, pa.ArrowException):
            return None


class _Schema(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    configuration: Digest
    spans: Annotated[
        list[Annotated[list[Count], Field(min_length=3, max_length=3)]], Field(min_length=1)
    ]
    seconds: list[Seconds]
    files: Annotated[dict[str, Entry], Field(min_length=1)]
    failures: list[FailureEntry]
    digests: dict[str, str]


@dataclass(frozen=True)
class Receipt:
    """What one chunk left in the folder of shards."""

    name: str
    configuration: str  #: hash of the configuration that was played
    spans: tuple[Span, ...]
    seconds: tuple[float, ...]  #: of each span
    files: dict[str, Entry]  #: by table
    failures: tuple[Failure, ...]

    @property
    def played(self) -> list[Span]:
        """The spans without the replications that raised: those that left rows."""
        return played_of(self.spans, self.failures)

    @property
    def label(self) -> PieceLabel:
        """What its files say that they are of."""
        return PieceLabel(self.configuration, self.spans)

    def write(self, folder: Path, aside: Path) -> None:
        """Write the receipt beside its files."""
        data = {
            "configuration": self.configuration,
            "spans": [list(span) for span in self.spans],
            "seconds": list(self.seconds),
            "files": {name: entry.model_dump() for name, entry in self.files.items()},
            "failures": [failure.as_data() for failure in self.failures],
        }
        write_json(folder / f"{self.name}.json", sealed(data), flush=False, aside=aside)

    @classmethod
    def read(cls, path: Path) -> Receipt:
        """Return the receipt in a file.

        Raises
        ------
        ValueError
            If that is none, or is not as it was written; says which key is to blame.
        """
        data = read_object(path)
        if keys := altered(data):
            raise ValueError(
                f"`{keys[0]}` is {'not what was written' if keys[0] in data else 'missing'}"
            )
        try:
            _Schema.model_validate(data)
        except ValidationError as error:
            raise ValueError(first_fault(error.errors()[0])) from error
        receipt = cls(
            path.stem,
            data["configuration"],
            tuple(Span(*span) for span in data["spans"]),
            tuple(data["seconds"]),
            {name: Entry(**entry) for name, entry in data["files"].items()},
            tuple(Failure(**failure) for failure in data["failures"]),
        )
        receipt._check()
        return receipt

    def _check(self) -> None:
        """Refuse a receipt that contradicts itself or its name."""
        if any(span.first >= span.last for span in self.spans):
            raise ValueError("`spans` holds an empty one")
        if Chunk(self.spans).name != self.name:
            raise ValueError(f"it is that of {Chunk(self.spans).name}")
        if len(self.seconds) != len(self.spans):
            raise ValueError("`seconds` has not one value for each span")
        for table, entry in self.files.items():
            if table not in SCHEMAS or entry.file != f"{self.name}.{table}.parquet":
                raise ValueError(f"`files` calls a table {table!r} and its file {entry.file!r}")

    def faults(self, folder: Path, *, without: frozenset[str] = frozenset()) -> Iterator[str]:
        """Yield what is wrong with the files, leaving out the tables ``without``."""
        for table, entry in self.files.items():
            if table not in without and (said := fault_of(folder, entry, self.label)):
                yield said


def describe(path: Path) -> Entry:
    """Return the entry of a Parquet file that is there."""
    rows = pq.ParquetFile(path).metadata.num_rows
    return Entry(file=path.name, sha256=checksum(path), rows=rows)


def fault_of(folder: Path, entry: Entry, label: PieceLabel | None = None) -> str | None:
    """Return what is wrong with a file, if anything: its bytes, or what it says it is of."""
    path = folder / entry.file
    if not path.is_file():
        return f"{entry.file} is missing"
    if checksum(path) != entry.sha256:
        return f"{entry.file} is not what was written: its checksum differs"
    found = PieceLabel.of(path)
    if label is not None and (found is None or found.configuration != label.configuration):
        return f"{entry.file} is of another configuration"
    if label is not None and found is not None and label.spans and found.spans != label.spans:
        return f"{entry.file} is of other replications"
    return None


def read_receipts(folder: Path, configuration: str) -> tuple[list[Receipt], dict[Path, str]]:
    """Return the receipts in a folder that are of a configuration, in the order of their names.

    And what is wrong with each file that is none, or is of another configuration.
    """
    receipts, broken = [], {}
    for path in sorted(folder.glob("*.json")):
        try:
            receipt = Receipt.read(path)
        except (ValueError, FileNotFoundError) as error:
            broken[path] = f"is no receipt: {error}"
            continue
        if receipt.configuration == configuration:
            receipts.append(receipt)
        else:
            broken[path] = "is of another configuration"
    return receipts, broken
