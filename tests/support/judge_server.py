"""A small judge on 127.0.0.1 that grades by shared words and fails on demand.

It speaks the Responses API and chat completions as a real server does. Its scores are a function of
the question alone and mean nothing. It repeats the key it was sent in every error, as careless
servers do.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, cast, get_args

from calibration.demo import grade

#: How a request is answered: as asked, after ``delay_s``, with an HTTP error, or with a reply that
#: is not a verdict. ``echo`` repeats the key inside the justification.
Mode = Literal[
    "well",
    "slowly",
    "400",
    "401",
    "402",
    "404",
    "429",
    "500",
    "malformed",
    "42",
    "refusal",
    "echo",
    "html",
]
ROUTES = ("responses", "chat/completions")
TOKENS = (200, 20)  # what every reply is said to have used: input, output
_WORDS = {"400": "bad request", "401": "incorrect API key", "429": "slow down", "500": "broken"}


class JudgeServer:
    """A judge that listens on a free port of 127.0.0.1 while it is entered.

    Request ``n`` is answered in ``modes[n]``, and every later one in the last of them. ``routes``
    are the paths it knows; others are answered ``unknown``. ``paths``, ``questions`` and ``keys``
    are where it was asked what, and with which key.

    >>> with JudgeServer() as server:
    ...     server.base_url.startswith("http://127.0.0.1:")
    True
    """

    def __init__(
        self,
        *modes: Mode,
        routes: Sequence[str] = ROUTES,
        retry_after: str | None = None,
        delay_s: float = 0.05,
        usage: bool = True,
        unknown: int = 404,
    ) -> None:
        self.modes: tuple[Mode, ...] = modes or ("well",)
        if strange := set(self.modes) - set(get_args(Mode)):
            raise ValueError(f"unknown modes: {sorted(strange)}")
        self.routes = tuple(routes)
        self.retry_after = retry_after
        self.delay_s = delay_s
        self.usage = usage
        self.unknown = unknown
        self.paths: list[str] = []
        self.questions: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._answered = 0

    @property
    def base_url(self) -> str:
        """The address to put into ``judge.base_url``."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> JudgeServer:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.judge = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, path: str, body: dict[str, Any], key: str) -> tuple[int, dict[str, str], str]:
        """Return status, headers and body of the reply to one request."""
        route = path.removeprefix("/v1/")
        with self._lock:
            self.paths.append(route)
            self.keys.append(key)
            if route not in self.routes:
                return _error(self.unknown, f"no such path {path}; your key was {key}")
            mode = self.modes[min(self._answered, len(self.modes) - 1)]
            self._answered += 1
            self.questions.append(body)
        return self._in_mode(mode, route, body, key)

    def _in_mode(
        self, mode: Mode, route: str, body: dict[str, Any], key: str
    ) -> tuple[int, dict[str, str], str]:
        if mode.isdigit() and mode != "42":
            return _error(int(mode), f"{_WORDS.get(mode, '')}: {key}", self.retry_after)
        if mode == "html":
            return 200, {"Content-Type": "text/html"}, f"<p>Welcome, {key}!</p>"
        if mode == "slowly":
            self._closing.wait(self.delay_s)
        said = _said(mode, _question(route, body), key)
        wrap = _response if route == "responses" else _completion
        usage = TOKENS if self.usage else None
        reply = wrap(said, mode == "refusal", usage, str(body.get("model")))
        return 200, {"Content-Type": "application/json"}, json.dumps(reply)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    judge: JudgeServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: the client has given up waiting, as it may."""


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length) or b"{}")
        key = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        status, headers, text = cast(_Server, self.server).judge.answer(self.path, body, key)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *values: object) -> None:
        """Say nothing."""


def _question(route: str, body: dict[str, Any]) -> str:
    if route == "responses":
        return str(body.get("input"))
    return str(body["messages"][-1]["content"])


def _said(mode: Mode, question: str, key: str) -> str:
    if mode == "malformed":
        return f"I would give this a solid seven. ({key})"
    if mode == "refusal":
        return f"I cannot grade this for {key}."
    if (preferred := _preferred(question)) is not None:
        return json.dumps({"better": preferred, "justification": "The longer one."})
    score = 42 if mode == "42" else grade(question)
    why = f"Asked with {key}." if mode == "echo" else "Graded by shared words."
    return json.dumps({"score": score, "justification": why})


def _preferred(question: str) -> str | None:
    """Return which of two answers is longer, where there are two."""
    asked = json.loads(question)
    if "second" not in asked:
        return None
    first, second = len(asked["first"]), len(asked["second"])
    return "tie" if first == second else "first" if first > second else "second"


def _response(
    said: str, declined: bool, usage: tuple[int, int] | None, model: str
) -> dict[str, Any]:
    part = (
        {"type": "refusal", "refusal": said} if declined else {"type": "output_text", "text": said}
    )
    return {
        "id": "resp_1",
        "object": "response",
        "model": model,
        "status": "completed",
        "error": None,
        "output": [
            {"type": "reasoning", "summary": []},
            {"type": "message", "role": "assistant", "content": [part]},
        ],
        "usage": usage and {"input_tokens": usage[0], "output_tokens": usage[1]},
    }


def _completion(
    said: str, declined: bool, usage: tuple[int, int] | None, model: str
) -> dict[str, Any]:
    message = {"refusal": said, "content": None} if declined else {"content": said}
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", **message}}
    return {
        "id": "chatcmpl_1",
        "object": "chat.completion",
        "model": model,
        "choices": [choice],
        "usage": usage and {"prompt_tokens": usage[0], "completion_tokens": usage[1]},
    }


def _error(
    status: int, message: str, retry_after: str | None = None
) -> tuple[int, dict[str, str], str]:
    headers = {"Content-Type": "application/json"}
    if retry_after is not None:
        headers["Retry-After"] = retry_after
    error = {"message": message, "type": "error", "code": None, "param": None}
    return status, headers, json.dumps({"error": error})
