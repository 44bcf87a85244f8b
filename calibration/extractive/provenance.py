"""What of the profile ``extractive_baselines`` is measured, and what is not, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from calibration.extractive.clocks import BATCH, BATCH_REPEATS, BATCHES, REPEATS, WARM_UP

__all__ = ["provenance"]

MEASURED = [
    "Every answer: five classical systems answered every question from its paragraph alone.",
    "Truth: ten times the token F1 with SQuAD's normalisation, the largest over the references.",
    "The scores of minilm_reference and minilm_input: cosines of all-MiniLM-L6-v2 in float32, with "
    "the weights that a package of the Python Package Index carries.",
    "The scores of question_overlap and length_ratio: two rules of thumb, computed.",
    f"The latency of each system and each rule of thumb: for each question the median of {REPEATS} "
    f"calls, after {WARM_UP} questions that do not count; all of them took turns.",
    f"The latency of the encoder per pair: {BATCHES} batches of {BATCH} different pairs, for "
    f"each the median of {BATCH_REPEATS} runs, after {WARM_UP} batches that do not count, "
    "tokenizing included; both kinds of pairs took turns.",
    "Peak memory of the encoder: the largest resident set of the process, libraries included.",
]

ASSUMED = [
    f"An evaluator's latency is its share of a batch of {BATCH}, as if pairs came {BATCH} at a "
    "time.",
    "Min-max normalisation over all answers; the transform is kept under normalisation.",
]

CAVEATS = [
    "There is no judge: that column is NaN.",
    "The systems pick words of the paragraph. They stand for cheap, honest, mediocre inference, "
    "not for language models, and a whole sentence has a low F1 by its length alone.",
    "truth, minilm_reference and length_ratio read the same reference.",
    "The systems are plain Python: their latencies compare with each other and not with those of "
    "another implementation.",
    "Other processes ran on the machine; load_average is the number of busy ones at the start. "
    "Taking turns makes it slow all nodes alike: ratios of latencies are better known than their "
    "size.",
    "Energy was not measured; a piece of text has no tokens per second. Both are NaN.",
    "In the file as it comes, several questions share a paragraph: records are not independent.",
]


def provenance(
    made_of: Mapping[str, Any],
    *,
    stamp: Mapping[str, Any],
    load_average: float | None,
    latencies: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the provenance of the profile as plain JSON; it holds numbers, never a text.

    ``made_of`` says which questions and which encoder; ``latencies`` are quantiles in milliseconds
    by node.
    """
    return {
        "summary": "Measured end to end: classical systems on real questions, scored by a real "
        "bi encoder and two rules of thumb, timed on one processor.",
        "source": "XQuAD, English: questions of SQuAD v1.1 (Artetxe, Ruder, Yogatama 2020, "
        "arXiv:1910.11856; Rajpurkar et al. 2016, arXiv:1606.05250)",
        "licence": "The questions are under CC BY-SA 4.0. The profile holds numbers computed from "
        "them and no text; records are numbered in the order of the file.",
        "rebuild": "python -m calibration.extractive CORPUS FOLDER",
        "measured": MEASURED,
        "published": [],
        "inferred": [],
        "assumed": ASSUMED,
        "caveats": CAVEATS,
        **made_of,
        "load_average": None if load_average is None else round(load_average, 1),
        "latency_quantiles_ms": dict(latencies),
        "stamp": dict(stamp),
    }
