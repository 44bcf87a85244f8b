"""Models behind a server that speaks OpenAI's protocol: requests, replies, failures in words.

The official client speaks to any such server; its timeouts, its retries and its typed errors are
the ones in force. Every request it sends is counted. No exception of the client leaves this module:
its text, its request and its chain may hold the key, which is sent to the server it is meant for (a
redirect is not followed) and shown to nobody.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import TracebackType
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

from calibration.libraries import require
from calibration.models.server_keys import OFFICIAL, Secret, is_local, origin
from calibration.stage_settings import ServerSettings
from poq_abm.errors import InputError, PoqError

__all__ = [
    "BadRequestError",
    "Endpoint",
    "NoAnswerError",
    "StreamedReply",
    "UnknownRouteError",
    "listed",
    "text_of",
    "tokens_used",
]

UNKNOWN_ROUTE = {404, 405, 501}
REFUSED_KEY = {401, 403}
NO_CREDIT = 402
REJECTED = {400, 422}
BAD_GATEWAY = 502  # what a reply counts as that came with status 200 and is none
OUT_OF_CREDIT = {"insufficient_quota", "billing_hard_limit_reached"}
LONGEST_WAIT_S = 60.0  # a server that wants more is left alone until the next run
MESSAGE = 300  # characters of a server's message worth showing
_STREAM = "text/event-stream"


class NoAnswerError(PoqError):
    """The server gave no reply to a question, however often it was asked."""


class UnknownRouteError(PoqError):
    """The server does not know this path, or not this model."""


class BadRequestError(NoAnswerError):
    """The server rejects this request: the way it is asked, or this very question."""


class Endpoint:
    """One model of one server; a context manager that closes its connections.

    ``who`` is what messages call it, and ``section`` the part of the configuration it stands in.
    ``calls`` counts the requests that the thread at hand sent, those of the client's own retries
    too. Threads may share it.
    """

    def __init__(self, settings: ServerSettings, secret: Secret, who: str, section: str) -> None:
        require("openai")
        self._library: Any = import_module("openai")
        self._settings = settings
        self._secret = secret
        self._who, self.section = who, section
        self._address = settings.base_url or OFFICIAL
        self._is_reached = False
        self._sent = threading.local()
        self._clients: dict[int, Any] = {}
        self._client: Any = self._library.OpenAI(
            api_key=secret.reveal(),
            base_url=self._address,
            timeout=settings.timeout_s,
            http_client=self._library.DefaultHttpxClient(
                # a proxy for the outside world knows no local server
                trust_env=not is_local(self._address),
                # the question and the key are for the server that was named
                follow_redirects=False,
                event_hooks={"request": [self._count], "response": [self._examine]},
            ),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._client.close()

    @property
    def calls(self) -> int:
        """How many requests this thread has sent."""
        return getattr(self._sent, "calls", 0)

    def _patient(self, retries: int) -> Any:
        """Return a client that asks so many times again; each is made once."""
        if retries not in self._clients:
            self._clients[retries] = self._client.with_options(max_retries=retries)
        return self._clients[retries]

    def forget(self, calls: int) -> None:
        """Let so many requests of this thread count for nothing: they found out how to ask."""
        self._sent.calls = self.calls - calls

    def redact(self, text: str) -> str:
        """Return a text of the server without the key, which careless servers repeat."""
        return self._secret.redact(text)

    def models(self) -> list[str]:
        """Return the names of the models that the server lists; none where it lists none.

        Raises as :meth:`send`.
        """
        self._check_listening()
        patient = self._patient(0)
        try:
            found = self._guarded(lambda: [model.id for model in patient.models.list()])
        except (UnknownRouteError, BadRequestError):
            return []
        return [str(name) for name in found if name]

    def send(self, route: str, retries: int, **body: Any) -> dict[str, Any]:
        """Return the body of the reply to one request, asked again at most ``retries`` times.

        ``route`` is ``responses`` or ``chat``. Only what may pass is asked again: a busy or broken
        server, a connection that breaks.

        Raises :class:`UnknownRouteError` and :class:`BadRequestError` where another way of asking
        may do, :class:`NoAnswerError` when there is no reply, and
        :class:`~poq_abm.errors.InputError` when no request can succeed: a server that cannot be
        reached or redirects, a key it refuses, a model it does not know, no credit left, a wait of
        more than a minute.
        """
        self._check_listening()
        patient = self._patient(retries)
        resource = patient.responses if route == "responses" else patient.chat.completions
        ask = resource.with_raw_response.create
        raw: Any = self._guarded(lambda: ask(model=self._settings.model, **body))
        answered: dict[str, Any] = raw.http_response.json()
        return answered

    def post(
        self, route: str, retries: int, body: Mapping[str, Any], headers: Mapping[str, str]
    ) -> dict[str, Any]:
        """Return the reply of a route that the client library does not know, as :meth:`send`."""
        self._check_listening()
        patient, asked = self._patient(retries), {"model": self._settings.model, **body}
        answered: dict[str, Any] = self._guarded(
            lambda: patient.post(
                f"/{route}", cast_to=object, body=asked, options={"headers": dict(headers)}
            )
        )
        return answered

    def stream(self, retries: int, **body: Any) -> StreamedReply:
        """Return a chat reply that was read token by token, with the times of its parts.

        A server that answers all at once is read too, without times. Raises as :meth:`send`; a
        stream of something else, or one that breaks off or lasts too long, is no answer.
        """
        self._check_listening()
        patient = self._patient(retries)
        start = time.perf_counter()

        def ask() -> StreamedReply:
            stream = patient.chat.completions.create(
                model=self._settings.model,
                stream=True,
                **body,
            )
            with stream:
                if _STREAM not in stream.response.headers.get("content-type", ""):
                    return _whole_reply(stream.response.json(), start)
                return self._read(stream, start)

        reply: StreamedReply = self._guarded(ask)
        return reply

    def _read(self, stream: Any, start: float) -> StreamedReply:
        text, thought, marks = list[str](), list[str](), list[float]()
        finish, usage, served = "", None, ""
        for chunk in stream:
            now = time.perf_counter()
            if now - start > self._settings.timeout_s:
                raise TimeoutError(f"was not done in {self._settings.timeout_s:g} s")
            served = str(getattr(chunk, "model", None) or served)
            usage = getattr(chunk, "usage", None) or usage
            for choice in (chunk.choices or [])[:1]:
                said = choice.delta
                mine = getattr(said, "content", None) or ""
                more = getattr(said, "reasoning_content", None) or getattr(said, "reasoning", None)
                if mine or more:
                    marks.append(now)
                text.append(str(mine))
                thought.append(str(more or ""))
                finish = str(choice.finish_reason or finish)
        counts = None if usage is None else usage.to_dict()
        if not finish:
            raise ValueError("broke its answer off" if marks else "streamed no answer")
        return StreamedReply(
            "".join(text),
            "".join(thought),
            finish,
            served,
            tokens_used(counts, "prompt"),
            tokens_used(counts, "completion"),
            time.perf_counter() - start,
            tuple(mark - start for mark in marks),
        )

    def _guarded(self, ask: Callable[[], Any]) -> Any:
        """Return what ``ask`` does; what fails is raised later, without its past."""
        library = self._library
        failure: PoqError
        try:
            answered = ask()
        except library.APIStatusError as error:
            failure = self._refusal(error)
        except library.APITimeoutError as error:
            is_deaf = type(error.__cause__).__name__ == "ConnectTimeout"
            failure = self._silence(f"gave no answer in {self._settings.timeout_s:g} s", is_deaf)
        except (library.APIConnectionError, UnicodeError):  # a host no name server takes
            failure = self._silence("broke the connection", is_deaf=True)
        except library.APIError as error:  # in the middle of a stream
            said = self._message({"message": error.message})
            failure = NoAnswerError(f"{self._place} broke its answer off: {said}")
        except (json.JSONDecodeError, AttributeError):
            failure = NoAnswerError(f"{self._place} streamed something that is not JSON")
        except (ValueError, TimeoutError) as error:  # our own words
            failure = NoAnswerError(f"{self._place} {error}")
        except Exception as error:  # the transport has errors of its own, by the client's version
            failure = NoAnswerError(f"{self._place} broke its answer off ({type(error).__name__})")
        else:
            return answered
        raise failure

    def _count(self, _: Any) -> None:
        self._sent.calls = self.calls + 1

    def _examine(self, reply: Any) -> None:
        """Give a reply that is none the status it deserves; say where to ask again is pointless.

        The client then retries and names it as if the server had told the truth.
        """
        self._is_reached = True
        if reply.is_success and _STREAM in reply.headers.get("content-type", ""):
            return  # still on its way
        reply.read()
        body = _decoded(reply.text)
        if reply.is_success and (fault := self._fault_of(body)):
            reply.status_code, reply.extensions["fault"] = fault
        error = body.get("error", body) if isinstance(body, dict) else None
        if reply.status_code in UNKNOWN_ROUTE or _codes(error) & OUT_OF_CREDIT:
            reply.headers["x-should-retry"] = "false"

    def _fault_of(self, body: Any) -> tuple[int, str] | None:
        """Return the status of what came as a success and is none, and what it is."""
        if not isinstance(body, dict):
            return BAD_GATEWAY, "with something that is not JSON"
        if error := body.get("error"):
            code = error.get("code") if isinstance(error, dict) else None
            if isinstance(code, int) and 400 <= code < 600:  # a proxy's error in a 200
                return code, ""
            return BAD_GATEWAY, f"with an error: {self._message(error)}"
        if listed(body, "choices") or any(
            isinstance(body.get(part), list) for part in ("output", "data", "results")
        ):
            return None
        return BAD_GATEWAY, f"without any {'choice' if 'choices' in body else 'output'}"

    def _refusal(self, raised: Any) -> PoqError:
        """Return what an HTTP status means for this question, or for all."""
        status, error, reply = raised.status_code, raised.body, raised.response
        fault = reply.extensions.get("fault")
        stated = fault or f"{status} {self._message(error)}".strip()
        if status in REFUSED_KEY:
            return InputError(
                f"{self._place} refuses the key in {self._settings.key_variable} ({stated})"
            )
        if _codes(error) & OUT_OF_CREDIT or status == NO_CREDIT:
            return InputError(f"{self._place} has no credit left for this key ({stated})")
        if "model_not_found" in _codes(error):
            return self.unknown(stated)
        if status in UNKNOWN_ROUTE:
            return UnknownRouteError(stated)
        if status in REJECTED:
            return BadRequestError(f"{self._place} answered {stated}")
        return self._not_now(stated, reply)

    def _not_now(self, stated: str, reply: Any) -> PoqError:
        """Return what it means that the answer is somewhere else, or has to be waited for."""
        if 300 <= reply.status_code < 400:
            location = str(reply.headers.get("location", ""))
            there = self.redact(origin(urljoin(self._address, location)))
            return InputError(
                f"{self._place} redirects to {there}, where neither the key nor a question is "
                f"sent; if it is the right one, name it in {self.section}.base_url"
            )
        wait_s = _seconds(reply.headers.get("retry-after"))
        if wait_s <= LONGEST_WAIT_S:
            return NoAnswerError(f"{self._place} answered {stated}")
        return InputError(
            f"the server of the {self._who} asks us to wait {wait_s:.0f} s; what was done is kept, "
            f"run again after that"
        )

    def _silence(self, event: str, is_deaf: bool) -> PoqError:
        """Return what it means that nothing came back: nobody is there, or something broke."""
        if self._is_reached or not is_deaf:
            return NoAnswerError(f"{self._place} {event}")
        return self._nobody()

    def _check_listening(self) -> None:
        """Raise at once if nobody listens on this machine, where no retry would find anybody."""
        if self._is_reached or not is_local(self._address):
            return
        parts = urlsplit(self._address)
        port = parts.port or {"https": 443}.get(parts.scheme, 80)
        try:
            socket.create_connection((parts.hostname or "", port), self._settings.timeout_s).close()
        except (OSError, UnicodeError):
            raise self._nobody() from None

    def _nobody(self) -> InputError:
        return InputError(
            f"no {self._who} can be reached at {self._place}; is the server running, and is "
            f"{self.section}.base_url right?"
        )

    def unknown(self, hint: str) -> InputError:
        """Return the error of a model or a path that the server does not know."""
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


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _codes(error: Any) -> set[str]:
    return {str(error.get(k)) for k in ("code", "type")} if isinstance(error, dict) else set()


def _seconds(stated: str | None) -> float:
    """Return the seconds of a ``Retry-After`` header, 0 where it says nothing of the kind."""
    try:
        return float(stated or 0.0)
    except ValueError:
        return 0.0


def text_of(message: Mapping[str, Any]) -> str:
    """Return the text of a chat message, whole or in parts.

    Where it is empty, JSON among what the model reasoned is taken: some servers file an answer
    without a trace as one.

    >>> text_of({"content": [{"type": "text", "text": "yes"}]})
    'yes'
    """
    content = message.get("content")
    parts = [part.get("text") for part in listed(message, "content")]
    said = content if isinstance(content, str) else "".join(p for p in parts if isinstance(p, str))
    if said.strip():
        return said
    reasoned = message.get("reasoning_content") or message.get("reasoning")
    is_json = isinstance(reasoned, str) and reasoned.strip().startswith("{")
    return str(reasoned) if is_json else ""


def tokens_used(usage: object, of: str) -> int | None:
    """Return the tokens of one side that a server counted, ``None`` where it counts none.

    >>> tokens_used({"prompt_tokens": 7}, "prompt"), tokens_used(None, "prompt")
    (7, None)
    """
    count = usage.get(f"{of}_tokens") if isinstance(usage, dict) else None
    return count if isinstance(count, int) and count >= 0 else None


def _whole_reply(body: dict[str, Any], start: float) -> StreamedReply:
    choice = next(iter(listed(body, "choices")), {})
    message, usage = _part(choice, "message"), body.get("usage")
    return StreamedReply(
        text_of(message),
        str(message.get("reasoning_content") or message.get("reasoning") or ""),
        str(choice.get("finish_reason") or "stop"),
        str(body.get("model") or ""),
        tokens_used(usage, "prompt"),
        tokens_used(usage, "completion"),
        time.perf_counter() - start,
        (),
    )


def _part(body: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = body.get(key)
    return value if isinstance(value, dict) else {}


def listed(body: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """Return the objects in a list of a reply; nothing where there is no list."""
    value = body.get(key)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


@dataclass(frozen=True)
class StreamedReply:
    """What a model said in a stream, and when its parts came, in seconds after the request.

    ``thought`` is what a server keeps apart as reasoning; ``finish`` why the text ends, in the
    server's word; ``served`` the name the server gives its model. Token counts are ``None`` where
    the server counts none, and ``marks`` is empty where it answered all at once.
    """

    text: str
    thought: str
    finish: str
    served: str
    input_tokens: int | None
    output_tokens: int | None
    seconds: float
    marks: tuple[float, ...]
