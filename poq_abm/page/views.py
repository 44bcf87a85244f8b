"""What the page draws of what was played: curves, clouds and a table, with their intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from poq_abm.experiment.estimates import (
    CONFIDENCE,
    UNBOUNDED,
    Range,
    ends_within,
    mean_interval,
)
from poq_abm.experiment.schemas import RANGES
from poq_abm.page.classes import NodeClass
from poq_abm.page.playing import Played

__all__ = [
    "Agreement",
    "Curve",
    "Row",
    "agreement",
    "cloud",
    "reward_curves",
    "rows",
    "trust_curves",
]

WINDOWS = 50  #: points of a reward curve
_POINTS = 400  # of the cloud

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """A line over rounds, with the ends of the 95% interval; NaN where there is none."""

    label: str
    place: int  #: of its class among those of the role, which gives it its colour
    x: Floats
    y: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class Agreement:
    """How consensus and truth agree over the rounds shown: mean and interval, in points."""

    bias: tuple[float, float, float]
    error: tuple[float, float, float]
    correlation: tuple[float, float, float]


@dataclass(frozen=True)
class Row:
    """What a class of nodes earned a job; the difference from the scenario as it was written."""

    role: str
    label: str
    nodes: int
    reward: tuple[float, float, float]
    #: paired by replication; none where nothing moved, or nobody is of this class as written
    difference: tuple[float, float, float] | None


def reward_curves(played: Played, role: str, shown: int, windows: int = WINDOWS) -> list[Curve]:
    """Return mean reward per job by class of a role, in windows of the first ``shown`` rounds.

    The mean is over replications, and so is its interval.
    """
    if shown < 1:
        return []
    edges = np.unique(np.linspace(0, shown, min(windows, shown) + 1).round().astype(np.int64))
    places = _places(played, role)
    paid = np.diff(played.reward[:, edges][:, :, places], axis=1)
    done = np.diff(played.jobs[:, edges][:, :, places], axis=1)
    mean = np.full(paid.shape, np.nan)
    np.divide(paid, done, out=mean, where=done > 0)
    return _curves(played, places, (edges[:-1] + edges[1:]) / 2, mean)


def trust_curves(played: Played, shown: int) -> list[Curve]:
    """Return the mean trust weight by class of evaluators after each of the rounds it was noted."""
    places = _places(played, "evaluator")
    seen = int(np.searchsorted(played.trust_rounds, shown, side="right"))
    start = np.full((played.replications, 1, len(places)), played.game.rules.trust_start)
    values = np.concatenate([start, played.trust[:, :seen, places]], axis=1)
    x = np.concatenate([[0.0], played.trust_rounds[:seen]])
    return _curves(played, places, x, values, RANGES["weight"])


def cloud(played: Played, shown: int) -> tuple[Floats, Floats, NDArray[np.int32]]:
    """Return consensus, truth and task of the latest rounds shown of the first replication."""
    rounds = slice(max(0, shown - _POINTS), shown)
    trace = played.trace
    return trace.consensus[rounds], trace.truth[rounds], trace.task[rounds]


def agreement(played: Played, shown: int) -> Agreement | None:
    """Return how consensus and truth agree over the rounds shown; nothing before the first."""
    if shown < 1:
        return None
    consensus, truth = played.consensus[:, :shown], played.truth[:, :shown]
    c = consensus - consensus.mean(axis=1, keepdims=True)
    t = truth - truth.mean(axis=1, keepdims=True)
    both = np.sqrt((c * c).sum(axis=1) * (t * t).sum(axis=1))
    correlation = np.full(both.shape, np.nan)
    np.divide((c * t).sum(axis=1), both, out=correlation, where=both > 0)
    return Agreement(
        _interval((consensus - truth).mean(axis=1), RANGES["score -10 to 10"]),
        _interval(np.abs(consensus - truth).mean(axis=1), RANGES["score 0-10"]),
        _interval(correlation, RANGES["-1 to 1"]),
    )


def rows(played: Played, written: Played, shown: int) -> list[Row]:
    """Return what every class earned a job over the rounds shown, and against ``written``.

    Both were played with the same keys, so a difference is taken replication by replication.
    """
    own, before = _per_job(played, shown), _per_job(written, shown)
    found = []
    for place, one in enumerate(played.classes):
        there = _counterpart(one, played, written)
        count = min(played.replications, written.replications)
        apart = None
        if there is not None and played is not written:
            apart = _interval(own[:count, place] - before[:count, there])
        found.append(Row(one.role, one.label, one.nodes, _interval(own[:, place]), apart))
    return found


def _counterpart(one: NodeClass, played: Played, written: Played) -> int | None:
    """Return the place of the same class in what was written, or nothing.

    A class whose behaviour has another strength now is the same as long as its name says which.
    """
    alike = [i for i, w in enumerate(written.classes) if (w.role, w.label) == (one.role, one.label)]
    if not alike:
        twins = sum((w.role, w.name) == (one.role, one.name) for w in played.classes)
        named = [
            i for i, w in enumerate(written.classes) if (w.role, w.name) == (one.role, one.name)
        ]
        alike = named if twins == 1 else []
    return alike[0] if len(alike) == 1 else None


def _places(played: Played, role: str) -> list[int]:
    return [place for place, one in enumerate(played.classes) if one.role == role]


def _per_job(played: Played, shown: int) -> Floats:
    paid, done = played.reward[:, shown], played.jobs[:, shown]
    mean = np.full(paid.shape, np.nan)
    np.divide(paid, done, out=mean, where=done > 0)
    return mean


def _curves(
    played: Played, places: list[int], x: Floats, values: Floats, within: Range = UNBOUNDED
) -> list[Curve]:
    """Return mean and interval over replications of values of shape (R, points, classes)."""
    n = np.sum(~np.isnan(values), axis=0)
    total = np.nansum(values, axis=0)
    mean = np.full(total.shape, np.nan)
    np.divide(total, n, out=mean, where=n > 0)
    squares = np.nansum((values - mean) ** 2, axis=0)
    half = np.full(total.shape, np.nan)
    several = n > 1
    k = n[several]
    half[several] = stdtrit(k - 1, (1 + CONFIDENCE) / 2) * np.sqrt(squares[several] / (k - 1) / k)
    low, high = mean - half, mean + half
    if within != UNBOUNDED:
        for at in np.ndindex(mean.shape):
            low[at], high[at] = ends_within(within, float(mean[at]), float(half[at]), int(n[at]))
    return [
        Curve(played.classes[place].label, i, x, mean[:, i], low[:, i], high[:, i])
        for i, place in enumerate(places)
    ]  # fmt: skip


def _interval(values: Floats, within: Range = UNBOUNDED) -> tuple[float, float, float]:
    mean, _, low, high = mean_interval(values[~np.isnan(values)], within=within)
    return mean, low, high
