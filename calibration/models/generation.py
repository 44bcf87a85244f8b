"""Second stage: every model answers every record, and each answer is on the disk once it exists.

At batch size 1 an output depends on nothing but the model, the record and the settings: its random
numbers are seeded by (seed, model, record). In larger batches it also depends on which records
share its batch; batches are cut out of the corpus in its order, the same in every run, as long as
memory suffices.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from calibration.configuration import Calibration
from calibration.corpus.records import Record, instruction, read_corpus
from calibration.libraries import require
from calibration.models.checkpoints import ModelSource, locate_all
from calibration.models.devices import Batches, chosen_device, chunks, kind_of_device, release
from calibration.models.endpoints import (
    BadRequestError,
    Budget,
    Endpoint,
    NoAnswerError,
    StreamedReply,
    UnknownRouteError,
    origin,
    read_secret,
    side_by_side,
)
from calibration.models.language_models import (
    LanguageModel,
    ModelAnswer,
    Prompt,
    PromptForm,
    fit_prompt,
    load_language_model,
    sample,
    seed_of,
)
from calibration.progress import Advance, Report, progress
from calibration.stage_settings import AskedEvaluatorSpec, EndpointSpec, ModelSpec
from calibration.workspace import (
    Log,
    StageCounts,
    Stamp,
    Workspace,
    complete_log,
    current_rows,
    digest,
    versions,
)
from poq_abm.errors import InputError

__all__ = ["AskedEndpoint", "check_endpoints", "generate", "outputs", "without_trace"]

Row = dict[str, Any]
Batch = tuple[list[Prompt], list[ModelAnswer], float]


def generate(calibration: Calibration, report: Report) -> dict[str, StageCounts]:
    """Make every output that is not on the disk yet; return the counts of each model.

    Raises :class:`~poq_abm.errors.InputError` when a model cannot be found, before any work, and
    when one cannot be loaded or runs out of memory with a single prompt. Whatever interrupts it,
    the outputs made so far are kept.
    """
    workspace = Workspace(calibration.out)
    records = read_corpus(workspace.corpus)
    device = chosen_device(calibration.generation.device) if calibration.checkpoints else ""
    sources = locate_all(calibration.checkpoints)
    check_endpoints(calibration.endpoints)
    counts = {}
    for spec in calibration.models:
        if isinstance(spec, EndpointSpec):
            log = Log(workspace.generations(spec.name))
            asked = AskedEndpoint(calibration, spec, records, log, spec.concurrency)
            counts[spec.name] = asked.complete(report)
        else:
            stage = _Generation(calibration, spec, records, device, report)
            counts[spec.name] = stage.run(sources[spec.name])
            release(device)
        report(f"{spec.name}: {counts[spec.name]}")
    return counts


def outputs(
    calibration: Calibration, spec: ModelSpec | EndpointSpec, records: Sequence[Record]
) -> dict[str, Row]:
    """Return the current row of each record that has one, by the id of the record.

    Current: made with the prompts and settings of this configuration, and with the revision and the
    libraries of the last run. Needs neither the model nor its libraries. A log without a stamp was
    made by other means; there the last row of a record counts. Where the configuration removes
    thinking traces, an output is what follows its trace.
    """
    made = _logged(calibration, spec, records)
    if calibration.generation.traces == "keep":
        return made
    return {name: {**row, "output": without_trace(row["output"])} for name, row in made.items()}


def _logged(
    calibration: Calibration, spec: ModelSpec | EndpointSpec, records: Sequence[Record]
) -> dict[str, Row]:
    log = Workspace(calibration.out).generations(spec.name)
    if isinstance(spec, EndpointSpec):
        asked = AskedEndpoint(calibration, spec, records, Log(log), spec.concurrency)
        return current_rows(log, lambda _: asked.keys, _record_of)
    return current_rows(log, lambda stamp: _keys(calibration, spec, records, stamp), _record_of)


class _Generation:
    """The answers of one model, in the order of the corpus."""

    def __init__(
        self,
        calibration: Calibration,
        spec: ModelSpec,
        records: Sequence[Record],
        device: str,
        report: Report,
    ) -> None:
        self.calibration = calibration
        self.spec = spec
        self.records = records
        self.device = device
        self.report = report
        self.log = Log(Workspace(calibration.out).generations(spec.name))
        self.batches = Batches(spec.batch_size, spec.name, report, partial(release, device))

    def run(self, source: ModelSource) -> StageCounts:
        libraries = versions("torch", "transformers", "tokenizers")
        stamp = Stamp(source.revision, kind_of_device(self.device), libraries)
        keys = _keys(self.calibration, self.spec, self.records, stamp)

        def make(found: Mapping[str, Row], missing: int) -> int:
            self.report(f"{self.spec.name}: {missing} outputs to make on {self.device}")
            model = load_language_model(self.spec, source, self.device)
            with progress(self.report, self.spec.name, missing) as advance:
                self._make(model, keys, found, advance)
            return missing

        return complete_log(self.log, stamp, keys, _record_of, make)

    def _make(
        self,
        language_model: LanguageModel,
        keys: Mapping[str, str],
        found: Mapping[str, Row],
        advance: Advance,
    ) -> None:
        """Answer every chunk that lacks a row, as a whole: what is there comes out the same."""
        if self.spec.prompt == "chat" and not language_model.tokenizer.chat_template:
            self.report(f"{self.spec.name}: no chat template; the instruction is given as it is")
        cut = 0
        for chunk in chunks(self.records, self.spec.batch_size):
            if all(record.id in found for record in chunk):
                continue
            for part, (prompts, answers, seconds) in self.batches.run(
                chunk, partial(self._answer, language_model)
            ):
                for record, prompt, answer in zip(part, prompts, answers, strict=True):
                    if record.id not in found:
                        measured = {"seconds": seconds, "batch_size": len(part)}
                        row = self._row(record, prompt, answer, keys[record.id])
                        self.log.append({**row, **measured})
                        advance(answer.text)
                        cut += prompt.cut_tokens > 0
        if cut:
            self.report(
                f"{self.spec.name}: {cut} prompts lost the middle of their input to fit "
                f"{language_model.context} tokens"
            )

    def _answer(self, language_model: LanguageModel, part: Sequence[Record]) -> Batch:
        prompts = [self._prompt(language_model, record) for record in part]
        names = [record.id for record in part]
        seed = seed_of(self.calibration.seed, self.spec.name, names)
        start = time.perf_counter()
        answers = sample(language_model, prompts, self.calibration.generation, seed)
        return prompts, answers, time.perf_counter() - start

    def _prompt(self, language_model: LanguageModel, record: Record) -> Prompt:
        room, new = language_model.context, self.calibration.generation.max_new_tokens
        limit = None if room is None else room - new
        if limit is not None and limit < 1:
            raise InputError(
                f"{self.spec.name} holds {room} tokens, prompt and output together: "
                f"max_new_tokens of {new} leaves none for the prompt"
            )
        instruct = partial(instruction, templates=self.calibration.prompts)
        try:
            form = PromptForm.of(self.spec, self.calibration.generation)
            return fit_prompt(language_model.tokenizer, record, instruct, form, limit)
        except InputError as error:
            raise InputError(f"{self.spec.name}: {error}") from error

    def _row(self, record: Record, prompt: Prompt, answer: ModelAnswer, key: str) -> Row:
        return {
            "record": record.id,
            "model": self.spec.name,
            "key": key,
            "prompt_sha256": _prompt_hash(self.calibration, self.spec.prompt, record),
            "output": answer.text,
            "input_tokens": len(prompt.tokens),
            "cut_tokens": prompt.cut_tokens,
            "output_tokens": answer.tokens,
            "stop": answer.stop,
        }


def _record_of(row: Row) -> str:
    return str(row.get("record"))


def _prompt_hash(calibration: Calibration, style: str, record: Record) -> str:
    """Return the hash of style and instruction; a chat template belongs to the revision."""
    text = f"{style}\n{instruction(record, calibration.prompts)}"
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _keys(
    calibration: Calibration, spec: ModelSpec, records: Sequence[Record], stamp: Stamp
) -> dict[str, str]:
    """Return the key that the row of each record must have."""
    common = {
        "model": spec.name,
        "dtype": spec.dtype,
        "batch_size": spec.batch_size,
        **({"template": spec.template} if spec.template else {}),
        "decoding": calibration.generation.determining("traces"),
        "seed": calibration.seed,
        "stamp": stamp.as_data(),
    }
    return {
        record.id: digest({**common, "prompt": _prompt_hash(calibration, spec.prompt, record)})
        for record in records
    }


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
        self.keys = {
            record.id: digest({**common, "prompt": _prompt_hash(calibration, "chat", record)})
            for record in records
        }
        self._way: tuple[str, bool, bool] | None = None
        self._served = self._last = ""
        self._made = self._empty = self._failed = self._failed_in_a_row = 0

    def complete(self, report: Report) -> StageCounts:
        """Ask for every answer that is missing, within the budget; return the counts.

        Raises :class:`~poq_abm.errors.InputError` when no answer can be had, when three questions
        in a row have none, and when the server changes the name of its model.
        """
        stamp = Stamp(self.spec.model, "endpoint", {})

        def make(found: Mapping[str, Row], missing: int) -> int:
            place = origin(self.spec.base_url)
            report(f"{self.spec.name}: {missing} outputs to ask for at {place}")
            self._served = next((str(row["served"]) for row in found.values()), "")
            waiting = [record for record in self.records if record.id not in found]
            with progress(report, self.spec.name, missing) as advance:
                self._ask_all(waiting, report, advance)
            return self._made

        return complete_log(self.log, stamp, self.keys, _record_of, make)

    def rows(self) -> list[Row]:
        """Return the answers that are there, in the order of the records."""
        found = current_rows(self.log.path, lambda _: self.keys, _record_of)
        return [found[record.id] for record in self.records if record.id in found]

    def _ask_all(self, records: Sequence[Record], report: Report, advance: Advance) -> None:
        budget = Budget(self.spec, self.log.read()[0])
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
        start, failure = endpoint.calls, ""
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
        }

    def _keep(self, record: Record, asked: _Asked) -> None:
        """Append the answer, or the error; only then does it count."""
        reply = asked.reply
        if reply is None:
            error = {"record": record.id, "model": self.spec.name, "error": asked.failure}
            self.log.append({**error, "attempts": asked.calls})
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
        self.log.append(self._row(record, reply, asked, key if is_same else f"{key} other"))
        if not is_same:
            raise InputError(
                f"{self.spec.name}: the server calls its model {reply.served!r} now, and called "
                f"it {self._served!r} before; name the version you want as 'model', or remove "
                f"{self.log.path} to begin anew"
            )
        self._made += 1
        self._empty += not reply.text.strip()

    def _row(self, record: Record, reply: StreamedReply, asked: _Asked, key: str) -> Row:
        first, last = (reply.marks[0], reply.marks[-1]) if reply.marks else (None, None)
        steps = (reply.output_tokens or len(reply.marks)) - 1
        return {
            "record": record.id,
            "model": self.spec.name,
            "key": key,
            "prompt_sha256": _prompt_hash(self.calibration, "chat", record),
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


_TAGS = r"(?:think|thinking|thought|reasoning|analysis)"
_OPENED = re.compile(rf"\s*<{_TAGS}>", re.IGNORECASE)
_CLOSED = re.compile(rf"</{_TAGS}>", re.IGNORECASE)


def without_trace(text: str) -> str:
    """Return what follows the last closing tag of a trace; a text without a tag is left alone.

    The tags are ``think``, ``thinking``, ``thought``, ``reasoning`` and ``analysis``. The opening
    one may be missing, since some chat templates write it into the prompt. A trace that is opened
    and never closed was cut off before the answer: nothing is left.

    >>> without_trace("<think>Is it 7? No.</think> 42")
    '42'
    >>> without_trace("<think>Is it 7? No, it")
    ''
    >>> without_trace("x < y and y > z ")
    'x < y and y > z '
    """
    closings = list(_CLOSED.finditer(text))
    rest = text[closings[-1].end() :].strip() if closings else text
    return "" if _OPENED.match(rest) else rest
