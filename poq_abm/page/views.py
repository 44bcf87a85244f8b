"""What the page shows of what was played: curves, clouds, tables and sentences, with intervals."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from poq_abm.experiment.estimates import (
    CONFIDENCE,
    UNBOUNDED,
    Range,
    ends_within,
    mean_interval,
    shown,
)
from poq_abm.experiment.schemas import RANGES
from poq_abm.page.played_rounds import NodeClass, PlayedRounds

__all__ = [
    "ClassRow",
    "ClosenessAgreement",
    "Curve",
    "agreement",
    "agreement_line",
    "cloud",
    "curves_over",
    "estimate",
    "interval",
    "reward_curves",
    "reward_table",
    "round_table",
    "rows",
    "sample_line",
    "table",
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
class ClosenessAgreement:
    """How consensus and truth agree over the rounds shown: mean and interval, in points."""

    bias: tuple[float, float, float]
    error: tuple[float, float, float]
    correlation: tuple[float, float, float]


@dataclass(frozen=True)
class ClassRow:
    """What a class of nodes earned a job; the difference from the scenario as it was written."""

    role: str
    label: str
    nodes: int
    reward: tuple[float, float, float]
    #: paired by replication; none where nothing moved, or nobody is of this class as written
    difference: tuple[float, float, float] | None


def reward_curves(
    played: PlayedRounds, role: str, shown: int, windows: int = WINDOWS
) -> list[Curve]:
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


def trust_curves(played: PlayedRounds, shown: int) -> list[Curve]:
    """Return the mean trust weight by class of evaluators after each of the rounds it was noted."""
    places = _places(played, "evaluator")
    seen = int(np.searchsorted(played.trust_rounds, shown, side="right"))
    start = np.full((played.replications, 1, len(places)), played.game.rules.trust_start)
    values = np.concatenate([start, played.trust[:, :seen, places]], axis=1)
    x = np.concatenate([[0.0], played.trust_rounds[:seen]])
    return _curves(played, places, x, values, RANGES["weight"])


def cloud(played: PlayedRounds, shown: int) -> tuple[Floats, Floats, NDArray[np.int32]]:
    """Return consensus, truth and task of the latest rounds shown of the first replication."""
    rounds = slice(max(0, shown - _POINTS), shown)
    trace = played.trace
    return trace.consensus[rounds], trace.truth[rounds], trace.task[rounds]


def agreement(played: PlayedRounds, shown: int) -> ClosenessAgreement | None:
    """Return how consensus and truth agree over the rounds shown; nothing before the first."""
    if shown < 1:
        return None
    consensus, truth = played.consensus[:, :shown], played.truth[:, :shown]
    c = consensus - consensus.mean(axis=1, keepdims=True)
    t = truth - truth.mean(axis=1, keepdims=True)
    both = np.sqrt((c * c).sum(axis=1) * (t * t).sum(axis=1))
    correlation = np.full(both.shape, np.nan)
    np.divide((c * t).sum(axis=1), both, out=correlation, where=both > 0)
    return ClosenessAgreement(
        interval((consensus - truth).mean(axis=1), RANGES["score -10 to 10"]),
        interval(np.abs(consensus - truth).mean(axis=1), RANGES["score 0-10"]),
        interval(correlation, RANGES["-1 to 1"]),
    )


def rows(played: PlayedRounds, written: PlayedRounds, shown: int) -> list[ClassRow]:
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
            apart = interval(own[:count, place] - before[:count, there])
        found.append(ClassRow(one.role, one.label, one.nodes, interval(own[:, place]), apart))
    return found


def _counterpart(one: NodeClass, played: PlayedRounds, written: PlayedRounds) -> int | None:
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


def _places(played: PlayedRounds, role: str) -> list[int]:
    return [place for place, one in enumerate(played.classes) if one.role == role]


def _per_job(played: PlayedRounds, shown: int) -> Floats:
    paid, done = played.reward[:, shown], played.jobs[:, shown]
    mean = np.full(paid.shape, np.nan)
    np.divide(paid, done, out=mean, where=done > 0)
    return mean


def _curves(
    played: PlayedRounds, places: list[int], x: Floats, values: Floats, within: Range = UNBOUNDED
) -> list[Curve]:
    """Return mean and interval over replications of values of shape (R, points, classes)."""
    return curves_over([played.classes[place].label for place in places], x, values, within)


def curves_over(
    labels: Sequence[str], x: Floats, values: Floats, within: Range = UNBOUNDED
) -> list[Curve]:
    """Return a curve for each label: mean and interval over the R replications.

    ``values`` are of shape (R, points, labels), NaN where there is none, and lie ``within`` a
    range, as their intervals then do.
    """
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
    return [Curve(label, i, x, mean[:, i], low[:, i], high[:, i]) for i, label in enumerate(labels)]


def interval(values: Floats, within: Range = UNBOUNDED) -> tuple[float, float, float]:
    """Return the mean of the numbers among values, and the ends of its 95% interval.

    >>> interval(np.array([0.5, np.nan]))
    (0.5, nan, nan)
    """
    mean, _, low, high = mean_interval(values[~np.isnan(values)], within=within)
    return mean, low, high


def estimate(value: tuple[float, float, float], sign: str = "") -> str:
    """Return an estimate with its interval, or alone where one replication gives none.

    >>> estimate((0.5, 0.4, 0.6))
    '0.50 [0.40, 0.60]'
    >>> estimate((0.5, float("nan"), float("nan")))
    '0.5000'
    """
    mean, interval = shown(*value, sign=sign)
    return mean if interval == "-" else f"{mean} {interval}"


def sample_line(played: PlayedRounds, shown: int) -> str:
    """Return how much stands behind the curves."""
    n = played.replications
    if n == 1:
        said = "one replication, so that no interval can be given"
    else:
        said = f"means of {n} replications, bands and brackets are 95% intervals of the mean"
    return f"{shown:,} of {played.rounds:,} rounds; {said}."


def agreement_line(found: ClosenessAgreement | None) -> str:
    """Return how consensus and truth agree, in a sentence."""
    if found is None:
        return "No round has been played yet."
    if math.isnan(found.bias[0]):
        return "Nobody knows the truth of these answers, so that consensus is held to nothing."
    return (
        f"Bias of consensus {estimate(found.bias, '+')} points; mean distance from truth "
        f"{estimate(found.error)} points; correlation with truth "
        f"{estimate(found.correlation)}."
    )


def reward_table(found: Sequence[ClassRow]) -> str:
    """Return who earned what a job, and what the moved controls changed of it."""
    lines = (
        (
            row.role,
            row.label,
            f"{row.nodes:,}",
            estimate(row.reward),
            "-" if row.difference is None else estimate(row.difference, "+"),
        )
        for row in found
    )
    heads = ("role", "class", "nodes", "reward per job", "against the scenario as written")
    return table("rewards", "Who earned what", heads, lines)


def round_table(played: PlayedRounds, shown: int) -> str:
    """Return the latest round shown of the first replication: who sat, reported and was paid."""
    if shown < 1:
        return ""
    row, trace, game = shown - 1, played.trace, played.game
    owner = game.population.groups
    groups = [owner[int(place)].label for place in game.population.group]
    node = int(trace.node[row])
    lines = [
        ("inference node", f"{node}, {groups[node]}", "-", f"{trace.inference_reward[row]:.3f}"),
        *(
            ("evaluator node", f"{member}, {groups[int(member)]}", f"{score:.2f}", f"{paid:.3f}")
            for member, score, paid in zip(
                trace.committee[row], trace.scores[row], trace.evaluator_rewards[row], strict=True
            )
        ),
    ]
    task, record = game.tasks[int(trace.task[row])], game.records[int(trace.record[row])]
    title = (
        f"Round {shown:,} of the first replication: {task}, record {record}; consensus "
        f"{trace.consensus[row]:.2f}, truth {trace.truth[row]:.2f} of 10"
    )
    return table("round", title, ("role", "node", "reported", "reward"), lines)


def table(
    name: str, title: str, heads: Iterable[str], lines: Iterable[Sequence[str]], words: int = 2
) -> str:
    """Return a table as HTML, its first columns words, the others numbers."""
    marks = ['class="poq-word"' if place < words else "" for place in range(9)]
    head = "".join(f"<th {marks[i]}>{escape(one)}</th>" for i, one in enumerate(heads))
    body = "".join(
        "<tr>"
        + "".join(f"<td {marks[i]}>{escape(one)}</td>" for i, one in enumerate(line))
        + "</tr>"
        for line in lines
    )
    return (
        f'<div class="poq-wide"><table class="poq-table" data-table="{name}"><caption>'
        f"{escape(title)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
