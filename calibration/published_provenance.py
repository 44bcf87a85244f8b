"""What of the profile ``published`` is published, inferred and assumed, in sentences."""

from __future__ import annotations

from typing import Any

from poq_abm.profile.published_figures import SOURCE, FittingCoefficients, coefficient_family

__all__ = ["PROVENANCE"]


def _family_member(row: FittingCoefficients) -> str:
    """Return one member of the family of coefficients as a sentence."""
    symbol, what = ("F", "quality") if row.role == "inference" else ("M", "closeness")
    means = ", ".join(f"{name} {value:.3f}" for name, value in row.implied.items())
    fits = (
        f"fits with residual {row.residual:.3f}"
        if row.admissible
        else "would fit, but no scores have such means"
    )
    pair = f"alpha_{symbol} = {row.alpha:g}, beta_{symbol} = {row.beta:g}"
    return f"Family, {pair}: {fits}; {what} {means}."


PUBLISHED = [
    "Corpus: 200 records of question answering (SQuAD v1.1, dev) and 200 of summarization "
    "(CNN/DailyMail, test).",
    "Names and checkpoints of the five inference models.",
    "Families of the three evaluators: MiniLM trained on MS MARCO, DeBERTa v3 small trained "
    "on NLI, DistilRoBERTa trained on STS-B.",
    "Table 4: mean reward, mean latency and normalised cost of every node.",
    "Figure 4: Pearson correlations of the evaluators with the truth and with the judge, "
    "averaged over the two tasks.",
    "Figure 5: mean truth of about 2.1 for TinyLlama, and mean judge scores of 9.0 (Llama), "
    "8.7 (Gemma) and 7.4 (TinyLlama).",
    "Equations 1 to 5: consensus quality, the reward of an inference node, deviation, closeness, "
    "the reward of an evaluator; an evaluator is compared with a consensus that contains its own "
    "score.",
    "Hardware: one RTX 4090 with an i9-12900K and 64 GB, in bfloat16.",
]

INFERRED = [
    "Mean consensus quality per model and mean closeness per evaluator, given the assumed "
    "coefficients: the reward of Table 4 plus 0.3 times the cost.",
    "The committee of all three evaluators in every round: each has 5000 jobs in 5000 rounds.",
    "The hub names of the evaluators: public checkpoints that fit the description, not names "
    "the paper gives.",
    "Evaluator latencies before rounding: the middle of the interval that agrees with both "
    "the printed latencies (0.9, 1.0, 5.9 ms) and the printed costs (0, 0.007, 1).",
    "Mean truth of 5.35 (Llama) and 5.33 (Gemma), printed as slightly above 5.3, and of 1.65 "
    "(Qwen2, Phi-3), printed as below 1.7 with a truth per latency about a seventh of "
    "Llama's.",
    "Mean judge score of 8.1 for Qwen2 and Phi-3: the middle of the printed range, 7.6 to 8.6.",
]

ASSUMED = [
    "The coefficients alpha = 1 and beta = 0.3 in both node classes. The paper states neither, and "
    "Table 4 fixes only alpha Q - beta C (equations 2 and 5): every beta fits it exactly with "
    "other mean qualities.",
    *(_family_member(row) for row in coefficient_family()),
    "Every single row: the scores are drawn from a fitted latent model, since no row is public.",
    "The consensus of the fit is the unweighted mean of the three scores.",
    "Min-max normalisation per task, as section 4.2 of the paper says; section 3.1 says over the "
    "full evaluation set.",
    "A judge score for every answer; the paper has up to 30 for each dataset, task and model.",
    "Each task by itself has the correlations that are published as the average of the two tasks.",
    "The means per model and the closeness per evaluator hold over all records; how the two "
    "tasks differ is not known and is left to chance.",
    "A model's mean moves all three evaluators alike, and the evaluators share one level.",
    "Squashed normal marginals, with latent spreads of 0.9 for the truth and 0.6 for the judge.",
    "Half of the latent variance of the truth and of the evaluators' errors, and three tenths "
    "of the judge's own, belong to the record and are shared by all models.",
    "The judge's latent correlates 0.35 with the truth's within a model.",
    "Evaluators err together: 0.6 of the error variance of STS-B and 0.2 of either cross "
    "encoder's is common.",
]

CAVEATS = [
    "The inputs are fitted to Table 4. A simulation that matches Table 4 with them is a "
    "calibration check, not independent evidence.",
    "Latency distributions, throughput, memory and energy are not published and are NaN.",
]

PROVENANCE: dict[str, Any] = {
    "summary": "A reconstruction that has the published moments; it is not the data of the paper.",
    "source": SOURCE,
    "rebuild": "python -m calibration.published FOLDER",
    "published": PUBLISHED,
    "inferred": INFERRED,
    "assumed": ASSUMED,
    "caveats": CAVEATS,
}
