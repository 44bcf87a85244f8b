"""The error of the calibration: how far estimates would lie had other records been measured.

Replications tell how far an estimate lies from what infinitely many of them would give on *this*
profile. The profile holds n records of all there could be, and no number of replications shortens
that distance. Resampled records tell of it: ``docs/explanation/calibration_error.md``.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy  # which imports scipy.special where it is first used: .2 s
from numpy.typing import NDArray

from poq_abm.experiment.estimates import CONFIDENCE, UNBOUNDED, Range, ends_within
from poq_abm.profile import Profile

__all__ = [
    "SHARING",
    "WIDENED",
    "Widened",
    "fewest_records",
    "rewards_by_replication",
    "stacked",
    "widen",
    "widened_interval",
]

SHARING = 2  #: replications that share a resample
#: the columns that a summary has where profiles were resampled
WIDENED = (
    "widened_low",
    "widened_high",
    "calibration_share",
    "calibration_share_low",
    "calibration_share_high",
)
_FEWEST_FREEDOM = 2.0
_DUST = 1e-12  #: of a figure: below it two runs agree but for rounding

Array = NDArray[np.float64]


class Widened(NamedTuple):
    """The ends of an interval with the calibration's error, and what that has of the variance."""

    low: float
    high: float
    share: float  #: of the estimate's variance, that more records would remove; in [0, 1]
    share_low: float
    share_high: float


def fewest_records(profile: Profile, tasks: Collection[str] = ()) -> int:
    """Return the fewest records of a task, of all tasks of the profile where none is named.

    >>> from poq_abm.profile import load_profile
    >>> fewest_records(load_profile("published"))
    200
    """
    sizes = np.bincount(profile.task_of_record, minlength=len(profile.tasks))
    return min(int(sizes[profile.tasks.index(task)]) for task in tasks or profile.tasks)


