"""How far a run has come, and what takes long before it, on the error stream.

A bar on a terminal, lines in a log file.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from numba.core import event, types
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

__all__ = ["Bar", "LineBar", "LiveBar", "announce_compilation", "duration", "progress_bar"]

LINE_EVERY_S = 10.0
SHORTEST_MEASURED_S = 1.0  #: of play, from which a pace is read
_ROUNDS = "poq_abm.simulation"  # the room whose code plays rounds, with either engine


def _calls_a_function(argument: types.Type) -> bool:
    """Return whether an argument is a compiled function or holds one, as the rules of a game do."""
    inside = getattr(argument, "types", ())  # of a tuple
    return isinstance(argument, types.Dispatcher) or any(map(_calls_a_function, inside))


class _Announcer(event.Listener):  # type: ignore[misc, unused-ignore]
    """Says, once after it was asked to, that code which plays rounds is being compiled.

    It knows, too, how long this process has compiled: no progress can be expected meanwhile.
    """

    def __init__(self) -> None:
        self._asked = False
        self._depth = 0  # what a function calls is compiled while it is
        self._begun = self._seconds = 0.0
        event.register("numba:compile", self)  # type: ignore[no-untyped-call]

    def ask(self) -> None:
        """Make it speak once more."""
        self._asked = True

    def seconds(self) -> float:
        """Return for how long this process has compiled until now."""
        return self._seconds + (time.perf_counter() - self._begun if self._depth else 0.0)

    def on_start(self, told: Any) -> None:
        """Look at what Numba is about to compile."""
        if not self._depth:
            self._begun = time.perf_counter()
        self._depth += 1
        module = told.data["dispatcher"].py_func.__module__ or ""  # none at some prompts
        if not self._asked or not module.startswith(_ROUNDS):
            return
        self._asked = False
        # A user's function is a type of its own in each process, and no cache can know it.
        own = any(_calls_a_function(argument) for argument in told.data["args"])
        what = "your behaviour into the round loop" if own else "the code that plays such rounds"
        when = "in every run" if own else "once"
        # Written as text, which a bar that is being drawn lets through above itself.
        sys.stderr.write(f"Compiling {what}; this happens {when} and takes up to half a minute.\n")

    def on_end(self, _: Any) -> None:
        """Count what has been compiled."""
        self._depth -= 1
        if not self._depth:
            self._seconds += time.perf_counter() - self._begun


_announcer = _Announcer()


def announce_compilation() -> None:
    """Say so, once, if code that plays rounds is compiled from now on and not read from the cache.

    Plain rounds, contested ones, traced ones and either engine are compiled apart, when they are
    first played; Numba itself tells which it is about to compile, in this process.
    """
    _announcer.ask()


class Bar(Protocol):
    """Is told what is to be played and what was."""

    def expect(self, rounds: int) -> None:
        """Add rounds to what is to be played."""

    def played(self, rounds: int) -> None:
        """Count rounds as played."""


def _seconds_of_play() -> float:
    """Return a clock that stands still while this process compiles."""
    return time.perf_counter() - _announcer.seconds()


class _Pace:
    """How many rounds were played, of how many, and how fast since the first were."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.expected = self.done = 0
        self.per_second: float | None = None
        self._clock = clock
        self._first: tuple[float, int] | None = None

    def count(self, rounds: int) -> float:
        """Count rounds as played, and return the time."""
        now = self._clock()
        self.done += rounds
        if self._first is None:
            self._first = now, self.done
        since, uncounted = self._first
        if now - since >= SHORTEST_MEASURED_S:
            self.per_second = (self.done - uncounted) / (now - since)
        return now

    def __str__(self) -> str:
        """Return what is known: the share that was played, the pace, and the time that is left."""
        share = self.done / max(self.expected, self.done, 1)
        words = [f"{share:.0%}" if self.expected else f"{self.done:,} rounds"]
        if self.per_second:
            words.append(_rate(self.per_second))
        if self.per_second and self.expected:
            left = max(self.expected - self.done, 0) / self.per_second
            words.append(f"{duration(left)} left")
        return ", ".join(words)


class LiveBar:
    """A bar that moves, for a terminal."""

    def __init__(self, bar: Progress, task: TaskID) -> None:
        self._bar, self._task = bar, task
        self._pace = _Pace(_seconds_of_play)

    def expect(self, rounds: int) -> None:
        """Add rounds to what is to be played."""
        self._pace.expected += rounds
        self._bar.update(self._task, total=self._pace.expected)

    def played(self, rounds: int) -> None:
        """Count rounds as played."""
        self._pace.count(rounds)
        self._bar.update(self._task, advance=rounds, told=str(self._pace))


class LineBar:
    """A line now and then, for a log file; nothing at all for a run of a few seconds."""

    def __init__(
        self,
        label: str,
        write: Callable[[str], None],
        every: float = LINE_EVERY_S,
        clock: Callable[[], float] = _seconds_of_play,
    ) -> None:
        self._label, self._write, self._every = label, write, every
        self._last = clock()
        self._pace = _Pace(clock)

    def expect(self, rounds: int) -> None:
        """Add rounds to what is to be played."""
        self._pace.expected += rounds

    def played(self, rounds: int) -> None:
        """Count rounds as played, and write a line if the last is long ago."""
        now = self._pace.count(rounds)
        if now - self._last < self._every or not self._pace.per_second:
            return
        self._last = now
        self._write(f"{self._label}: {self._pace}")


@contextlib.contextmanager
def progress_bar(label: str) -> Iterator[Bar]:
    """Yield what is to be told of rounds as they are played."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield LineBar(label, lambda line: console.print(line, highlight=False, soft_wrap=True))
        return
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[told]}"),
        console=console,
        transient=True,
    )
    with bar:
        yield LiveBar(bar, bar.add_task(label, total=None, told=""))


def duration(seconds: float) -> str:
    """Return a length of time as people read it.

    >>> duration(0.4), duration(75), duration(7300)
    ('0 s', '1 min 15 s', '2 h 1 min')
    """
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    if hours:
        return f"{hours:,} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _rate(per_second: float) -> str:
    if per_second < 1e4:
        return f"{per_second:,.0f} rounds/s"
    if per_second < 1e6:
        return f"{per_second / 1e3:,.0f} k rounds/s"
    return f"{per_second / 1e6:,.1f} M rounds/s"
