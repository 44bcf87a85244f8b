"""What is timed: an inference model with its prompts, or an evaluator with its pairs.

Subjects that are real are checkpoints with their tokenizers, prompts and pairs of the corpus. An
answer ends where the model ends it. Prompts are tokenized before the clock starts, pairs while it
runs, since an evaluator's tokenizing is part of its job.

Subjects with random weights cost what their architecture costs by itself. Without weights there is
no tokenizer either: prompts and pairs have lengths, in tokens, and no words. Where a corpus is at
hand its texts give the lengths, at four characters a token, which is an assumption; tokenizing is
not timed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from calibration.configuration import Calibration
from calibration.corpus.records import Record, instruction, read_corpus
from calibration.latency.timing import Timed, time_call, time_generation
from calibration.libraries import library
from calibration.models.architectures import architecture, architectures, build_random
from calibration.models.checkpoints import GGUF, locate
from calibration.models.encoders import Evaluator, Pair, load_evaluator
from calibration.models.generation import outputs
from calibration.models.language_models import (
    LanguageModel,
    PromptForm,
    decoding,
    fit_prompt,
    load_language_model,
    padded,
)
from calibration.stage_settings import EvaluatorSpec, GenerationSettings, ModelSpec
from calibration.workspace import Workspace
from poq_abm.errors import InputError

__all__ = [
    "PAIR_TOKENS",
    "PROMPT_TOKENS",
    "LoadedSubject",
    "TimedSubject",
    "evaluator_like",
    "model_like",
    "random_evaluator",
    "random_model",
    "real_evaluator",
    "real_model",
    "spread",
    "token_batches",
]

T = TypeVar("T")


class LoadedSubject(Protocol):
    """A node in memory, ready to run batches; the memory is free once nobody holds it."""

    def batches(self, batch_size: int, calls: int) -> Sequence[Any]:
        """Return ``calls`` batches, as ``run`` takes them."""

    def run(self, batch: Any) -> Timed:
        """Run one batch and return its times."""

    def tokens_in(self, batch: Any) -> int | None:
        """Return the tokens in a row of a batch, padding included, if they are known."""


@dataclass(frozen=True)
class TimedSubject:
    """A node to be timed: ``load`` brings it into memory.

    ``role`` is ``inference`` or ``evaluator``, ``weights`` ``real`` or ``random``; ``identity``
    holds, as plain JSON, everything of the node that its times depend on.
    """

    role: str
    node: str
    device: str
    weights: str
    identity: Mapping[str, Any]
    load: Callable[[], LoadedSubject]


def spread(items: Sequence[T], count: int) -> list[T]:
    """Return at most ``count`` items at equal distances, so that every part of a list is in.

    >>> spread("abcdef", 3)
    ['a', 'c', 'e']
    """
    if count >= len(items):
        return list(items)
    return [items[i * len(items) // count] for i in range(count)]


@dataclass(frozen=True)
class _RealModel:
    """A checkpoint in memory that answers prompts, padded on the left."""

    model: LanguageModel
    prompts: Sequence[Sequence[int]]
    settings: Any

    def batches(self, batch_size: int, calls: int) -> Sequence[Any]:
        count = len(self.prompts)
        return [
            padded(
                self.model,
                [self.prompts[(call * batch_size + i) % count] for i in range(batch_size)],
            )
            for call in range(calls)
        ]

    def run(self, batch: Any) -> Timed:
        return time_generation(
            self.model.model, batch, device=self.model.device, settings=self.settings
        )

    def tokens_in(self, batch: Any) -> int | None:
        return int(batch["input_ids"].shape[1])


def real_model(calibration: Calibration, spec: ModelSpec, device: str) -> TimedSubject:
    """Return a checkpoint that answers prompts of the corpus, which must be there."""
    new_tokens = calibration.efficiency.new_tokens
    records = _some_records(calibration)
    instruct = partial(instruction, templates=calibration.prompts)
    source = locate(spec.model, spec.revision)
    form = PromptForm.of(spec, calibration.generation)

    def load() -> LoadedSubject:
        model = load_language_model(spec, source, device)
        limit = None if model.context is None else model.context - new_tokens
        if limit is not None and limit < 1:
            raise InputError(
                f"{spec.name} holds {model.context} tokens, prompt and output together; "
                "efficiency.new_tokens leaves none for the prompt"
            )
        prompts = [
            fit_prompt(model.tokenizer, record, instruct, form, limit).tokens for record in records
        ]
        settings = decoding(
            calibration.generation, new_tokens, ends=sorted(model.ends), pad=model.pad
        )
        return _RealModel(model, prompts, settings)

    identity = {
        "revision": source.revision,
        "dtype": spec.dtype,
        "style": spec.prompt,
        **({"template": spec.template} if spec.template else {}),
        "prompts": [instruct(record) for record in records],
        "new_tokens": new_tokens,
        "decoding": _decoding_identity(calibration.generation),
    }
    return TimedSubject("inference", spec.name, device, "real", identity, load)


@dataclass(frozen=True)
class _RealEvaluator:
    """An evaluator in memory that scores pairs of a reference, or an input, and an output."""

    evaluator: Evaluator
    pairs: Sequence[Pair]
    device: str

    def batches(self, batch_size: int, calls: int) -> Sequence[Any]:
        """Return batches of pairs, taken in a circle, no text twice in the same form.

        An evaluator may well embed equal texts of a batch once, which would make few pairs look
        cheaper than many.
        """
        taken = [self._pair(*divmod(i, len(self.pairs))) for i in range(batch_size * calls)]
        return [taken[call * batch_size :][:batch_size] for call in range(calls)]

    def run(self, batch: Any) -> Timed:
        return Timed(time_call(lambda: self.evaluator.raw(batch), device=self.device))

    def tokens_in(self, batch: Any) -> int | None:  # noqa: ARG002  (its own tokenizer knows)
        return None

    def _pair(self, lap: int, place: int) -> Pair:
        first, second = self.pairs[place]
        return (f"{first} {lap}", f"{second} {lap}") if lap else (first, second)


def real_evaluator(calibration: Calibration, spec: EvaluatorSpec, device: str) -> TimedSubject:
    """Return an evaluator of a calibration, to read outputs of its models in turn.

    Where there is no output yet, a record's own reference stands in.
    """
    everything = read_corpus(Workspace(calibration.out).corpus)
    made = [outputs(calibration, model, everything) for model in calibration.models]
    by_reference = calibration.pairs_of(spec) == "reference_output"
    pairs = []
    for number, record in enumerate(_some_records(calibration)):
        row = made[number % len(made)].get(record.id)
        output = record.references[0] if row is None else str(row["output"])
        pairs.append((record.references[0] if by_reference else record.input, output))
    source = locate(spec.model, spec.revision)
    identity = {
        "revision": source.revision,
        "dtype": spec.dtype,
        "kind": spec.kind,
        "pairs": [list(pair) for pair in pairs],
    }

    def load() -> LoadedSubject:
        return _RealEvaluator(load_evaluator(spec, source, device), pairs, device)

    return TimedSubject("evaluator", spec.name, device, "real", identity, load)


def _some_records(calibration: Calibration) -> list[Record]:
    return spread(read_corpus(Workspace(calibration.out).corpus), calibration.efficiency.prompts)


def _decoding_identity(settings: GenerationSettings) -> dict[str, Any]:
    return settings.determining("max_new_tokens")


CHARACTERS_PER_TOKEN = 4.0
#: Tokens of a prompt of question answering and of summarization, where there is no corpus.
PROMPT_TOKENS = (220, 1000)
#: Tokens of a reference and of an output in the two tasks, where there is no corpus.
PAIR_TOKENS = ((5, 128), (75, 128))
DEFAULT_DTYPE = "bfloat16"
_BERT_POSITIONS = 512
_SPARE_POSITIONS = 4  # special tokens, and the offset by which RoBERTa numbers its positions


@dataclass(frozen=True)
class _RandomModel:
    """An architecture in memory that answers made-up prompts, cut to leave room for the answer."""

    model: Any
    prompt_tokens: Sequence[int]
    settings: Any
    device: str

    def batches(self, batch_size: int, calls: int) -> Sequence[Any]:
        longest = _positions(self.model.config) - self.settings.max_new_tokens
        lengths = [max(1, min(length, longest)) for length in self.prompt_tokens]
        vocabulary = self.model.config.vocab_size
        return token_batches(lengths, batch_size, calls, vocabulary=vocabulary)

    def run(self, batch: Any) -> Timed:
        inputs = _inputs(batch, self.device)
        return time_generation(self.model, inputs, device=self.device, settings=self.settings)

    def tokens_in(self, batch: Any) -> int | None:
        return int(batch.shape[1])


def random_model(
    node: str,
    configuration: Mapping[str, Any],
    dtype: str,
    device: str,
    prompt_tokens: Sequence[int],
    new_tokens: int,
    settings: GenerationSettings,
) -> TimedSubject:
    """Return an architecture with random weights that answers prompts of given lengths.

    ``prompt_tokens`` are the lengths, taken in a circle; each answer has exactly ``new_tokens``.
    """

    def load() -> LoadedSubject:
        model = build_random(configuration, dtype=dtype, device=device)
        ends = model.config.get_text_config().eos_token_id
        forced = decoding(
            settings,
            new_tokens,
            ends=ends if isinstance(ends, list) else [] if ends is None else [ends],
            pad=0,
            forced=True,
        )
        return _RandomModel(model, prompt_tokens, forced, device)

    identity = {
        "configuration": dict(configuration),
        "dtype": dtype,
        "prompt_tokens": list(prompt_tokens),
        "new_tokens": new_tokens,
        "decoding": _decoding_identity(settings),
    }
    return TimedSubject("inference", node, device, "random", identity, load)


@dataclass(frozen=True)
class _RandomEvaluator:
    """An evaluator's architecture in memory; a batch is one array, of a bi encoder two.

    A cross encoder and a language model read both texts in one row; a bi encoder reads each, takes
    the mean over its tokens, and the cosine of the two.
    """

    model: Any
    kind: str
    pair_tokens: Sequence[tuple[int, int]]
    device: str

    def batches(self, batch_size: int, calls: int) -> Sequence[Any]:
        longest = _positions(self.model.config) - _SPARE_POSITIONS
        if self.kind != "bi_encoder":
            columns = [[first + second for first, second in self.pair_tokens]]
        else:
            columns = [list(lengths) for lengths in zip(*self.pair_tokens, strict=True)]
        vocabulary = self.model.config.vocab_size
        made = [
            token_batches(
                [max(1, min(length, longest)) for length in column],
                batch_size,
                calls,
                vocabulary=vocabulary,
            )
            for column in columns
        ]
        return list(zip(*made, strict=True))

    def run(self, batch: Any) -> Timed:
        return Timed(time_call(lambda: self._score(batch), device=self.device))

    def tokens_in(self, batch: Any) -> int | None:
        return sum(int(side.shape[1]) for side in batch)

    def _score(self, batch: Any) -> Any:
        torch = library("torch")
        with torch.inference_mode():
            outputs = [self.model(**_inputs(side, self.device)) for side in batch]
            if self.kind != "bi_encoder":
                return outputs[0].logits.float().cpu()
            first, second = (output.last_hidden_state.float().mean(dim=1) for output in outputs)
            return torch.nn.functional.cosine_similarity(first, second).cpu()


def random_evaluator(
    node: str,
    configuration: Mapping[str, Any],
    kind: str,
    dtype: str,
    device: str,
    pair_tokens: Sequence[tuple[int, int]],
) -> TimedSubject:
    """Return an evaluator's architecture with random weights that scores pairs of given lengths.

    ``pair_tokens`` are the lengths of first and second text, taken in a circle.
    """

    def load() -> LoadedSubject:
        built = "causal_lm" if kind == "likelihood" else kind
        model = build_random(configuration, kind=built, dtype=dtype, device=device)
        return _RandomEvaluator(model, kind, pair_tokens, device)

    identity = {
        "configuration": dict(configuration),
        "kind": kind,
        "dtype": dtype,
        "pair_tokens": [list(pair) for pair in pair_tokens],
    }
    return TimedSubject("evaluator", node, device, "random", identity, load)


def model_like(calibration: Calibration, spec: ModelSpec, device: str) -> TimedSubject:
    """Return a model of a calibration with random weights, and as long prompts as its corpus."""
    records = _records_if_any(calibration)
    prompts = [tokens_of(instruction(record, calibration.prompts)) for record in records]
    return random_model(
        spec.name,
        configuration_of(spec),
        DEFAULT_DTYPE if spec.dtype == "auto" else spec.dtype,
        device,
        prompts or PROMPT_TOKENS,
        calibration.efficiency.new_tokens,
        calibration.generation,
    )


def evaluator_like(calibration: Calibration, spec: EvaluatorSpec, device: str) -> TimedSubject:
    """Return an evaluator of a calibration with random weights; outputs are as long as can be."""
    new_tokens = calibration.efficiency.new_tokens
    by_reference = calibration.pairs_of(spec) == "reference_output"
    pairs = [
        (tokens_of(record.references[0] if by_reference else record.input), new_tokens)
        for record in _records_if_any(calibration)
    ]
    return random_evaluator(
        spec.name,
        configuration_of(spec),
        spec.kind,
        DEFAULT_DTYPE if spec.dtype == "auto" else spec.dtype,
        device,
        pairs or PAIR_TOKENS,
    )


def configuration_of(spec: ModelSpec | EvaluatorSpec) -> dict[str, Any]:
    """Return the ``config.json`` of a model: that of its folder, of the registry, or of the hub.

    Raises :class:`~poq_abm.errors.InputError` when there is none.
    """
    folder = Path(spec.model)
    if spec.model.endswith(GGUF):
        raise InputError(f"{spec.name}: a GGUF file has no architecture to give random weights")
    if folder.is_dir():
        file = folder / "config.json"
        try:
            found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{spec.name}: cannot read {file}: {error}") from error
        return found
    for name in architectures():
        shipped = architecture(name)
        if shipped["checkpoint"] == spec.model:
            return dict(shipped["config"])
    transformers = library("transformers")
    try:
        parsed = transformers.AutoConfig.from_pretrained(spec.model, revision=spec.revision)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{spec.name}: no configuration of {spec.model} ships and the hub gives none: {reason}"
        ) from error
    return dict(parsed.to_dict())


def tokens_of(text: str) -> int:
    """Return about how many tokens a text has, at least 1.

    >>> tokens_of("Who won the final?")
    5
    """
    return max(1, math.ceil(len(text) / CHARACTERS_PER_TOKEN))


def _records_if_any(calibration: Calibration) -> list[Record]:
    path = Workspace(calibration.out).corpus
    return spread(read_corpus(path), calibration.efficiency.prompts) if path.exists() else []


def _inputs(batch: Any, device: str) -> dict[str, Any]:
    torch = library("torch")
    ids = torch.from_numpy(batch).to(device)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def _positions(config: Any) -> int:
    return int(getattr(config, "max_position_embeddings", _BERT_POSITIONS))


_STRIDE = 7919  # a prime, so that neighbours differ


def token_batches(
    lengths: Sequence[int], batch_size: int, calls: int, *, vocabulary: int
) -> list[NDArray[np.int64]]:
    """Return ``calls`` batches of made-up token ids; shape (batch, longest prompt of the batch).

    Prompts take their lengths from ``lengths`` in a circle. Every row is as long as the longest of
    its batch, as it would be with padding: padding costs what tokens cost. The ids walk through the
    vocabulary; which ones they are costs nothing.

    >>> [batch.shape for batch in token_batches([3, 5], 2, 1, vocabulary=10)]
    [(2, 5)]
    """
    batches = []
    for call in range(calls):
        first = call * batch_size
        longest = max(lengths[(first + i) % len(lengths)] for i in range(batch_size))
        steps = np.arange(first, first + batch_size * longest, dtype=np.int64)
        batches.append((steps * _STRIDE % vocabulary).reshape(batch_size, longest))
    return batches
