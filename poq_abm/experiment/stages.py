"""Which replications a plan wants, given what it has seen: all at once, or until precise enough."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poq_abm.experiment.plan import Plan
from poq_abm.experiment.precision import PrecisionTarget, Reached, judge, looks
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
    )


def wanted(plan: Plan, values: Values) -> list[Span]:
    """Return all replications that are wanted by now, those already played among them.

    A function of the values alone, so that a run that was interrupted stops where it would have
    stopped without.
    """
    target = target_of(plan)
    if target is None:
        count = plan.scenario.most_replications
        return [Span(number, 0, count) for number in range(len(plan.treatments))]
    return [
        Span(number, 0, _next_look(target, values.get(number, np.empty(0))))
        for number in range(len(plan.treatments))
    ]


def _next_look(target: PrecisionTarget, values: NDArray[np.float64]) -> int:
    """Return how many replications a treatment needs before it is judged, or had when it was."""
    for look in looks(target.at_least, target.at_most):
        if values.size < look or judge(target, values[:look]).state != "going on":
            return look
    return target.at_most


def reached(plan: Plan, values: Values) -> Iterator[tuple[int, Reached]]:
    """Yield for every treatment what precision it reached; nothing without a target."""
    target = target_of(plan)
    if target is not None:
        for span in wanted(plan, values):
            yield span.treatment, judge(target, values[span.treatment][: span.last])


def precision_of(plan: Plan, values: Values) -> list[dict[str, Any]]:
    """Return the precision reached by every treatment as plain data, for the manifest."""
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
