"""How long to wait before asking again: the server's own wish, else ever longer."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from poq_abm.random import Purpose, uniform

__all__ = ["Clock", "backoff_s", "retry_after_s"]

FIRST_S, LONGEST_S = 1.0, 60.0


class Clock:
    """The time, and a way to let it pass; tests put one in its place that does not wait."""

    def now(self) -> float:
        """Return the seconds since 1970."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


def backoff_s(seed: int, question: str, attempt: int) -> float:
    """Return the seconds to wait after failed attempt number ``attempt``, counted from 0.

    ``min(60, 2^attempt) (1/2 + u/2)`` with a keyed uniform ``u``: full speed is found again by
    halves, and two judges that failed together do not return together. ``question`` is a
    hexadecimal digest.

    >>> 2.0 <= backoff_s(1, "ab" * 32, 2) <= 4.0
    True
    """
    u = uniform(seed, int(question[:8], 16), int(Purpose.JUDGE), int(question[8:20], 16), attempt)
    return min(LONGEST_S, FIRST_S * 2.0 ** min(attempt, 30)) * (0.5 + 0.5 * u)


def retry_after_s(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds a server asks us to wait, or ``None`` where it says nothing usable.

    Understands ``Retry-After`` in seconds and as a date (RFC 9110, 10.2.3), and ``retry-after-ms``.

    >>> retry_after_s({"retry-after": "7"}, now=0.0)
    7.0
    >>> retry_after_s({"retry-after": "Thu, 01 Jan 1970 00:01:00 GMT"}, now=15.0)
    45.0
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000.0
    stated = headers.get("retry-after")
    seconds = _number(stated)
    if seconds is None and stated:
        try:
            seconds = max(0.0, parsedate_to_datetime(stated).timestamp() - now)
        except (ValueError, OverflowError):
            return None
    return seconds


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0.0 else None
