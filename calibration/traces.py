"""The thinking trace that a reasoning model writes before its answer, and how to leave it out."""

from __future__ import annotations

import re

__all__ = ["without_trace"]

_TAGS = r"(?:think|thinking|thought|reasoning|analysis)"
_OPENED = re.compile(rf"\s*<{_TAGS}>", re.IGNORECASE)
_CLOSED = re.compile(rf"</{_TAGS}>", re.IGNORECASE)


def without_trace(text: str) -> str:
    """Return what follows the last closing tag of a trace; a text without a tag is left alone.

    The tags are ``think``, ``thinking``, ``thought``, ``reasoning`` and ``analysis``. The opening
    one may be missing, since some chat templates write it into the prompt. A trace that is opened
    and never closed was cut off before the answer: nothing is left.

    >>> without_trace("<think>Is it 7? No.</think> 42")
    '42'
    >>> without_trace("<think>Is it 7? No, it")
    ''
    >>> without_trace("x < y and y > z ")
    'x < y and y > z '
    """
    closings = list(_CLOSED.finditer(text))
    rest = text[closings[-1].end() :].strip() if closings else text
    return "" if _OPENED.match(rest) else rest
