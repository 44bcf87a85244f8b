"""What a composite of scores tracks, with and without those that planted records refute.

The columns of a profile's scores are taken as dimensions of quality. A composite is their
weighted mean; gated, it keeps the dimensions whose correlation with the truth on planted records
exceeds tau, with weights over the sum of those kept, for all tasks together or task by task.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from poq_abm.analysis.questions import AnalysisRequest, TableKind
from poq_abm.analysis.resampling import record_intervals
from poq_abm.errors import InputError, nearest
from poq_abm.profile import Profile, load_profile
from poq_abm.profile.profile import ProfileDescription, folder_of, write_profile
from poq_abm.profile.validity import HEADER_FILE
from poq_abm.random import Purpose, uniform

__all__ = ["COMPOSITE", "TABLES", "composite_table", "gated_weights", "write_composite"]

Array = NDArray[np.float64]

COMPOSITE: Final = "composite"  #: the evaluator that a composite becomes
PLANTED: Final = 0.5  #: share of the records that correlations are audited on


def gated_weights(weights: Array, correlations: Array, tau: float = 0.0) -> Array:
    """Return the weights of the dimensions that pass an audit, over their sum; else 0.

    A dimension passes if its correlation exceeds ``tau``; one whose correlation is not defined
    (NaN) does not. Where none passes, the weights stay as they were, over their sum.

    >>> gated_weights(np.array([0.2, 0.3, 0.5]), np.array([0.4, 0.6, -0.4])).tolist()
    [0.4, 0.6, 0.0]
    """
    kept = np.where(correlations > tau, weights, 0.0)
    total = kept.sum()
    gated: Array = kept / total if total > 0.0 else weights / weights.sum()
    return gated


def composite_table(
    profile: Profile,
    *,
    weights: Mapping[str, float] | None = None,
    tau: float = 0.0,
    seed: int = 1,
) -> pd.DataFrame:
    """Return how well each dimension and three composites of all follow the truth.

    Rows: every column of the profile's scores; ``all``, with the ``weights`` given by column (all
    the same without); ``gated``; and ``gated by task``. Columns: composite, weights (of the
    dimensions; empty by task), correlation with the truth over all answers to records that were not
    planted, and its 95 % interval, records resampled within tasks. Correlations that gate are those
    of the planted half.
    """
    if not profile.knows_truth:
        raise InputError(f"profile {profile.name!r} knows no truth for composites to follow")
    planted, task = _planted(profile, seed), profile.task_of_record
    count, every = len(profile.evaluators), -np.inf
    ungated = _weights_by_task(profile, weights, every, seed, by_task=False)[0]
    gated = _weights_by_task(profile, weights, tau, seed, by_task=False)[0]
    by_task = _weights_by_task(profile, weights, tau, seed, by_task=True)
    made = {name: np.eye(count)[place] for place, name in enumerate(profile.evaluators)}
    made |= {"all": ungated, "gated": gated, "gated by task": by_task[task]}
    rows = []
    for name, parts in made.items():
        each = np.broadcast_to(parts, (len(task), count))
        composite = (profile.scores * each[:, None, :]).sum(axis=2)
        found = _correlation(composite[~planted], profile.truth[~planted], task[~planted], seed)
        written = "" if parts.ndim > 1 else " ".join(f"{weight:.3g}" for weight in parts)
        rows.append({"composite": name, "weights": written, **found})
    return pd.DataFrame(rows)


def write_composite(
    source: str | Path,
    folder: str | Path,
    *,
    weights: Mapping[str, float] | None = None,
    tau: float = 0.0,
    by_task: bool = False,
    seed: int = 1,
) -> Path:
    """Write a profile with one evaluator more, ``composite``, and return its folder.

    Its score is the weighted mean of the columns that pass the audit on planted records, those of
    :func:`composite_table` of the same settings; its latency on a hardware the sum of theirs, as
    they run one after the other. A scenario plays it as any evaluator: ``model: composite``.

    Raises
    ------
    InputError
        If a weight names no evaluator or is negative, the profile knows no truth or has a
        composite already, or ``folder`` exists.
    """
    profile, header = load_profile(source), _header(folder_of(source))
    if not profile.knows_truth or COMPOSITE in profile.evaluators:
        fault = "knows no truth to audit by" if not profile.knows_truth else "has a composite"
        raise InputError(f"profile {profile.name!r} {fault}")
    for name, weight in (weights or {}).items():
        if name not in profile.evaluators or not 0.0 <= weight < np.inf:
            hint = nearest(name, profile.evaluators)
            raise InputError(f"weight {name}={weight:g}: weights are at least 0, of {hint}")
    if weights and not any(weights.values()):
        raise InputError("every weight is 0")
    made = _weights_by_task(profile, weights, tau, seed, by_task=by_task)
    scores = pd.DataFrame(
        {
            "record": np.repeat(profile.records, len(profile.models)),
            "task": np.repeat(np.array(profile.tasks)[profile.task_of_record], len(profile.models)),
            "model": np.tile(profile.models, len(profile.records)),
            "truth": profile.truth.ravel(),
            "judge": profile.judge.ravel(),
            **{e: profile.scores[:, :, k].ravel() for k, e in enumerate(profile.evaluators)},
            COMPOSITE: (profile.scores * made[profile.task_of_record][:, None, :])
            .sum(axis=2)
            .ravel(),
        }
    )
    kept = [name for name, used in zip(profile.evaluators, made.sum(axis=0), strict=True) if used]
    written = "; ".join(
        f"{task}: "
        + " + ".join(
            f"{weight:.4g} {name}"
            for name, weight in zip(profile.evaluators, row, strict=True)
            if weight
        )
        for task, row in zip(profile.tasks, made, strict=True)
    )
    provenance = dict(profile.provenance)
    inferred = provenance.get("inferred") or []
    provenance["inferred"] = [
        *([inferred] if isinstance(inferred, str) else inferred),
        f"Scores of {COMPOSITE}: {written}; kept is what correlates with the truth above "
        f"{tau:g} on {PLANTED:.0%} of the records, planted with seed {seed}.",
    ]
    description = ProfileDescription(
        name=f"{profile.name}_composite",
        tasks=_named(header, "tasks"),
        models=_named(header, "models"),
        evaluators={**_named(header, "evaluators"), COMPOSITE: {"of": ", ".join(kept)}},
        normalisation=header["normalisation"],
        hardware=_named(header, "hardware"),
        provenance=provenance,
    )
    return write_profile(folder, description, scores, _with_sums(profile.costs, kept))


def _header(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / HEADER_FILE).read_text(encoding="utf-8")))


def _named(header: Mapping[str, Any], field: str) -> dict[str, Any]:
    return {entry["name"]: {k: v for k, v in entry.items() if k != "name"}
            for entry in header[field]}  # fmt: skip


def _with_sums(costs: pd.DataFrame, parts: list[str]) -> pd.DataFrame:
    """Return costs with those of the composite: the sums of its parts', where all were measured."""
    some = costs[(costs["role"] == "evaluator") & costs["node"].isin(parts)]
    numbers = list(some.select_dtypes("number").columns)
    by = some.groupby("hardware", sort=False)
    sums = by[numbers].sum(min_count=len(parts))[by.size() == len(parts)].dropna(how="all")
    more = sums.reset_index().assign(role="evaluator", node=COMPOSITE)
    return pd.concat([costs, more], ignore_index=True)[list(costs.columns)]


