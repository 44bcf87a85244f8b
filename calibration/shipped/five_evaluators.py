"""Rebuild the profile ``five_evaluators`` from the figures of arXiv:2603.04028.

No answer and no score of the paper is public: the table is one that has the published figures, made
by :mod:`calibration.shipped.five_evaluators_fit`. Run ``python -m
calibration.shipped.five_evaluators FOLDER`` to write it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from calibration.shipped.five_evaluators_fit import FiveEvaluatorTargets, OutputTable, fit_outputs
from poq_abm.errors import InputError
from poq_abm.profile import ProfileDescription, write_profile
from poq_abm.profile import five_evaluators_figures as figures
from poq_abm.profile import published_figures as earlier
from poq_abm.profile.validity import COST_COLUMNS

__all__ = ["PROVENANCE", "main", "targets_of_the_paper", "write_five_evaluators"]

NAME = "five_evaluators"


def write_five_evaluators(folder: str | Path) -> Path:
    """Rebuild the profile ``five_evaluators`` and write it to ``folder``, which must not exist."""
    table = fit_outputs(targets_of_the_paper(), figures.OUTPUTS // len(figures.INFERENCE_REWARDS))
    checkpoints = {name: earlier.INFERENCE[name].checkpoint for name in figures.INFERENCE_REWARDS}
    description = ProfileDescription(
        name=NAME,
        tasks={name: {"source": source} for name, source in earlier.TASKS.items()},
        models={name: {"checkpoint": checkpoint} for name, checkpoint in checkpoints.items()},
        evaluators={
            name: {"checkpoint": checkpoint} for name, checkpoint in figures.EVALUATORS.items()
        },
        normalisation={"method": "min_max", "scope": "task"},
        hardware=earlier.HARDWARE,
        provenance=PROVENANCE,
    )
    return write_profile(folder, description, _long(table), _cost_table())


def targets_of_the_paper() -> FiveEvaluatorTargets:
    """Return the figures that the table is fitted to, under the assumed coefficients."""
    costs = _array(figures.inference_costs(), figures.INFERENCE_REWARDS)
    charged = earlier.ASSUMED_BETA * float(costs.mean())
    attacks: dict[str, dict[str, Sequence[float]]] = {
        attack: {
            rule: [row[place] + charged for row in figures.ATTACK_REWARDS[attack][1:]]
            for place, rule in enumerate(figures.RULES)
        }
        for attack in ("boost", "sabotage")
    }
    clean: dict[str, Sequence[float]] = {
        "median": [figures.ATTACK_REWARDS["boost"][0][1] + charged]
    }
    return FiveEvaluatorTargets(
        truth=_array(earlier.TRUTH | earlier.INFERRED_TRUTH, figures.INFERENCE_REWARDS),
        correlation=_array(figures.TRUTH_CORRELATION, figures.EVALUATORS),
        consensus_correlation=dict(figures.CONSENSUS_CORRELATION),
        task_correlation=_array(figures.TASK_CORRELATION, earlier.TASKS),
        cost=costs,
        cost_correlation=figures.COST_PRIOR_CORRELATION,
        quality=_array(figures.mean_quality(), figures.INFERENCE_REWARDS),
        closeness=_array(figures.mean_closeness(), figures.EVALUATORS),
        shift=figures.INFERRED_SHIFT,
        consensus={"none": clean, **attacks},
    )


def _array(by_name: Mapping[str, float], order: Mapping[str, object]) -> NDArray[np.float64]:
    return np.array([by_name[name] for name in order])


def main(arguments: list[str] | None = None) -> int:
    """Write the profile to the folder named on the command line; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m calibration.shipped.five_evaluators", description=__doc__
    )
    parser.add_argument("folder", type=Path, help="folder to write; it must not exist")
    folder = parser.parse_args(arguments).folder
    try:
        write_five_evaluators(folder)
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{folder}\n")
    return 0


