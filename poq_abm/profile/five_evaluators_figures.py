"""The published figures of Proof of Quality with five evaluators, and what is inferred of them.

Source: arXiv:2603.04028, the same group's follow-up, which says that its evaluators are those of
arXiv:2601.21189 and so has numbers that the abstract of that paper lacks. Correlations are printed;
rewards are read off figures, to 0.001 (nodes) and 0.0004 (attacks). This is the one place of the
code where its numbers live. Its correlations of the three evaluators that arXiv:2512.16317 has too
differ from that paper's (:mod:`poq_abm.profile.published_figures`): both are published, and neither
replaces the other.
"""

from __future__ import annotations

from typing import Final

from poq_abm.profile import published_figures
from poq_abm.profile.published_figures import ASSUMED_ALPHA, ASSUMED_BETA

__all__ = [
    "ATTACK_REWARDS",
    "BLEND",
    "BLEND_REWARDS",
    "CONSENSUS_CORRELATION",
    "CONSENSUS_RANK_CORRELATION",
    "COST_PRIOR_CORRELATION",
    "EVALUATORS",
    "EVALUATOR_REWARDS",
    "INFERENCE_REWARDS",
    "INFERRED_COMMITTEE",
    "INFERRED_SHIFT",
    "INFERRED_TAU",
    "OUTPUTS",
    "RATIOS",
    "RULES",
    "SOURCE",
    "TASK_CORRELATION",
    "TRUST_MAXIMUM",
    "TRUST_START",
    "TRUTH_CORRELATION",
    "TRUTH_RANK_CORRELATION",
    "evaluator_costs",
    "evaluator_latencies",
    "inference_costs",
    "mean_closeness",
    "mean_quality",
]

SOURCE: Final = "arXiv:2603.04028"
OUTPUTS: Final = 2000  #: answers scored: 400 records by five models

#: the evaluators; the hub names of the last two are inferred, as those of the first three are
EVALUATORS: Final = {
    "ce_minilm": "cross-encoder/ms-marco-MiniLM-L-6-v2",
    "ce_deberta": "cross-encoder/nli-deberta-v3-small",
    "sts_stsb": "sentence-transformers/stsb-distilroberta-base-v2",
    "sts_minilm": "sentence-transformers/all-MiniLM-L6-v2",
    "sts_paraphrase": "sentence-transformers/paraphrase-MiniLM-L6-v2",
}

#: Pearson and Spearman correlations with the truth over all outputs, of every evaluator ...
TRUTH_CORRELATION: Final = dict(zip(EVALUATORS, (0.39, -0.49, 0.73, 0.74, 0.754), strict=True))
TRUTH_RANK_CORRELATION: Final = dict(zip(EVALUATORS, (0.43, -0.27, 0.78, 0.81, 0.806), strict=True))
#: ... and of the consensus of all five
CONSENSUS_CORRELATION: Final = {"mean": 0.58, "median": 0.749, "trimmed_mean": 0.72}
CONSENSUS_RANK_CORRELATION: Final = {"mean": 0.72, "median": 0.801, "trimmed_mean": 0.80}
#: Pearson correlation of the dimension "semantic" by task; over all outputs it is .733, as that of
#: ``sts_stsb``, which it is therefore taken for
TASK_CORRELATION: Final = {"qa": 0.863, "summarization": 0.433}
#: Pearson correlation of the dimension "cost prior", taken for 1 - C
COST_PRIOR_CORRELATION: Final = 0.389

#: mean rewards without an attack
INFERENCE_REWARDS: Final = {
    "llama_3_2_3b": 0.682,
    "gemma_2_2b_it": 0.676,
    "tinylama_1_1b": 0.630,
    "qwen2_1_5b": 0.342,
    "phi3_mini_4k": 0.340,
}
EVALUATOR_REWARDS: Final = dict(zip(EVALUATORS, (0.891, 0.495, 0.896, 0.900, 0.910), strict=True))

RATIOS: Final = (0.0, 0.2, 0.4, 0.6)  #: malicious evaluators over all five
RULES: Final = ("mean", "median")  #: the adaptive weights give the first, trimming the second

