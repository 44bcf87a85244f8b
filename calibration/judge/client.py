"""The conversation with a judge: one question, one reply, every failure in our own words.

The official client speaks to any server that knows the Responses API or chat completions; its
timeouts, its retries and its typed errors are the ones in force. Every request it sends is counted.
No exception of the client leaves this module: its text, its request and its chain may hold the key,
which is read from the environment, sent to the server and shown to nobody.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from ipaddress import ip_address
from types import TracebackType
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from calibration.judge.verdicts import SCHEMA, SYSTEM_PROMPT
from calibration.libraries import require
from calibration.stage_settings import JudgeSettings
from poq_abm.errors import InputError, PoqError

__all__ = [
    "HIDDEN",
    "OFFICIAL",
    "WAYS",
    "JudgeClient",
    "NoAnswerError",
    "Reply",
    "Secret",
    "Way",
    "is_local",
    "origin",
    "read_secret",
]

OFFICIAL = "https://api.openai.com/v1"
PLACEHOLDER = "no-key-needed"
HIDDEN = "[hidden]"
SHORT = 8  # characters; a shorter key is hidden only where it stands alone, lest it spoil words

FORMAT = "judgement"  # what the schema is called
UNKNOWN_ROUTE = {404, 405, 501}
REFUSED_KEY = {401, 403}
NO_CREDIT = 402
REJECTED = {400, 422}
BAD_GATEWAY = 502  # what a reply counts as that came with status 200 and is none
OUT_OF_CREDIT = {"insufficient_quota", "billing_hard_limit_reached"}
CUT = {"length", "max_tokens", "max_output_tokens"}  # why a server ends a text too early
LONGEST_WAIT_S = 60.0  # a server that wants more is left alone until the next run
MESSAGE = 300  # characters of a server's message worth showing


class NoAnswerError(PoqError):
    """The server gave no reply to a question, however often it was asked."""


class _UnknownRouteError(PoqError):
    """The server does not know this path, or not this model."""


class _BadRequestError(NoAnswerError):
    """The server rejects this request: the way it is asked, or this very question."""


class Secret:
    """A key that no ``print``, ``repr``, log record or traceback shows.

    >>> secret = Secret("sk-0123456789")
    >>> secret
    Secret([hidden])
    >>> secret.redact("Incorrect key: sk-0123456789.")
    'Incorrect key: [hidden].'
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def __repr__(self) -> str:
        return f"Secret({HIDDEN})"

    @property
    def is_empty(self) -> bool:
        """Whether there is no key."""
        return not self._value

    @property
    def can_be_sent(self) -> bool:
        """Whether the key fits into a header: printable ASCII without blanks."""
        return re.fullmatch(r"[!-~]+", self._value) is not None

    def reveal(self) -> str:
        """Return the key itself, for the client alone."""
        return self._value

    def redact(self, text: str) -> str:
        """Return ``text`` with the key blotted out, also where JSON has escaped its slashes."""
        if self._value == PLACEHOLDER:
            return text
        edge = r"\b" if len(self._value) < SHORT else ""
        for form in {self._value, self._value.replace("/", r"\/")}:
            text = re.sub(f"{edge}{re.escape(form)}{edge}", HIDDEN, text)
        return text


def read_secret(variable: str, address: str, environment: Mapping[str, str]) -> Secret:
    """Return the key in this environment variable; a local server needs none.

    Raises :class:`~poq_abm.errors.InputError` when the variable is not set, empty, or cannot be
    sent. The message never repeats a value.

    >>> read_secret("OPENAI_API_KEY", "http://127.0.0.1:8000/v1", {}).reveal()
    'no-key-needed'
    """
    secret = Secret(environment.get(variable, "").strip())  # no frame shall show a bare key
    if secret.is_empty and is_local(address):
        return Secret(PLACEHOLDER)
    if secret.is_empty:
        raise InputError(
            f"the environment variable {variable} holds no key for {origin(address)}; "
            f"set it, or name another one in judge.key_variable"
        )
    if not secret.can_be_sent:
        raise InputError(f"the key in {variable} has a blank or a character that is not ASCII")
    return secret


