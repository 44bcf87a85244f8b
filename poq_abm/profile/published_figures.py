"""The published figures of cost-aware Proof of Quality, and what is inferred and assumed.

Source: "Design and Evaluation of Cost-Aware PoQ for Decentralized LLM Inference",
arXiv:2512.16317. This is the one place of the code where its numbers live. Names in capitals
without a prefix are printed figures; what the paper only bounds or implies carries the prefix
``INFERRED``, and what it leaves open ``ASSUMED``.

Equations (2) and (5) give Table 4 as R = alpha Q - beta C, with the mean quality (or closeness) Q
unknown: as many unknowns as rewards, so any alpha and beta fit exactly. See
:func:`coefficient_family`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

__all__ = [
    "ASSUMED_ALPHA",
    "ASSUMED_BETA",
    "EVALUATORS",
    "FAMILY_BETAS",
    "HARDWARE",
    "INFERENCE",
    "INFERRED_JUDGE",
    "INFERRED_TRUTH",
    "JUDGE",
    "JUDGE_CORRELATION",
    "RECORDS_PER_TASK",
    "SOURCE",
    "TASKS",
    "TRUTH",
    "TRUTH_CORRELATION",
    "FittingCoefficients",
    "Printed",
    "coefficient_family",
    "evaluator_latencies",
    "mean_closeness",
    "mean_quality",
]

SOURCE = "Design and Evaluation of Cost-Aware PoQ for Decentralized LLM Inference, arXiv:2512.16317"

TASKS = {"qa": "SQuAD v1.1, dev split", "summarization": "CNN/DailyMail, test split"}
RECORDS_PER_TASK = 200
HARDWARE = {
    "rtx_4090": {"description": "RTX 4090, i9-12900K, 64 GB, bfloat16"},
}


@dataclass(frozen=True)
class Printed:
    """One row of Table 4, with the public checkpoint of the model."""

    checkpoint: str
    reward: float  #: mean reward per job
    latency_ms: float  #: mean latency per job, as printed
    cost: float  #: latency min-max normalised inside the node class, as printed
    jobs: int  #: rounds worked in the one published run of 5,000 rounds


#: Table 4, inference nodes; the checkpoints are named in the paper.
INFERENCE = {
    "llama_3_2_3b": Printed("meta-llama/Llama-3.2-3B-Instruct", 0.623, 1077.7, 0.000, 1009),
    "gemma_2_2b_it": Printed("google/gemma-2-2b-it", 0.598, 1108.0, 0.023, 952),
    "tinylama_1_1b": Printed("TinyLlama/TinyLlama-1.1B-Chat-v1.0", 0.426, 1470.1, 0.295, 963),
    "qwen2_1_5b": Printed("Qwen/Qwen2-1.5B-Instruct", 0.157, 2320.6, 0.933, 1039),
    "phi3_mini_4k": Printed("microsoft/Phi-3-mini-4k-instruct", 0.126, 2409.3, 1.000, 1037),
}

#: Table 4, evaluators; the checkpoints are inferred from the families that the paper names.
EVALUATORS = {
    "sts_stsb": Printed(
        "sentence-transformers/stsb-distilroberta-base-v2", 0.856, 0.9, 0.000, 5000
    ),
    "ce_minilm": Printed("cross-encoder/ms-marco-MiniLM-L-6-v2", 0.834, 1.0, 0.007, 5000),
    "ce_deberta": Printed("cross-encoder/nli-deberta-v3-small", 0.544, 5.9, 1.000, 5000),
}

#: Figure 4: Pearson correlation with the truth and with the judge, averaged over the two tasks.
TRUTH_CORRELATION = {"sts_stsb": 0.66, "ce_minilm": -0.24, "ce_deberta": -0.04}
JUDGE_CORRELATION = {"sts_stsb": 0.29, "ce_minilm": -0.17, "ce_deberta": 0.03}

#: Assumed in both node classes: the paper never states its coefficients, and Table 4 does not tell
#: them from others of :func:`coefficient_family`.
ASSUMED_ALPHA = 1.0
ASSUMED_BETA = 0.3

#: values of beta that the family is shown for
FAMILY_BETAS = (0.1, 0.2, 0.3, 0.4, 0.5)

#: Figure 5, mean truth and mean judge score, where a number is printed.
TRUTH = {"tinylama_1_1b": 2.1}
JUDGE = {"llama_3_2_3b": 9.0, "gemma_2_2b_it": 8.7, "tinylama_1_1b": 7.4}

#: Figure 5 says "slightly above 5.3" of the first two and "below 1.7" of the others, whose truth
#: per latency is about a seventh of Llama's.
INFERRED_TRUTH = {
    "llama_3_2_3b": 5.35,
    "gemma_2_2b_it": 5.33,
    "qwen2_1_5b": 1.65,
    "phi3_mini_4k": 1.65,
}

#: Figure 5 gives these two only the range 7.6 to 8.6; this is its middle.
INFERRED_JUDGE = {"qwen2_1_5b": 8.1, "phi3_mini_4k": 8.1}


def mean_quality(alpha: float = ASSUMED_ALPHA, beta: float = ASSUMED_BETA) -> dict[str, float]:
    """Return the mean consensus quality Q per inference model that Table 4 implies.

    Equation (2) is ``R = alpha Q - beta C``, hence ``Q = (R + beta C) / alpha``; in [0, 1] where
    the coefficients can be true.

    >>> round(mean_quality()["phi3_mini_4k"], 3), round(mean_quality(beta=0.1)["phi3_mini_4k"], 3)
    (0.426, 0.226)
    """
    return {name: (row.reward + beta * row.cost) / alpha for name, row in INFERENCE.items()}


def mean_closeness(alpha: float = ASSUMED_ALPHA, beta: float = ASSUMED_BETA) -> dict[str, float]:
    """Return the mean closeness per evaluator that Table 4 implies by equation (5).

    >>> round(mean_closeness()["ce_deberta"], 3)
    0.844
    """
    return {name: (row.reward + beta * row.cost) / alpha for name, row in EVALUATORS.items()}


class FittingCoefficients(NamedTuple):
    """One pair of coefficients, and what Table 4 implies under it."""

    role: Literal["inference", "evaluator"]
    alpha: float
    beta: float
    implied: dict[str, float]  #: mean quality per model, or mean closeness per evaluator
    residual: float  #: largest |alpha implied - beta C - R| over the class
    admissible: bool  #: whether scores can have these means at all


def coefficient_family(
    betas: Sequence[float] = FAMILY_BETAS, alpha: float = ASSUMED_ALPHA
) -> list[FittingCoefficients]:
    """Return what Table 4 implies under other coefficients, for both node classes.

    Each class has as many unknown means as rewards, so every pair fits with no residual. What
    narrows them is that means must be possible: quality and closeness lie in [0, 1], and because
    deviations from a mean of three scores sum to zero, no evaluator's mean deviation exceeds those
    of the other two together (triangle inequality). With alpha = 1 that leaves beta_F free over all
    that is shown, and beta_M between 0.147 and 0.437.

    >>> family = coefficient_family()
    >>> [(row.beta, row.admissible) for row in family if row.role == "evaluator"]
    [(0.1, False), (0.2, True), (0.3, True), (0.4, True), (0.5, False)]
    >>> max(row.residual for row in family) < 1e-15
    True
    """
    return [
        *(_inference_coefficients(alpha, beta) for beta in betas),
        *(_evaluator_coefficients(alpha, beta) for beta in betas),
    ]


def _inference_coefficients(alpha: float, beta: float) -> FittingCoefficients:
    implied = mean_quality(alpha, beta)
    possible = all(0.0 <= value <= 1.0 for value in implied.values())
    residual = _residual(INFERENCE, implied, alpha, beta)
    return FittingCoefficients("inference", alpha, beta, implied, residual, possible)


def _evaluator_coefficients(alpha: float, beta: float) -> FittingCoefficients:
    implied = mean_closeness(alpha, beta)
    deviations = [1.0 - value for value in implied.values()]
    balanced = 2.0 * max(deviations) <= sum(deviations)
    possible = balanced and all(0.0 <= value <= 1.0 for value in deviations)
    residual = _residual(EVALUATORS, implied, alpha, beta)
    return FittingCoefficients("evaluator", alpha, beta, implied, residual, possible)


def _residual(
    table: dict[str, Printed], implied: dict[str, float], alpha: float, beta: float
) -> float:
    return max(abs(alpha * implied[k] - beta * row.cost - row.reward) for k, row in table.items())


def evaluator_latencies() -> dict[str, float]:
    """Return unrounded evaluator latencies (ms) that agree with the printed latencies and costs.

    With ``cost = (m - s) / (d - s)`` for MiniLM (m), STS (s) and DeBERTa (d), the printed 0.9, 1.0
    and 5.9 would give 0.020 where Table 4 says 0.007. Taking d as printed, s can lie anywhere that
    lets m, s and the cost round to what is printed; s is the middle of that interval and m follows
    from the printed cost.

    >>> evaluator_latencies()
    {'sts_stsb': 0.9313, 'ce_minilm': 0.9661, 'ce_deberta': 5.9}
    """
    fast, middle, slow = (EVALUATORS[k] for k in ("sts_stsb", "ce_minilm", "ce_deberta"))
    d = slow.latency_ms
    least = _solve_fastest(middle.latency_ms - 0.05, middle.cost + 0.0005, d)
    most = _solve_fastest(middle.latency_ms + 0.05, middle.cost - 0.0005, d)
    s = (max(least, fast.latency_ms - 0.05) + min(most, fast.latency_ms + 0.05)) / 2
    m = s + middle.cost * (d - s)
    return {"sts_stsb": round(s, 4), "ce_minilm": round(m, 4), "ce_deberta": d}


def _solve_fastest(m: float, cost: float, d: float) -> float:
    return (m - cost * d) / (1.0 - cost)
