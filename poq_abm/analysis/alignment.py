"""Does pay follow what it is meant to pay for? Rank correlations of reward over nodes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Literal

import numpy as np
import pandas as pd

from poq_abm.analysis.questions import AnalysisRequest, TableKind
from poq_abm.errors import InputError, nearest
from poq_abm.experiment.estimates import CONFIDENCE, mean_interval
from poq_abm.experiment.schemas import RANGES

__all__ = ["MERITS", "TABLES", "evaluator_accuracy", "rank_correlation", "reward_alignment"]

Role = Literal["inference", "evaluator"]
_MEASURED = ("consensus_mean", "truth_mean", "closeness_mean", "latency_ms")
_LEAST_NODES = 3  # two nodes correlate at 1 or -1 whatever happens

#: what a node's reward per job is ranked against, by role: from its row of ``nodes`` to a number
MERITS: dict[str, dict[str, Callable[[pd.DataFrame], pd.Series[float]]]] = {
    "inference": {
        "quality": lambda nodes: nodes["consensus_mean"] / 10.0,
        "truth": lambda nodes: nodes["truth_mean"],
        # Cost is 0 for the cheapest node of its class; latency is what it was normalised from.
        "quality per cost": lambda nodes: nodes["consensus_mean"] / nodes["latency_ms"],
        "truth per cost": lambda nodes: nodes["truth_mean"] / nodes["latency_ms"],
    },
    "evaluator": {
        "closeness": lambda nodes: nodes["closeness_mean"],
        "closeness per cost": lambda nodes: nodes["closeness_mean"] / nodes["latency_ms"],
        "accuracy": lambda nodes: nodes["accuracy"],
        "accuracy per cost": lambda nodes: nodes["accuracy"] / nodes["latency_ms"],
    },
}


def reward_alignment(
    nodes: pd.DataFrame | Iterable[pd.DataFrame],
    *,
    role: Role = "inference",
    rounds: pd.DataFrame | None = None,
    confidence: float = CONFIDENCE,
) -> pd.DataFrame:
    """Return Spearman's rank correlation of reward per job with what a node is worth.

    Correlations are taken over the nodes of a replication, their mean and Student interval over
    replications. An inference node is worth its quality (mean consensus / 10), its truth, and
    either of them over its mean latency, the unnormalised cost. An evaluator is worth its
    closeness and, with a trace, its accuracy: agreement pay is not accuracy pay.

    Parameters
    ----------
    nodes
        Rows of :data:`poq_abm.experiment.schemas.NODES`, or parts of them that hold whole
        replications.
    role
        Whose reward.
    rounds
        A trace (:data:`poq_abm.experiment.schemas.ROUNDS`) of the same replications, from which
        evaluators' accuracy comes; without one it has no rows.
    confidence
        Level of the intervals, in (0, 1).

    Returns
    -------
    DataFrame
        ``treatment``, ``role``, ``merit``, ``nodes`` (most in a replication), ``replications`` in
        which it is defined, ``correlation`` in [-1, 1], ``low``, ``high`` (cut to that range;
        missing below two replications). A correlation needs three nodes with a job, and neither
        side all equal.

    Raises
    ------
    InputError
        If the role is unknown or has no nodes.
    """
    if role not in MERITS:
        raise InputError(f"no role {role!r}; {nearest(role, MERITS)}")
    accuracy = None
    if role == "evaluator" and rounds is not None:
        accuracy = evaluator_accuracy(rounds).astype({"treatment": str})
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    most: dict[str, int] = defaultdict(int)
    for part in [nodes] if isinstance(nodes, pd.DataFrame) else nodes:
        chosen = part[(part["role"] == role) & (part["jobs"] > 0)].astype({"treatment": str})
        if accuracy is not None:
            keys = ["treatment", "replication", "node"]
            chosen = chosen.merge(accuracy, on=keys, how="left")
        for key, of_one in chosen.groupby(["treatment", "replication"], sort=False):
            treatment = str(key[0])
            most[treatment] = max(most[treatment], len(of_one))
            for merit, worth in MERITS[role].items():
                if "accuracy" in of_one or not merit.startswith("accuracy"):
                    rank = rank_correlation(
                        of_one["reward_mean"].to_numpy(), worth(of_one).to_numpy()
                    )
                    found[treatment, merit].append(rank)
    if not found:
        raise InputError(f"no {role} node had a job: there is nothing to correlate")
    rows = []
    for (treatment, merit), ranks in found.items():
        values = np.array(ranks)[np.isfinite(ranks)]
        mean, _, low, high = mean_interval(values, confidence, RANGES["-1 to 1"])
        rows.append((treatment, role, merit, most[treatment], values.size, mean, low, high))
    return pd.DataFrame(
        rows,
        columns=["treatment", "role", "merit", "nodes", "replications", "correlation", "low",
                 "high"],
    )  # fmt: skip


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Return Spearman's rank correlation, tied ranks averaged; NaN where it is not defined.

    Undefined for fewer than three pairs of numbers, or where either side is all equal.

    >>> import numpy as np
    >>> round(rank_correlation(np.array([1.0, 2.0, 9.0]), np.array([5.0, 6.0, 7.0])), 12)
    1.0
    """
    known = np.isfinite(a) & np.isfinite(b)
    if int(known.sum()) < _LEAST_NODES:
        return float("nan")
    x, y = (pd.Series(side[known]).rank().to_numpy() for side in (a, b))
    x, y = x - x.mean(), y - y.mean()
    norm = float(np.sqrt((x * x).sum() * (y * y).sum()))
    return float((x * y).sum()) / norm if norm > 0.0 else float("nan")


def evaluator_accuracy(rounds: pd.DataFrame) -> pd.DataFrame:
    """Return how near each evaluator's reports lie to the truth: 1 - mean abs(score - truth)/10.

    ``rounds`` is a trace. Columns: ``treatment``, ``replication``, ``node``, ``accuracy`` in
    [0, 1].
    """
    keys = ["treatment", "replication"]
    seats = rounds[[*keys, "committee", "scores", "truth"]].explode(["committee", "scores"])
    distance = (seats["scores"].astype(float) - seats["truth"]).abs()
    table = seats[keys].assign(
        node=seats["committee"].astype("int32"), accuracy=1.0 - distance / 10.0
    )
    return table.groupby([*keys, "node"], observed=True)["accuracy"].mean().reset_index()


def _table(request: AnalysisRequest) -> pd.DataFrame:
    results = request.run.results
    trace = results.rounds if "rounds" in results.tables else None
    role: Role = request.role or "inference"  # type: ignore[assignment]  # checked, with the nearest
    rows = request.rows("node", "jobs", "reward_mean", *_MEASURED)
    return reward_alignment(rows, role=role, rounds=trace)


TABLES = (
    TableKind(
        "alignment",
        "rank correlation of reward with what a node is worth",
        _table,
        ("treatment", "role", "group"),
    ),
)
