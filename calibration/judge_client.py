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
from typing import Any

from calibration.extra import require
from calibration.judge_patience import Clock, retry_after_s
from calibration.judge_question import SCHEMA, SYSTEM_PROMPT
from calibration.judge_secret import OFFICIAL, Secret, is_local, origin
from calibration.settings import JudgeSettings
from poq_abm.errors import InputError, PoqError

__all__ = ["JudgeClient", "NoAnswerError", "Reply"]

FORMAT = "judgement"  # what the schema is called
UNKNOWN_ROUTE = {404, 405, 501}
REFUSED_KEY = {401, 403}
PASSING = {408, 409, 425, 429}  # and every 5xx: the same request may succeed later
OUT_OF_CREDIT = {"insufficient_quota", "billing_hard_limit_reached"}
MESSAGE = 300  # characters of a server's message worth showing


class NoAnswerError(PoqError):
    """The server gave no reply to one request; ``passing`` says that asking again may help."""

    def __init__(self, message: str, *, passing: bool, wait_s: float | None = None) -> None:
        super().__init__(message)
        self.passing = passing
        self.wait_s = wait_s


class _UnknownRouteError(PoqError):
    """The server does not know this path, or not this model."""


@dataclass(frozen=True)
class Reply:
    """What a judge said: a text, or that it declined; token counts where the server reports them.

    Nothing in it holds the key, even where the server repeated it.
    """

    text: str
    declined: bool
    input_tokens: int | None
    output_tokens: int | None


class JudgeClient:
    """Asks one judge, one question at a time; a context manager that closes its connections.

    With ``api: auto`` the Responses API is tried first. A server that answers 404, 405 or 501 is
    asked by chat completions from then on. ``calls`` counts the requests sent.
    """

    def __init__(self, settings: JudgeSettings, secret: Secret, clock: Clock) -> None:
        require("openai")
        self._library: Any = import_module("openai")
        self._settings = settings
        self._secret = secret
        self._clock = clock
        self._address = settings.base_url or OFFICIAL
        self._use_chat = settings.api == "chat"
        self._is_reached = False
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
        if self._use_chat:
            return self._by_chat(text)
        try:
            return self._by_responses(text)
        except _UnknownRouteError:
            if self._settings.api == "responses":
                raise self._unknown("judge.api may have to be chat") from None
        self.calls -= 1  # finding out the way cost nothing
        self._use_chat = True
        return self._by_chat(text)

    def _by_responses(self, text: str) -> Reply:
        body = self._send(
            self._client.responses,
            model=self._settings.model,
            instructions=SYSTEM_PROMPT,
            input=text,
            text={"format": {**_schema(), "type": "json_schema"}},
            store=False,
        )
        parts = [part for item in _list(body, "output") for part in _list(item, "content")]
        declined = [str(part["refusal"]) for part in parts if part.get("refusal")]
        said = [str(part.get("text") or "") for part in parts if part.get("type") == "output_text"]
        filtered = _dict(body, "incomplete_details").get("reason") == "content_filter"
        return self._reply(body, declined, "".join(said), filtered, ("input", "output"))

    def _by_chat(self, text: str) -> Reply:
        try:
            body = self._send(
                self._client.chat.completions,
                model=self._settings.model,
                messages=[
                    {"role": "system", "content": SYSTEM_PROMPT},
                    {"role": "user", "content": text},
                ],
                response_format={"type": "json_schema", "json_schema": _schema()},
            )
        except _UnknownRouteError as error:
            message = str(error)
        else:
            choice = next(iter(_list(body, "choices")), {})
            message_ = _dict(choice, "message")
            declined = [str(message_["refusal"])] if message_.get("refusal") else []
            filtered = choice.get("finish_reason") == "content_filter"
            said = str(message_.get("content") or "")
            return self._reply(body, declined, said, filtered, ("prompt", "completion"))
        raise self._unknown(message)

    def _reply(
        self,
        body: dict[str, Any],
        declined: list[str],
        said: str,
        filtered: bool,
        of: tuple[str, str],
    ) -> Reply:
        usage = _dict(body, "usage")
        counts = [usage.get(f"{side}_tokens") for side in of]
        known = [count if isinstance(count, int) and count >= 0 else None for count in counts]
        text = "".join(declined) or ("the reply was filtered" if filtered else said)
        return Reply(self._secret.redact(text), bool(declined) or filtered, known[0], known[1])

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
            message = f"{self._place} answered: {self._message(body['error'])}"
        else:
            return body
        raise NoAnswerError(message, passing=True) from None

    def _refusal(self, status: int, headers: Any, error: Any) -> PoqError:
        """Return what an HTTP status means for this question, or for all."""
        stated = f"{status} {self._message(error)}".strip()
        code = error.get("code") if isinstance(error, dict) else None
        if status in REFUSED_KEY:
            return InputError(
                f"{self._place} refuses the key in {self._settings.key_variable} ({stated})"
            )
        if code in OUT_OF_CREDIT or status == 402:
            return InputError(f"{self._place} has no credit left for this key ({stated})")
        if code == "model_not_found":
            return self._unknown(stated)
        if status in UNKNOWN_ROUTE:
            return _UnknownRouteError(stated)
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
        said = error.get("message") if isinstance(error, dict) else None
        return " ".join(self._secret.redact(str(said or "")).split())[:MESSAGE]


def _schema() -> dict[str, Any]:
    return {"name": FORMAT, "schema": SCHEMA, "strict": True}


def _dict(body: dict[str, Any], key: str) -> dict[str, Any]:
    value = body.get(key)
    return value if isinstance(value, dict) else {}


def _list(body: dict[str, Any], key: str) -> list[dict[str, Any]]:
    value = body.get(key)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
