"""How long each system takes to answer, and each evaluator to score.

All of them take turns: whatever else keeps the processor busy then slows all of them alike, and
none that was timed in a bad minute looks expensive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import median

from calibration.evaluators import Evaluator, Pair
from calibration.extractive.evaluators import length_ratio, overlap
from calibration.extractive.systems import SYSTEMS, Question, answer
from calibration.meters import peak_memory_mb, reset_peak_memory
from calibration.records import Record
from calibration.timing import time_call

__all__ = ["BATCH", "BATCHES", "BATCH_REPEATS", "REPEATS", "WARM_UP", "latencies_of"]

WARM_UP = 3  #: questions, and batches, that do not count
REPEATS = 5  #: calls whose median is a latency: one that something interrupted drops out
BATCH = 64  #: pairs that the encoder reads at once
BATCHES = 20
BATCH_REPEATS = 3
_READS = "bm25_sentence"  # the system whose answers the evaluators are timed on

Report = Callable[[str], None]
Calls = Mapping[str, Callable[[], object]]


def latencies_of(
    records: Sequence[Record], questions: Sequence[Question], encoder: Evaluator, report: Report
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


def _quick(record: Record, question: Question, text: str) -> Calls:
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
