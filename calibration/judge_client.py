"""The conversation with a judge: one request, one reply, every failure in our own words.

The official client speaks to any server that knows the Responses API or chat completions. Retries
are ours, not the client's, so that each request counts against the budget and the waiting can be
tested. No exception of the client leaves this module: its text, its request and its chain may hold
the key.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import import_module
from types import TracebackType
from typing import Any, Literal, NamedTuple

from calibration.extra import require
from calibration.judge_patience import Clock, retry_after_s
from calibration.judge_question import SCHEMA, SYSTEM_PROMPT
from calibration.judge_secret import OFFICIAL, Secret, is_local, origin
from calibration.settings import JudgeSettings
from poq_abm.errors import InputError, PoqError

__all__ = ["WAYS", "JudgeClient", "NoAnswerError", "Reply", "Way"]

FORMAT = "judgement"  # what the schema is called
UNKNOWN_ROUTE = {404, 405, 501}
REFUSED_KEY = {401, 403}
REJECTED = {400, 422}
PASSING = {408, 409, 425, 429}  # and every 5xx: the same request may succeed later
OUT_OF_CREDIT = {"insufficient_quota", "billing_hard_limit_reached"}
CUT = {"length", "max_tokens", "max_output_tokens"}  # why a server ends a text too early
MESSAGE = 300  # characters of a server's message worth showing


class NoAnswerError(PoqError):
    """The server gave no reply to one request; ``passing`` says that asking again may help."""

    def __init__(self, message: str, *, passing: bool, wait_s: float | None = None) -> None:
        super().__init__(message)
        self.passing = passing
        self.wait_s = wait_s


class _UnknownRouteError(PoqError):
    """The server does not know this path, or not this model."""


class _BadRequestError(NoAnswerError):
    """The server rejects this request: the way it is asked, or this very question."""


class Way(NamedTuple):
    """How a judge is asked: by which route, and for a reply in which form."""

    route: Literal["responses", "chat"]
    form: Literal["json_schema", "json_object", "text"]


#: The ways of each ``judge.api``, in the order they are tried.
WAYS = {
    "responses": [Way("responses", form) for form in ("json_schema", "json_object", "text")],
    "chat": [Way("chat", form) for form in ("json_schema", "json_object", "text")],
    "auto": [
        Way("responses", "json_schema"),
        *(Way("chat", form) for form in ("json_schema", "json_object", "text")),
    ],
}


@dataclass(frozen=True)
class Reply:
    """What a judge said: a text, or that it declined; token counts where the server reports them.

    ``is_cut`` says that the server ended the text at its limit of tokens. Nothing in it holds the
    key, even where the server repeated it.
    """

    text: str
    declined: bool
    is_cut: bool
    input_tokens: int | None
    output_tokens: int | None


class JudgeClient:
    """Asks one judge, one question at a time; a context manager that closes its connections.

    A server that does not know a route (404, 405, 501) or rejects a request (400, 422) before any
    has succeeded is asked in the next of :data:`WAYS`: with ``api: auto`` the Responses API, then
    chat completions, each for a reply that follows a schema, then for any JSON object, then for
    text. The ``way`` that succeeds is kept from then on. ``calls`` counts the requests sent but not
    those that found out the way.
    """

    def __init__(self, settings: JudgeSettings, secret: Secret, clock: Clock) -> None:
        require("openai")
        self._library: Any = import_module("openai")
        self._settings = settings
        self._secret = secret
        self._clock = clock
        self._address = settings.base_url or OFFICIAL
        self._unknown_routes: set[str] = set()
        self._is_reached = False
        self.way: Way | None = None
        self.calls = 0
        # a proxy for the outside world knows no local server
        direct = self._library.DefaultHttpxClient(trust_env=not is_local(self._address))
        self._client: Any = self._library.OpenAI(
            api_key=secret.reveal(),
            base_url=self._address,
            timeout=settings.timeout_s,
            max_retries=0,
            http_client=direct,
        )

    def __enter__(self) -> JudgeClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._client.close()

    def ask(self, text: str) -> Reply:
        """Return the judge's reply to one message.

        Raises :class:`NoAnswerError` when there is none, and
        :class:`~poq_abm.errors.InputError` when no request can succeed: a server that cannot be
        reached, a key it refuses, a model it does not know, no credit left.
        """
        if self.way is not None:
            try:
                return self._ask(self.way, text)
            except _UnknownRouteError as error:
                unknown = str(error)
            raise self._unknown(unknown)
        return self._find_way(text)

    def _find_way(self, text: str) -> Reply:
        """Return the reply to the first way of asking that the server takes, and keep that way."""
        rejected: NoAnswerError | None = None
        unknown, start = "", self.calls
        for way in WAYS[self._settings.api]:
            if way.route in self._unknown_routes:
                continue
            sent = self.calls
            try:
                reply = self._ask(way, text)
            except _UnknownRouteError as error:
                unknown = str(error)
                self._unknown_routes.add(way.route)
                self.calls = sent
            except _BadRequestError as error:
                rejected = NoAnswerError(str(error), passing=False)
            else:
                self.way, self.calls = way, start + 1  # finding out the way cost nothing
                return reply
        if rejected is not None:
            raise rejected
        is_choice = self._settings.api == "responses"
        raise self._unknown("judge.api may have to be chat" if is_choice else unknown)

    def _ask(self, way: Way, text: str) -> Reply:
        return (self._by_chat if way.route == "chat" else self._by_responses)(text, way.form)

    def _by_responses(self, text: str, form: str) -> Reply:
        schema = _schema() if form == "json_schema" else {}
        asked = {} if form == "text" else {"text": {"format": {**schema, "type": form}}}
        body = self._send(
            self._client.responses,
            model=self._settings.model,
            instructions=SYSTEM_PROMPT,
            input=text,
            store=False,
            **asked,
        )
        if not isinstance(body.get("output"), list):
            raise NoAnswerError(f"{self._place} answered without any output", passing=True)
        parts = [part for item in _list(body, "output") for part in _list(item, "content")]
        declined = [str(part["refusal"]) for part in parts if part.get("refusal")]
        said = [str(part.get("text") or "") for part in parts if part.get("type") == "output_text"]
        reason = _dict(body, "incomplete_details").get("reason")
        return self._reply(body, declined, "".join(said), str(reason), ("input", "output"))

    def _by_chat(self, text: str, form: str) -> Reply:
        schema = {"json_schema": _schema()} if form == "json_schema" else {}
        asked = {} if form == "text" else {"response_format": {"type": form, **schema}}
        body = self._send(
            self._client.chat.completions,
            model=self._settings.model,
            messages=[
                {"role": "system", "content": SYSTEM_PROMPT},
                {"role": "user", "content": text},
            ],
            **asked,
        )
        choice = next(iter(_list(body, "choices")), None)
        if choice is None:
            raise NoAnswerError(f"{self._place} answered without any choice", passing=True)
        message = _dict(choice, "message")
        declined = [str(message["refusal"])] if message.get("refusal") else []
        reason = str(choice.get("finish_reason"))
        return self._reply(body, declined, _spoken(message), reason, ("prompt", "completion"))

    def _reply(
        self, body: dict[str, Any], declined: list[str], said: str, reason: str, of: tuple[str, str]
    ) -> Reply:
        """Return what was said; ``reason`` is why the server ended it, in its own word."""
        usage = _dict(body, "usage")
        counts = [usage.get(f"{side}_tokens") for side in of]
        known = [count if isinstance(count, int) and count >= 0 else None for count in counts]
        filtered = reason == "content_filter"
        text = "".join(declined) or ("the reply was filtered" if filtered else said)
        is_cut = reason in CUT
        return Reply(self._secret.redact(text), bool(declined) or filtered, is_cut, *known)

    def _send(self, resource: Any, **body: Any) -> dict[str, Any]:
        """Send one request; what fails is raised outside the ``except``, without its past."""
        library = self._library
        self.calls += 1
        failure: PoqError
        try:
            raw = resource.with_raw_response.create(**body)
            self._is_reached = True
            return self._decode(raw.http_response.text)
        except PoqError:
            raise
        except library.APIStatusError as error:
            self._is_reached = True
            failure = self._refusal(error.status_code, error.response.headers, error.body)
        except library.APITimeoutError as error:
            is_deaf = type(error.__cause__).__name__ == "ConnectTimeout"
            failure = self._silence(f"gave no answer in {self._settings.timeout_s:g} s", is_deaf)
        except (library.APIConnectionError, UnicodeError):  # a host no name server takes
            failure = self._silence("broke the connection", is_deaf=True)
        raise failure

    def _decode(self, text: str) -> dict[str, Any]:
        try:
            body = json.loads(text)
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            message = f"{self._place} answered with something that is not JSON"
        elif body.get("error"):
            code = body["error"].get("code") if isinstance(body["error"], dict) else None
            if isinstance(code, int) and 400 <= code < 600:  # a proxy's error in a 200
                raise self._refusal(code, {}, body["error"])
            message = f"{self._place} answered: {self._message(body['error'])}"
        else:
            return body
        raise NoAnswerError(message, passing=True) from None

    def _refusal(self, status: int, headers: Any, error: Any) -> PoqError:
        """Return what an HTTP status means for this question, or for all."""
        stated = f"{status} {self._message(error)}".strip()
        named = {error.get("code"), error.get("type")} if isinstance(error, dict) else set()
        if status in REFUSED_KEY:
            return InputError(
                f"{self._place} refuses the key in {self._settings.key_variable} ({stated})"
            )
        if named & OUT_OF_CREDIT or status == 402:
            return InputError(f"{self._place} has no credit left for this key ({stated})")
        if "model_not_found" in named:
            return self._unknown(stated)
        if status in UNKNOWN_ROUTE:
            return _UnknownRouteError(stated)
        if status in REJECTED:
            return _BadRequestError(f"{self._place} answered {stated}", passing=False)
        passing = status in PASSING or status >= 500
        wait_s = retry_after_s(headers, self._clock.now()) if passing else None
        return NoAnswerError(f"{self._place} answered {stated}", passing=passing, wait_s=wait_s)

    def _silence(self, event: str, is_deaf: bool) -> PoqError:
        """Return what it means that nothing came back: nobody is there, or something broke."""
        if self._is_reached or not is_deaf:
            return NoAnswerError(f"{self._place} {event}", passing=True)
        return InputError(
            f"no judge can be reached at {self._place}; is the server running, and is "
            f"judge.base_url right?"
        )

    def _unknown(self, hint: str) -> InputError:
        model = self._settings.model
        return InputError(f"{self._place} does not know the model {model!r} or the path ({hint})")

    @property
    def _place(self) -> str:
        return origin(self._address)

    def _message(self, error: Any) -> str:
        """Return what a server says went wrong: its own field for it, the key blotted out."""
        said = error
        if isinstance(error, dict):
            said = error.get("message") or error.get("detail")
        if isinstance(said, list | dict):
            said = json.dumps(said)
        return " ".join(self._secret.redact(str(said or "")).split())[:MESSAGE]


def _spoken(message: dict[str, Any]) -> str:
    """Return the text of a message, whole or in parts.

    Where it is empty, JSON among what the model reasoned is taken: some servers file an answer
    without a trace as one.
    """
    content = message.get("content")
    parts = [part.get("text") for part in _list(message, "content")]
    said = content if isinstance(content, str) else "".join(p for p in parts if isinstance(p, str))
    if said.strip():
        return said
    reasoned = message.get("reasoning_content") or message.get("reasoning")
    is_json = isinstance(reasoned, str) and reasoned.strip().startswith("{")
    return str(reasoned) if is_json else ""


def _schema() -> dict[str, Any]:
    return {"name": FORMAT, "schema": SCHEMA, "strict": True}


def _dict(body: dict[str, Any], key: str) -> dict[str, Any]:
    value = body.get(key)
    return value if isinstance(value, dict) else {}


def _list(body: dict[str, Any], key: str) -> list[dict[str, Any]]:
    value = body.get(key)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
