"""Whether a payment of evaluators follows their accuracy, and what a lazy node earns.

Accuracy is the correlation of an evaluator model's scores with the truth in the profile. Of a run,
the pay is what its nodes were paid; of a profile, what every rule would pay each of its evaluators
once, had all of them scored all answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from poq_abm.analysis.evaluator_correlation import evaluator_correlations
from poq_abm.analysis.figure_style import canvas, caption, count_of, need, records_of
from poq_abm.analysis.questions import (
    NODES,
    AnalysisRequest,
    FigureKind,
    Need,
    Section,
    TableKind,
    drawn_from_a_profile,
    of_profile,
    told,
)
from poq_abm.analysis.resampling import record_intervals
from poq_abm.analysis.stored_run import StoredRun
from poq_abm.errors import InputError
from poq_abm.experiment.estimates import CONFIDENCE, mean_interval, pearson
from poq_abm.experiment.schemas import RANGES
from poq_abm.profile import Profile
from poq_abm.rules.payment import EVALUATOR_PAYMENT, BatchPayment, Counted, cut_points
from poq_abm.rules.payment.batch_payment import correlation
from poq_abm.rules.payment.closeness import Closeness
from poq_abm.rules.payment.formulas import SCORE_SCALE
from poq_abm.rules.registry import complete, rules

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "FIGURES",
    "SECTIONS",
    "TABLES",
    "accuracy_plot",
    "pay_and_accuracy",
    "pay_on_profile",
]

Array = NDArray[np.float64]
_MID_SCALE = SCORE_SCALE / 2.0
_RESAMPLES = 400  # each is paid anew by every rule
_MOST_EVALUATORS = 30  # whose pairs are resampled
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


def pay_on_profile(
    profile: Profile,
    *,
    resamples: int = _RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 1,
) -> pd.DataFrame:
    """Return how every rule's pay goes with accuracy over a profile's evaluators, and lazy pay.

    All evaluators score all answers and are paid once, at alpha = 1 and no charge for cost:
    ``closeness`` to the mean of the others, and every rule that pays by batch, with its default
    parameters; ``gold`` knows every truth. Records of even and odd number are the halves of the
    batch. The lazy node always says the mean of all scores, is paid beside all evaluators, and is
    nobody's peer. The intervals resample records
    (:func:`~poq_abm.analysis.resampling.record_intervals`), the accuracies with them: they do not
    say what other evaluators would have brought. Bins stay those of the profile.

    Columns: treatment (the rule), evaluators, correlation, low, high, honest_pay (the mean) and
    deviating_pay (the lazy node's), each with ``_low`` and ``_high``.

    Raises
    ------
    InputError
        Unless the profile has 2 to 30 evaluators and knows the truth.

    >>> from poq_abm.profile import load_profile
    >>> table = pay_on_profile(load_profile("published"), resamples=20).set_index("treatment")
    >>> [abs(round(float(table.deviating_pay[rule]), 2)) for rule in ("closeness", "dmi")]
    [0.85, 0.0]
    """
    if not profile.knows_truth:
        raise InputError(f"profile {profile.name!r} knows no truth to take accuracy from")
    if not 2 <= len(profile.evaluators) <= _MOST_EVALUATORS:
        raise InputError(
            f"evaluators are paid beside one another: 2 to {_MOST_EVALUATORS} are needed, and "
            f"profile {profile.name} has {len(profile.evaluators)}"
        )
    paying = [
        rule
        for rule in rules(EVALUATOR_PAYMENT).values()
        if rule is Closeness or issubclass(rule, BatchPayment)
    ]
    values = {rule.name: complete(rule, {}) for rule in paying}
    bins = {int(of["score_bins"]) for of in values.values() if "score_bins" in of}
    parts = _record_parts(profile, bins)
    ends = np.cumsum([part[0].size for part in parts.values()])
    sums = np.concatenate([part.reshape(len(part), -1) for part in parts.values()], axis=1)

    def paid(totals: Array) -> Array:
        pieces = np.split(totals, ends[:-1], axis=1)
        of_tasks = {
            name: piece.reshape(-1, *part.shape[1:])
            for (name, part), piece in zip(parts.items(), pieces, strict=True)
        }
        with np.errstate(invalid="ignore"):
            accuracy = correlation(of_tasks["truth"]).mean(axis=0)[:-1]
        whole = {name: part.sum(axis=0) for name, part in of_tasks.items()}
        found = []
        for rule in paying:
            honest, lazy = _merits(rule, whole, values[rule.name])
            found += [_correlation(honest, accuracy), float(honest.mean()), lazy]
        return np.array(found)

    asked: dict[str, Any] = {"resamples": resamples, "confidence": confidence, "seed": seed}
    found = record_intervals(
        sums,
        profile.task_of_record,
        lambda totals: np.array([paid(each) for each in totals]),
        **asked,
    )
    frame = pd.DataFrame({"treatment": [rule.name for rule in paying]})
    frame["evaluators"] = len(profile.evaluators)
    for place, name in enumerate(("correlation", "honest_pay", "deviating_pay")):
        prefix = "" if name == "correlation" else f"{name}_"
        for column, numbers in zip((name, f"{prefix}low", f"{prefix}high"), found, strict=True):
            frame[column] = numbers[place::3]
    return frame


def _record_parts(profile: Profile, bins: Iterable[int]) -> dict[str, Array]:
    """Return what each record adds to what rules count; the last evaluator is the lazy one.

    ``truth`` and ``peers`` are moments of reports and of the truth, or of the other evaluators'
    mean, (records, M, 6); ``closeness`` sums and counts, (records, M, 2); ``pairs 3`` joint tables
    in three bins, (records, M, M, 2, 3, 3), each pair in one order.
    """
    scores = profile.scores
    records, models, evaluators = scores.shape
    lazy = np.full((records, models, 1), scores.mean())
    reports = np.concatenate([scores, lazy], axis=2)
    total = scores.sum(axis=2, keepdims=True)
    others = np.concatenate([(total - scores) / (evaluators - 1), total / evaluators], axis=2)
    near = 1.0 - np.abs(reports - others) / SCORE_SCALE
    parts = {
        "truth": _moments(reports, np.broadcast_to(profile.truth[:, :, None], reports.shape)),
        "peers": _moments(reports, others),
        "closeness": np.stack([near.sum(axis=1), np.ones_like(near).sum(axis=1)], axis=-1),
    }
    for count in bins:
        cuts = [cut_points(scores[:, :, one].ravel(), count) for one in range(evaluators)]
        cuts.append(cut_points(scores.ravel(), count))
        found = [np.searchsorted(cut, reports[:, :, m], "right") for m, cut in enumerate(cuts)]
        tables = np.zeros((records, evaluators + 1, evaluators + 1, 2, count, count))
        rows = np.repeat(np.arange(records), models)
        for one in range(evaluators + 1):
            for other in range(one + 1, evaluators + 1):
                cells = (rows, rows % 2, found[one].ravel(), found[other].ravel())
                at = np.ravel_multi_index(cells, (records, 2, count, count))
                counted = np.bincount(at, minlength=records * 2 * count * count)
                tables[:, one, other] = counted.reshape(records, 2, count, count)
        parts[f"pairs {count}"] = tables
    return parts


def _moments(reports: Array, others: Array) -> Array:
    """Return how many pairs each record has, and the sums of x, y, x^2, y^2 and x y."""
    x, y = reports - _MID_SCALE, others - _MID_SCALE
    parts = (np.ones_like(x), x, y, x * x, y * y, x * y)
    return np.stack([part.sum(axis=1) for part in parts], axis=-1)


def _merits(rule: type[Any], whole: Mapping[str, Array], values: Mapping[str, Any]) -> Any:
    """Return what a rule pays the evaluators, shape (E,), and the lazy node beside them."""
    if not issubclass(rule, BatchPayment):
        near, count = whole["closeness"].T
        return (near / count)[:-1], float(near[-1] / count[-1])
    if rule.counted == Counted.PAIRS:
        tables = whole[f"pairs {int(values['score_bins'])}"]
        honest = rule.merits(tables[:-1, :-1], values).merit
        return honest, float(rule.merits(tables, values).merit[-1])
    merit = rule.merits(whole["truth" if rule.counted == Counted.TRUTH else "peers"], values).merit
    return merit[:-1], float(merit[-1])


def _correlation(pay: np.ndarray, accuracy: np.ndarray) -> float:
    """Return Pearson's correlation; NaN where it is not defined."""
    still = pay.size < _LEAST_EVALUATORS or min(np.ptp(pay), np.ptp(accuracy)) < 1e-12
    return np.nan if still else pearson(pay, accuracy)


def accuracy_plot(frame: pd.DataFrame) -> Figure:
    """Return the picture: correlation of pay with accuracy, and what honest and others earn.

    ``frame`` is :func:`pay_and_accuracy`'s, or :func:`pay_on_profile`'s.
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
    of_run, pays = "replications" in frame, frame["deviating_pay"]
    if pays.notna().any():
        said = "deviating" if of_run else "lazy: always the mean score"
        right.plot(pays, places, "D", color="C1", mfc="none", label=said)
    if not of_run:
        for name, colour in (("honest_pay", "C0"), ("deviating_pay", "C1")):
            right.hlines(places, frame[f"{name}_low"], frame[f"{name}_high"], color=colour)
    right.axvline(0.0, color="black", linewidth=0.6)
    right.set_xlabel("pay (tokens per job)" if of_run else "pay (share of alpha)")
    right.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False, fontsize=8)
    most = int(frame["evaluators"].max())
    bars = "over replications" if of_run else "records resampled"
    caption(figure, "Does pay follow accuracy?", frame, count_of(frame), records_of(frame),
            f"{most} honest evaluators; bars {CONFIDENCE:.0%}, {bars}")  # fmt: skip
    return figure


def _short(treatment: str) -> str:
    """Return the value that a treatment of one axis is named by."""
    return treatment.rpartition("=")[2] if treatment.count("=") == 1 else treatment


def _table(request: AnalysisRequest) -> pd.DataFrame:
    if not request.is_run:
        if any((request.treatment, request.role, request.group)):
            raise InputError(f"{request.source} is a profile: it has no treatments and no nodes")
        return of_profile(pay_on_profile(request.profile), request.profile)
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
        "correlation of evaluators' pay with their accuracy, by payment (profile or run)",
        _table,
        ("treatment", "role", "group"),
        (NODES, _SEVERAL),
        of_profiles=True,
    ),
)
FIGURES = (
    FigureKind(
        "accuracy",
        "whether evaluators' pay follows their accuracy, by payment (profile or run)",
        _figure,
        ("treatment", "role", "group"),
        _fits,
        (NODES, _SEVERAL),
    ),
)
SECTIONS = (_sections,)
