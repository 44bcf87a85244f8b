"""The errors a user can cause, told apart from the ones only we can.

An :class:`InputError` is somebody's mistake: a misspelt key, a missing folder, a full disk. It
carries a message that can be shown as it is, and the command line turns it into exit code 2.
Anything else that escapes is a defect of this package and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

__all__ = ["InputError", "PoqError", "nearest"]


class PoqError(Exception):
    """Base class of every error this package raises on purpose."""


class InputError(PoqError):
    """Something the user gave cannot be used; the message says what and what would be valid."""


def nearest(word: object, known: Iterable[str]) -> str:
    """Return a hint: the known word closest to ``word``, or the known words if none is close.

    >>> nearest("comittee_size", ["committee_size", "reference"])
    "did you mean 'committee_size'?"
    >>> nearest("x", ["mean"])
    "known: 'mean'"
    """
    candidates: Sequence[str] = sorted(set(known))
    close = get_close_matches(str(word), candidates, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    shown = ", ".join(repr(candidate) for candidate in candidates[:12])
    return f"known: {shown}" + (", ..." if len(candidates) > 12 else "")
