"""Files that are whole or absent: written aside, flushed, renamed, and known by their checksum."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from poq_abm.errors import InputError

__all__ = ["TableWriter", "checksum", "naming_the_folder", "write_json", "write_table", "written"]

_CHUNK = 1 << 20


def checksum(path: Path) -> str:
    """Return the SHA-256 digest of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


@contextlib.contextmanager
def naming_the_folder(folder: Path) -> Iterator[None]:
    """Turn a refusal by the operating system, such as a full disk, into a clear message."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"cannot write results to {folder}: {reason}") from error


@contextlib.contextmanager
def written(path: Path, *, flush: bool = True) -> Iterator[Path]:
    """Yield a temporary sibling of ``path``, renamed when the block ends well, else removed.

    ``flush`` waits until the disk has it; a part of a run, which its receipt's checksum guards and
    which can be played again, need not wait.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield aside
        if flush:
            with aside.open("rb") as stream:
                os.fsync(stream.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def write_json(path: Path, value: Any, *, flush: bool = True) -> None:
    """Write ``value`` as indented JSON, whole or not at all."""
    with written(path, flush=flush) as aside:
        aside.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


class TableWriter:
    """Writes one Parquet file piece by piece; use as a context manager.

    Values are dictionary-encoded: what is drawn from the rows of a profile recurs, which makes a
    trace twice as quick to write and half as large. ``metadata`` goes into the file's own metadata,
    for readers without our code.
    """

    def __init__(
        self, path: Path, schema: Any, metadata: dict[str, str], *, flush: bool = True
    ) -> None:
        self._stack = contextlib.ExitStack()
        aside = self._stack.enter_context(written(path, flush=flush))
        ascending = [name for name in ("round",) if name in schema.names]
        self._writer = self._stack.enter_context(
            pq.ParquetWriter(
                aside,
                schema.with_metadata(metadata),
                compression="zstd",
                compression_level=1,
                use_dictionary=[_leaf(f) for f in schema if f.name not in ascending],
                column_encoding=dict.fromkeys(ascending, "DELTA_BINARY_PACKED"),
                write_statistics=ascending,
            )
        )

    def write(self, table: Any) -> None:
        """Append a table of the schema as one row group."""
        self._writer.write_table(table, row_group_size=max(1, table.num_rows))

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(self, *failure: Any) -> None:
        self._stack.__exit__(*failure)


def _leaf(field: Any) -> str:
    """Return the Parquet path of a column's values, which for a list is not the column's name."""
    return f"{field.name}.list.element" if pa.types.is_list(field.type) else str(field.name)


def write_table(path: Path, table: Any, metadata: dict[str, str], *, flush: bool = True) -> None:
    """Write a whole table as Parquet, whole or not at all."""
    with TableWriter(path, table.schema, metadata, flush=flush) as writer:
        writer.write(table.unify_dictionaries())
