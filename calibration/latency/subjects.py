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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from calibration.configuration import Calibration
from calibration.corpus.records import Record, instruction, read_corpus
from calibration.latency.timing import (
    Timed,
    time_call,
    time_generation,
)
from calibration.libraries import library
from calibration.models.architectures import architecture, architectures, build_random
from calibration.models.checkpoints import ModelSource, locate
from calibration.models.encoders import Evaluator, load_evaluator
from calibration.models.generation import outputs
from calibration.models.language_models import (
    LanguageModel,
    decoding,
    fit_prompt,
    load_language_model,
)
from calibration.stage_settings import EvaluatorSpec, GenerationSettings, ModelSpec
from calibration.workspace import Workspace
from poq_abm.errors import InputError

__all__ = [
    "PAIR_TOKENS",
    "PROMPT_TOKENS",
    "RandomEvaluator",
    "RandomModel",
    "RealEvaluator",
    "RealModel",
    "TimedSubject",
    "random_evaluator",
    "random_model",
    "real_evaluator",
    "real_model",
    "spread",
    "token_batches",
]

T = TypeVar("T")


class TimedSubject(Protocol):
    """A node to be timed; ``load`` comes before the first batch, ``release`` after the last."""

    @property
    def role(self) -> str:
        """``inference`` or ``evaluator``."""

    @property
    def node(self) -> str:
        """Name of the model or evaluator."""

    @property
    def device(self) -> str:
        """Where it runs."""

    @property
    def weights(self) -> str:
        """``real`` or ``random``."""

    def identity(self) -> dict[str, Any]:
        """Return, as plain JSON, everything of the subject that its times depend on."""

    def load(self) -> None:
        """Bring the model into memory."""

    def batches(self, batch_size: int, calls: int) -> Sequence[Any]:
        """Return ``calls`` batches, as ``run`` takes them."""

    def run(self, batch: Any) -> Timed:
        """Run one batch and return its times."""

    def tokens_in(self, batch: Any) -> int | None:
        """Return the tokens in a row of a batch, padding included, if they are known."""

    def release(self) -> None:
        """Give the memory back."""