def widened_interval(
    plain: Array,
    resampled: Array,
    interval: tuple[float, float, float],
    records: int,
    confidence: float = CONFIDENCE,
    within: Range = UNBOUNDED,
) -> Widened:
    """Return the interval of an estimate that contains the error of measuring some records.

    With D_r the figure of replication r on its resample less that on the profile as it is, G pairs
    of replications (2k, 2k + 1) of which both share resample k, n records and R replications:

        V_c = n / (n - 1) mean over k of D_2k D_2k+1     (0 where that is negative)
        V   = s^2 / R + V_c
        interval: estimate -+ t_{f, (1 + confidence) / 2} sqrt(V),   share: V_c / V

    The noise of the mechanism is independent in the two of a pair, so that their product has the
    mean V_c: the variance of the estimate over calibrations, and not the squared standard error of
    a mean of resamples, which would vanish with R. f are Satterthwaite's degrees of freedom, at
    least 2, with q = mean D^2:

        V^2 / f = (s^2 / R)^2 / (R - 1) + (V_c^2 + q^2) / (2 G) + V_c^2 / (n - 1)

    The interval never lies inside that of the replications. That of the share takes V_c, rough with
    few pairs, for a chi-square with 2 G V_c^2 / (V_c^2 + q^2) degrees of freedom; with less than
    1 of them, it reaches from 0 to V_c + t_G sqrt((V_c^2 + q^2) / G). All is missing where fewer
    than two pairs are whole, or where the replications leave no interval.

    Parameters
    ----------
    plain, resampled
        The figure by replication, from 0 on, on the profile and on resamples of it; shape (R,).
        NaN where a replication has none.
    interval
        The estimate and the ends of its interval over replications.
    records
        The fewest records of a task, n.
    confidence, within
        The level, and the range of the figure.

    Source: Efron (1979) for V_c; Satterthwaite (1946), Biometrics Bulletin 2, 110-114.

    Examples
    --------
    >>> plain = np.zeros(6)
    >>> shifted = np.array([1.0, 1.0, -1.0, -1.0, 2.0, 2.0])
    >>> [round(x, 2) for x in widened_interval(plain, shifted, (0.0, 0.0, 0.0), 1000)][:3]
    [-4.51, 4.51, 1.0]
    """
    estimate, low, high = interval
    shift = resampled - plain
    pairs = shift[: shift.size // SHARING * SHARING].reshape(-1, SHARING)
    pairs = pairs[np.isfinite(pairs).all(axis=1)]
    known = plain[np.isfinite(plain)]
    if len(pairs) < 2 or records < 2 or not math.isfinite(low + high):
        return Widened(*(math.nan,) * 5)
    pairs = np.where(np.abs(pairs) <= _DUST * np.abs(known).max(initial=0.0), 0.0, pairs)
    scale = records / (records - 1)
    calibration = max(float((pairs[:, 0] * pairs[:, 1]).mean()), 0.0) * scale
    square = float((pairs**2).mean()) * scale
    mechanism = float(known.var(ddof=1)) / known.size
    variance = mechanism + calibration
    if calibration == square == 0.0 or variance == 0.0:
        return Widened(low, high, 0.0, 0.0, 0.0)
    rough = (calibration**2 + square**2) / len(pairs)
    spread = mechanism**2 / (known.size - 1) + rough / 2 + calibration**2 / (records - 1)
    freedom = max(variance**2 / spread, _FEWEST_FREEDOM)
    level = (1.0 + confidence) / 2.0
    half = float(scipy.special.stdtrit(freedom, level)) * math.sqrt(variance)
    ends = ends_within(within, estimate, half, known.size, confidence)
    parts = (calibration, *_ends_of_variance(calibration, rough, len(pairs), level))
    shares = (part / (part + mechanism) if part > 0.0 else 0.0 for part in parts)
    return Widened(min(low, ends[0]), max(high, ends[1]), *shares)


def _ends_of_variance(
    variance: float, rough: float, pairs: int, level: float
) -> tuple[float, float]:
    """Return the ends of the interval of a variance; ``rough`` is that of its estimate."""
    freedom = 2.0 * variance**2 / rough
    if freedom < 1.0:  # it may as well be 0
        return 0.0, variance + float(scipy.special.stdtrit(pairs, level)) * math.sqrt(rough)
    tails = (float(scipy.special.chdtri(freedom, tail)) for tail in (1.0 - level, level))
    low, high = (variance * freedom / tail for tail in tails)
    return low, high


def widen(
    summary: pd.DataFrame,
    sides: tuple[pd.Series[float], ...],
    interval: tuple[str, str, str],
    records: int,
    confidence: float = CONFIDENCE,
    within: Sequence[Range] | None = None,
) -> pd.DataFrame:
    """Return a summary with the columns :data:`WIDENED`.

    The two ``sides`` are its figures by replication, on the profile and on resamples: their index
    has the levels ``replication`` and those columns of the summary that tell its rows apart.
    ``interval`` names the columns of estimate and ends, ``within`` the range of every row.
    """
    plain, resampled = (_by_row(side, summary) for side in sides)
    count = max(plain.shape[1], resampled.shape[1])
    plain, resampled = (
        np.pad(side, ((0, 0), (0, count - side.shape[1])), constant_values=np.nan)
        for side in (plain, resampled)
    )
    estimate, low, high = (summary[name].to_numpy(np.float64).tolist() for name in interval)
    rows = [
        widened_interval(
            plain[row],
            resampled[row],
            (estimate[row], low[row], high[row]),
            records,
            confidence,
            within[row] if within else UNBOUNDED,
        )
        for row in range(len(summary))
    ]
    found = np.array(rows, np.float64).reshape(len(summary), len(WIDENED))
    return summary.assign(**dict(zip(WIDENED, found.T, strict=True)))


def stacked(figures: pd.DataFrame, name: str) -> pd.Series[float]:
    """Return the columns of a table one below the other; ``name`` is the level that names them.

    >>> stacked(pd.DataFrame({"a": [1.0], "b": [2.0]}), "measure").to_dict()
    {(0, 'a'): 1.0, (0, 'b'): 2.0}
    """
    long = figures.melt(ignore_index=False, var_name=name, value_name="figure")
    found: pd.Series[float] = long.set_index(name, append=True)["figure"]
    return found


def rewards_by_replication(nodes: Iterable[pd.DataFrame]) -> pd.Series[float]:
    """Return the reward per job of every group in every replication, missing without a job.

    ``nodes`` are parts of a table with the columns of
    :data:`~poq_abm.experiment.estimates.SUMMARISED`, replications whole.
    """
    keys = ["treatment", "role", "group", "replication"]
    parts = [
        part.groupby(keys, observed=True, sort=False)[["reward_total", "jobs"]].sum()
        for part in nodes
    ]
    sums = pd.concat(parts)
    return sums["reward_total"] / sums["jobs"].where(sums["jobs"] > 0)


def _by_row(figures: pd.Series[float], summary: pd.DataFrame) -> Array:
    """Return figures as an array: a row for each of the summary, a column for each replication."""
    keys = [str(name) for name in figures.index.names if name != "replication"]
    table = figures.rename("figure").reset_index()
    rows = pd.MultiIndex.from_frame(summary[keys].astype(str))
    own = pd.MultiIndex.from_frame(table[keys].astype(str))
    place = rows.get_indexer(own)
    replication = table["replication"].to_numpy(np.int64)
    found = np.full((len(summary), int(replication.max(initial=-1)) + 1), np.nan)
    known = place >= 0
    found[place[known], replication[known]] = table["figure"].to_numpy(np.float64)[known]
    return found
