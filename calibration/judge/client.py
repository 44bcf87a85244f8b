"""One question to the judge, asked in the way its server takes, and the reply that comes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from calibration.models.endpoints import (
    BadRequestError,
    Endpoint,
    NoAnswerError,
    UnknownRouteError,
    listed,
    text_of,
    tokens_used,
)
from calibration.models.server_keys import Secret
from calibration.stage_settings import AskedSettings

__all__ = ["WAYS", "JudgeClient", "Reply", "Way"]

FORMAT = "judgement"  # what the schema is called
CUT = {"length", "max_tokens", "max_output_tokens"}  # why a server ends a text too early


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

    ``is_cut`` says that the server ended the text at its limit of tokens, ``served`` what it calls
    its model. Nothing in it holds the key, even where the server repeated it.
    """

    text: str
    declined: bool
    is_cut: bool
    input_tokens: int | None
    output_tokens: int | None
    served: str = ""


class _Asked(NamedTuple):
    """A question in the words of the protocol."""

    prompt: str
    text: str
    schema: dict[str, Any]
    retries: int
    headers: Mapping[str, str]


class JudgeClient(Endpoint):
    """The endpoint of a judge, or of an evaluator that is asked for scores.

    A server that does not know a route (404, 405, 501) or rejects a request (400, 422) before any
    has succeeded is asked in the next of :data:`WAYS`: with ``api: auto`` the Responses API, then
    chat completions, each for a reply that follows a schema, then for any JSON object, then for
    text. The ``way`` that succeeds is kept from then on, and the requests that found it out do not
    count as calls.
    """

    def __init__(
        self, settings: AskedSettings, secret: Secret, who: str = "judge", section: str = "judge"
    ) -> None:
        super().__init__(settings, secret, who, section)
        self._api = settings.api
        self._unknown_routes: set[str] = set()
        self.way: Way | None = None

    def ask(
        self,
        prompt: str,
        text: str,
        schema: dict[str, Any],
        retries: int = 0,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Return the judge's reply to one message after a system prompt.

        It is asked again at most ``retries`` times, with the ``headers``. Raises as
        :meth:`~calibration.models.endpoints.Endpoint.send`, where no way of asking does.
        """
        asked = _Asked(prompt, text, schema, retries, headers or {})
        if self.way is None:
            return self._find_way(asked)
        try:
            return self._ask(self.way, asked)
        except UnknownRouteError as error:
            unknown = str(error)
        raise self.unknown(unknown)

    def _find_way(self, asked: _Asked) -> Reply:
        """Return the reply to the first way of asking that the server takes, and keep that way."""
        rejected: NoAnswerError | None = None
        unknown, start = "", self.calls
        for way in WAYS[self._api]:
            if way.route in self._unknown_routes:
                continue
            sent = self.calls
            try:
                reply = self._ask(way, asked)
            except UnknownRouteError as error:
                unknown = str(error)
                self._unknown_routes.add(way.route)
                self.forget(self.calls - sent)
            except BadRequestError as error:
                rejected = NoAnswerError(str(error))
            else:
                self.way = way
                self.forget(sent - start)  # finding out the way cost nothing
                return reply
        if rejected is not None:
            raise rejected
        is_choice = self._api == "responses"
        raise self.unknown(f"{self.section}.api may have to be chat" if is_choice else unknown)

    def _ask(self, way: Way, asked: _Asked) -> Reply:
        named = {"name": FORMAT, "schema": asked.schema, "strict": True}
        is_schema = way.form == "json_schema"
        if way.route == "responses":
            form = {"type": way.form, **(named if is_schema else {})}
            body = self.send(
                way.route,
                asked.retries,
                instructions=asked.prompt,
                input=asked.text,
                store=False,
                extra_headers=asked.headers,
                **({} if way.form == "text" else {"text": {"format": form}}),
            )
            return self._read_response(body)
        form = {"type": way.form, **({"json_schema": named} if is_schema else {})}
        said = [("system", asked.prompt), ("user", asked.text)]
        body = self.send(
            way.route,
            asked.retries,
            messages=[{"role": role, "content": content} for role, content in said],
            extra_headers=asked.headers,
            **({} if way.form == "text" else {"response_format": form}),
        )
        return self._read_completion(body)

    def _read_response(self, body: dict[str, Any]) -> Reply:
        parts = [part for item in listed(body, "output") for part in listed(item, "content")]
        declined = [str(part["refusal"]) for part in parts if part.get("refusal")]
        said = [str(part.get("text") or "") for part in parts if part.get("type") == "output_text"]
        details = body.get("incomplete_details")
        reason = details.get("reason") if isinstance(details, dict) else None
        return self._reply(body, declined, "".join(said), str(reason), ("input", "output"))

    def _read_completion(self, body: dict[str, Any]) -> Reply:
        choice = next(iter(listed(body, "choices")), {})
        message = choice["message"] if isinstance(choice.get("message"), dict) else {}
        declined = [str(message["refusal"])] if message.get("refusal") else []
        reason = str(choice.get("finish_reason"))
        return self._reply(body, declined, text_of(message), reason, ("prompt", "completion"))

    def _reply(
        self, body: dict[str, Any], declined: list[str], said: str, reason: str, of: tuple[str, str]
    ) -> Reply:
        """Return what was said; ``reason`` is why the server ended it, in its own word."""
        of_input, of_output = (tokens_used(body.get("usage"), side) for side in of)
        filtered = reason == "content_filter"
        text = "".join(declined) or ("the reply was filtered" if filtered else said)
        is_cut = reason in CUT
        served = self.redact(str(body.get("model") or ""))
        is_refusal = bool(declined) or filtered
        return Reply(self.redact(text), is_refusal, is_cut, of_input, of_output, served)