def _weights_by_task(
    profile: Profile,
    weights: Mapping[str, float] | None,
    tau: float,
    seed: int,
    *,
    by_task: bool,
) -> Array:
    """Return the gated weights of each task, (tasks, columns); without ``by_task`` all the same."""
    planted = _planted(profile, seed)
    given = np.array([(weights or {}).get(name, float(not weights)) for name in profile.evaluators])
    given /= given.sum()
    if not by_task:
        one = gated_weights(given, _audited(profile, planted), tau)
        return np.broadcast_to(one, (len(profile.tasks), one.size))
    return np.stack(
        [
            gated_weights(given, _audited(profile, planted & (profile.task_of_record == t)), tau)
            for t in range(len(profile.tasks))
        ]
    )


def _planted(profile: Profile, seed: int) -> NDArray[np.bool_]:
    """Return which records are planted, keyed."""
    draws = [uniform(seed, 0, int(Purpose.GOLD), r, 0) for r in range(len(profile.records))]
    return np.asarray(np.array(draws) < PLANTED)


def _audited(profile: Profile, planted: NDArray[np.bool_]) -> Array:
    """Return the correlation of each dimension with the truth over planted records."""
    truth = profile.truth[planted].ravel()
    scores = profile.scores[planted].reshape(truth.size, -1)
    if truth.size < 2:
        return np.full(scores.shape[1], np.nan)
    x, y = scores - scores.mean(axis=0), truth - truth.mean()
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Array = (x * y[:, None]).sum(axis=0) / np.sqrt((x**2).sum(axis=0) * (y**2).sum())
    return found


def _correlation(
    composite: Array, truth: Array, task: NDArray[np.int64], seed: int
) -> dict[str, float]:
    """Return a Pearson correlation over all answers, with its interval over records."""
    x, y = composite - composite.mean(), truth - truth.mean()
    parts = (np.ones_like(x), x, y, x**2, y**2, x * y)
    _, strata = np.unique(task, return_inverse=True)

    def pearson(totals: Array) -> Array:
        n, sx, sy, xx, yy, xy = totals.sum(axis=1).T
        with np.errstate(invalid="ignore", divide="ignore"):
            found = (xy - sx * sy / n) / np.sqrt((xx - sx**2 / n) * (yy - sy**2 / n))
        return np.asarray(found)[:, None]

    sums = np.stack([part.sum(axis=1) for part in parts], axis=1)
    found = record_intervals(sums, strata.astype(np.int64), pearson, seed=seed)
    names = ("correlation", "low", "high")
    return {name: float(ends[0]) for name, ends in zip(names, found, strict=True)}


def _table(request: AnalysisRequest) -> pd.DataFrame:
    return composite_table(request.profile)


TABLES = (
    TableKind(
        "composite",
        "correlation with the truth of scores, of their mean, and of those that pass an audit",
        _table,
        needs=(),
        of_profiles=True,
    ),
)
