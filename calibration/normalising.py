"""From an evaluator's values to scores in [0, 10], on a scale that is kept for later outputs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from poq_abm.errors import InputError, nearest
from poq_abm.profile.layout import TOP

__all__ = ["SCOPES", "apply", "described", "fit"]

METHOD = "min_max"
SCOPES = {"per_task": "task", "whole_set": "set"}
#: Spread, relative to the largest value, below which values are equal: encoders compute in single
#: precision (7 digits), whose last digit depends on what else is in a batch.
RESOLUTION = 1e-6


def fit(values: Mapping[str, Iterable[tuple[str, float]]], normalise: str) -> dict[str, Any]:
    """Return the transform that maps each evaluator's smallest value to 0 and its largest to 10.

    ``values`` holds (task, value) pairs for each evaluator; ``normalise`` is ``per_task`` or
    ``whole_set``. The transform is plain JSON data for the profile::

        {"method": "min_max", "scope": "task" | "set", "range": [0, 10],
         "evaluators": {name: {task, or "" for the whole set: {"minimum": a, "maximum": b}}}}

    Raises :class:`~poq_abm.errors.InputError` naming the evaluator (and the task) when there are no
    values, when one is NaN or infinite, and when all are the same.

    >>> fitted = fit({"e": [("qa", 1.0), ("qa", 3.0)]}, "whole_set")
    >>> fitted["evaluators"]
    {'e': {'': {'minimum': 1.0, 'maximum': 3.0}}}
    >>> apply(fitted, "e", "qa", 2.5)
    7.5
    """
    if normalise not in SCOPES:
        hint = nearest(normalise, SCOPES)
        raise InputError(f"no way to normalise is called {normalise!r}; {hint}")
    scope = SCOPES[normalise]
    return {
        "method": METHOD,
        "scope": scope,
        "range": [0.0, TOP],
        "evaluators": {
            evaluator: _bounds(evaluator, rows, scope) for evaluator, rows in values.items()
        },
    }


def apply(transform: Mapping[str, Any], evaluator: str, task: str, value: float) -> float:
    """Return the score of a value, ``10 (value - minimum) / (maximum - minimum)`` in [0, 10].

    ``transform`` is what :func:`fit` returned, or what an imported profile keeps of its scales
    (``{"method": "scales", "scales": {name: {"minimum", "maximum"}}, "min_max": {name: fit}}``). A
    value beyond the range is clipped. Raises
    :class:`~poq_abm.errors.InputError` for an evaluator or task that was not fitted, and for NaN.

    >>> fitted = fit({"e": [("qa", 1.0), ("qa", 3.0)]}, "per_task")
    >>> apply(fitted, "e", "qa", 0.0), apply(fitted, "e", "qa", 7.0)
    (0.0, 10.0)
    """
    if evaluator in transform.get("min_max", {}):
        return apply(transform["min_max"][evaluator], evaluator, task, value)
    scales = {name: {"": ends} for name, ends in transform.get("scales", {}).items()}
    known = transform.get("evaluators", scales)
    if evaluator not in known:
        raise InputError(f"no scale was fitted for {evaluator!r}; {nearest(evaluator, known)}")
    bounds = known[evaluator]
    part = task if transform.get("scope") == "task" else ""
    if part not in bounds:
        raise InputError(
            f"no scale of {evaluator!r} was fitted for task {task!r}; {nearest(task, bounds)}"
        )
    if math.isnan(value):
        raise InputError(f"evaluator {evaluator!r} returns NaN for an output of task {task!r}")
    low, high = bounds[part]["minimum"], bounds[part]["maximum"]
    return float(min(max(TOP * ((value - low) / (high - low)), 0.0), TOP))


def described(transform: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each evaluator: which values became 0 and 10, in which task.

    >>> described(fit({"e": [("qa", 1.0), ("qa", 3.0)]}, "per_task"))
    ['Scores of e: by minimum and maximum, qa [1, 3] to [0, 10].']
    """
    sentences = []
    for evaluator, parts in transform["evaluators"].items():
        ranges = "; ".join(
            f"{task or 'whole set'} [{ends['minimum']:.6g}, {ends['maximum']:.6g}]"
            for task, ends in parts.items()
        )
        sentences.append(
            f"Scores of {evaluator}: by minimum and maximum, {ranges} to [0, {TOP:g}]."
        )
    return sentences


def _bounds(
    evaluator: str, rows: Iterable[tuple[str, float]], scope: str
) -> dict[str, dict[str, float]]:
    parts: dict[str, list[float]] = {}
    for task, value in rows:
        if not math.isfinite(value):
            raise InputError(
                f"evaluator {evaluator!r} returns {value} for an output of task {task!r}"
            )
        parts.setdefault(task if scope == "task" else "", []).append(float(value))
    if not parts:
        raise InputError(f"evaluator {evaluator!r} has no values to fit a scale to")
    return {task: _range(evaluator, task, values) for task, values in parts.items()}


def _range(evaluator: str, task: str, values: list[float]) -> dict[str, float]:
    low, high = min(values), max(values)
    if high - low <= RESOLUTION * max(abs(low), abs(high)):
        of_task = f" of task {task!r}" if task else ""
        raise InputError(
            f"evaluator {evaluator!r} gives all {len(values)} outputs{of_task} the same value, "
            f"{low:.6g}: a constant has no scale"
            + ("; normalise: whole_set may still have one" if task else "")
        )
    return {"minimum": low, "maximum": high}
