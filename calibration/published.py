"""Rebuild the profile ``published`` from the published aggregates.

No answer and no score of the paper is public: the table is one that has the published moments,
drawn from the model of :mod:`calibration.latent`. Run ``python -m calibration.published FOLDER``
to write it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from calibration.fit import Table, Targets, fit_table
from calibration.published_provenance import PROVENANCE
from poq_abm.errors import InputError
from poq_abm.profile import published_figures as figures
from poq_abm.profile import write_profile
from poq_abm.profile.layout import COST_COLUMNS

__all__ = ["cost_table", "main", "score_table", "targets", "write_published"]

NAME = "published"


def write_published(folder: str | Path) -> Path:
    """Rebuild the profile ``published`` and write it to ``folder``, which must not exist."""
    return write_profile(
        folder,
        name=NAME,
        scores_table=score_table(),
        costs_table=cost_table(),
        tasks={name: {"source": source} for name, source in figures.TASKS.items()},
        models={name: {"checkpoint": row.checkpoint} for name, row in figures.INFERENCE.items()},
        evaluators={
            name: {"checkpoint": row.checkpoint} for name, row in figures.EVALUATORS.items()
        },
        normalisation={"method": "min_max", "scope": "task"},
        hardware=figures.HARDWARE,
        provenance=PROVENANCE,
    )


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
    parser = argparse.ArgumentParser(prog="python -m calibration.published", description=__doc__)
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


def _long(table: Table) -> pd.DataFrame:
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
