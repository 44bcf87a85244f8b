"""When a run has enough replications: all that were asked for, or as many as its target takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poq_abm.experiment.plan import Plan
from poq_abm.experiment.precision import PrecisionTarget, Reached, judge, looks

__all__ = ["final_counts", "next_counts", "precision_of", "reached"]

Values = Mapping[int, NDArray[np.float64]]  #: the metric by treatment, replication by replication


def next_counts(
    plan: Plan, counts: Sequence[int], values: Values, earlier: Sequence[int] = ()
) -> list[int]:
    """Return how many replications of each treatment are wanted, given what was seen so far.

    ``counts`` are played, and ``values`` hold the metric of these; where nothing more is wanted
    they are returned. Without a precision target, ``earlier`` holds the numbers of replications
    that shorter runs ended with, and that one stops at on the way. A baseline is played as often
    as any treatment that is compared with it.
    """
    target = plan.target
    if target is None:
        most = plan.scenario.most_replications
        ends = (end for end in (*sorted(earlier), most) if end > counts[0])
        return [min(next(ends, counts[0]), most)] * len(counts)
    wanted = [target.at_least] * len(counts)
    for number, baseline in plan.baselines().items():
        wanted[number] = _next_look(target, *_judged(values, number, baseline))
        if baseline is not None:
            wanted[baseline] = max(wanted[baseline], wanted[number])
    return [max(pair) for pair in zip(wanted, counts, strict=True)]


def final_counts(plan: Plan, values: Values) -> list[int]:
    """Return how many replications of each treatment a whole run has whose metric is given."""
    counts = [0] * len(plan.treatments)
    while True:
        seen = {number: values[number][: counts[number]] for number in values}
        more = next_counts(plan, counts, seen)
        if more == counts:
            return counts
        counts = more


def _judged(
    values: Values, number: int, baseline: int | None
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Return a treatment's values, and its baseline's, of the replications that both have."""
    own = values.get(number, np.empty(0))
    if baseline is None:
        return own, None
    other = values.get(baseline, np.empty(0))
    both = min(own.size, other.size)
    return own[:both], other[:both]


def _next_look(
    target: PrecisionTarget, own: NDArray[np.float64], other: NDArray[np.float64] | None
) -> int:
    """Return how many replications a treatment needs before it is judged, or had when it was."""
    for look in looks(target.at_least, target.at_most):
        if own.size < look:
            return look
        baseline = None if other is None else other[:look]
        if judge(target, own[:look], baseline).state != "going on":
            return look
    return target.at_most


def reached(plan: Plan, values: Values) -> Iterator[tuple[int, Reached]]:
    """Yield for every treatment that is judged what precision it reached; nothing without a target.

    Baselines are compared with nothing, and are not judged.
    """
    target = plan.target
    if target is not None:
        for number, baseline in plan.baselines().items():
            own, other = _judged(values, number, baseline)
            look = _next_look(target, own, other)
            yield number, judge(target, own[:look], None if other is None else other[:look])


def precision_of(plan: Plan, values: Values) -> list[dict[str, Any]]:
    """Return the precision reached by every treatment judged as plain data, for the manifest."""
    return [
        {
            "treatment": plan.treatments[number].id,
            "replications": one.replications,
            "used": one.used,
            "mean": _number(one.mean),
            "low": _number(one.low),
            "high": _number(one.high),
            "half_width": _number(one.half_width),
            "state": one.state,
        }
        for number, one in reached(plan, values)
    ]


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
