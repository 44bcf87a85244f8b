"""Figures by replication: their means, their intervals, and what sets two plays apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from poq_abm.experiment.calibration_error import widened_interval
from poq_abm.experiment.estimates import (
    CONFIDENCE,
    UNBOUNDED,
    Range,
    ends_within,
    mean_interval,
    shown,
    student,
)
from poq_abm.experiment.paired import paired

__all__ = [
    "Curve",
    "Interval",
    "PlayedReplications",
    "Quantity",
    "Sample",
    "apart_from",
    "counterpart",
    "curves_over",
    "difference",
    "estimate",
    "shared_places",
]

Floats = NDArray[np.float64]
Interval = tuple[float, float, float]  #: an estimate and the ends of its interval, NaN for none


class Sample(NamedTuple):
    """A figure of R replications: on the profile and, where that was resampled, on resamples."""

    plain: Floats  #: (R, ...), NaN where a replication has none
    resampled: Floats | None = None  #: of the same shape
    records: int = 0  #: the fewest of a task in play, where the profile was resampled

    def interval(self, within: Range = UNBOUNDED) -> Interval:
        """Return the mean of the numbers there are, and the ends of its 95% interval.

        >>> Sample(np.array([0.5, np.nan])).interval()
        (0.5, nan, nan)
        """
        mean, _, low, high = mean_interval(self.plain[~np.isnan(self.plain)], within=within)
        return self.widened((mean, low, high), within)

    def widened(self, interval: Interval, within: Range = UNBOUNDED) -> Interval:
        """Return an interval of the replications, with the calibration's error if it is known."""
        if self.resampled is None:
            return interval
        found = widened_interval(self.plain, self.resampled, interval, self.records, within=within)
        return interval[0], found.low, found.high


