"""What the page shows of what was played: curves, clouds, tables and sentences, with intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from poq_abm.experiment.estimates import UNBOUNDED, Range
from poq_abm.experiment.schemas import RANGES
from poq_abm.page.played_rounds import PlayedRounds
from poq_abm.page.samples import (
    Curve,
    Interval,
    Quantity,
    apart_from,
    counterpart,
    curves_over,
    estimate,
)

__all__ = [
    "ClassRow",
    "agreement",
    "agreement_line",
    "cloud",
    "difference_table",
    "error_held",
    "reward_curves",
    "reward_table",
    "rewards",
    "role_rewards",
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
class ClassRow:
    """What a class of nodes earned a job; the difference from the scenario as it was written."""

    role: str
    label: str
    nodes: int
    reward: Interval
    #: paired by replication; none where nothing moved, or nobody is of this class as written
    difference: Interval | None


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

    def per_job(played: PlayedRounds) -> Floats:
        paid = np.diff(played.reward[:, edges][:, :, places], axis=1)
        done = np.diff(played.jobs[:, edges][:, :, places], axis=1)
        return _over(paid, done)

    return _curves(played, places, (edges[:-1] + edges[1:]) / 2, per_job)


def trust_curves(played: PlayedRounds, shown: int) -> list[Curve]:
    """Return the mean trust weight by class of evaluators after each of the rounds it was noted."""
    places = _places(played, "evaluator")
    seen = int(np.searchsorted(played.trust_rounds, shown, side="right"))

    def weights(played: PlayedRounds) -> Floats:
        start = np.full((played.replications, 1, len(places)), played.game.rules.trust_start)
        return np.concatenate([start, played.trust[:, :seen, places]], axis=1)

    x = np.concatenate([[0.0], played.trust_rounds[:seen]])
    return _curves(played, places, x, weights, RANGES["weight"])


def cloud(played: PlayedRounds, shown: int) -> tuple[Floats, Floats, NDArray[np.int32]]:
    """Return consensus, truth and task of the latest rounds shown of the first replication."""
    rounds = slice(max(0, shown - _POINTS), shown)
    trace = played.trace
    return trace.consensus[rounds], trace.truth[rounds], trace.task[rounds]


def agreement(played: PlayedRounds, shown: int) -> list[Quantity]:
    """Return how consensus and truth agree over the rounds shown; nothing before the first.

    The bias of consensus, its mean distance from truth, both in points, and their correlation.
    """

    def bias(played: PlayedRounds) -> Floats:
        return np.asarray((played.consensus - played.truth)[:, :shown].mean(axis=1))

    def distance(played: PlayedRounds) -> Floats:
        return np.asarray(np.abs(played.consensus - played.truth)[:, :shown].mean(axis=1))

    def correlation(played: PlayedRounds) -> Floats:
        consensus, truth = played.consensus[:, :shown], played.truth[:, :shown]
        c = consensus - consensus.mean(axis=1, keepdims=True)
        t = truth - truth.mean(axis=1, keepdims=True)
        return _over((c * t).sum(axis=1), np.sqrt((c * c).sum(axis=1) * (t * t).sum(axis=1)))

    told = {
        "bias (points)": (bias, RANGES["score -10 to 10"]),
        "mean distance from truth (points)": (distance, RANGES["score 0-10"]),
        "correlation with truth": (correlation, RANGES["-1 to 1"]),
    }
    found = []
    for what, (figure, within) in told.items() if shown else ():
        sample = played.sample(figure)
        found.append(Quantity("consensus", what, sample, sample.interval(within), within))
    return found


def rewards(played: PlayedRounds, shown: int) -> list[Quantity]:
    """Return what every class earned a job over the rounds shown."""
    found = []
    for place, one in enumerate(played.classes):

        def per_job(played: PlayedRounds, place: int = place) -> Floats:
            return _over(played.reward[:, shown, place], played.jobs[:, shown, place])

        sample = played.sample(per_job)
        found.append(
            Quantity(
                f"{one.role} {one.label}", "reward per job", sample, sample.interval(),
                alias=f"{one.role} {one.name}",
            )
        )  # fmt: skip
    return found


def role_rewards(played: PlayedRounds, shown: int) -> list[Quantity]:
    """Return what all nodes of a role together earned a job over the rounds shown."""
    found = []
    for role, whose in (("inference", "all inference nodes"), ("evaluator", "all evaluators")):
        places = _places(played, role)

        def per_job(played: PlayedRounds, places: list[int] = places) -> Floats:
            sums = (each[:, shown, places].sum(axis=1) for each in (played.reward, played.jobs))
            return _over(*sums)

        sample = played.sample(per_job)
        found.append(Quantity(whose, "reward per job", sample, sample.interval()))
    return found


def rows(played: PlayedRounds, written: PlayedRounds | None, shown: int) -> list[ClassRow]:
    """Return what every class earned a job over the rounds shown, and against ``written``, if any.

    Both were played with the same keys, so a difference is taken replication by replication.
    """
    own, before = rewards(played, shown), rewards(written, shown) if written else []
    found = []
    for one, figure in zip(played.classes, own, strict=True):
        there = counterpart(figure, own, before)
        apart = None if there is None else apart_from(there, figure)
        found.append(ClassRow(one.role, one.label, one.nodes, figure.estimate, apart))
    return found


def _places(played: PlayedRounds, role: str) -> list[int]:
    return [place for place, one in enumerate(played.classes) if one.role == role]


def _over(a: Floats, b: Floats) -> Floats:
    found = np.full(a.shape, np.nan)
    np.divide(a, b, out=found, where=b > 0)
    return found


def _curves(
    played: PlayedRounds,
    places: list[int],
    x: Floats,
    figure: Callable[[PlayedRounds], Floats],
    within: Range = UNBOUNDED,
) -> list[Curve]:
    """Return mean and interval over replications of a figure of shape (R, points, classes)."""
    labels = [played.classes[place].label for place in places]
    return curves_over(labels, x, played.sample(figure), within)


def error_held(resampled: bool) -> str:
    """Return which error an interval on the page holds."""
    return (
        "over replications and other records that might have been measured"
        if resampled
        else "of the mean over replications"
    )


def sample_line(played: PlayedRounds, shown: int) -> str:
    """Return how much stands behind the curves."""
    n = played.replications
    if n == 1:
        said = "one replication, so that no interval can be given"
    else:
        said = (
            f"means of {n} replications; bands and brackets are 95% intervals "
            f"{error_held(played.resampled is not None)}"
        )
    return f"{shown:,} of {played.rounds:,} rounds; {said}."


def agreement_line(found: Sequence[Quantity]) -> str:
    """Return how consensus and truth agree, in a sentence."""
    if not found:
        return "No round has been played yet."
    bias, distance, correlation = (one.estimate for one in found)
    if math.isnan(bias[0]):
        return "Nobody knows the truth of these answers, so that consensus is held to nothing."
    return (
        f"Bias of consensus {estimate(bias, '+')} points; mean distance from truth "
        f"{estimate(distance)} points; correlation with truth {estimate(correlation)}."
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


def difference_table(
    a: Sequence[Quantity],
    b: Sequence[Quantity],
    written: tuple[Sequence[Quantity], Sequence[Quantity]] | None = None,
) -> str:
    """Return a table of two plays and of what sets B apart from A, replication by replication.

    ``written`` are the same figures of both scenarios as they were written, where anything moved.
    """
    heads = ["of", "figure", "A", "B", "B - A", *(["B - A as written"] if written else [])]
    lines = list(_lines(a, b, written))
    samples = [one.sample for one in (*a, *b)]
    pairs = min((len(one.plain) for one in samples), default=0)
    held = error_held(any(one.resampled is not None for one in samples))
    said = (
        f"B - A is taken replication by replication, over {pairs} of them on the same keys; "
        f"brackets are 95% intervals {held}."
        if pairs > 1
        else "One replication of each has been played: B - A has no interval."
    )
    return (
        f"{table('difference', 'A and B, and what sets B apart from A', heads, lines)}"
        f'<p class="poq-quiet">{escape(said)}</p>'
    )


def _lines(
    a: Sequence[Quantity],
    b: Sequence[Quantity],
    written: tuple[Sequence[Quantity], Sequence[Quantity]] | None,
) -> Iterator[tuple[str, ...]]:
    """Yield a line for every figure of A, with that of B, and for those of B alone."""
    matched = [(one, counterpart(one, a, b)) for one in a]
    for one, other in matched:
        if other is None:
            yield (one.whose, one.what, _told(one.estimate), "-", *("-" * (2 if written else 1)))
            continue
        apart = [apart_from(one, other)]
        if written:
            old = counterpart(one, a, written[0]), counterpart(other, b, written[1])
            apart.append(apart_from(old[0], old[1]) if old[0] and old[1] else None)
        yield (
            one.whose if one.whose == other.whose else one.alias, one.what, _told(one.estimate),
            _told(other.estimate), *("-" if d is None else estimate(d, "+") for d in apart),
        )  # fmt: skip
    for other in b:
        if not any(other is known for _, known in matched):
            yield (other.whose, other.what, "-", _told(other.estimate), *("-" * bool(written)), "-")


def _told(value: Interval) -> str:
    return "-" if math.isnan(value[0]) else estimate(value)


def table(
    name: str, title: str, heads: Sequence[str], lines: Iterable[Sequence[str]], words: int = 2
) -> str:
    """Return a table as HTML, its first columns words, the others numbers.

    A number's cell knows its heading, for a phone shows a row as a list.
    """
    marks = ['class="poq-word"'] * words
    marks += [f'data-head="{escape(one)}"' for one in heads[words:]]
    head = "".join(f"<th {mark}>{escape(one)}</th>" for mark, one in zip(marks, heads, strict=True))
    body = "".join(
        "<tr>"
        + "".join(
            f"<td {mark}>{_cell(one, place < words)}</td>"
            for place, (mark, one) in enumerate(zip(marks, line, strict=True))
        )
        + "</tr>"
        for line in lines
    )
    return (
        f'<div class="poq-wide"><table class="poq-table" data-table="{name}"><caption>'
        f"{escape(title)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(text: str, word: bool) -> str:
    """Return the text of a cell; where a line is broken, an interval stays whole."""
    return escape(text if word else text.replace(", ", ",\u00a0"))