def _cost_table() -> pd.DataFrame:
    latencies = {
        "inference": {
            name: earlier.INFERENCE[name].latency_ms for name in figures.INFERENCE_REWARDS
        },
        "evaluator": figures.evaluator_latencies(),
    }
    rows = [
        {"role": role, "node": node, "hardware": hardware, "latency_ms": latency}
        for role, nodes in latencies.items()
        for node, latency in nodes.items()
        for hardware in earlier.HARDWARE
    ]
    table = pd.DataFrame(rows, columns=list(COST_COLUMNS))
    return table.astype(dict.fromkeys(set(COST_COLUMNS) - set(rows[0]), "float64"))


def _long(table: OutputTable) -> pd.DataFrame:
    models = list(figures.INFERENCE_REWARDS)
    records = figures.OUTPUTS // len(models)
    tasks = np.repeat(list(earlier.TASKS), records // len(earlier.TASKS))
    names = [f"{task}_{i % (records // len(earlier.TASKS)):03d}" for i, task in enumerate(tasks)]
    columns = {
        "record": np.repeat(names, len(models)),
        "task": np.repeat(tasks, len(models)),
        "model": np.tile(models, records),
        "truth": table.truth,
        "judge": np.full(table.truth.size, np.nan),
    }
    return pd.DataFrame(columns | dict(zip(figures.EVALUATORS, table.scores.T, strict=True)))


PUBLISHED = [
    "2,000 outputs; Pearson and Spearman correlations with the truth of five evaluators, and of "
    "the mean, median and trimmed mean of all five.",
    "Pearson correlation of the dimension `semantic` with the truth by task: .863 in question "
    "answering, .433 in summarization.",
    "Pearson correlation .389 of the dimension `cost prior` with the truth.",
    "Mean rewards without an attack of five inference models and five evaluators, read off a "
    "figure to .001.",
    "Mean rewards of inference nodes under four attacks at four ratios of malicious evaluators "
    "(Figure 14), read off to .0004.",
    "Trust weights start at 1 and end at their maximum of 3 for all five evaluators.",
]
INFERRED = [
    "Committees of K = 3 of five evaluators and a shift b = 4 of boost and sabotage: other sizes "
    "miss the rewards under attack.",
    "The dimension `semantic` is `sts_stsb`: its correlation over all outputs is the same, .73.",
    "The dimension `cost prior` is 1 - C.",
    "A trimmed mean that leaves one score of three: it pays as the median to within a pixel.",
    "Mean consensus quality per model and mean closeness per evaluator, given the assumed "
    "coefficients: the reward plus 0.3 times the cost.",
    "The hub names of the evaluators: public checkpoints that fit the description.",
]
ASSUMED = [
    "The coefficients alpha = 1 and beta = 0.3 in both node classes, as in the profile "
    "`published`.",
    "Costs and latencies of the inference models and of three evaluators: those of "
    "arXiv:2512.16317. Bi-encoders `sts_minilm` and `sts_paraphrase` take as long as `ce_minilm`, "
    "which has their layers and widths.",
    "400 records, half of them question answering, answered by all five models.",
    "Every single row: the first draw is a latent model, and all scores and truths are then moved "
    "as little as brings the figures to what is published.",
    "Who lies: rewards under attack are fitted as means over all sets of one, two and three liars.",
    "Mean truths per model: the first draw has those of arXiv:2512.16317 (Figure 5), which the fit "
    "then moves, for there is no figure of them here.",
    "How the four correlations that are not published by task differ between tasks.",
]
CAVEATS = [
    "The inputs are fitted to these figures. A simulation that matches them is a check of the "
    "calibration, not independent evidence.",
    "Rank correlations are not fitted and differ; so are not the other five dimensions.",
    "The three evaluators that arXiv:2512.16317 has too correlate otherwise there (.66, -.24, -.04 "
    "against .73, .39, -.49 of STS-B, MiniLM, DeBERTa). Both are published; the profile "
    "`published` has the others.",
    "There is no judge. Latency distributions, throughput, memory and energy are NaN.",
]
PROVENANCE: dict[str, Any] = {
    "summary": "A reconstruction that has the published figures; it is not the data of the paper.",
    "source": figures.SOURCE,
    "rebuild": "python -m calibration.shipped.five_evaluators FOLDER",
    "published": PUBLISHED,
    "inferred": INFERRED,
    "assumed": ASSUMED,
    "caveats": CAVEATS,
}


if __name__ == "__main__":
    raise SystemExit(main())
