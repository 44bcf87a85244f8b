"""Subjects that are real: checkpoints with their tokenizers, prompts and pairs of the corpus.

An answer ends where the model ends it. Prompts are tokenized before the clock starts, pairs while
it runs, since an evaluator's tokenizing is part of its job.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from calibration.configuration import Calibration
from calibration.evaluators import Evaluator, load_evaluator
from calibration.folders import Workspace
from calibration.generation import outputs
from calibration.libraries import library
from calibration.loading import LanguageModel, load_language_model
from calibration.locating import Source, locate
from calibration.prompting import fit
from calibration.prompts import instruction
from calibration.records import Record, read_corpus
from calibration.sampling import decoding
from calibration.settings import EvaluatorSpec, ModelSpec
from calibration.subjects import spread
from calibration.timing import Timed, time_call, time_generation
from poq_abm.errors import InputError

__all__ = ["RealEvaluator", "RealModel", "evaluator_subject", "model_subject"]


@dataclass
class RealModel:
    """A checkpoint that answers prompts of the corpus."""

    calibration: Calibration
    spec: ModelSpec
    source: Source
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
            fit(model.tokenizer, record, self._instruct, self.spec.prompt, limit).tokens
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
    source: Source
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


def model_subject(calibration: Calibration, spec: ModelSpec, device: str) -> RealModel:
    """Return an inference model of a calibration; its corpus must be there."""
    records = _some_records(calibration)
    return RealModel(calibration, spec, locate(spec.model, spec.revision), records, device)


def evaluator_subject(calibration: Calibration, spec: EvaluatorSpec, device: str) -> RealEvaluator:
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
