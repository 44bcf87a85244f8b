"""What a composite of scores tracks, with and without those that planted records refute.

The columns of a profile's scores are taken as dimensions of quality. A composite is their
weighted mean; gated, it keeps the dimensions whose correlation with the truth on planted records
exceeds tau, with weights over the sum of those kept, for all tasks together or task by task.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from poq_abm.analysis.questions import AnalysisRequest, TableKind
from poq_abm.analysis.resampling import record_intervals
from poq_abm.errors import InputError
from poq_abm.profile import Profile
from poq_abm.random import Purpose, uniform

__all__ = ["TABLES", "composite_table", "gated_weights"]

Array = NDArray[np.float64]

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
    draws = [uniform(seed, 0, int(Purpose.GOLD), r, 0) for r in range(len(profile.records))]
    planted = np.array(draws) < PLANTED
    count, task = len(profile.evaluators), profile.task_of_record
    given = np.array([(weights or {}).get(name, float(not weights)) for name in profile.evaluators])
    ungated = given / given.sum()
    gated = gated_weights(ungated, _audited(profile, planted), tau)
    by_task = np.stack(
        [
            gated_weights(ungated, _audited(profile, planted & (task == number)), tau)
            for number in range(len(profile.tasks))
        ]
    )
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
