"""A small server on 127.0.0.1 that answers chat in a stream, in many tempers.

It says what its question says, word for word, and counts words as tokens.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

#: status, headers, and the pieces of the body; a piece is sent at once
Reply = tuple[int, dict[str, str], list[bytes]]
#: what a server makes of a request, given how many came before
Temper = Callable[[dict[str, Any], int], Reply]
STREAM = {"Content-Type": "text/event-stream"}


def words(body: dict[str, Any]) -> list[str]:
    """Return the words of a question, each with the blank before it."""
    said = str(body["messages"][-1]["content"]).split()
    return [word if number == 0 else f" {word}" for number, word in enumerate(said)]


def event(**parts: Any) -> bytes:
    return f"data: {json.dumps(parts)}\n\n".encode()


def streamed(
    body: dict[str, Any],
    pieces: list[str] | None = None,
    *,
    model: str | None = None,
    usage: bool = True,
    finish: str | None = "stop",
    kind: str = "content",
) -> Reply:
    """Return a streamed answer, by default the words of the question."""
    said = words(body) if pieces is None else pieces
    served = str(body["model"]) if model is None else model
    parts = [event(model=served, choices=[{"index": 0, "delta": {kind: piece}}]) for piece in said]
    if finish is not None:
        parts.append(
            event(model=served, choices=[{"index": 0, "delta": {}, "finish_reason": finish}])
        )
    if usage:
        counts = {"prompt_tokens": len(words(body)), "completion_tokens": len(said)}
        parts.append(event(model=served, choices=[], usage=counts))
    return 200, STREAM, [*parts, b"data: [DONE]\n\n"]


def well(body: dict[str, Any], _: int) -> Reply:
    return streamed(body)


def failing(status: int, message: str = "broken", **headers: str) -> Reply:
    error = json.dumps({"error": {"message": message}}).encode()
    return status, {"Content-Type": "application/json", **headers}, [error]


class ChatServer:
    """A chat server that listens on a free port of 127.0.0.1 while it is entered.

    ``models`` are those it lists, ``paths``, ``bodies`` and ``keys`` where and with what it was
    asked; ``busiest`` is how many requests it had at once, if each waits for ``together`` of them.
    """

    def __init__(
        self, temper: Temper = well, together: int = 1, models: list[str] | None = None
    ) -> None:
        self.temper = temper
        self.models = models or []
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.paths: list[str] = []
        self.busiest = self._busy = 0
        self._lock = threading.Lock()
        self._barrier = threading.Barrier(together)
        self._together = together

    @property
    def base_url(self) -> str:
        """The address to put into ``base_url``."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    @property
    def asked(self) -> list[str]:
        """The questions, in their order."""
        return [str(body["messages"][-1]["content"]) for body in self.bodies]

    def __enter__(self) -> ChatServer:
        ours = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                ours.paths.append(self.path)
                status, headers, pieces = ours._answer(body, self.headers)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Connection", "close")
                self.end_headers()
                with suppress(BrokenPipeError):  # whoever asked may be dead
                    for piece in pieces:
                        self.wfile.write(piece)
                        self.wfile.flush()
                with ours._lock:
                    ours._busy -= 1

            def do_GET(self) -> None:
                listed = {"object": "list", "data": [{"id": name} for name in ours.models]}
                content = json.dumps(listed).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *values: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, body: dict[str, Any], headers: Any) -> Reply:
        with self._lock:
            number = len(self.bodies)
            self.bodies.append(body)
            self.keys.append(str(headers.get("Authorization") or "").removeprefix("Bearer "))
            self._busy += 1
            self.busiest = max(self.busiest, self._busy)
        if self._together > 1 and number:  # the first is asked alone
            self._barrier.wait(10.0)
        return self.temper(body, number)
