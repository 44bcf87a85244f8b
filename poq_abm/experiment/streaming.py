"""Writing a trace while it is played: a thread encodes one stretch as the next one runs."""

from __future__ import annotations

import queue
import threading
from typing import Any

from poq_abm.experiment.files import TableWriter

__all__ = ["BackgroundWriter"]

_AHEAD = 1  # stretches waiting: one is encoded, one waits, one is played; memory stays flat


class BackgroundWriter:
    """Passes tables to a :class:`TableWriter` in a thread of its own; use as a context manager.

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
