"""Second stage: every model answers every record, and each answer is on the disk once it exists.

At batch size 1 an output depends on nothing but the model, the record and the settings: its random
numbers are seeded by (seed, model, record). In larger batches it also depends on which records
share its batch; batches are cut out of the corpus in its order, the same in every run, as long as
memory suffices.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from calibration.configuration import Calibration
from calibration.corpus.records import Record, instruction, prompt_hash, read_corpus, record_of
from calibration.models.checkpoints import ModelSource, locate_all
from calibration.models.devices import Batches, chosen_device, chunks, kind_of_device, release
from calibration.models.endpoint_answers import AskedEndpoint, check_endpoints
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
from calibration.stage_settings import EndpointSpec, ModelSpec
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

__all__ = ["generate", "outputs", "without_trace"]

Row = dict[str, Any]
Batch = tuple[list[Prompt], list[ModelAnswer], float]


def generate(
    calibration: Calibration, report: Report, *, resend: bool = False
) -> dict[str, StageCounts]:
    """Make every output that is not on the disk yet; return the counts of each model.

    ``resend`` asks servers again for what was on its way when an earlier run was killed.

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
            counts[spec.name] = asked.complete(report, resend=resend)
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
        return current_rows(log, lambda _: asked.keys, record_of)
    return current_rows(log, lambda stamp: _keys(calibration, spec, records, stamp), record_of)


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

        return complete_log(self.log, stamp, keys, record_of, make)

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
            "prompt_sha256": prompt_hash(self.spec.prompt, record, self.calibration.prompts),
            "output": answer.text,
            "input_tokens": len(prompt.tokens),
            "cut_tokens": prompt.cut_tokens,
            "output_tokens": answer.tokens,
            "stop": answer.stop,
        }


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
    asked = {r.id: prompt_hash(spec.prompt, r, calibration.prompts) for r in records}
    return {name: digest({**common, "prompt": prompt}) for name, prompt in asked.items()}


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
