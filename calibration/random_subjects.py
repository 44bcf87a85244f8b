"""Subjects with random weights and made-up tokens: what an architecture costs by itself.

Without weights there is no tokenizer either: prompts and pairs have lengths, in tokens, and no
words. Where a corpus is at hand its texts give the lengths, at four characters a token, which is an
assumption; tokenizing is not timed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calibration.configuration import Calibration
from calibration.folders import Workspace
from calibration.libraries import library
from calibration.prompts import instruction
from calibration.random_weights import build_random
from calibration.records import Record, read_corpus
from calibration.registry import architecture, architectures
from calibration.sampling import decoding
from calibration.settings import EvaluatorSpec, GenerationSettings, ModelSpec
from calibration.subjects import spread
from calibration.timing import Timed, time_call, time_generation, token_batches
from poq_abm.errors import InputError

__all__ = [
    "PAIR_TOKENS",
    "PROMPT_TOKENS",
    "RandomEvaluator",
    "RandomModel",
    "evaluator_subject",
    "model_subject",
]

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


def model_subject(calibration: Calibration, spec: ModelSpec, device: str) -> RandomModel:
    """Return an inference model of a calibration, as long prompts as its corpus has."""
    records = _some_records(calibration)
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


def evaluator_subject(
    calibration: Calibration, spec: EvaluatorSpec, device: str
) -> RandomEvaluator:
    """Return an evaluator of a calibration; an output is taken to be as long as it may be."""
    new_tokens = calibration.efficiency.new_tokens
    by_reference = calibration.scoring.pairs == "reference_output"
    pairs = [
        (tokens_of(record.references[0] if by_reference else record.input), new_tokens)
        for record in _some_records(calibration)
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


def _some_records(calibration: Calibration) -> list[Record]:
    path = Workspace(calibration.out).corpus
    return spread(read_corpus(path), calibration.efficiency.prompts) if path.exists() else []


def _inputs(batch: Any, device: str) -> dict[str, Any]:
    torch = library("torch")
    ids = torch.from_numpy(batch).to(device)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def _positions(config: Any) -> int:
    return int(getattr(config, "max_position_embeddings", _BERT_POSITIONS))
