"""What asking servers costs, within which budget, and what of it may have been lost.

Questions go side by side, each noted before it leaves and once it is back. A process that is killed
leaves notes of questions that never came back: whether the server was paid for them cannot be known
here, so they are not asked again unless somebody says so.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

from calibration.models.server_keys import OFFICIAL, is_local
from calibration.stage_settings import ServerSettings
from calibration.workspace import Log

__all__ = ["Budget", "Sent", "money", "side_by_side"]

T = TypeVar("T")
R = TypeVar("R")


class Row(Protocol):
    """A row of a log, as a budget reads it."""

    def get(self, key: str, /) -> Any:
        """Return a cell, or ``None``."""


def money(
    settings: ServerSettings, input_tokens: int | None, output_tokens: int | None
) -> float | None:
    """Return the dollars that tokens cost; ``None`` without prices or counts.

    ``usd = (input price x input tokens + output price x output tokens) / 10^6``

    >>> prices = {"usd_per_million_input": 10.0, "usd_per_million_output": 50.0}
    >>> money(ServerSettings(model="m", **prices), 200, 20)
    0.003
    """
    of_input, of_output = settings.usd_per_million_input, settings.usd_per_million_output
    if of_input is None or of_output is None or input_tokens is None or output_tokens is None:
        return None
    return (of_input * input_tokens + of_output * output_tokens) / 1e6


class Sent:
    """Which questions left for a server and which came back: a file of notes beside their log.

    ``lost`` are those of earlier runs that never came back, with the time they left (UTC), and
    ``unknown`` counts all that ever were: the process was killed, and they may have been paid for
    or not. Of a server of one's own that takes no money nothing is noted. Threads may share it.
    """

    def __init__(self, settings: ServerSettings, log: Path) -> None:
        prices = (settings.usd_per_million_input, settings.usd_per_million_output)
        is_free = is_local(settings.base_url or OFFICIAL) and not any(prices)
        self._notes = None if is_free else Log(log.with_suffix(".sent.jsonl"))
        self._lock = threading.Lock()
        self._back = Counter[str]()
        self.lost: dict[str, str] = {}
        rows = [] if self._notes is None else self._notes.read()[0]
        for row in rows:
            if "back" in row:
                self._back[row["question"]] += 1
                self.lost.pop(row["question"], None)
            else:
                self.lost[row["question"]] = row["sent"]
        self.unknown = len(rows) - 2 * self._back.total()

    def to_ask(
        self,
        questions: Sequence[T],
        name: Callable[[T], str],
        report: Callable[[str], None],
        *,
        resend: bool,
    ) -> list[T]:
        """Return the questions that may be asked: those that were lost only to ``resend`` them."""
        lost = [self.lost[name(each)] for each in questions if name(each) in self.lost]
        if not lost:
            return list(questions)
        said = (
            f"{len(lost)} questions were on their way when an earlier run was killed, the first at "
            f"{min(lost)} (UTC): whether they were paid for is not known"
        )
        if resend:
            report(f"{said}; they are asked again")
            return list(questions)
        report(f"{said}, so they are left; look at the server's bill, and --resend asks them again")
        return [each for each in questions if name(each) not in self.lost]

    def leaving(self, question: str) -> None:
        """Note that a question is about to be sent."""
        self._note({"question": question, "sent": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"})

    def back(self, question: str) -> None:
        """Note that a question came back and what came of it is on the disk, or that it failed."""
        self._note({"question": question, "back": True})
        with self._lock:
            self._back[question] += 1

    def headers(self, question: str, attempt: int = 0) -> dict[str, str]:
        """Return the header by which a server that knows it pays for a question once alone.

        A question that was lost and is sent again bears the key it had.
        """
        key = f"poq-abm-{question[:40]}-{self._back[question]}-{attempt}"
        return {"Idempotency-Key": key}

    def _note(self, row: dict[str, Any]) -> None:
        if self._notes is not None:
            with self._lock:
                self._notes.append(row)


class Budget:
    """Counts what was spent and says when it is enough; threads may share it.

    ``rows`` are those already on the disk; each of the ``unknown`` requests, of which nobody knows
    whether they were paid for, counts as a call and as the dearest. A budget in dollars stops
    before the call that would pass it, if no call costs more than the dearest so far; requests that
    failed and report no tokens count as calls and cost nothing that we could know of. What is held
    for questions on their way is not spent twice.

    >>> settings = ServerSettings(model="m", max_calls=2)
    >>> Budget(settings, [{"attempts": 2}]).exhausted()
    'the budget of 2 calls is spent'
    """

    def __init__(self, settings: ServerSettings, rows: Iterable[Row], unknown: int = 0) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._dearest = 0.0
        self._is_blind = False
        self._reserved = 0
        self.stopped: str | None = None
        self.calls = 0
        self.usd = 0.0
        for row in rows:
            self.calls += row.get("attempts") or 0
            self._spend(row.get("usd") or 0.0)
        self.calls += unknown
        self.usd += unknown * self._dearest

    def permit(self, on_their_way: int, calls: int) -> int:
        """Return how many of so many requests one more question may send, and hold them for it.

        None fit if those ``on_their_way`` may yet use up what is left. Where no question is on its
        way, ``stopped`` says why there is nothing left.
        """
        with self._lock:
            if not on_their_way:
                self.stopped = self.exhausted()
            if self.stopped or (on_their_way and not self._has_room(on_their_way)):
                return 0
            most = self._settings.max_calls
            free = calls if most is None else min(calls, most - self.calls - self._reserved)
            self._reserved += free
            return free

    def give_back(self, calls: int) -> None:
        """Let go of the requests that a question did not send: it has its answer, or none."""
        with self._lock:
            self._reserved = max(0, self._reserved - max(0, calls))

    def count_calls(self, calls: int) -> None:
        """Count requests that were sent, whatever came of them."""
        with self._lock:
            self.calls += calls
            self._reserved = max(0, self._reserved - calls)

    def charge(self, input_tokens: int | None, output_tokens: int | None) -> float | None:
        """Return what these tokens cost in dollars and count it; ``None`` if it is not known."""
        usd = money(self._settings, input_tokens, output_tokens)
        with self._lock:
            if usd is not None:
                self._spend(usd)
            elif self._settings.usd_per_million_input is not None:
                self._is_blind = True
        return usd

    def exhausted(self) -> str | None:
        """Return why no further call may be made, or ``None`` if one may."""
        calls, usd = self._settings.max_calls, self._settings.max_usd
        if calls is not None and self.calls >= calls:
            return f"the budget of {calls} calls is spent"
        if usd is None:
            return None
        if self._is_blind:
            return "the server reports no token counts, so a budget in dollars cannot be kept"
        if self.usd >= usd or self.usd + self._dearest > usd:
            return f"of the budget of {usd:g} dollars, {self.usd:.4g} are spent"
        return None

    def _has_room(self, on_their_way: int) -> bool:
        calls, usd = self._settings.max_calls, self._settings.max_usd
        fits = calls is None or self.calls + self._reserved < calls
        if usd is None or not fits:
            return fits
        is_priced = self._dearest > 0.0  # what a question costs, the first one tells
        return is_priced and self.usd + (on_their_way + 1) * self._dearest <= usd

    def _spend(self, usd: float) -> None:
        self.usd += usd
        self._dearest = max(self._dearest, usd)


def side_by_side(
    items: Iterable[T],
    ask: Callable[[T, int], R],
    keep: Callable[[T, R], None],
    concurrency: int,
    permit: Callable[[int], int] = lambda _: 1,
    after: Callable[[], None] = lambda: None,
) -> None:
    """Ask for every item, at most ``concurrency`` at once, and keep each result as it comes.

    ``ask`` runs in threads, ``keep`` here, before anything further is asked. ``permit`` is told how
    many items are on their way and says how many requests the next may send; where that is none
    and nothing is on its way, the rest is left. ``after`` each item that is kept there may be
    something to tell. Whatever interrupts it, what was asked for is waited for and kept, since it
    is being paid for; a second interrupt ends the waiting.

    >>> squares = []
    >>> side_by_side([3], lambda n, _: n * n, lambda n, square: squares.append((n, square)), 2)
    >>> squares
    [(3, 9)]
    """
    waiting = deque(items)
    running: dict[Future[R], T] = {}
    pool = ThreadPoolExecutor(concurrency)
    try:
        while waiting or running:
            while waiting and len(running) < concurrency and (allowed := permit(len(running))) > 0:
                item = waiting.popleft()
                running[pool.submit(ask, item, allowed)] = item
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                item = running.pop(future)
                try:
                    keep(item, future.result())
                except KeyboardInterrupt:  # rather kept twice than lost
                    running[future] = item
                    raise
                after()
    except BaseException:
        for future, item in running.items():
            with suppress(Exception):
                keep(item, future.result())
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
