"""How far a stage has come: a bar on a terminal, a line now and then in a log file."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, Protocol

__all__ = ["LINE_EVERY_S", "Advance", "Report", "progress"]

Report = Callable[[str], None]
LINE_EVERY_S = 10.0
_SHOWN = 200  # characters of the last output


class Advance(Protocol):
    """Is told that something more is done, and what came out last."""

    def __call__(self, last: str = "") -> None:
        """Count one more."""


@contextlib.contextmanager
def progress(report: Report, label: str, total: int) -> Iterator[Advance]:
    """Yield what counts ``total`` things as they are done.

    A ``report`` with a ``console`` that is a terminal shows a bar with rate and remaining time;
    any other is told a line every ten seconds. One that ``shows`` outputs is told each as well.

    >>> with progress(print, "llama", 2) as advance:
    ...     advance()
    """
    shows = bool(getattr(report, "shows", False))
    with _counter(report, label, total) as count:

        def advance(last: str = "") -> None:
            count()
            if shows:
                report(f"{label}: {' '.join(last.split())[:_SHOWN]}")

        yield advance


@contextlib.contextmanager
def _counter(report: Report, label: str, total: int) -> Iterator[Callable[[], None]]:
    console = getattr(report, "console", None)
    if console is None or not console.is_terminal:
        yield _lines(report, label, total)
        return
    with _bar(console) as bar:
        task = bar.add_task(label, total=total)
        yield lambda: bar.advance(task)


def _bar(console: Any) -> Any:
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text  # noqa: PLC0415

    class _Rate(ProgressColumn):
        """How many a second."""

        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:.3g}/s" if task.speed else "", style="dim")

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )


def _lines(report: Report, label: str, total: int) -> Callable[[], None]:
    begun = last = time.monotonic()
    done = 0

    def count() -> None:
        nonlocal done, last
        done += 1
        now = time.monotonic()
        if now - last < LINE_EVERY_S:
            return
        last = now
        rate = done / (now - begun)
        left = timedelta(seconds=round(max(total - done, 0) / rate))
        report(f"{label}: {done:,} of {total:,} ({done / total:.0%}), {rate:.3g}/s, {left} left")

    return count
