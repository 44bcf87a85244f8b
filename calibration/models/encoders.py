"""Evaluators in memory: pairs of texts in, raw numbers out, and one value made of each.

A cross encoder reads both texts at once and gives logits; a bi encoder reads each by itself and
gives the cosine of their embeddings; a language model gives the likelihood of one text after the
other. Texts longer than an evaluator's window are cut by its own
tokenizer, as whoever deploys it would have it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from calibration.libraries import library
from calibration.models.checkpoints import ModelSource, loading
from calibration.models.language_models import load_language_model
from calibration.stage_settings import EvaluatorSpec
from poq_abm.errors import InputError, nearest

__all__ = [
    "BiEncoder",
    "CrossEncoder",
    "Evaluator",
    "Likelihood",
    "Pair",
    "activate",
    "load_evaluator",
]

Pair = tuple[str, str]
_HEADS = ("ForSequenceClassification", "ForCausalLM")


class Evaluator(Protocol):
    """What scores pairs of texts."""

    def raw(self, pairs: Sequence[Pair]) -> list[list[float]]:
        """Return the logits, or the cosine alone, of each pair."""
        ...

    def value(self, raw: Sequence[float]) -> float:
        """Return the one number, before normalisation, that raw numbers stand for."""
        ...


def activate(raw: Sequence[float], activation: str, label: int = 0) -> float:
    """Return what an activation makes of the logits of one pair.

    ``identity`` takes the only logit as it is, ``sigmoid`` its logistic, ``entailment`` the softmax
    probability of the class ``label``.

    >>> activate([0.0], "sigmoid"), activate([1.0, 1.0, 1.0, 1.0], "entailment", 2)
    (0.5, 0.25)
    """
    if activation == "entailment":
        return 1.0 / sum(math.exp(min(logit - raw[label], 700.0)) for logit in raw)
    if activation == "sigmoid":
        return 0.5 * (1.0 + math.tanh(0.5 * raw[0]))
    return float(raw[0])


def load_evaluator(spec: EvaluatorSpec, source: ModelSource, device: str) -> Evaluator:
    """Return an evaluator on ``device``.

    No code of the checkpoint runs unless the settings trust it. Raises
    :class:`~poq_abm.errors.InputError` when it cannot be loaded, when a cross encoder has no
    trained head, and when the activation does not fit the classes of the head.
    """
    kinds: dict[str, Callable[[EvaluatorSpec, ModelSource, str], Evaluator]] = {
        "cross_encoder": CrossEncoder,
        "bi_encoder": BiEncoder,
        "likelihood": Likelihood,
    }
    return kinds[spec.kind](spec, source, device)


class CrossEncoder:
    """A cross encoder; its own activation is switched off and ours applied to the logits."""

    def __init__(self, spec: EvaluatorSpec, source: ModelSource, device: str) -> None:
        self._encoder = _open("CrossEncoder", spec, source, device)
        _require_head(spec, source, self._encoder.config)
        self._activation = spec.activation
        self._label = _label(spec, self._encoder.config)

    def raw(self, pairs: Sequence[Pair]) -> list[list[float]]:
        """Return the logits of each pair."""
        logits = self._encoder.predict(
            list(pairs),
            batch_size=len(pairs),
            show_progress_bar=False,
            activation_fn=library("torch").nn.Identity(),
        )
        rows = np.asarray(logits, dtype=np.float64).reshape(len(pairs), -1)
        return [[float(logit) for logit in row] for row in rows]

    def value(self, raw: Sequence[float]) -> float:
        """Return the activated logit."""
        return activate(raw, self._activation, self._label)


class BiEncoder:
    """A bi encoder and the cosine of its embeddings, in double precision."""

    def __init__(self, spec: EvaluatorSpec, source: ModelSource, device: str) -> None:
        self._encoder = _open("SentenceTransformer", spec, source, device)

    def raw(self, pairs: Sequence[Pair]) -> list[list[float]]:
        """Return the cosine of each pair, in [-1, 1]; 0 where an embedding is zero.

        Encoders of single words have a zero for a text without any, such as an empty output: it is
        like nothing, which is a score, and no reason to stop.
        """
        texts = list(dict.fromkeys(text for pair in pairs for text in pair))
        embedded = self._encoder.encode(texts, batch_size=len(texts), show_progress_bar=False)
        vectors = dict(zip(texts, np.asarray(embedded, dtype=np.float64), strict=True))
        return [[_cosine(vectors[first], vectors[second])] for first, second in pairs]

    def value(self, raw: Sequence[float]) -> float:
        """Return the cosine."""
        return raw[0]


class Likelihood:
    """A language model, and how likely it finds the first text of a pair after the second.

    With pairs of reference and output: ``sum log p(reference | output) / tokens``, in nats. Where
    both exceed the model's window, the beginning of the second text is left out.
    """

    def __init__(self, spec: EvaluatorSpec, source: ModelSource, device: str) -> None:
        self._model = load_language_model(spec, source, device)

    def raw(self, pairs: Sequence[Pair]) -> list[list[float]]:
        """Return the mean log probability of the tokens of each first text; NaN where none is."""
        torch = library("torch")
        device, rows = self._model.device, [self._tokens(*pair) for pair in pairs]
        width = max(len(context) + len(target) for context, target in rows)
        ids = torch.full((len(rows), width), self._model.pad, device=device)
        mask = torch.zeros_like(ids)
        for row, (context, target) in enumerate(rows):
            written = torch.tensor([*context, *target], device=device)
            ids[row, : len(written)] = written
            mask[row, : len(written)] = 1
        with torch.inference_mode():
            logits = self._model.model(input_ids=ids, attention_mask=mask).logits
        means = []
        for row, (context, target) in enumerate(rows):
            if not target:
                means.append([math.nan])
                continue
            before = slice(len(context) - 1, len(context) + len(target) - 1)
            logs = torch.log_softmax(logits[row, before].double(), dim=-1)
            said = torch.tensor(target, device=device)
            means.append([float(logs.gather(1, said[:, None]).mean())])
        return means

    def value(self, raw: Sequence[float]) -> float:
        """Return the mean log probability."""
        return raw[0]

    def _tokens(self, target: str, context: str) -> tuple[list[int], list[int]]:
        tokenize = self._model.tokenizer
        before = tokenize(f"{context}\n")["input_ids"] or [self._model.pad]
        said = tokenize(target, add_special_tokens=False)["input_ids"]
        if self._model.context is not None:
            said = said[: self._model.context - 1]
            before = before[-(self._model.context - len(said)) :]
        return before, said


def _cosine(first: Any, second: Any) -> float:
    norms = float(np.linalg.norm(first) * np.linalg.norm(second))
    if norms == 0.0:
        return 0.0
    return float(np.clip(np.dot(first, second) / norms, -1.0, 1.0))


def _open(kind: str, spec: EvaluatorSpec, source: ModelSource, device: str) -> Any:
    build = getattr(library("sentence_transformers"), kind)
    with loading(spec.name, source):
        return build(
            source.where,
            device=device,
            revision=source.commit,
            local_files_only=source.is_local,
            trust_remote_code=spec.trust_remote_code,
            model_kwargs={"dtype": spec.dtype},
        )


def _require_head(spec: EvaluatorSpec, source: ModelSource, configuration: Any) -> None:
    """Raise for a checkpoint without a head: it would get a random one, and random scores."""
    built = getattr(configuration, "architectures", None) or []
    if not any(name.endswith(_HEADS) for name in built):
        raise InputError(
            f"{spec.name}: {source.where} is no cross encoder: it was saved as "
            f"{', '.join(built) or 'nothing known'}, without a trained head"
        )


def _label(spec: EvaluatorSpec, configuration: Any) -> int:
    """Return the class whose probability is the value; 0 for a head with one logit."""
    classes = {str(name): int(number) for number, name in configuration.id2label.items()}
    if spec.activation != "entailment":
        if len(classes) != 1:
            raise InputError(
                f"{spec.name}: activation {spec.activation!r} needs a head with one logit; this "
                f"one has {len(classes)} ({', '.join(classes)}), use entailment and a label"
            )
        return 0
    wanted = spec.label or "entailment"
    for name, number in classes.items():
        if name.lower() == wanted.lower():
            return number
    raise InputError(f"{spec.name}: the head has no class {wanted!r}; {nearest(wanted, classes)}")
