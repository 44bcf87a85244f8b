"""Rebuild the profile ``published`` from the published aggregates.

No answer and no score of the paper is public: the table is one that has the published moments,
drawn from the model of :mod:`calibration.shipped.published_fit`. Run ``python -m
calibration.shipped.published FOLDER`` to write it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from calibration.shipped.published_fit import JointTable, Targets, fit_table
from poq_abm.errors import InputError
from poq_abm.profile import ProfileDescription, write_profile
from poq_abm.profile import published_figures as figures
from poq_abm.profile.published_figures import SOURCE, FittingCoefficients, coefficient_family
from poq_abm.profile.validity import COST_COLUMNS

__all__ = ["PROVENANCE", "cost_table", "main", "score_table", "targets", "write_published"]

NAME = "published"


def write_published(folder: str | Path) -> Path:
    """Rebuild the profile ``published`` and write it to ``folder``, which must not exist."""
    description = ProfileDescription(
        name=NAME,
        tasks={name: {"source": source} for name, source in figures.TASKS.items()},
        models={name: {"checkpoint": row.checkpoint} for name, row in figures.INFERENCE.items()},
        evaluators={
            name: {"checkpoint": row.checkpoint} for name, row in figures.EVALUATORS.items()
        },
        normalisation={"method": "min_max", "scope": "task"},
        hardware=figures.HARDWARE,
        provenance=PROVENANCE,
    )
    return write_profile(folder, description, score_table(), cost_table())


def score_table() -> pd.DataFrame:
    """Return the reconstructed score table: one row per record and model, 2000 rows."""
    sizes = [figures.RECORDS_PER_TASK] * len(figures.TASKS)
    return _long(fit_table(targets(), sizes))


def cost_table() -> pd.DataFrame:
    """Return the costs: mean latencies per job; everything that is not published is NaN.

    >>> [float(ms) for ms in cost_table()["latency_ms"].head(2)]
    [1077.7, 1108.0]
    """
    latencies = {
        "inference": {name: row.latency_ms for name, row in figures.INFERENCE.items()},
        "evaluator": figures.evaluator_latencies(),
    }
    rows = [
        {"role": role, "node": node, "hardware": hardware, "latency_ms": latency}
        for role, nodes in latencies.items()
        for node, latency in nodes.items()
        for hardware in figures.HARDWARE
    ]
    table = pd.DataFrame(rows, columns=list(COST_COLUMNS))
    unknown = [column for column in COST_COLUMNS if column not in rows[0]]
    return table.astype(dict.fromkeys(unknown, "float64"))


def main(arguments: list[str] | None = None) -> int:
    """Write the profile to the folder named on the command line; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m calibration.shipped.published", description=__doc__
    )
    parser.add_argument("folder", type=Path, help="folder to write; it must not exist")
    folder = parser.parse_args(arguments).folder
    try:
        write_published(folder)
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{folder}\n")
    return 0


def targets() -> Targets:
    """Return the published moments that the table is fitted to, under the assumed coefficients."""

    def array(by_name: Mapping[str, float], order: Mapping[str, object]) -> NDArray[np.float64]:
        return np.array([by_name[name] for name in order])

    return Targets(
        quality=array(figures.mean_quality(), figures.INFERENCE),
        closeness=array(figures.mean_closeness(), figures.EVALUATORS),
        truth_correlation=array(figures.TRUTH_CORRELATION, figures.EVALUATORS),
        judge_correlation=array(figures.JUDGE_CORRELATION, figures.EVALUATORS),
        truth=array(figures.TRUTH | figures.INFERRED_TRUTH, figures.INFERENCE),
        judge=array(figures.JUDGE | figures.INFERRED_JUDGE, figures.INFERENCE),
    )


def _long(table: JointTable) -> pd.DataFrame:
    n_models = len(figures.INFERENCE)
    tasks = np.repeat(list(figures.TASKS), figures.RECORDS_PER_TASK)
    records = [f"{task}_{i % figures.RECORDS_PER_TASK:03d}" for i, task in enumerate(tasks)]
    columns = {
        "record": np.repeat(records, n_models),
        "task": np.repeat(tasks, n_models),
        "model": np.tile(list(figures.INFERENCE), len(records)),
        "truth": table.truth.ravel(),
        "judge": table.judge.ravel(),
    }
    for i, evaluator in enumerate(figures.EVALUATORS):
        columns[evaluator] = table.scores[:, :, i].ravel()
    return pd.DataFrame(columns)


if __name__ == "__main__":
    raise SystemExit(main())


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
    "rebuild": "python -m calibration.shipped.published FOLDER",
    "published": PUBLISHED,
    "inferred": INFERRED,
    "assumed": ASSUMED,
    "caveats": CAVEATS,
}
