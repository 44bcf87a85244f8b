"""The answers of models behind servers: streamed, timed and priced, within a budget."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from calibration.configuration import Calibration
from calibration.corpus.records import Record, instruction, prompt_hash, record_of
from calibration.libraries import require
from calibration.models.endpoints import (
    BadRequestError,
    Endpoint,
    NoAnswerError,
    StreamedReply,
    UnknownRouteError,
)
from calibration.models.language_models import seed_of
from calibration.models.server_keys import origin, read_secret
from calibration.models.spending import Budget, Sent, side_by_side
from calibration.progress import Advance, Report, progress
from calibration.stage_settings import AskedEvaluatorSpec, EndpointSpec
from calibration.workspace import (
    Log,
    StageCounts,
    Stamp,
    complete_log,
    current_rows,
    digest,
)
from poq_abm.errors import InputError

__all__ = ["AskedEndpoint", "check_endpoints"]

Row = dict[str, Any]

FAILURES_IN_A_ROW = 3  # questions without an answer before we call a server broken
#: How the longest answer is called, whether a seed is sent, whether counts are asked for: servers
#: differ in what they reject. What the first question finds to work is kept.
_WAYS = (
    ("max_tokens", True, True),
    ("max_completion_tokens", True, True),
    ("max_tokens", False, True),
    ("max_tokens", False, False),
)
_STOPS = {"stop": "eos"}  # what servers call an answer that ends by itself


@dataclass(frozen=True)
class _Asked:
    """One question to a server: its reply, or why there is none, and the requests it took."""

    reply: StreamedReply | None
    calls: int
    usd: float | None
    failure: str = ""


class AskedEndpoint:
    """The answers of one endpoint to some records, each in the log before another is asked for.

    At most ``concurrency`` questions are on their way at once. A question without an answer leaves
    a row of its error, and is asked again by the next run.
    """

    def __init__(
        self,
        calibration: Calibration,
        spec: EndpointSpec,
        records: Sequence[Record],
        log: Log,
        concurrency: int,
    ) -> None:
        self.calibration, self.spec, self.records = calibration, spec, records
        self.log, self.concurrency = log, concurrency
        common = {
            "model": spec.name,
            "endpoint": spec.model,
            "options": spec.options,
            "decoding": calibration.generation.determining("traces"),
            "seed": calibration.seed,
        }
        asked = {r.id: prompt_hash("chat", r, calibration.prompts) for r in records}
        self.keys = {name: digest({**common, "prompt": prompt}) for name, prompt in asked.items()}
        self._sent = Sent(spec, log.path)
        self._way: tuple[str, bool, bool] | None = None
        self._served = self._last = ""
        self._made = self._empty = self._failed = self._failed_in_a_row = 0

    def complete(self, report: Report, *, resend: bool = False) -> StageCounts:
        """Ask for every answer that is missing, within the budget; return the counts.

        What was lost on its way is asked for again only to ``resend`` it
        (:class:`~calibration.models.spending.Sent`).

        Raises :class:`~poq_abm.errors.InputError` when no answer can be had, when three questions
        in a row have none, and when the server changes the name of its model.
        """
        stamp = Stamp(self.spec.model, "endpoint", {})

        def make(found: Mapping[str, Row], missing: int) -> int:
            place = origin(self.spec.base_url)
            report(f"{self.spec.name}: {missing} outputs to ask for at {place}")
            self._served = next((str(row["served"]) for row in found.values()), "")
            waiting = [record for record in self.records if record.id not in found]
            waiting = self._sent.to_ask(
                waiting, self._name, lambda line: report(f"{self.spec.name}: {line}"), resend=resend
            )
            with progress(report, self.spec.name, len(waiting)) as advance:
                self._ask_all(waiting, report, advance)
            return self._made

        return complete_log(self.log, stamp, self.keys, record_of, make)

    def rows(self) -> list[Row]:
        """Return the answers that are there, in the order of the records."""
        found = current_rows(self.log.path, lambda _: self.keys, record_of)
        return [found[record.id] for record in self.records if record.id in found]

    def _ask_all(self, records: Sequence[Record], report: Report, advance: Advance) -> None:
        budget = Budget(self.spec, self.log.read()[0], self._sent.unknown)
        secret = read_secret(self.spec.key_variable, self.spec.base_url, os.environ)
        with Endpoint(self.spec, secret, "model", f"models.{self.spec.name}") as endpoint:

            def ask(record: Record, left: int) -> _Asked:
                return self._ask(endpoint, budget, record, left)

            def permit(on_their_way: int) -> int:
                if on_their_way and self._way is None:
                    return 0
                return budget.permit(on_their_way, self.spec.retries + 1)

            def after() -> None:
                advance(self._last)

            side_by_side(records, ask, self._keep, self.concurrency, permit, after)
        if self._empty:
            report(f"{self.spec.name}: {self._empty} of {self._made} answers are empty")
        if budget.stopped is not None:
            report(f"{self.spec.name}: stopped: {budget.stopped}")
        elif self._failed:
            report(f"{self.spec.name}: {self._failed} questions got no answer; run again to ask")

    def _ask(self, endpoint: Endpoint, budget: Budget, record: Record, left: int) -> _Asked:
        """Ask until there is an answer or no more request is allowed."""
        start, failure, name = endpoint.calls, "", self._name(record)
        self._sent.leaving(name)
        try:
            while left > 0:
                before = endpoint.calls
                try:
                    reply = self._stream(endpoint, record, left - 1)
                except BadRequestError as error:
                    failure = str(error)
                    break
                except NoAnswerError as error:  # also of a stream that breaks, paid for or not
                    failure = str(error)
                else:
                    usd = budget.charge(reply.input_tokens, reply.output_tokens)
                    return _Asked(reply, endpoint.calls - start, usd)
                finally:
                    sent = endpoint.calls - before
                    budget.count_calls(sent)
                    left -= sent
        except InputError:  # no request can succeed, and none was paid for
            self._sent.back(name)
            raise
        finally:
            budget.give_back(left)
        return _Asked(None, endpoint.calls - start, None, failure)

    def _stream(self, endpoint: Endpoint, record: Record, retries: int) -> StreamedReply:
        rejected, start = "", endpoint.calls
        for way in _WAYS if self._way is None else (self._way,):
            before = endpoint.calls
            try:
                reply = endpoint.stream(retries, **self._body(record, way))
            except BadRequestError as error:
                rejected = rejected or str(error)
            except UnknownRouteError as error:
                unknown = str(error)
                break
            else:
                self._way = way
                endpoint.forget(before - start)  # finding out the way cost nothing
                return reply
        else:
            raise BadRequestError(rejected)
        raise endpoint.unknown(unknown)

    def _body(self, record: Record, way: tuple[str, bool, bool]) -> dict[str, Any]:
        longest, seeded, counted = way
        settings = self.calibration.generation
        seed = seed_of(self.calibration.seed, self.spec.name, [record.id]) % 2**31
        asked = instruction(record, self.calibration.prompts)
        messages = [("system", settings.system), ("user", asked)]
        return {
            "messages": [{"role": role, "content": text} for role, text in messages if text],
            longest: settings.max_new_tokens,
            "temperature": settings.temperature,
            "top_p": settings.top_p,
            **({"stop": list(settings.stop)} if settings.stop else {}),
            **({"seed": seed} if seeded else {}),
            **({"stream_options": {"include_usage": True}} if counted else {}),
            "extra_body": self.spec.options,
            "extra_headers": self._sent.headers(self._name(record)),
        }

    def _keep(self, record: Record, asked: _Asked) -> None:
        """Append the answer, or the error; only then does it count."""
        reply = asked.reply
        if reply is None:
            error = {"record": record.id, "model": self.spec.name, "error": asked.failure}
            self._append(record, {**error, "attempts": asked.calls})
            self._failed, self._last = self._failed + 1, asked.failure
            self._failed_in_a_row += 1
            if self._failed_in_a_row == FAILURES_IN_A_ROW:
                raise InputError(
                    f"{self.spec.name}: {FAILURES_IN_A_ROW} questions in a row got no answer: "
                    f"{asked.failure}; what was answered is kept, run again to go on"
                )
            return
        self._failed_in_a_row, self._last = 0, reply.text
        self._served = self._served or reply.served
        is_same = reply.served in ("", self._served)
        key = self.keys[record.id]
        self._append(record, self._row(record, reply, asked, key if is_same else f"{key} other"))
        if not is_same:
            raise InputError(
                f"{self.spec.name}: the server calls its model {reply.served!r} now, and called "
                f"it {self._served!r} before; name the version you want as 'model', or remove "
                f"{self.log.path} to begin anew"
            )
        self._made += 1
        self._empty += not reply.text.strip()

    def _append(self, record: Record, row: Row) -> None:
        self.log.append(row)
        self._sent.back(self._name(record))

    def _name(self, record: Record) -> str:
        return digest([record.id, self.keys[record.id]])

    def _row(self, record: Record, reply: StreamedReply, asked: _Asked, key: str) -> Row:
        first, last = (reply.marks[0], reply.marks[-1]) if reply.marks else (None, None)
        steps = (reply.output_tokens or len(reply.marks)) - 1
        return {
            "record": record.id,
            "model": self.spec.name,
            "key": key,
            "prompt_sha256": prompt_hash("chat", record, self.calibration.prompts),
            "output": reply.text.strip(),
            "thought": reply.thought,
            "input_tokens": reply.input_tokens,
            "output_tokens": reply.output_tokens,
            "stop": _STOPS.get(reply.finish, reply.finish),
            "seconds": reply.seconds,
            "first_token_s": first,
            "token_s": (last - first) / steps if first is not None and last and steps else None,
            "concurrency": self.concurrency,
            "attempts": asked.calls,
            "usd": asked.usd,
            "served": reply.served,
        }


def check_endpoints(specs: Sequence[EndpointSpec | AskedEvaluatorSpec]) -> None:
    """Raise an input error if there are endpoints but no client library, or no key of one."""
    if specs:
        require("openai")
    for spec in specs:
        read_secret(spec.key_variable, spec.base_url, os.environ)
