"""The joint table of the extracted answers, and the table of costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from statistics import fmean, stdev
from typing import Any

import numpy as np
import pandas as pd

from calibration.evaluators import Evaluator
from calibration.extractive.evaluators import EVALUATORS, length_ratio, overlap
from calibration.extractive.systems import SYSTEMS, Question, answer
from calibration.joint import cost_frame
from calibration.normalising import apply, fit
from calibration.records import Record, split_question
from calibration.timing import quantiles
from calibration.truth import truth_score

__all__ = ["cost_table", "normalised", "questions_of", "raw_table"]

TASK = "qa"
DECIMALS = 4
RAW_DECIMALS = 6
_CHUNK = 12  # records scored at once: their five answers, reference and question fill a batch

Report = Callable[[str], None]


def questions_of(records: Sequence[Record]) -> list[Question]:
    """Return the questions of records in SQuAD's form, numbered in their order."""
    return [Question(i, *split_question(record.input)) for i, record in enumerate(records)]


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
    transform = fit(values, "per_task")
    table = raw.copy()
    for name in EVALUATORS:
        scores = [apply(transform, name, task, value) for task, value in values[name]]
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
    questions: Sequence[Question],
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
