"""Whether a payment of evaluators follows their accuracy, and what a lazy node earns.

Accuracy is the correlation of an evaluator model's scores with the truth in the profile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from poq_abm.analysis.evaluator_correlation import evaluator_correlations
from poq_abm.analysis.figure_style import canvas, caption, count_of, need
from poq_abm.analysis.questions import (
    NODES,
    AnalysisRequest,
    FigureKind,
    Need,
    Section,
    TableKind,
    drawn_from_a_profile,
    told,
)
from poq_abm.analysis.stored_run import StoredRun
from poq_abm.errors import InputError
from poq_abm.experiment.estimates import CONFIDENCE, mean_interval, pearson
from poq_abm.experiment.schemas import RANGES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FIGURES", "SECTIONS", "TABLES", "accuracy_plot", "pay_and_accuracy"]

_LEAST_EVALUATORS = 3  # two correlate at 1 or -1 whatever happens
_PAYMENT = "mechanism.evaluator_reward"
_SEVERAL = Need(
    f"several payments of evaluators ({_PAYMENT})", lambda run: len(run.values(_PAYMENT)) > 1
)


def pay_and_accuracy(
    nodes: Iterable[pd.DataFrame],
    accuracy: Mapping[str, float],
    *,
    confidence: float = CONFIDENCE,
) -> pd.DataFrame:
    """Return how reward per job goes with accuracy, over the honest evaluators of a treatment.

    ``nodes`` are parts of :data:`poq_abm.experiment.schemas.NODES` that hold whole replications;
    ``accuracy`` is each evaluator model's, in [-1, 1]. Pearson's correlation is taken over the
    evaluators of a replication, its mean and Student interval over replications: they do not say
    what other records or other evaluators would have brought. Missing below three evaluators, and
    where all are paid alike.

    Columns: treatment, evaluators, replications, correlation, low, high, honest_pay and
    deviating_pay (tokens per job, means over replications).

    >>> part = pd.DataFrame({"treatment": "base", "replication": 0, "role": "evaluator",
    ...     "model": ["a", "b", "c", "a"], "jobs": 9, "reward_mean": [0.4, 0.2, 0.3, 0.9],
    ...     "behaviour": ["honest", "honest", "honest", "constant"]})
    >>> row = pay_and_accuracy([part], {"a": 0.6, "b": 0.2, "c": 0.4}).iloc[0]
    >>> [round(float(row[name]), 9) for name in ("correlation", "honest_pay", "deviating_pay")]
    [1.0, 0.3, 0.9]
    """
    found: dict[str, list[tuple[float, float, float]]] = {}
    sizes: dict[str, int] = {}
    for part in nodes:
        worked = part[(part["role"] == "evaluator") & (part["jobs"] > 0)]
        for (treatment, _), rows in worked.groupby(["treatment", "replication"], observed=True):
            honest = rows["behaviour"].astype(str) == "honest"
            pay = rows["reward_mean"].to_numpy()
            known = rows["model"].astype(str).map(dict(accuracy)).to_numpy(float)
            told_of = _correlation(pay[honest], known[honest])
            means = [float(pay[of].mean()) if of.any() else np.nan for of in (honest, ~honest)]
            found.setdefault(str(treatment), []).append((told_of, means[0], means[1]))
            sizes[str(treatment)] = max(sizes.get(str(treatment), 0), int(honest.sum()))
    table = []
    for treatment, values in found.items():
        each = np.array(values)
        known = each[np.isfinite(each[:, 0]), 0]
        mean, _, low, high = mean_interval(known, confidence, RANGES["-1 to 1"])
        pays = each[:, 1:].mean(axis=0).tolist()
        table.append((treatment, sizes[treatment], len(values), mean, low, high, *pays))
    columns = ["treatment", "evaluators", "replications", "correlation", "low", "high"]
    return pd.DataFrame(table, columns=[*columns, "honest_pay", "deviating_pay"])


def _correlation(pay: np.ndarray, accuracy: np.ndarray) -> float:
    """Return Pearson's correlation; NaN where it is not defined."""
    still = pay.size < _LEAST_EVALUATORS or min(np.ptp(pay), np.ptp(accuracy)) < 1e-12
    return np.nan if still else pearson(pay, accuracy)


