"""What the page says in words and tables, as HTML in which every name is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from poq_abm.experiment.estimates import shown
from poq_abm.page.playing import Played
from poq_abm.page.views import Agreement, Row

__all__ = ["agreement_line", "estimate", "reward_table", "round_table", "sample_line"]


def estimate(value: tuple[float, float, float], sign: str = "") -> str:
    """Return an estimate with its interval, or alone where one replication gives none.

    >>> estimate((0.5, 0.4, 0.6))
    '0.50 [0.40, 0.60]'
    >>> estimate((0.5, float("nan"), float("nan")))
    '0.5000'
    """
    mean, interval = shown(*value, sign=sign)
    return mean if interval == "-" else f"{mean} {interval}"


def sample_line(played: Played, shown: int) -> str:
    """Return how much stands behind the curves."""
    n = played.replications
    if n == 1:
        said = "one replication, so that no interval can be given"
    else:
        said = f"means of {n} replications, bands and brackets are 95% intervals of the mean"
    return f"{shown:,} of {played.rounds:,} rounds; {said}."


def agreement_line(found: Agreement | None) -> str:
    """Return how consensus and truth agree, in a sentence."""
    if found is None:
        return "No round has been played yet."
    return (
        f"Bias of consensus {estimate(found.bias, '+')} points; mean distance from truth "
        f"{estimate(found.error)} points; correlation with truth "
        f"{estimate(found.correlation)}."
    )


def reward_table(found: Sequence[Row]) -> str:
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
    return _table("rewards", "Who earned what", heads, lines)


def round_table(played: Played, shown: int) -> str:
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
    return _table("round", title, ("role", "node", "reported", "reward"), lines)


def _table(name: str, title: str, heads: Iterable[str], lines: Iterable[Sequence[str]]) -> str:
    words = 2  # the first columns are words, the others numbers
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