def origin(address: str) -> str:
    """Return scheme, host and port of an address, which are safe to show.

    >>> origin("https://api.openai.com/v1?token=abc")
    'https://api.openai.com'
    """
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


def is_local(address: str) -> bool:
    """Return whether a server runs on this machine or in this network, where keys are rare.

    >>> [is_local(f"http://{host}:8000/v1") for host in ("localhost", "10.0.0.3", "gpu7", "a.com")]
    [True, True, True, False]
    """
    host = urlsplit(address).hostname or ""
    try:
        number = ip_address(host)
    except ValueError:
        return "." not in host or host.endswith((".local", ".localhost", ".internal"))
    return number.is_private or number.is_loopback or number.is_link_local


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
    text. The ``way`` that succeeds is kept from then on. ``calls`` counts the requests sent, those
    of the client's own retries too, but not those that found out the way.
    """

    def __init__(self, settings: JudgeSettings, secret: Secret) -> None:
        require("openai")
        self._library: Any = import_module("openai")
        self._settings = settings
        self._secret = secret
        self._address = settings.base_url or OFFICIAL
        self._unknown_routes: set[str] = set()
        self._is_reached = False
        self._fault = ""  # of the last reply, if it came with status 200 and is none
        self.way: Way | None = None
        self.calls = 0
        self._client: Any = self._library.OpenAI(
            api_key=secret.reveal(),
            base_url=self._address,
            timeout=settings.timeout_s,
            # a proxy for the outside world knows no local server
            http_client=self._library.DefaultHttpxClient(
                trust_env=not is_local(self._address),
                event_hooks={"request": [self._count], "response": [self._examine]},
            ),
        )

    def __enter__(self) -> JudgeClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._client.close()

    def ask(self, text: str, retries: int = 0) -> Reply:
        """Return the judge's reply to one message, asked again at most ``retries`` times.

        Only what may pass is asked again: a busy or broken server, a connection that breaks.

        Raises :class:`NoAnswerError` when there is none, and
        :class:`~poq_abm.errors.InputError` when no request can succeed: a server that cannot be
        reached, a key it refuses, a model it does not know, no credit left, a wait of more than a
        minute.
        """
        if not self._is_reached and is_local(self._address):
            self._check_listening()
        patient = self._client.with_options(max_retries=retries)
        if self.way is None:
            return self._find_way(patient, text)
        try:
            return self._ask(patient, self.way, text)
        except _UnknownRouteError as error:
            unknown = str(error)
        raise self._unknown(unknown)

    def _find_way(self, patient: Any, text: str) -> Reply:
        """Return the reply to the first way of asking that the server takes, and keep that way."""
        rejected: NoAnswerError | None = None
        unknown, start = "", self.calls
        for way in WAYS[self._settings.api]:
            if way.route in self._unknown_routes:
                continue
            sent = self.calls
            try:
                reply = self._ask(patient, way, text)
            except _UnknownRouteError as error:
                unknown = str(error)
                self._unknown_routes.add(way.route)
                self.calls = sent
            except _BadRequestError as error:
                rejected = NoAnswerError(str(error))
            else:
                self.way = way
                self.calls -= sent - start  # finding out the way cost nothing
                return reply
        if rejected is not None:
            raise rejected
        is_choice = self._settings.api == "responses"
        raise self._unknown("judge.api may have to be chat" if is_choice else unknown)

    def _ask(self, patient: Any, way: Way, text: str) -> Reply:
        schema = {"name": FORMAT, "schema": SCHEMA, "strict": True}
        if way.route == "responses":
            form = {"type": way.form, **(schema if way.form == "json_schema" else {})}
            body = self._send(
                patient.responses,
                instructions=SYSTEM_PROMPT,
                input=text,
                store=False,
                **({} if way.form == "text" else {"text": {"format": form}}),
            )
            return self._read_response(body)
        form = {"type": way.form, **({"json_schema": schema} if way.form == "json_schema" else {})}
        said = [("system", SYSTEM_PROMPT), ("user", text)]
        body = self._send(
            patient.chat.completions,
            messages=[{"role": role, "content": content} for role, content in said],
            **({} if way.form == "text" else {"response_format": form}),
        )
        return self._read_completion(body)

    def _read_response(self, body: dict[str, Any]) -> Reply:
        parts = [part for item in _list(body, "output") for part in _list(item, "content")]
        declined = [str(part["refusal"]) for part in parts if part.get("refusal")]
        said = [str(part.get("text") or "") for part in parts if part.get("type") == "output_text"]
        reason = _dict(body, "incomplete_details").get("reason")
        return self._reply(body, declined, "".join(said), str(reason), ("input", "output"))

    def _read_completion(self, body: dict[str, Any]) -> Reply:
        choice = next(iter(_list(body, "choices")), {})
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
        failure: PoqError
        try:
            raw = resource.with_raw_response.create(model=self._settings.model, **body)
            answered: dict[str, Any] = raw.http_response.json()
        except library.APIStatusError as error:
            failure = self._refusal(error.status_code, error.body, error.response.headers)
        except library.APITimeoutError as error:
            is_deaf = type(error.__cause__).__name__ == "ConnectTimeout"
            failure = self._silence(f"gave no answer in {self._settings.timeout_s:g} s", is_deaf)
        except (library.APIConnectionError, UnicodeError):  # a host no name server takes
            failure = self._silence("broke the connection", is_deaf=True)
        else:
            return answered
        raise failure

    def _count(self, _: Any) -> None:
        self.calls += 1

    def _examine(self, reply: Any) -> None:
        """Give a reply that is none the status it deserves; say where to ask again is pointless.

        The client then retries and names it as if the server had told the truth.
        """
        self._is_reached, self._fault = True, ""
        reply.read()
        body = _decoded(reply.text)
        if reply.is_success and (fault := self._fault_of(body)):
            reply.status_code, self._fault = fault
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
        if _list(body, "choices") or isinstance(body.get("output"), list):
            return None
        return BAD_GATEWAY, f"without any {'choice' if 'choices' in body else 'output'}"

    def _refusal(self, status: int, error: Any, headers: Mapping[str, str]) -> PoqError:
        """Return what an HTTP status means for this question, or for all."""
        stated = self._fault or f"{status} {self._message(error)}".strip()
        if status in REFUSED_KEY:
            return InputError(
                f"{self._place} refuses the key in {self._settings.key_variable} ({stated})"
            )
        if _codes(error) & OUT_OF_CREDIT or status == NO_CREDIT:
            return InputError(f"{self._place} has no credit left for this key ({stated})")
        if "model_not_found" in _codes(error):
            return self._unknown(stated)
        if status in UNKNOWN_ROUTE:
            return _UnknownRouteError(stated)
        if status in REJECTED:
            return _BadRequestError(f"{self._place} answered {stated}")
        return self._later(stated, _seconds(headers.get("retry-after")))

    def _later(self, stated: str, wait_s: float) -> PoqError:
        if wait_s <= LONGEST_WAIT_S:
            return NoAnswerError(f"{self._place} answered {stated}")
        return InputError(
            f"the judge's server asks us to wait {wait_s:.0f} s; what was judged is kept, "
            f"run again after that"
        )

    def _silence(self, event: str, is_deaf: bool) -> PoqError:
        """Return what it means that nothing came back: nobody is there, or something broke."""
        if self._is_reached or not is_deaf:
            return NoAnswerError(f"{self._place} {event}")
        return self._nobody()

    def _check_listening(self) -> None:
        """Raise at once if nobody listens on this machine, where no retry would find anybody."""
        parts = urlsplit(self._address)
        port = parts.port or {"https": 443}.get(parts.scheme, 80)
        try:
            socket.create_connection((parts.hostname or "", port), self._settings.timeout_s).close()
        except (OSError, UnicodeError):
            raise self._nobody() from None

    def _nobody(self) -> InputError:
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


def _dict(body: dict[str, Any], key: str) -> dict[str, Any]:
    value = body.get(key)
    return value if isinstance(value, dict) else {}


def _list(body: dict[str, Any], key: str) -> list[dict[str, Any]]:
    value = body.get(key)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