@dataclass(frozen=True, eq=False)
class PlayedReplications:
    """R replications of a scenario, the first axis of every array; told apart by identity."""

    #: the same replications on resampled profiles, two on each, if they were asked for
    resampled: Self | None = field(default=None, kw_only=True)
    records: int = field(default=0, kw_only=True)  #: the fewest of a task in play, if so
    by_replication: ClassVar[tuple[str, ...]]  #: the arrays with a row for each

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Return replications that were played in parts as if they were in one."""
        arrays: dict[str, Any] = {
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in cls.by_replication
        }
        return replace(parts[0], **arrays)

    def sample(self, figure: Callable[[Self], Floats]) -> Sample:
        """Return a figure of every replication, and of the same on resampled profiles."""
        again = None if self.resampled is None else figure(self.resampled)
        return Sample(figure(self), again, self.records)


def difference(a: Sample, b: Sample, within: Range = UNBOUNDED) -> Interval | None:
    """Return B minus A over matched replications; nothing where no pair has both.

    The figures lie ``within`` a range, which their difference then has as well.

    >>> difference(Sample(np.array([1.0, 2.0, 3.0])), Sample(np.array([2.0, 3.0, 4.0])))
    (1.0, 1.0, 1.0)
    """
    count = min(len(a.plain), len(b.plain))
    pairs = paired(a.plain[:count], b.plain[:count], within=within)
    if not pairs.replications:
        return None
    again = None
    if a.resampled is not None and b.resampled is not None:
        again = b.resampled[:count] - a.resampled[:count]
    apart = Sample(b.plain[:count] - a.plain[:count], again, min(a.records, b.records))
    return apart.widened((pairs.difference, pairs.low, pairs.high), within.of_difference)


class Quantity(NamedTuple):
    """A number of a table: whose it is, what it tells, by replication, and its estimate."""

    whose: str
    what: str
    sample: Sample
    estimate: Interval
    within: Range = UNBOUNDED
    alias: str = ""  #: another name of its owner, for a play in which nobody has the first


def apart_from(a: Quantity, b: Quantity) -> Interval | None:
    """Return the same quantity of B minus that of A; nothing where no pair has both.

    A range that is that of one play, as the most nodes a group ever had in it, holds for the other
    where it is as wide.
    """
    ends = min(a.within.low, b.within.low), max(a.within.high, b.within.high)
    return difference(a.sample, b.sample, Range(*ends, a.within.whole, a.within.known))


def counterpart(
    one: Quantity, own: Sequence[Quantity], others: Sequence[Quantity]
) -> Quantity | None:
    """Return the same quantity among those of another play, or nothing.

    An owner is found by its name, or else by its alias if that is nobody else's in either play: a
    class whose behaviour has another strength now is still the same.
    """
    alike = [f for f in others if (f.whose, f.what) == (one.whose, one.what)]
    twins = sum((f.alias, f.what) == (one.alias, one.what) for f in own)
    if not alike and one.alias and twins == 1:
        alike = [f for f in others if (f.alias, f.what) == (one.alias, one.what)]
    return alike[0] if len(alike) == 1 else None


@dataclass(frozen=True)
class Curve:
    """A line over rounds, with the ends of the 95% interval; NaN where there is none."""

    label: str
    place: int  #: of its class, which gives it its colour and its dash
    x: Floats
    y: Floats
    low: Floats
    high: Floats


def shared_places(plays: Iterable[Sequence[tuple[str, str]]]) -> dict[str, int]:
    """Return the place of every class by its label, the same in all plays that have it.

    Each play is a list of (label, name). As in :func:`counterpart`, a class of another label is the
    same if one class alone has its name.

    >>> shared_places([[("a", "a"), ("b", "b")], [("b", "b"), ("c", "c")]])
    {'a': 0, 'b': 1, 'c': 2}
    >>> shared_places([[("a", "a"), ("b(x=1)", "b")], [("b(x=2)", "b")]])
    {'a': 0, 'b(x=1)': 1, 'b(x=2)': 1}
    """
    found: dict[str, int] = {}
    owners: dict[str, set[int]] = {}  # the places of those of a name
    for classes in plays:
        names = [name for _, name in classes]
        taken = {found[label] for label, _ in classes if label in found}
        for label, name in classes:
            if label not in found:
                twins = owners.get(name, set())
                same = len(twins) == names.count(name) == 1 and not twins & taken
                found[label] = min(twins) if same else len(set(found.values()))
                taken.add(found[label])
        for label, name in classes:
            owners.setdefault(name, set()).add(found[label])
    return found


def curves_over(
    labels: Sequence[str], x: Floats, sample: Sample, within: Range = UNBOUNDED
) -> list[Curve]:
    """Return a curve for each label: mean and interval over the R replications.

    The sample is of shape (R, points, labels), NaN where there is none, and lies ``within`` a
    range, as its intervals then do.
    """
    values = sample.plain
    missing = np.isnan(values)
    n = np.sum(~missing, axis=0)
    known_first = np.take_along_axis(values, np.argsort(missing, axis=0, kind="stable"), axis=0)
    mean, half = np.full((2, *n.shape), np.nan)
    for count in np.unique(n):
        alike = n == count
        mean[alike], _, half[alike] = student(known_first[:count, alike].T, CONFIDENCE)
    several = n > 1
    low, high = mean - half, mean + half
    if within != UNBOUNDED:
        for at in np.ndindex(mean.shape):
            low[at], high[at] = ends_within(within, float(mean[at]), float(half[at]), int(n[at]))
    if sample.resampled is not None:
        for at in zip(*np.nonzero(several), strict=True):
            ends = (float(mean[at]), float(low[at]), float(high[at]))
            one = Sample(values[:, *at], sample.resampled[:, *at], sample.records)
            _, low[at], high[at] = one.widened(ends, within)
    return [Curve(label, i, x, mean[:, i], low[:, i], high[:, i]) for i, label in enumerate(labels)]


def estimate(value: Interval, sign: str = "") -> str:
    """Return an estimate with its interval, or alone where one replication gives none.

    >>> estimate((0.5, 0.4, 0.6))
    '0.50 [0.40, 0.60]'
    >>> estimate((0.5, float("nan"), float("nan")))
    '0.5000'
    """
    mean, interval = shown(*value, sign=sign)
    return mean if interval == "-" else f"{mean} {interval}"