def accuracy_plot(frame: pd.DataFrame) -> Figure:
    """Return the picture: correlation of pay with accuracy, and what honest and others earn.

    ``frame`` is :func:`pay_and_accuracy`'s.
    """
    need(frame, ["treatment", "correlation", "low", "high", "honest_pay", "deviating_pay"])
    figure, (left, right) = canvas(7.4, 1.7 + 0.3 * len(frame), 2, sharey=True)
    places = np.arange(len(frame))[::-1]
    middle = frame["correlation"].to_numpy()
    ends = np.abs(frame[["low", "high"]].to_numpy().T - middle)
    left.errorbar(middle, places, xerr=np.nan_to_num(ends), fmt="o", color="C0", capsize=2)
    left.axvline(0.0, color="black", linewidth=0.6)
    left.set_xlim(-1.05, 1.05)
    left.set_yticks(places, [_short(name) for name in frame["treatment"]])
    left.set_xlabel("correlation of pay with accuracy (-1 to 1)")
    right.plot(frame["honest_pay"], places, "o", color="C0", label="honest, mean")
    if frame["deviating_pay"].notna().any():
        right.plot(frame["deviating_pay"], places, "D", color="C1", mfc="none", label="deviating")
    right.axvline(0.0, color="black", linewidth=0.6)
    right.set_xlabel("pay (tokens per job)")
    right.legend()
    most = int(frame["evaluators"].max())
    caption(figure, "Does pay follow accuracy?", frame, count_of(frame),
            f"{most} honest evaluators; bars {CONFIDENCE:.0%}, over replications")  # fmt: skip
    return figure


def _short(treatment: str) -> str:
    """Return the value that a treatment of one axis is named by."""
    return treatment.rpartition("=")[2] if treatment.count("=") == 1 else treatment


def _table(request: AnalysisRequest) -> pd.DataFrame:
    run = request.run
    known = evaluator_correlations(run.profile)
    truth = known[known["against"] == "truth"]
    if truth.empty:
        raise InputError(f"profile {run.profile.name!r} knows no truth to take accuracy from")
    accuracy = dict(zip(truth["evaluator"].astype(str), truth["correlation"], strict=True))
    rows = request.rows("model", "behaviour", "jobs", "reward_mean")
    return told(pay_and_accuracy(rows, accuracy), run)


def _figure(request: AnalysisRequest) -> Figure:
    return accuracy_plot(_table(request))


def _fits(run: StoredRun) -> Iterator[dict[str, Any]]:
    if run.has("nodes") and _SEVERAL.is_met(run):
        yield from (asked for asked in drawn_from_a_profile(run) if run.profile.knows_truth)


def _sections(run: StoredRun) -> Iterator[Section]:
    """Yield the table of a report, and its sentence."""
    for asked in _fits(run):
        frame = _table(AnalysisRequest.of(run, **asked))
        ranked = frame.dropna(subset=["correlation"]).sort_values("correlation")
        if ranked.empty:
            continue
        first, last = ranked.iloc[0], ranked.iloc[-1]
        sentence = (
            f"Pay follows accuracy most under {_short(last.treatment)} (correlation "
            f"{last.correlation:.2f}) and least under {_short(first.treatment)} "
            f"({first.correlation:.2f}), over {int(frame.evaluators.max())} honest evaluators."
        )
        yield Section(
            "Does the pay of evaluators follow their accuracy?",
            frame,
            ["treatment"],
            numbers=[
                ("honest_pay", "honest", "tokens per job"),
                ("deviating_pay", "deviating", "tokens per job"),
            ],
            estimates=[("correlation", "low", "high", "correlation with accuracy", "-1 to 1")],
            notes=[sentence],
        )


TABLES = (
    TableKind(
        "accuracy",
        "correlation of evaluators' pay with their accuracy, by payment",
        _table,
        ("treatment", "role", "group"),
        (NODES, _SEVERAL),
    ),
)
FIGURES = (
    FigureKind(
        "accuracy",
        "whether evaluators' pay follows their accuracy, by payment",
        _figure,
        ("treatment", "role", "group"),
        _fits,
        (NODES, _SEVERAL),
    ),
)
SECTIONS = (_sections,)