def spread(items: Sequence[T], count: int) -> list[T]:
    """Return at most ``count`` items at equal distances, so that every part of a list is in.

    >>> spread("abcdef", 3)
    ['a', 'c', 'e']
    """
    if count >= len(items):
        return list(items)
    return [items[i * len(items) // count] for i in range(count)]


@dataclass
class RealModel:
    """A checkpoint that answers prompts of the corpus."""

    calibration: Calibration
    spec: ModelSpec
    source: ModelSource
    records: Sequence[Record]
    device: str
    role: str = "inference"
    weights: str = "real"
    loaded: LanguageModel | None = field(default=None, repr=False)

    @property
    def node(self) -> str:
        """Name of the model."""
        return self.spec.name

    def identity(self) -> dict[str, Any]:
        """Return what the times depend on."""
        return {
            "revision": self.source.revision,
            "dtype": self.spec.dtype,
            "style": self.spec.prompt,
            "prompts": [self._instruct(record) for record in self.records],
            "new_tokens": self.calibration.efficiency.new_tokens,
            "decoding": self.calibration.generation.model_dump(
                exclude={"device", "max_new_tokens"}
            ),
        }

    def load(self) -> None:
        """Load model and tokenizer."""
        self.loaded = load_language_model(self.spec, self.source, self.device)

    def batches(self, batch_size: int, calls: int) -> Sequence[Any]:
        """Return batches of prompts, padded on the left."""
        model = self._model()
        room = model.context
        limit = None if room is None else room - self.calibration.efficiency.new_tokens
        if limit is not None and limit < 1:
            raise InputError(
                f"{self.node} holds {room} tokens, prompt and output together; "
                "efficiency.new_tokens leaves none for the prompt"
            )
        prompts = [
            fit_prompt(model.tokenizer, record, self._instruct, self.spec.prompt, limit).tokens
            for record in self.records[: batch_size * calls]
        ]
        return [
            _padded(
                [prompts[(call * batch_size + i) % len(prompts)] for i in range(batch_size)], model
            )
            for call in range(calls)
        ]

    def run(self, batch: Any) -> Timed:
        """Answer one batch."""
        model = self._model()
        settings = decoding(
            self.calibration.generation,
            self.calibration.efficiency.new_tokens,
            ends=sorted(model.ends),
            pad=model.pad,
        )
        return time_generation(model.model, batch, device=self.device, settings=settings)

    def tokens_in(self, batch: Any) -> int | None:
        """Return the length of the longest prompt of the batch."""
        return int(batch["input_ids"].shape[1])

    def release(self) -> None:
        """Forget the model."""
        self.loaded = None

    def _instruct(self, record: Record) -> str:
        return instruction(record, self.calibration.prompts)

    def _model(self) -> LanguageModel:
        assert self.loaded is not None, "load() comes first"
        return self.loaded


@dataclass
class RealEvaluator:
    """A checkpoint that scores pairs of a reference, or an input, and an output."""

    spec: EvaluatorSpec
    source: ModelSource
    pairs: Sequence[tuple[str, str]]
    device: str
    role: str = "evaluator"
    weights: str = "real"
    loaded: Evaluator | None = field(default=None, repr=False)

    @property
    def node(self) -> str:
        """Name of the evaluator."""
        return self.spec.name

    def identity(self) -> dict[str, Any]:
        """Return what the times depend on."""
        return {
            "revision": self.source.revision,
            "dtype": self.spec.dtype,
            "kind": self.spec.kind,
            "pairs": [list(pair) for pair in self.pairs],
        }

    def load(self) -> None:
        """Load the evaluator."""
        self.loaded = load_evaluator(self.spec, self.source, self.device)

    def batches(self, batch_size: int, calls: int) -> Sequence[Any]:
        """Return batches of pairs, taken in a circle, no text twice in the same form.

        An evaluator may well embed equal texts of a batch once, which would make few pairs look
        cheaper than many.
        """
        pairs = self.pairs
        taken = [self._pair(*divmod(i, len(pairs))) for i in range(batch_size * calls)]
        return [taken[call * batch_size :][:batch_size] for call in range(calls)]

    def run(self, batch: Any) -> Timed:
        """Score one batch."""
        assert self.loaded is not None, "load() comes first"
        evaluator = self.loaded
        return Timed(time_call(lambda: evaluator.raw(batch), device=self.device))

    def tokens_in(self, batch: Any) -> int | None:  # noqa: ARG002
        """Return ``None``: the evaluator's own tokenizer knows."""
        return None

    def release(self) -> None:
        """Forget the evaluator."""
        self.loaded = None

    def _pair(self, lap: int, place: int) -> tuple[str, str]:
        first, second = self.pairs[place]
        return (f"{first} {lap}", f"{second} {lap}") if lap else (first, second)


def real_model(calibration: Calibration, spec: ModelSpec, device: str) -> RealModel:
    """Return an inference model of a calibration; its corpus must be there."""
    records = _some_records(calibration)
    return RealModel(calibration, spec, locate(spec.model, spec.revision), records, device)


def real_evaluator(calibration: Calibration, spec: EvaluatorSpec, device: str) -> RealEvaluator:
    """Return an evaluator of a calibration, to read outputs of its models in turn.

    Where there is no output yet, a record's own reference stands in.
    """
    everything = read_corpus(Workspace(calibration.out).corpus)
    made = [outputs(calibration, model, everything) for model in calibration.models]
    by_reference = calibration.scoring.pairs == "reference_output"
    pairs = []
    for number, record in enumerate(_some_records(calibration)):
        row = made[number % len(made)].get(record.id)
        output = record.references[0] if row is None else str(row["output"])
        pairs.append((record.references[0] if by_reference else record.input, output))
    return RealEvaluator(spec, locate(spec.model, spec.revision), pairs, device)


def _some_records(calibration: Calibration) -> list[Record]:
    return spread(read_corpus(Workspace(calibration.out).corpus), calibration.efficiency.prompts)


def _padded(prompts: Sequence[Sequence[int]], model: LanguageModel) -> dict[str, Any]:
    torch = library("torch")
    width = max(map(len, prompts))
    ids = [[model.pad] * (width - len(prompt)) + [*prompt] for prompt in prompts]
    mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return {
        "input_ids": torch.tensor(ids, device=model.device),
        "attention_mask": torch.tensor(mask, device=model.device),
    }


CHARACTERS_PER_TOKEN = 4.0
#: Tokens of a prompt of question answering and of summarization, where there is no corpus.
PROMPT_TOKENS = (220, 1000)
#: Tokens of a reference and of an output in the two tasks, where there is no corpus.
PAIR_TOKENS = ((5, 128), (75, 128))
DEFAULT_DTYPE = "bfloat16"
_BERT_POSITIONS = 512
_SPARE_POSITIONS = 4  # special tokens, and the offset by which RoBERTa numbers its positions


@dataclass
class RandomModel:
    """An architecture with random weights that answers prompts of given lengths.

    ``prompt_tokens`` are the lengths, taken in a circle; each answer has exactly ``new_tokens``.
    """

    node: str
    configuration: Mapping[str, Any]
    dtype: str
    device: str
    prompt_tokens: Sequence[int]
    new_tokens: int
    settings: GenerationSettings
    layers: int | None = None
    role: str = "inference"
    weights: str = "random"
    model: Any = field(default=None, repr=False)

    def identity(self) -> dict[str, Any]:
        """Return what the times depend on."""
        return {
            "configuration": dict(self.configuration),
            "dtype": self.dtype,
            "prompt_tokens": list(self.prompt_tokens),
            "new_tokens": self.new_tokens,
            "decoding": self.settings.model_dump(exclude={"device", "max_new_tokens"}),
            "layers": self.layers,
        }

    def load(self) -> None:
        """Build the architecture."""
        self.model = build_random(
            self.configuration, dtype=self.dtype, device=self.device, layers=self.layers
        )

    def batches(self, batch_size: int, calls: int) -> Sequence[Any]:
        """Return made-up prompts, cut to leave room for the answer."""
        longest = _positions(self.model.config) - self.new_tokens
        lengths = [max(1, min(length, longest)) for length in self.prompt_tokens]
        vocabulary = self.model.config.vocab_size
        return token_batches(lengths, batch_size, calls, vocabulary=vocabulary)

    def run(self, batch: Any) -> Timed:
        """Answer one batch."""
        return time_generation(
            self.model, _inputs(batch, self.device), device=self.device, settings=self._decoding()
        )

    def tokens_in(self, batch: Any) -> int | None:
        """Return the length of the prompts."""
        return int(batch.shape[1])

    def release(self) -> None:
        """Forget the model."""
        self.model = None

    def _decoding(self) -> Any:
        ends = self.model.config.get_text_config().eos_token_id
        return decoding(
            self.settings,
            self.new_tokens,
            ends=ends if isinstance(ends, list) else [] if ends is None else [ends],
            pad=0,
            forced=True,
        )


@dataclass
class RandomEvaluator:
    """An evaluator's architecture with random weights that scores pairs of given lengths.

    ``pair_tokens`` are the lengths of first and second text. A cross encoder reads both in one row;
    a bi encoder reads each, takes the mean over its tokens, and the cosine of the two.
    """

    node: str
    configuration: Mapping[str, Any]
    kind: str
    dtype: str
    device: str
    pair_tokens: Sequence[tuple[int, int]]
    layers: int | None = None
    role: str = "evaluator"
    weights: str = "random"
    model: Any = field(default=None, repr=False)

    def identity(self) -> dict[str, Any]:
        """Return what the times depend on."""
        return {
            "configuration": dict(self.configuration),
            "kind": self.kind,
            "dtype": self.dtype,
            "pair_tokens": [list(pair) for pair in self.pair_tokens],
            "layers": self.layers,
        }

    def load(self) -> None:
        """Build the architecture."""
        self.model = build_random(
            self.configuration,
            kind=self.kind,
            dtype=self.dtype,
            device=self.device,
            layers=self.layers,
        )

    def batches(self, batch_size: int, calls: int) -> Sequence[Any]:
        """Return one array per batch for a cross encoder, two for a bi encoder, in a tuple."""
        longest = _positions(self.model.config) - _SPARE_POSITIONS
        if self.kind == "cross_encoder":
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
        """Score one batch."""
        return Timed(time_call(lambda: self._score(batch), device=self.device))

    def tokens_in(self, batch: Any) -> int | None:
        """Return the tokens of a pair."""
        return sum(int(side.shape[1]) for side in batch)

    def release(self) -> None:
        """Forget the model."""
        self.model = None

    def _score(self, batch: Any) -> Any:
        torch = library("torch")
        with torch.inference_mode():
            outputs = [self.model(**_inputs(side, self.device)) for side in batch]
            if self.kind == "cross_encoder":
                return outputs[0].logits.float().cpu()
            first, second = (output.last_hidden_state.float().mean(dim=1) for output in outputs)
            return torch.nn.functional.cosine_similarity(first, second).cpu()


def random_model(calibration: Calibration, spec: ModelSpec, device: str) -> RandomModel:
    """Return an inference model of a calibration, as long prompts as its corpus has."""
    records = _records_if_any(calibration)
    prompts = [tokens_of(instruction(record, calibration.prompts)) for record in records]
    return RandomModel(
        node=spec.name,
        configuration=configuration_of(spec),
        dtype=DEFAULT_DTYPE if spec.dtype == "auto" else spec.dtype,
        device=device,
        prompt_tokens=prompts or PROMPT_TOKENS,
        new_tokens=calibration.efficiency.new_tokens,
        settings=calibration.generation,
    )


def random_evaluator(calibration: Calibration, spec: EvaluatorSpec, device: str) -> RandomEvaluator:
    """Return an evaluator of a calibration; an output is taken to be as long as it may be."""
    new_tokens = calibration.efficiency.new_tokens
    by_reference = calibration.scoring.pairs == "reference_output"
    pairs = [
        (tokens_of(record.references[0] if by_reference else record.input), new_tokens)
        for record in _records_if_any(calibration)
    ]
    return RandomEvaluator(
        node=spec.name,
        configuration=configuration_of(spec),
        kind=spec.kind,
        dtype=DEFAULT_DTYPE if spec.dtype == "auto" else spec.dtype,
        device=device,
        pair_tokens=pairs or PAIR_TOKENS,
    )


def configuration_of(spec: ModelSpec | EvaluatorSpec) -> dict[str, Any]:
    """Return the ``config.json`` of a model: that of its folder, of the registry, or of the hub.

    Raises :class:`~poq_abm.errors.InputError` when there is none.
    """
    folder = Path(spec.model)
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
