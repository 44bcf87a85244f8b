"""Which replications a plan wants, given what it has seen: all at once, or until precise enough."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poq_abm.experiment.plan import Plan
from poq_abm.experiment.precision import PrecisionTarget, Reached, judge, looks
from poq_abm.experiment.schemas import range_of
from poq_abm.experiment.spans import Span

__all__ = ["precision_of", "reached", "target_of", "wanted"]

Values = Mapping[int, NDArray[np.float64]]  #: the metric by treatment, replication by replication


def target_of(plan: Plan) -> PrecisionTarget | None:
    """Return the precision a plan's scenario asks for, if it asks for any."""
    asked = plan.scenario.precision
    if asked is None:
        return None
    until = asked.until
    return PrecisionTarget(
        metric=until.metric,
        half_width=until.half_width,
        relative=until.relative,
        at_least=asked.at_least,
        at_most=asked.at_most,
        confidence=asked.confidence,
        within=range_of(until.metric, plan.unit_of(until.metric)),
    )


def wanted(plan: Plan, values: Values) -> list[Span]:
    """Return all replications that are wanted by now, those already played among them.

    A baseline is played as often as any treatment that is compared with it. A function of the
    values alone, so that a run that was interrupted stops where it would have stopped without.
    """
    target = target_of(plan)
    if target is None:
        count = plan.scenario.most_replications
        return [Span(number, 0, count) for number in range(len(plan.treatments))]
    counts = [target.at_least] * len(plan.treatments)
    for number, baseline in plan.baselines().items():
        counts[number] = _next_look(target, *_judged(values, number, baseline))
        if baseline is not None:
            counts[baseline] = max(counts[baseline], counts[number])
    return [Span(number, 0, count) for number, count in enumerate(counts)]


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
    target = target_of(plan)
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
