"""Judge servers of many tempers on 127.0.0.1, and the one clear outcome of each."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from calibration.corpus.records import Record
from calibration.judge.client import JudgeClient
from calibration.judge.judging import Session
from calibration.judge.verdicts import make_question
from calibration.models.server_keys import Secret
from calibration.models.spending import Budget, Sent
from calibration.stage_settings import JudgeSettings
from calibration.workspace import Log
from poq_abm.errors import InputError

pytest.importorskip("openai")

KEY = "sk-secret-0123456789"
VERDICT = json.dumps({"score": 8, "justification": "ok"})
Answer = tuple[int, Any, dict[str, str]]
#: what a server says to a chat request: the form it was asked for, and how many came before
Temper = Callable[[str, int], Answer]


def said(content: Any, finish: str = "stop", **message: Any) -> Answer:
    choice = {"index": 0, "finish_reason": finish, "message": {"content": content, **message}}
    usage = {"prompt_tokens": 10, "completion_tokens": 5}
    return 200, {"choices": [choice], "usage": usage}, {}


def error(status: int, message: str, headers: dict[str, str] | None = None, **more: Any) -> Answer:
    return status, {"error": {"message": message, **more}}, headers or {}


def only(*forms: str, refusal: Answer) -> Temper:
    """A server that takes requests for these forms and refuses the others."""
    return lambda form, _: said(VERDICT) if form in forms else refusal


def busy(header: dict[str, str]) -> Temper:
    """A server that is busy once and says when it will not be."""
    return lambda _, before: said(VERDICT) if before else error(429, "slow", header)


def always(answer: Answer) -> Temper:
    return lambda _, __: answer


@contextmanager
def serving(temper: Temper, responses: Answer) -> Iterator[tuple[str, list[str]]]:
    """Serve on a free port; yield the address and the forms that chat was asked for."""
    forms: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            form = body.get("response_format", {}).get("type", "text")
            if self.path.endswith("/responses"):
                status, reply, headers = responses
            else:
                status, reply, headers = temper(form, len(forms))
                forms.append(form)
            content = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *values: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", forms
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client would have slept; nobody does."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


class Outcome:
    """What came of asking four questions of a server."""

    def __init__(
        self,
        folder: Path,
        temper: Temper,
        responses: Answer | None = None,
        **more: Any,
    ) -> None:
        log, secret = Log(folder / "judged.jsonl"), Secret(KEY)
        self.failure = ""
        with serving(temper, responses or error(404, "no such path")) as (address, self.forms):
            settings = JudgeSettings(model="m", base_url=address, **more)
            self.budget = Budget(settings, [])
            with JudgeClient(settings, secret) as client:
                session = Session(
                    settings, client, self.budget, secret, log, Sent(settings, log.path)
                )
                try:
                    self.stopped = session.ask_all(QUESTIONS, lambda last: None)
                except InputError as refused:
                    self.failure = str(refused)
        self.rows = log.read()[0]
        assert KEY not in self.failure + json.dumps(self.rows)

    @property
    def scores(self) -> list[float]:
        return [row["score"] for row in self.rows if "score" in row]


QUESTIONS = [
    make_question("m", Record(f"q{i}", "qa", "Who won?", ("Denver",)), "tiny", "Denver")
    for i in range(4)
]
NO_SCHEMA = error(400, "This response_format type is unavailable now")
NO_SCHEMA_422: Answer = (422, {"detail": [{"loc": ["response_format"], "msg": "no"}]}, {})
NO_OBJECT = error(400, "'response_format.type' must be 'text'")

#: servers that are read: what they say, and what they are asked for by and by
READ: dict[str, tuple[Temper, list[str]]] = {
    "plain": (always(said(VERDICT)), ["json_schema"] * 4),
    "no schema": (
        only("json_object", "text", refusal=NO_SCHEMA),
        ["json_schema"] + ["json_object"] * 4,
    ),
    "no schema, 422": (
        only("json_object", "text", refusal=NO_SCHEMA_422),
        ["json_schema"] + ["json_object"] * 4,
    ),
    "no form at all": (
        only("text", refusal=NO_OBJECT),
        ["json_schema", "json_object"] + ["text"] * 4,
    ),
    "fence": (always(said(f"```json\n{VERDICT}\n```")), ["json_schema"] * 4),
    "trace": (always(said(f"<think>hm {{}}</think>\n{VERDICT}")), ["json_schema"] * 4),
    "reasoning": (always(said(None, reasoning_content=VERDICT)), ["json_schema"] * 4),
    "parts": (always(said([{"type": "text", "text": VERDICT}])), ["json_schema"] * 4),
    "no usage": (always((200, {"choices": said(VERDICT)[1]["choices"]}, {})), ["json_schema"] * 4),
    "busy, milliseconds": (busy({"retry-after-ms": "500"}), ["json_schema"] * 5),
    "busy, nan": (busy({"retry-after": "nan"}), ["json_schema"] * 5),
    "busy, inf": (busy({"retry-after": "inf"}), ["json_schema"] * 5),
    "busy, negative": (busy({"retry-after": "-5"}), ["json_schema"] * 5),
}


@pytest.mark.parametrize("temper", READ)
def test_a_server_is_asked_in_the_way_it_takes_and_read(
    tmp_path: Path, sleeps: list[float], temper: str
) -> None:
    answers, forms = READ[temper]
    outcome = Outcome(tmp_path, answers)
    assert outcome.failure == ""
    assert outcome.scores == [8.0] * 4
    assert outcome.forms == forms
    assert 0.0 <= sum(sleeps) <= 7.0
    retried = len(forms) - 4 if "busy" in temper else 0
    assert outcome.budget.calls == 4 + retried  # what finds out the way is not counted


def test_a_proxy_that_rejects_the_responses_api_is_asked_by_chat(tmp_path: Path) -> None:
    unknown = error(400, "Unknown endpoint for this provider")
    outcome = Outcome(tmp_path, READ["plain"][0], unknown)
    assert (outcome.scores, outcome.budget.calls) == ([8.0] * 4, 4)


def test_a_form_that_has_worked_is_kept_when_a_question_is_rejected(tmp_path: Path) -> None:
    rejects = lambda form, before: error(400, "too long") if before == 1 else said(VERDICT)  # noqa: E731
    outcome = Outcome(tmp_path, rejects)
    assert outcome.forms == ["json_schema"] * 4
    assert len(outcome.scores) == 3


#: servers of which nothing can be had: what they say, requests it may cost, what is told
HOPELESS: dict[str, tuple[Answer, int, str]] = {
    "everything rejected": (error(400, "bad"), 9, "3 questions in a row got no answer: .* 400 bad"),
    "null choices": ((200, {"choices": None, "usage": None}, {}), 6, "answered without any choice"),
    "an error in a 200": (
        error(200, "Provider overloaded", code=502),
        6,
        "502 Provider overloaded",
    ),
    "a refused key in a 200": (error(200, "wrong", code=401), 1, "refuses the key"),
    "a page": ((502, b"<html>Bad gateway</html>", {}), 6, "answered 502"),
    "cut off": (said('{"score": 8, "justif', "length"), 3, "first 3 questions .* cut the reply"),
    "talk": (said("A fine answer."), 6, "first 3 questions .* the reply has no score: 'A fine"),
    "declined": (said(None, refusal="I cannot."), 3, "first 3 questions .* declined: I cannot"),
    "empty": (said(None), 6, "first 3 questions were all refused, .* has no score: ''"),
    "no credit": (error(429, "You exceeded", code="insufficient_quota"), 1, "no credit left"),
    "no credit, by type": (error(429, "over", type="insufficient_quota"), 1, "no credit left"),
    "the key": (
        error(401, f"Incorrect API key provided: {KEY}"),
        1,
        r"refuses the key .*\[hidden\]",
    ),
}


@pytest.mark.parametrize("temper", HOPELESS)
def test_a_hopeless_batch_stops_early_with_one_line(tmp_path: Path, temper: str) -> None:
    answer, most, message = HOPELESS[temper]
    outcome = Outcome(tmp_path, always(answer), retries=1)
    assert outcome.scores == []
    assert len(outcome.forms) <= most
    assert "\n" not in outcome.failure
    assert re.search(message, outcome.failure)


def test_dollars_without_token_counts_stop_after_one_call(tmp_path: Path) -> None:
    prices = {"usd_per_million_input": 1.0, "usd_per_million_output": 1.0}
    outcome = Outcome(tmp_path, READ["no usage"][0], max_usd=1.0, **prices)
    assert (outcome.scores, len(outcome.forms)) == ([8.0], 1)
    assert outcome.stopped == (
        "the server reports no token counts, so a budget in dollars cannot be kept"
    )
