"""What takes long before anything is played, told on the error stream."""

from __future__ import annotations

import sys
from typing import Any

from numba.core import event, types

__all__ = ["announce_compilation"]

_ROUNDS = "poq_abm.simulation"  # the room whose code plays rounds, with either engine


class _Announcer(event.Listener):  # type: ignore[misc, unused-ignore]
    """Says, once after it was asked to, that code which plays rounds is being compiled."""

    def __init__(self) -> None:
        self._asked = False
        event.register("numba:compile", self)  # type: ignore[no-untyped-call]

    def ask(self) -> None:
        """Make it speak once more."""
        self._asked = True

    def on_start(self, told: Any) -> None:
        """Look at what Numba is about to compile."""
        module = told.data["dispatcher"].py_func.__module__ or ""  # none at some prompts
        if not self._asked or not module.startswith(_ROUNDS):
            return
        self._asked = False
        # A user's function is a type of its own in each process, and no cache can know it.
        own = any(isinstance(argument, types.Dispatcher) for argument in told.data["args"])
        what = "your behaviour into the round loop" if own else "the code that plays such rounds"
        when = "in every run" if own else "once"
        # Written as text, which a bar that is being drawn lets through above itself.
        sys.stderr.write(f"Compiling {what}; this happens {when} and takes up to half a minute.\n")

    def on_end(self, told: Any) -> None:
        """Stay silent."""


_announcer = _Announcer()


def announce_compilation() -> None:
    """Say so, once, if code that plays rounds is compiled from now on and not read from the cache.

    Plain rounds, contested ones, traced ones and either engine are compiled apart, when they are
    first played; Numba itself tells which it is about to compile, in this process.
    """
    _announcer.ask()