_CLEAN = (0.5335, 0.5473)
#: Figure 14, mean reward of inference nodes by attack and ratio, under each of :data:`RULES`
ATTACK_REWARDS: Final = {
    "random_noise": (_CLEAN, (0.5301, 0.5426), (0.5254, 0.5406), (0.5223, 0.5387)),
    "boost": (_CLEAN, (0.5858, 0.5860), (0.6409, 0.6706), (0.6951, 0.7547)),
    "sabotage": (_CLEAN, (0.4643, 0.4891), (0.3926, 0.3945), (0.3203, 0.2792)),
    "strategic": (_CLEAN, (0.5273, 0.5421), (0.5227, 0.5410), (0.5179, 0.5393)),
}
_CLEAN_BLEND = (0.5456, 0.5540)
#: the other point that the figure has for each ratio
BLEND_REWARDS: Final = {
    "random_noise": (_CLEAN_BLEND, (0.5436, 0.5513), (0.5408, 0.5502), (0.5391, 0.5493)),
    "boost": (_CLEAN_BLEND, (0.5770, 0.5773), (0.6101, 0.6279), (0.6428, 0.6783)),
    "sabotage": (_CLEAN_BLEND, (0.5042, 0.5193), (0.4618, 0.4637), (0.4198, 0.3973)),
    "strategic": (_CLEAN_BLEND, (0.5419, 0.5510), (0.5392, 0.5505), (0.5364, 0.5497)),
}
#: inferred: slope and intercept by which the second is an affine image of the first, to 0.0033
BLEND: Final = (0.595, 0.228)

TRUST_START, TRUST_MAXIMUM = 1.0, 3.0  #: printed: w_0 and w_max; all five weights end at w_max
INFERRED_COMMITTEE: Final = 3  #: K, of five
INFERRED_SHIFT: Final = 4.0  #: b of boost and sabotage; 3 and 5 miss the rewards by 15 to 20%
#: of the trimmed mean: the least that leaves one of three, for trimming pays as the median does
INFERRED_TAU: Final = 0.34


def inference_costs() -> dict[str, float]:
    """Return the costs of the inference nodes, of arXiv:2512.16317: this paper prints none.

    >>> inference_costs()["phi3_mini_4k"]
    1.0
    """
    return {name: published_figures.INFERENCE[name].cost for name in INFERENCE_REWARDS}


def evaluator_latencies() -> dict[str, float]:
    """Return the latencies (ms) of the evaluators, those of two of them assumed.

    ``sts_minilm`` and ``sts_paraphrase`` have the layers and widths of ``ce_minilm`` and are given
    its latency.

    >>> evaluator_latencies()["sts_paraphrase"] == evaluator_latencies()["ce_minilm"]
    True
    """
    known = published_figures.evaluator_latencies()
    return {name: known.get(name, known["ce_minilm"]) for name in EVALUATORS}


def evaluator_costs() -> dict[str, float]:
    """Return the costs of the evaluators: their latencies, min-max normalised.

    >>> evaluator_costs()["ce_deberta"]
    1.0
    """
    latencies = evaluator_latencies()
    low, high = min(latencies.values()), max(latencies.values())
    return {name: (latency - low) / (high - low) for name, latency in latencies.items()}


def mean_quality() -> dict[str, float]:
    """Return the mean consensus quality of every inference model that its reward implies.

    Equation (2) with the assumed coefficients of :mod:`poq_abm.profile.published_figures`.

    >>> round(mean_quality()["phi3_mini_4k"], 3)
    0.64
    """
    costs = inference_costs()
    return {
        name: (reward + ASSUMED_BETA * costs[name]) / ASSUMED_ALPHA
        for name, reward in INFERENCE_REWARDS.items()
    }


def mean_closeness() -> dict[str, float]:
    """Return the mean closeness of every evaluator that its reward implies, by equation (5).

    >>> round(mean_closeness()["ce_deberta"], 3)
    0.795
    """
    costs = evaluator_costs()
    return {
        name: (reward + ASSUMED_BETA * costs[name]) / ASSUMED_ALPHA
        for name, reward in EVALUATOR_REWARDS.items()
    }
