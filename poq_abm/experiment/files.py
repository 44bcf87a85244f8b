"""Files that are whole or absent: written aside, flushed, renamed, and known by their checksum."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from poq_abm.errors import InputError

__all__ = [
    "ROWS_PER_GROUP",
    "SCRAP",
    "BackgroundWriter",
    "TableWriter",
    "checksum",
    "naming_the_folder",
    "recoded",
    "write_json",
    "write_table",
    "write_text",
    "written",
    "written_together",
]

ROWS_PER_GROUP = 2**17  #: as many as a stretch of a trace has, which then is written as it comes
SCRAP = ".part"  #: how the name of a file ends that is not whole yet
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
def written(path: Path) -> Iterator[Path]:
    """Yield a temporary file; flushed and renamed to ``path`` if all ends well, else removed."""
    with written_together(path) as (draft,):
        yield draft


@contextlib.contextmanager
def written_together(*paths: Path) -> Iterator[list[Path]]:
    """Yield a temporary file for each path; none is renamed before all are flushed."""
    drafts = [path.with_name(f".{path.name}.{os.getpid()}{SCRAP}") for path in paths]
    try:
        yield drafts
        for draft in drafts:
            with draft.open("rb") as stream:
                os.fsync(stream.fileno())
        for draft, path in zip(drafts, paths, strict=True):
            draft.replace(path)
    finally:
        for draft in drafts:
            draft.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a file in UTF-8, whole or not at all."""
    with written(path) as draft:
        draft.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, whole or not at all."""
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    write_text(path, text)


class TableWriter:
    """Writes one Parquet file piece by piece; use as a context manager.

    The rows lie in groups of :data:`ROWS_PER_GROUP`, whatever the pieces were, so that equal rows
    make equal bytes. Values that recur are dictionary-encoded: a trace draws from the rows of a
    profile, and is twice as quick to write so and half as large. ``metadata`` goes into the file's
    own metadata, for readers without our code.
    """

    def __init__(
        self,
        path: Path,
        schema: Any,
        metadata: dict[str, str],
    ) -> None:
        self._stack = contextlib.ExitStack()
        draft = self._stack.enter_context(written(path))
        ascending = [name for name in ("round",) if name in schema.names]
        # The dictionaries of a trace are those of its profile; others depend on the pieces.
        self._recode = not any(pa.types.is_list(field.type) for field in schema)
        self._held: list[Any] = []
        self._writer = self._stack.enter_context(
            pq.ParquetWriter(
                draft,
                schema.with_metadata(metadata),
                compression="zstd",
                compression_level=1,
                use_dictionary=[
                    _leaf(f) for f in schema if f.name not in ascending and self._recurs(f)
                ],
                column_encoding=dict.fromkeys(ascending, "DELTA_BINARY_PACKED"),
                write_statistics=ascending,
            )
        )

    def _recurs(self, field: Any) -> bool:
        """Return whether values of a column recur: sums of rewards do not, a trace's draws do."""
        return not (self._recode and pa.types.is_floating(field.type))

    def write(self, table: Any) -> None:
        """Append a table of the schema."""
        self._held.append(table)
        while sum(held.num_rows for held in self._held) >= ROWS_PER_GROUP:
            rows = pa.concat_tables(self._held)
            self._group(rows.slice(0, ROWS_PER_GROUP))
            rest = rows.slice(ROWS_PER_GROUP)
            self._held = [rest] if rest.num_rows else []

    def _group(self, table: Any) -> None:
        table = recoded(table) if self._recode else table.unify_dictionaries()
        self._writer.write_table(table, row_group_size=max(1, table.num_rows))

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *failure: Any) -> None:
        if kind is not None:
            self._stack.__exit__(kind, *failure)
            return
        with self._stack:
            if self._held:
                self._group(pa.concat_tables(self._held))


def recoded(table: Any) -> Any:
    """Return a table whose dictionaries hold the words in the order in which they first occur."""
    for index, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            words = table.column(index).cast(pa.string()).combine_chunks()
            table = table.set_column(index, field, words.dictionary_encode())
    return table


def _leaf(field: Any) -> str:
    """Return the Parquet path of a column's values, which for a list is not the column's name."""
    return f"{field.name}.list.element" if pa.types.is_list(field.type) else str(field.name)


def write_table(
    path: Path,
    table: Any,
    metadata: dict[str, str],
) -> None:
    """Write a whole table as Parquet, whole or not at all."""
    with TableWriter(path, table.schema, metadata) as writer:
        writer.write(table)


_AHEAD = 1  # stretches waiting: one is encoded, one waits, one is played; memory stays flat


class BackgroundWriter:
    """Passes a trace to a :class:`TableWriter` in a thread, as the next stretch is played.

    Use as a context manager.

    A failure of the writer (a full disk, say) is raised again in the caller, at its next
    :meth:`write` or on leaving the block.
    """

    def __init__(self, writer: TableWriter) -> None:
        self._writer = writer
        self._queue: queue.Queue[Any] = queue.Queue(maxsize=_AHEAD)
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="trace-writer", daemon=True)

    def _work(self) -> None:
        while (table := self._queue.get()) is not None:
            if self._failure is None:
                try:
                    self._writer.write(table)
                except BaseException as failure:
                    self._failure = failure

    def write(self, table: Any) -> None:
        """Queue one table; waits while the writer is behind."""
        self._raise_failure()
        self._queue.put(table)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> BackgroundWriter:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        self._queue.put(None)
        self._thread.join()
        if kind is None:
            self._raise_failure()
