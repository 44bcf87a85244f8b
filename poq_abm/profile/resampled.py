"""A profile as another calibration might have measured it: records and latencies drawn again."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from poq_abm.profile.profile import Profile
from poq_abm.random import Purpose, fill_below, normal

__all__ = ["resampled_profile"]

_RECORD, _COST = int(Purpose.RESAMPLED_RECORD), int(Purpose.RESAMPLED_COST)
_KEPT = 16  # profiles, which the treatments of a block share


@lru_cache(maxsize=_KEPT)
def resampled_profile(profile: Profile, seed: int, number: int) -> Profile:
    """Return the profile with its records resampled within their tasks, and its latencies.

    Of the n records of a task, n are drawn with replacement: a row is drawn whole, so that what is
    joint stays joint. A record that is drawn stands at its own place, and what is drawn again takes
    the places of those that are not: a round that draws a place plays the same record on both
    profiles unless the resample has lost it, and only what the resample changes differs.

    A mean latency x with the s.d. s of single jobs becomes x exp(t z - t^2 / 2), z standard normal
    and t^2 = log(1 + s^2 / (n x^2)): mean x and s.d. s / sqrt(n), never negative. n is the number
    of records, each of them timed once. Without an s.d. in the profile a latency stays as it is.

    All is keyed by ``seed`` and ``number``, the number of the resample.

    Source: Efron (1979), Annals of Statistics 7, 1-26.

    >>> from poq_abm.profile import load_profile
    >>> profile = load_profile("published")
    >>> other = resampled_profile(profile, 1, 0)
    >>> other.task_of_record is profile.task_of_record, len(set(other.records)) < 400
    (True, True)
    """
    rows = _rows(profile.task_of_record, seed, number)
    told = f"{profile.content_hash} {seed} {number}"
    return replace(
        profile,
        content_hash=hashlib.sha256(told.encode()).hexdigest(),
        records=tuple(profile.records[row] for row in rows),
        scores=_read_only(profile.scores[rows]),
        truth=_read_only(profile.truth[rows]),
        judge=_read_only(profile.judge[rows]),
        costs=_costs(profile, seed, number),
    )


def _rows(task_of_record: NDArray[np.int64], seed: int, number: int) -> NDArray[np.int64]:
    """Return which record stands at each place of a resampled profile."""
    rows = np.arange(task_of_record.size)
    for task, size in enumerate(np.bincount(task_of_record)):
        first = int(np.searchsorted(task_of_record, task))
        drawn = np.empty(size, np.int64)
        fill_below(drawn, size, seed, number, _RECORD, task)
        times = np.bincount(drawn, minlength=size)
        again = np.repeat(np.arange(size), np.maximum(times - 1, 0))
        rows[first + np.flatnonzero(times == 0)] = first + again
    return rows


def _costs(profile: Profile, seed: int, number: int) -> pd.DataFrame:
    """Return the costs with mean latencies that vary as they were measured."""
    costs, records = profile.costs, len(profile.records)
    if "latency_sd_ms" not in costs or not costs["latency_sd_ms"].notna().any():
        return costs
    means = costs["latency_ms"].to_numpy(np.float64).copy()
    for row, sd in enumerate(costs["latency_sd_ms"].to_numpy(np.float64)):
        if sd > 0.0:  # NaN fails this too
            variance = math.log1p(sd * sd / (records * means[row] ** 2))
            z = normal(seed, number, _COST, 0, row)
            means[row] *= math.exp(math.sqrt(variance) * z - variance / 2.0)
    return costs.assign(latency_ms=means)


def _read_only(array: NDArray[np.float64]) -> NDArray[np.float64]:
    array.flags.writeable = False
    return array
